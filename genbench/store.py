"""The one module that writes and reads ``results/``.

A run is prepared in a working folder under ``.work/`` and appears under its name by one rename of that folder,
its record and artifacts flushed to disk before. No reader ever sees half of a run.

    results/<benchmark>/<model>/seed-<k>/record.json      and the artifacts beside it
    results/.work/<benchmark>--<model>--seed-<k>/          a run in progress, with its claim in a .lock beside
    results/.superseded/...                                runs whose code or benchmark has changed
    results/.quarantine/...                                what could not be trusted
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from genbench.errors import GenbenchError, StoreError
from genbench.record import Record, RecordError, parse

FOLDER = re.compile(r"^[a-z0-9][a-z0-9._+=,-]{0,127}$")
SEED_FOLDER = re.compile(r"^seed-(\d{1,10})$")
MAX_RECORD_BYTES = 4 << 20
RECORD = "record.json"


@dataclass(frozen=True)
class RunKey:
    """Where a run lives: benchmark folder, model name with configuration (``dcgan[width=128]``), seed."""

    benchmark: str
    model: str
    seed: int

    @property
    def path(self) -> Path:
        return Path(self.benchmark, model_folder(self.model), f"seed-{self.seed}")

    def __str__(self) -> str:
        return f"{self.benchmark}/{self.model}/seed-{self.seed}"


@dataclass(frozen=True)
class Unreadable:
    """A record that was passed over, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Loaded:
    """What a results folder holds: the records that can be trusted and those that were passed over."""

    records: list[Record]
    unreadable: list[Unreadable]


def model_folder(name: str) -> str:
    """The folder of a model: ``dcgan[width=128]`` lives in ``dcgan+width=128``; long or odd ones end in a hash."""
    folder = re.sub(r"[^a-z0-9._+=,-]", "-", name.lower().replace("[", "+").replace("]", ""))
    lossless = folder == name.replace("[", "+").replace("]", "") and FOLDER.match(folder) and ".." not in folder
    if lossless:
        return folder
    readable = folder.replace("..", "-").lstrip("._+=,-")[:111] or "model"
    return f"{readable}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


