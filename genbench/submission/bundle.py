"""A bundle: a folder laid out as a results folder, with a manifest that names each file, its size and its hash.

    MANIFEST.json
    <benchmark>/<model>/seed-<k>/record.json, samples.npz, nats.npz, samples.png, samples.txt, curve.csv, log.txt,
                                 and with the state state.safetensors and state.json

A bundle comes from anyone: nothing in it is followed, run or unpacked before its size is known.
"""

from __future__ import annotations

import functools
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from genbench.benchmark import STRICT
from genbench.errors import RecordError, clean
from genbench.reading import hash_inside, is_folder, is_there, read_file
from genbench.specs import Division
from genbench.store import FOLDER, RECORD, SEED_FOLDER
from genbench.strict_json import MAX_RECORD_BYTES, strict_json
from genbench.verification import Finding

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MANIFEST = "MANIFEST.json"
MAX_NOTE = 2000
"""Characters of a note."""
STATE = ("state.safetensors", "state.json")
MAX_BYTES: Mapping[str, int] = {
    RECORD: MAX_RECORD_BYTES,
    "samples.npz": 8 << 30,
    "nats.npz": 1 << 30,
    "samples.png": 16 << 20,
    "samples.txt": 1 << 20,
    "curve.csv": 64 << 20,
    "log.txt": 2 << 20,
    "state.safetensors": 64 << 30,
    "state.json": 16 << 20,
}
"""The files that a run in a bundle may have, and how large each may be."""
MAX_FILES = 20_000
SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class FileEntry:
    """A file of a bundle: ``sha256:<hex>`` of its content, and its size."""

    sha256: str
    bytes: Annotated[int, Ge(0), Le(2**53)]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        genbench: the version that made it.
        division, benchmark, digest: of all its runs.
        incomplete: whether it was made in spite of seeds that are missing.
        note: the submitter's words.
        files: path below the bundle, with ``/``, to the file, sorted.
    """

    genbench: str
    division: Division
    benchmark: str
    digest: str
    incomplete: bool
    note: Annotated[str, MaxLen(MAX_NOTE)]
    files: dict[str, FileEntry] = field(default_factory=dict)
    format: Literal[1] = 1

    __pydantic_config__ = STRICT

    def to_json(self) -> str:
        """The text of ``MANIFEST.json``: files in the order of their paths."""
        files = {path: asdict(self.files[path]) for path in sorted(self.files)}
        return json.dumps({"format": self.format, **asdict(self), "files": files}, indent=2, allow_nan=False) + "\n"


def is_bundle(folder: Path) -> bool:
    """Whether a folder has a manifest."""
    return is_there(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle.

    Raises:
        RecordError: saying what is wrong, for one that can't be read, is none, or names what no bundle holds.
    """
    from pydantic import ValidationError

    try:
        raw = strict_json(read_file(folder / MANIFEST, MAX_RECORD_BYTES))
        manifest = _adapter().validate_json(json.dumps(raw))
    except OSError as error:
        raise RecordError(f"{MANIFEST}: cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise RecordError(clean(f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}")) from None
    except RecordError as error:
        raise RecordError(f"{MANIFEST}: {error}") from None
    if len(manifest.files) > MAX_FILES:
        raise RecordError(f"{MANIFEST}: names {len(manifest.files)} files, and at most {MAX_FILES} are read")
    for path, entry in manifest.files.items():
        if why := why_no_file(path):
            raise RecordError(clean(f"{MANIFEST}: files: {path[:200]!r} {why}"))
        if not SHA256.match(entry.sha256):
            raise RecordError(clean(f"{MANIFEST}: files: {path}: {entry.sha256[:80]!r} is no sha256:<64 hex digits>"))
    return manifest


def why_no_file(path: str) -> str | None:
    """Why a path is none of a file in a bundle, or None."""
    parts = path.split("/")
    if len(parts) != 4:
        return "is not <benchmark>/<model>/seed-<k>/<file>"
    *folders, name = parts
    if not all(FOLDER.match(part) and ".." not in part for part in folders) or not SEED_FOLDER.match(folders[2]):
        return "leads through folders that no run has"
    return None if name in MAX_BYTES else f"is no file that a bundle holds; these are {', '.join(MAX_BYTES)}"


def file_findings(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    """What of a bundle's files is not as its manifest says, in the order of paths. No link is followed."""
    standing = {}
    for path, about in _walk(folder):
        if path != MANIFEST:
            standing[path] = about
        if len(standing) > MAX_FILES:
            yield _failure("files", "", f"at most {MAX_FILES} files", "more", "Make several bundles of it.")
            return
    for path in sorted({*standing, *manifest.files}):
        entry, found = manifest.files.get(path), standing.get(path)
        if entry is None:
            kind = "a link" if found is not None and stat.S_ISLNK(found.st_mode) else "a file that it does not name"
            advice = "Remove it, or make the bundle again with genbench submit."
            yield _failure("unlisted file", path, f"nothing but the files of {MANIFEST}", kind, advice)
        elif found is None:
            yield _failure("missing file", path, f"{entry.bytes} bytes", "no file", "Add the file that was submitted.")
        else:
            yield from _differences(folder, path, entry, found)


def _differences(folder: Path, path: str, entry: FileEntry, found: os.stat_result) -> Iterator[Finding]:
    most = MAX_BYTES[path.rpartition("/")[2]]
    advice = "Submit the files as genbench submit wrote them."
    if not stat.S_ISREG(found.st_mode):
        yield _failure("no regular file", path, "a regular file", "a link, folder or device", advice)
    elif found.st_size > most:
        yield _failure("file too large", path, f"at most {most} bytes", f"{found.st_size}", "Submit a smaller file.")
    elif found.st_size != entry.bytes:
        yield _failure("file size", path, f"{entry.bytes} bytes in {MANIFEST}", f"{found.st_size}", advice)
    elif (now := hash_inside(folder / path, below=folder)) != entry.sha256:
        yield _failure("file hash", path, f"{entry.sha256} in {MANIFEST}", now, advice)


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Each file, link or device in a bundle by its path with ``/``; folders are gone into as deep as a bundle has."""
    waiting = [("", folder)]
    while waiting:
        prefix, place = waiting.pop()
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                path = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False) and path.count("/") < 3:
                    waiting.append((f"{path}/", Path(entry.path)))
                else:
                    yield path, entry.stat(follow_symlinks=False)


def runs_of(folder: Path, manifest: Manifest) -> list[Path]:
    """The folders of the runs that a manifest names, in the order of benchmark, model and seed; none behind a link."""
    found = {path.rpartition("/")[0] for path in manifest.files}
    places = [folder / path for path in sorted(found, key=_by_seed)]
    return [place for place in places if all(map(is_folder, (place, *place.parents[:2])))]


def _by_seed(path: str) -> tuple[str, str, int]:
    benchmark, model, seed = path.split("/")
    return benchmark, model, int(seed.removeprefix("seed-"))


def _failure(check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(0, "failure", check, place, promised, found, advice)


@functools.cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)
