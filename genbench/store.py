"""The one module that knows what ``results/`` looks like: it reads records, and it claims and commits runs.

A run is prepared under ``.work/`` and appears under its name by one rename of a folder that holds its record and its
artifacts, all flushed to disk before. No reader ever sees half of a run.

    results/<benchmark>/<model>/seed-<k>/record.json      and the artifacts beside it
    results/.work/                                         runs in progress (see genbench.claims)
    results/.superseded/...                                runs whose code or benchmark has changed
    results/.quarantine/...                                what could not be trusted

All writing goes through :mod:`genbench.disk`.
"""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from genbench.claims import LEFTOVER, Claim, FencedOff, Work, as_store_error
from genbench.collector import without_collector
from genbench.commits import RECORD, build, complete, move_away, put, read_record
from genbench.disk import Disk, is_folder, is_there, sha256_of
from genbench.errors import GenbenchError, RecordError, StoreError, clean
from genbench.layout import FOLDER, SEED_FOLDER, RunKey, folders_in, links_in, model_folder, place_of
from genbench.ledger import Ledger, read_ledger
from genbench.record import UNFINISHED, Record
from genbench.strict_json import MAX_RECORD_BYTES
from genbench.verification import VERIFICATION, Verification, load_verification

__all__ = [
    "FOLDER", "MAX_RECORD_BYTES", "RECORD", "SEED_FOLDER", "Claim", "FencedOff", "Loaded", "RunKey", "Store",
    "Unreadable", "as_store_error", "model_folder", "place_of", "read_record", "sha256_of",
]  # fmt: skip

PROBE_BYTES = 1 << 20
"""Written to find out whether results can be: a disk that lacks even these is full."""
PROBE_AGE = 3600
"""Seconds after which a probe was left by a process that died."""