class Store:
    """A results folder.

    Args:
        root: made when the first run is prepared.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Prove, before anything is trained, that results can be written.

        Raises:
            StoreError: naming the folder and the system's reason.
        """
        probe = self.root / f".probe-{uuid.uuid4().hex}"
        with as_store_error(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            _write(probe, b"genbench")
            probe.unlink()

    def read(self, key: RunKey) -> Record | None:
        """The record of a run, or None where there is none.

        Raises:
            RecordError: if what stands there is no record that can be trusted.
            StoreError: if it can't be read.
        """
        path = self.root / key.path / RECORD
        try:
            return read_record(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error

    def load(self, benchmark: str | None = None) -> Loaded:
        """All records, in the order of benchmark, model and seed; of one benchmark's folder if it is named."""
        loaded = Loaded([], [])
        for path in self._record_paths(benchmark):
            try:
                record = read_record(path)
                self._check_place(path, record)
                loaded.records.append(record)
            except (RecordError, OSError) as error:
                loaded.unreadable.append(Unreadable(path, str(error)))
        for path in self._stray_paths(benchmark):
            loaded.unreadable.append(Unreadable(path, "its folder is not named seed-<number>, as that of a run is"))
        return loaded

    def find_all(self, text: str) -> list[Path]:
        """The folders of the runs that a person names: one run, a model's runs or a benchmark's.

        Raises:
            GenbenchError: naming the nearest run there is.
        """
        parts = text.strip("/").split("/", 1)
        folder = self.root / parts[0] / (model_folder(parts[1]) if len(parts) > 1 else "")
        found = [path.parent for path in self._record_paths(None) if folder in path.parent.parents]
        return found or [self.find(text)]

    def find(self, run: str) -> Path:
        """The folder of the run that a person names: ``benchmark/model/seed-k`` or the folder's own path.

        Raises:
            GenbenchError: naming the nearest run there is.
        """
        known = {str(path.parent.relative_to(self.root)): path.parent for path in self._record_paths(None)}
        benchmark, _, rest = run.strip("/").partition("/")
        model, _, seed = rest.rpartition("/")  # an option's value may hold a slash
        key = "/".join([benchmark, model_folder(model), seed])
        if key in known:
            return known[key]
        if Path(run, RECORD).is_file():
            return Path(run)
        raise GenbenchError.unknown(f"run (in {self.root})", run, known)

    def work_folder(self, key: RunKey) -> Path:
        """A new, empty working folder for the run; what an interrupted attempt left is removed."""
        folder = self.root / ".work" / "--".join(key.path.parts)
        with as_store_error(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        return folder

    @contextmanager
    def claim(self, key: RunKey) -> Iterator[bool]:
        """Hold the run against other harnesses on this folder; yields False where another one holds it."""
        from filelock import FileLock, Timeout

        lock_path = self.root / ".work" / ("--".join(key.path.parts) + ".lock")
        with as_store_error(lock_path):
            lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock_path.unlink(missing_ok=True)
            lock.release()

    def commit(self, work: Path, key: RunKey, record: Record) -> Path:
        """Make a finished run visible: record last, then the whole folder by one rename. Write-once.

        Raises:
            StoreError: if the disk refuses, or another record already stands there.
        """
        final = self.root / key.path
        with as_store_error(final):
            for path in sorted(work.iterdir()):
                _sync(path)
            _write(work / RECORD, record.to_json().encode())
            _sync(work)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.rename(work, final)
            _sync(final.parent)
        return final

    def supersede(self, key: RunKey) -> Path:
        """Move a stale run away, so that it can be run again; returns where it went."""
        return self._move_away(self.root / key.path, ".superseded")

    def quarantine(self, key: RunKey) -> Path:
        """Move away what could not be trusted, so that the run can be done again; returns where it went."""
        return self._move_away(self.root / key.path, ".quarantine")

    def _move_away(self, folder: Path, heap: str) -> Path:
        relative = folder.relative_to(self.root)
        target = self.root / heap / relative.parent / f"{relative.name}.{uuid.uuid4().hex[:8]}"
        with as_store_error(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder, target)
        return target

    def _record_paths(self, benchmark: str | None) -> Iterator[Path]:
        """Paths of records, links and odd names passed over."""
        for bench in _folders(self.root):
            if benchmark is not None and bench.name != benchmark:
                continue
            for model in _folders(bench):
                seeds = [folder for folder in _folders(model) if SEED_FOLDER.match(folder.name)]
                for folder in sorted(seeds, key=lambda entry: int(entry.name.removeprefix("seed-"))):
                    if (folder / RECORD).is_file() and not (folder / RECORD).is_symlink():
                        yield folder / RECORD

    def _stray_paths(self, benchmark: str | None) -> Iterator[Path]:
        """Paths of records in folders of models that are not named as those of runs are."""
        for bench in _folders(self.root):
            for model in _folders(bench) if benchmark in (None, bench.name) else []:
                for folder in _folders(model):
                    if not SEED_FOLDER.match(folder.name) and (folder / RECORD).is_file():
                        yield folder / RECORD

    def _check_place(self, path: Path, record: Record) -> None:
        """A record copied to another place would count twice."""
        place = path.parent.relative_to(self.root)
        if place.parts[1:] != (model_folder(record.model.name), f"seed-{record.seed}"):
            raise RecordError(f"stands in {place} but is the record of {record.run}")


def read_record(path: Path) -> Record:
    """The record in a file.

    Raises:
        RecordError: if it is too large or no record.
        OSError: if it can't be read; FileNotFoundError where there is none.
    """
    if path.stat().st_size > MAX_RECORD_BYTES:
        raise RecordError(f"larger than {MAX_RECORD_BYTES} bytes, which no record is")
    return parse(path.read_bytes())


def sha256_of(path: Path) -> str:
    """``sha256:<hex>`` of a file's content."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if FOLDER.match(entry.name) and ".." not in entry.name and entry.is_dir() and not entry.is_symlink()
    )


def _write(path: Path, content: bytes) -> None:
    """Write a new file durably: temporary name, flush, rename."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with temporary.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def _sync(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def as_store_error(place: Path) -> Iterator[None]:
    """Turn the system's refusals at a place into a :class:`StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise StoreError(f"{place}: another record already stands there; results are written once") from error
        raise StoreError(
            f"{place}: cannot be written: {error.strerror or error}. Choose another folder with "
            f"--results, or mend its permissions or free space"
        ) from error
