"""Files that data sets are read from: found on this machine or downloaded, taken only if they have a declared hash."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from genbench.data_files import folders_of, without_network
from genbench.engine.download import DOWNLOAD_ERRORS, WAY_OUT, download
from genbench.errors import MissingData, StoreError
from genbench.foreign_files import open_regular
from genbench.specs import DataFile, DatasetSpec


class MissingFiles(MissingData):
    """Files of a data set that are not to be had."""


def find_files(spec: DatasetSpec, cache: Path, offline: bool, given: Sequence[Path] = ()) -> dict[str, Path]:
    """A path for each of the data set's files, all with declared hashes.

    Args:
        cache: genbench's folder of data sets' files; downloads and files that were ``given`` go there.
        offline: whether nothing may be downloaded.
        given: folders of a person, looked into first.

    Raises:
        MissingFiles: if one is not to be had, saying which, where it was looked for, and every way to get it.
        StoreError: if a file that is to be had cannot be written.
    """
    rejected: list[str] = []
    found = {file.name: _find(spec, file, cache, given, rejected) for file in spec.files}
    missing = [file for file in spec.files if found[file.name] is None]
    if missing and offline:
        why = "and downloads are forbidden (--offline or GENBENCH_OFFLINE)"
        raise MissingFiles(_missing(spec, missing, cache, given, rejected, why))
    for file in missing:
        found[file.name] = _fetch(spec, file, missing, cache, given, rejected)
    return {name: path for name, path in found.items() if path is not None}


def _find(spec: DatasetSpec, file: DataFile, cache: Path, given: Sequence[Path], rejected: list[str]) -> Path | None:
    for folder in (*given, *folders_of(spec, cache)):
        path = folder / file.name
        if not path.exists():
            continue
        try:
            problem = _problem(path, file)
        except OSError as error:
            problem = f"cannot be taken: {error.strerror or error}"
        if problem is None:
            return _kept(path, cache / spec.name) if folder in given else path
        rejected.append(f"{path} {problem}")
    return None


def _problem(path: Path, file: DataFile) -> str | None:
    """What is wrong with a file, or None.

    Raises:
        OSError: if it cannot be read, is no regular file, or is larger than the one that is wanted.
    """
    with open_regular(path, file.size) as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if found in (file.sha256, *file.repacked) else f"has another hash, {found}"


def _kept(path: Path, folder: Path) -> Path:
    """A copy in genbench's own folder: that of the person may go."""
    draft = folder / f".{path.name}.{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, draft)
            os.replace(draft, folder / path.name)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"{folder}: {path} cannot be copied there: {why}; {WAY_OUT}") from None
    return folder / path.name


def _fetch(
    spec: DatasetSpec, file: DataFile, missing: list[DataFile], cache: Path, given: Sequence[Path], rejected: list[str]
) -> Path:
    target = cache / spec.name / file.name
    refused = []
    for url in file.urls:
        try:
            download(url, target, file.sha256, file.size)
            return target
        except DOWNLOAD_ERRORS as error:
            refused.append(f"{url} cannot be had: {error}")
    why = f"and {'; '.join(refused)}" if refused else "and it has no address to download them from"
    raise MissingFiles(_missing(spec, missing, cache, given, rejected, why))


def _missing(
    spec: DatasetSpec, missing: list[DataFile], cache: Path, given: Sequence[Path], rejected: list[str], why: str
) -> str:
    return "\n".join(_lines(spec, missing, cache, given, rejected, why))


def _lines(
    spec: DatasetSpec, missing: list[DataFile], cache: Path, given: Sequence[Path], rejected: list[str], why: str
) -> Iterator[str]:
    yield f"data set {spec.name!r}: it does not ship with genbench and is not on this machine, {why}"
    for file in missing:
        source = f", from {file.urls[0]}" if file.urls else ""
        yield f"  needed: {file.name} ({file.size:,} bytes) with the SHA-256 {file.sha256}{source}"
    yield f"  looked for in: {', '.join(map(str, (*given, *folders_of(spec, cache))))}"
    yield from (f"  not taken: {line}" for line in rejected)
    yield from (f"  to do: {way}" for way in without_network(spec, cache))
    if any(file.urls for file in missing):
        yield f"  to do: where there is a network, run `genbench data fetch {spec.name}`"
