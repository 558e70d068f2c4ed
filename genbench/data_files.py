"""Where the files of data sets may stand, as far as a look at folders tells; nothing here reads or downloads them."""

from __future__ import annotations

from pathlib import Path

from genbench import paths
from genbench.specs import DatasetSpec


def folders_of(spec: DatasetSpec, cache: Path) -> list[Path]:
    """Folders that a data set's files are looked for in, in this order: genbench's for this data set, those that its
    declaration names, and genbench's for others, which may be made from the same files.

    Args:
        cache: genbench's folder of data sets' files.
    """
    own = cache / spec.name
    others = sorted(folder for folder in cache.iterdir() if folder.is_dir()) if cache.is_dir() else []
    return list(dict.fromkeys([own, *map(Path, spec.folders), *others]))


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


def bytes_to_download(spec: DatasetSpec) -> int:
    """Bytes that a run would download of the data set, as far as the presence of files and folders tells."""
    if cached_folder(spec, paths.data_cache()).is_dir():
        return 0
    return bytes_missing(spec, paths.files_cache())


def size_text(size: int) -> str:
    """Bytes for people: ``162.2 MiB``."""
    return f"{size / 2**20:.1f} MiB"
