"""Writing a results folder: runs are claimed, and committed. Reading one is of :mod:`genbench.results`.

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
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from genbench.claims import LEFTOVER, Claim, FencedOff, Work, as_store_error
from genbench.commits import build, complete, move_away, put
from genbench.disk import Disk
from genbench.errors import RecordError, StoreError
from genbench.layout import FOLDER, RECORD, SEED_FOLDER, RunKey, model_folder, place_of
from genbench.ledger import Ledger, read_ledger
from genbench.reading import is_folder, is_there, sha256_of
from genbench.record import UNFINISHED, Record
from genbench.results import Loaded, Results, Unreadable, read_record
from genbench.strict_json import MAX_RECORD_BYTES

__all__ = [
    "FOLDER", "MAX_RECORD_BYTES", "RECORD", "SEED_FOLDER", "Claim", "FencedOff", "Loaded", "RunKey", "Store",
    "Unreadable", "as_store_error", "model_folder", "place_of", "read_record", "sha256_of",
]  # fmt: skip

PROBE_BYTES = 1 << 20
"""Written to find out whether results can be: a disk that lacks even these is full."""
PROBE_AGE = 3600
"""Seconds after which a probe was left by a process that died."""


class Store(Results):
    """A results folder to read and to write.

    Args:
        root: made when the first run is prepared.
        disk: what it writes through; tests give one that fails.
    """

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        super().__init__(root)
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
                names = work.names()
                claim = Claim(work, identity, lock, self._finish(work, identity, names))
                claim.take(self._committed(key), names)
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
            of_run: dict[str, list[str]] = {}
            for name in names:
                if (match := LEFTOVER.match(name)) is not None:
                    of_run.setdefault(match["run"], []).append(name)
            for run, left in of_run.items():
                self._sweep_run(Work(self.root, (), self._disk, name=run), left)

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

    def _finish(self, work: Work, identity: str, names: Sequence[str]) -> Record | None:
        """Finish the commit that a dead harness had all but done; remove what others have begun."""
        finished = None
        for trash in work.found("trash", names):
            work.discard(trash)
        for publish in work.found("publish", names):
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

    def _sweep_run(self, work: Work, names: Sequence[str]) -> None:
        """Sweep a run, of what there was of it a moment ago: listing ``.work`` again for each would take the square."""
        # The lock would for this moment turn away a harness that is about to go on with the run.
        with suppress(OSError):  # of what is changed by its owner just now; what else it may be shows under the lock
            if not self._waste(work, names) and list(names) != [work.lock.name]:
                return
        with work.held() as lock:
            if lock is not None:
                for path in self._waste(work, names):
                    work.discard(path)

    def _waste(self, work: Work, names: Sequence[str]) -> list[Path]:
        """What there is of a run that no claim will go on with."""
        waste = work.found("trash", names)
        # A complete one is a result: the next claim of the run, which knows its identity, puts it in its place.
        waste += [publish for publish in work.found("publish", names) if complete(work, publish) is None]
        for folder in work.found("attempt", names):
            ledger = read_ledger(folder)
            if ledger is None or _is_over(self.root, ledger):
                waste.append(folder)
        return waste


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