@dataclass(frozen=True)
class Unreadable:
    """A record that was passed over, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Loaded:
    """What a results folder holds: the records that can be trusted and those that were passed over.

    ``verifications`` has, by the record's run, what ``genbench verify --accept`` found of it. ``folders`` has that of
    each record below the results folder, in their order; it is empty for records that come from elsewhere.
    """

    records: list[Record]
    unreadable: list[Unreadable]
    verifications: dict[str, Verification] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)


class Store:
    """A results folder.

    Args:
        root: made when the first run is prepared.
        disk: what it writes through; tests give one that fails.
    """

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self._disk = disk or Disk()

    def check_writable(self) -> None:
        """Prove, before anything is trained, that results can be written.

        Raises:
            StoreError: naming the folder and the system's reason.
        """
        work = self.root / ".work"
        probe = work / f"probe-{secrets.token_hex(8)}"
        with as_store_error(self.root):
            self._disk.make_folders(work, below=self.root)
            self._disk.write_new(probe, bytes(PROBE_BYTES))
            self._disk.remove_file(probe)

    def read(self, key: RunKey) -> Record | None:
        """The record of a run, or None where there is none.

        Raises:
            RecordError: if what stands there is no record that can be trusted.
            StoreError: if it can't be read.
        """
        path = self.root / key.path / RECORD
        try:
            return self._read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error

    def load(self, benchmark: str | None = None) -> Loaded:
        """All records, in the order of benchmark, model and seed; of one benchmark's folder if it is named."""
        loaded = Loaded([], [])
        with without_collector():
            self._load_records(benchmark, loaded)
        for path in self._stray_paths(benchmark):
            loaded.unreadable.append(Unreadable(path, "its folder is not named seed-<number>, as that of a run is"))
        for path in self._links(benchmark):
            loaded.unreadable.append(Unreadable(path, "is a link; links in a results folder are not followed"))
        return loaded

    def benchmarks(self) -> list[str]:
        """The names of the folders that hold records of runs, ascending: of benchmarks and of their variants."""
        return [folder.name for folder in folders_in(self.root) if any(self._record_paths(folder.name))]

    def _load_records(self, benchmark: str | None, loaded: Loaded) -> None:
        for path in self._record_paths(benchmark):
            try:
                record = self._read(path)
            except (RecordError, OSError) as error:
                loaded.unreadable.append(Unreadable(path, str(error)))
                continue
            loaded.records.append(record)
            loaded.folders.append(path.parent.relative_to(self.root))
            try:
                verification = load_verification(path.parent, below=self.root)
            except (RecordError, OSError) as error:
                loaded.unreadable.append(Unreadable(path.with_name(VERIFICATION), str(error)))
                continue
            if verification is not None:
                loaded.verifications[record.run] = verification

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

    @contextmanager
    def claim(self, key: RunKey, identity: str) -> Iterator[Claim | None]:
        """Hold a run against all other harnesses on this folder, with a folder to work in.

        A commit that was cut short is finished first (``Claim.finished``), an interrupted attempt's folder adopted. A
        claim that ends without a commit leaves the run as it was found; one that ends by an exception leaves its
        folder, to be adopted.

        Args:
            identity: of the run, one line of text; what another identity has left is removed.

        Yields:
            The claim; None where another harness holds the run.

        Raises:
            StoreError: if the results folder refuses.
        """
        work = self._work(key)
        with as_store_error(work.final):
            self._disk.make_folders(work.folder, below=work.root)
            _refuse_links(work)
        with self._held(work) as lock:
            if lock is None:
                yield None
                return
            with as_store_error(work.final):
                claim = Claim(work, identity, lock, self._finish(work, identity))
                claim.take(self._committed(key))
            yield claim
            claim.give_up()

    def commit(
        self, claim: Claim, record: Record, files: Sequence[str] = (), park: bool = False, replace: bool = False
    ) -> Path:
        """Put a record in its place, with files of the attempt's folder beside it. When this returns, it is there.

        Args:
            files: names of regular files in the attempt's folder: those in ``record.artifacts``, with their hashes, as
                :meth:`Claim.artifacts` gives them.
            park: leave the attempt's folder for the next call to go on from; else it is removed.
            replace: whether a record may stand in the place; it is moved to ``.superseded``, or to ``.quarantine`` if
                it can't be trusted.

        Returns:
            The run's folder.

        Raises:
            StoreError: FencedOff if a newer attempt has taken over; if a record already stands there; if a file is
                not that of the record; if the disk refuses.
        """
        work = claim.work
        with as_store_error(work.final):
            claim.check_current()
            if not replace and is_there(work.final / RECORD):
                raise StoreError(f"{work.final}: another record already stands there; results are written once")
            try:
                publish = build(work, claim, record, files, copy=park)
            except (StoreError, FileNotFoundError):
                claim.check_current()  # files that are gone may be those of an attempt that was taken over
                raise
            claim.check_current()
            put(work, publish)
        claim.settle(park)
        return work.final

    def sweep(self) -> None:
        """Remove what dead harnesses have left of runs that are over; what is held or can be gone on with stays.

        Raises:
            StoreError: if the results folder refuses.
        """
        folder = self.root / ".work"
        with as_store_error(folder):
            if not is_folder(folder):
                return
            names = [path.name for path in sorted(folder.iterdir())]
            for name in names:
                if name.startswith("probe-") and time.time() - _modified(folder / name) > PROBE_AGE:
                    self._disk.remove_file(folder / name)
            for run in sorted({match["run"] for name in names if (match := LEFTOVER.match(name))}):
                self._sweep_run(Work(self.root, (), self._disk, name=run))

    def supersede(self, key: RunKey) -> Path:
        """Move a stale run away, so that it can be run again; returns where it went."""
        return self._move_away(key, ".superseded")

    def quarantine(self, key: RunKey) -> Path:
        """Move away what could not be trusted, so that the run can be done again; returns where it went."""
        return self._move_away(key, ".quarantine")

    def _move_away(self, key: RunKey, heap: str) -> Path:
        work = self._work(key)
        with as_store_error(work.final):
            return move_away(work, heap)

    def _work(self, key: RunKey) -> Work:
        return Work(self.root.resolve(), key.path.parts, self._disk)

    @contextmanager
    def _held(self, work: Work) -> Iterator[int | None]:
        """The run's lock, whose errors are the store's while those of the body are its own."""
        with ExitStack() as stack:
            with as_store_error(work.lock):
                lock = stack.enter_context(work.held())
            yield lock

    def _finish(self, work: Work, identity: str) -> Record | None:
        """Finish the commit that a dead harness had all but done; remove what others have begun."""
        finished = None
        for trash in work.found("trash"):
            work.discard(trash)
        for publish in work.found("publish"):
            record = complete(work, publish, identity)
            if record is not None and place_of(record) == work.parts[1:]:
                put(work, publish)
                finished = record
            else:
                work.discard(publish)
        return finished

    def _committed(self, key: RunKey) -> Record | None:
        """The record in place, where there is one that can be trusted."""
        try:
            return self.read(key)
        except RecordError:
            return None

    def _sweep_run(self, work: Work) -> None:
        with work.held() as lock:
            if lock is None:
                return
            for trash in work.found("trash"):
                work.discard(trash)
            for publish in work.found("publish"):
                # A complete one is a result: the next claim of the run, which knows its identity, puts it in its place.
                if complete(work, publish) is None:
                    work.discard(publish)
            for folder in work.found("attempt"):
                ledger = read_ledger(folder)
                if ledger is None or _is_over(self.root, ledger):
                    work.discard(folder)

    def _read(self, path: Path) -> Record:
        """The record at a place that is that of its run: copied elsewhere it would count twice."""
        record = read_record(path, below=self.root)
        place = path.parent.relative_to(self.root)
        if place.parts[1:] != place_of(record):
            raise RecordError(f"stands in {place} but is the record of {clean(record.run)}")
        return record

    def _record_paths(self, benchmark: str | None) -> Iterator[Path]:
        """Paths of records, links and odd names passed over."""
        for model in self._models(benchmark):
            seeds = [folder for folder in folders_in(model) if SEED_FOLDER.match(folder.name)]
            for folder in sorted(seeds, key=lambda entry: int(entry.name.removeprefix("seed-"))):
                if is_there(folder / RECORD):
                    yield folder / RECORD

    def _stray_paths(self, benchmark: str | None) -> Iterator[Path]:
        """Paths of records in folders of models that are not named as those of runs are."""
        for model in self._models(benchmark):
            for folder in folders_in(model):
                if not SEED_FOLDER.match(folder.name) and is_there(folder / RECORD):
                    yield folder / RECORD

    def _models(self, benchmark: str | None) -> Iterator[Path]:
        """The folders of models, of one benchmark's if it is named."""
        for bench in folders_in(self.root):
            if benchmark in (None, bench.name):
                yield from folders_in(bench)

    def _links(self, benchmark: str | None) -> Iterator[Path]:
        """Links where a folder of a benchmark, model or run would stand."""
        for link in links_in(self.root):
            if benchmark in (None, link.name):
                yield link
        for bench in folders_in(self.root):
            if benchmark in (None, bench.name):
                yield from links_in(bench)
        for model in self._models(benchmark):
            yield from links_in(model)


def _refuse_links(work: Work) -> None:
    """Nothing is written through a link in the results folder, which may lead anywhere.

    Raises:
        NotADirectoryError: naming what stands there.
    """
    for folder in (work.final.parent, work.final.parent.parent):
        if is_there(folder) and not is_folder(folder):
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a link or a file, where a folder must be")


def _is_over(root: Path, ledger: Ledger) -> bool:
    """Whether the attempt under way in a ledger has ended in a record that is not gone on with."""
    if len(ledger.run) != 3 or not all(FOLDER.match(part) and ".." not in part for part in ledger.run):
        return True  # no run of this results folder will ever adopt it
    try:
        record = read_record(root.joinpath(*ledger.run, RECORD), below=root)
    except (RecordError, FileNotFoundError):
        return False
    return record.status not in UNFINISHED and ledger.token in [attempt.token for attempt in record.attempts]


def _modified(path: Path) -> float:
    """When a file was last written, in seconds of the wall clock; now, if it is gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()
