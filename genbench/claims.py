"""Claims: one harness at a time works on a run, in a folder that belongs to one attempt.

What a run has in ``results/.work/``, where ``<run>`` is its path with ``--`` for ``/``:

    <run>.lock                            held by the harness that works on it; its inode counts, not its being there
    <run>.<token>/                        the attempt's folder; its ledger is run.json
    <run>.<token>.<identity>.publish/     what a commit is about to put in its place (see genbench.commits)
    <run>.<token>.trash/                  what is being removed

A token names one attempt. To go over to another attempt its folder is renamed: what the old one's processes still
write by its path goes nowhere, and its late commit is refused.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from genbench.disk import Disk
from genbench.errors import StoreError, clean
from genbench.ledger import LEDGER, Ledger, last_sign, read_ledger, read_resumed_at
from genbench.reading import hash_inside, is_folder, is_there
from genbench.record import UNFINISHED, Attempt, Record

TOKEN = re.compile(r"[0-9a-f]{16}")
MAX_RUN = 150
"""Bytes of a run's name in ``.work``: with what is put after it, a file's name of 255 at most."""
LOST = "the harness ended before the run did"
LEFTOVER = re.compile(r"^(?P<run>.+?)(\.lock|\.(?P<token>[0-9a-f]{16})(\.trash|\.[0-9a-f]{16}\.publish|))$")

Kind = Literal["attempt", "publish", "trash"]
ENDINGS: dict[Kind, re.Pattern[str]] = {
    "attempt": re.compile(r"\.[0-9a-f]{16}"),
    "publish": re.compile(r"\.[0-9a-f]{16}\.[0-9a-f]{16}\.publish"),
    "trash": re.compile(r"\.[0-9a-f]{16}\.trash"),
}
"""What follows upon a run's name; a pattern of its own for each run would be compiled anew for thousands of them."""


class FencedOff(StoreError):
    """A result that comes too late: a newer attempt at the run has taken over."""


def run_name(parts: tuple[str, ...]) -> str:
    """A run's name in ``.work``: ``tiny--toy--seed-0``; a long or ambiguous one ends in a hash."""
    name = "--".join(parts)
    unambiguous = not any("--" in part or part.endswith("-") for part in parts)
    if unambiguous and len(name.encode()) <= MAX_RUN:
        return name
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]
    return f"{name.encode()[: MAX_RUN - 17].decode(errors='ignore')}-{digest}"


class Work:
    """A run's part of ``.work``.

    Args:
        root: the results folder.
        parts: benchmark, model and seed, as folders of the results.
        name: of the run in ``.work``, where only that is known.
    """

    def __init__(self, root: Path, parts: tuple[str, ...], disk: Disk, name: str | None = None) -> None:
        self.root = root
        self.parts = parts
        self.name = name or run_name(parts)
        self.folder = root / ".work"
        self.final = root.joinpath(*parts)
        self.disk = disk

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    def attempt(self, token: str) -> Path:
        return self.folder / f"{self.name}.{token}"

    def publish(self, token: str, identity: str) -> Path:
        return self.folder / f"{self.name}.{token}.{_short(identity)}.publish"

    def is_of(self, publish: Path, identity: str) -> bool:
        """Whether a publish folder was made for a run of this identity."""
        return publish.name.endswith(f".{_short(identity)}.publish")

    def names(self) -> list[str]:
        """What ``.work`` holds, of all runs."""
        return os.listdir(self.folder)

    def found(self, kind: Kind, names: Iterable[str] | None = None) -> list[Path]:
        """What there is of a kind, in the order of names.

        Args:
            names: of :meth:`names`, listed since the run's lock was taken; None to list them now. A listing is as long
                as there are runs under way, on whatever machines.
        """
        present = self.names() if names is None else names
        own = (name for name in sorted(present) if name.startswith(self.name))
        return [self.folder / name for name in own if ENDINGS[kind].fullmatch(name, len(self.name))]

    def discard(self, path: Path) -> None:
        """Remove a folder of this run: renamed first, so that nothing takes it for what it was.

        What a dying process goes on writing into stays, for the next claim of the run to remove.
        """
        if not is_there(path):
            return
        trash = path
        if not path.name.endswith(".trash"):
            trash = self.folder / f"{self.name}.{secrets.token_hex(8)}.trash"
            self.disk.calls.rename(path, trash)
        try:
            self.disk.remove_tree(trash)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    @contextmanager
    def held(self) -> Iterator[int | None]:
        """The descriptor of the run's lock, held; None where another harness holds it.

        An advisory lock of the file system (flock; over NFS the server's): it ends with its holder, however that ends.
        """
        from filelock import lock_descriptor

        while True:
            descriptor = self.disk.calls.open_lock(self.lock)
            try:
                locked = lock_descriptor(descriptor, blocking=False)
                # Its last holder may have removed it after it was opened here; then it guards nothing.
                current = locked and self.is_lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if current:
                break
            os.close(descriptor)
            if not locked:
                yield None
                return
        try:
            yield descriptor
        finally:
            try:
                # A lock file that can't be removed holds nobody up.
                with suppress(OSError):
                    if self.is_lock(descriptor):
                        self.disk.remove_file(self.lock)
            finally:
                os.close(descriptor)

    def is_lock(self, descriptor: int) -> bool:
        """Whether the file of this descriptor is the one that others would lock."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.lock))
        except FileNotFoundError:
            return False


class Claim:
    """A run that this harness holds, and the folder of its attempt.

    Attributes:
        work, identity: what is claimed, and the identity that it is claimed for.
        folder: of this attempt, absolute; a new name after :meth:`next`.
        token: names this attempt, in its record too.
        started: when it began, UTC, ISO 8601.
        attempts: earlier ones that no committed record holds, the oldest first.
        resumed: whether the folder has what an interrupted attempt of the same identity left.
        finished: a record that an interrupted commit had all but put in its place, which has been done now.
    """

    def __init__(self, work: Work, identity: str, lock: int, finished: Record | None) -> None:
        self.work = work
        self.identity = identity
        self._disk = work.disk
        self._lock = lock
        self._settled = False
        self._done = False
        self.attempts: list[Attempt] = []
        self.resumed = False
        self.finished = finished
        self.token = secrets.token_hex(8)
        self.started = now()
        self._number = 1

    @property
    def folder(self) -> Path:
        return self.work.attempt(self.token)

    def take(self, committed: Record | None, names: Iterable[str]) -> None:
        """Adopt the folder of an interrupted attempt, or make a new one; all other leftovers go.

        Args:
            committed: the record in place.
            names: as of :meth:`Work.found`.
        """
        known = {attempt.token for attempt in committed.attempts} if committed is not None else set()
        done = self._done = committed is not None and committed.status not in UNFINISHED
        useful: list[tuple[Ledger, Path]] = []
        for folder in self.work.found("attempt", names):
            ledger = read_ledger(folder)
            if ledger is None or ledger.identity != self.identity or (done and ledger.token in known):
                self.work.discard(folder)
            else:
                useful.append((ledger, folder))
        if not useful:
            self._begin()
            return
        useful.sort(key=lambda each: (each[0].number, len(each[0].attempts)))
        for _, folder in useful[:-1]:
            self.work.discard(folder)
        ledger, folder = useful[-1]
        self._number = ledger.number + 1
        self.attempts = [attempt for attempt in ledger.attempts if attempt.token not in known]
        if ledger.token is not None and ledger.token not in known:
            ended, resumed_at = last_sign(folder), read_resumed_at(folder)
            self.attempts.append(Attempt("lost", LOST, ledger.started, ended, ledger.token, resumed_at))
        # The name before the ledger: until that is written, it says what was under way, which is still true.
        self._disk.move(folder, self.folder)
        self._note(self.token)
        self.resumed = True

    def next(self, ended: Attempt) -> None:
        """Note how this attempt ended, and go over to another one in the same folder under a new token.

        Raises:
            StoreError: FencedOff if another harness has taken over; else if the disk refuses.
        """
        with of_attempt(self.folder):
            self.check_current()
            self.attempts.append(replace(ended, reason=None if ended.reason is None else clean(ended.reason)))
            self.started = now()
            self._number += 1
            token = secrets.token_hex(8)
            if is_folder(self.folder):
                # In three steps, each of which leaves a ledger that is true of its folder.
                self._note(None)
                self._disk.move(self.folder, self.work.attempt(token))
                self.token = token
                self._note(token)
            else:
                self.work.discard(self.folder)
                self.token = token
                self._begin()

    def artifacts(self, names: Iterable[str]) -> dict[str, str]:
        """``sha256:<hex>`` of those files of the folder that there are; links and what is no regular file are not.

        Raises:
            StoreError: if one can't be read.
        """
        found = {}
        with as_store_error(self.folder):
            for name in names:
                try:
                    found[name] = hash_inside(self.folder / name, below=self.work.folder)
                except OSError as error:
                    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO):
                        raise
        return found

    def check_current(self) -> None:
        """Raises FencedOff if another harness has taken the run over, as it can where a lock was lost."""
        if not self._is_current():
            raise FencedOff(
                f"{self.work.final}: a newer attempt has taken this run over; the result of attempt {self.token} is "
                f"refused. Its own record will stand there"
            )

    def settle(self, park: bool) -> None:
        """After a commit: remove the folder, or leave it for the next call, all its attempts being in the record.

        What can't be removed now goes at the next claim or sweep: the record is safe, and says that this is over.
        """
        self._settled = True
        with suppress(OSError):
            if park and is_folder(self.folder):
                self.attempts = []
                self._note(None)
            else:
                self.work.discard(self.folder)

    def give_up(self) -> None:
        """Leave the run as it was found, where nothing was done with it."""
        if self._settled:
            return
        with of_attempt(self.folder):
            if not self._is_current():
                return
            # With a record that is final and that nobody wants to replace, there is nothing to go on with.
            if self.resumed and not self._done and is_folder(self.folder):
                self._note(None)
            else:
                self.work.discard(self.folder)

    def _is_current(self) -> bool:
        try:
            others = [path for path in self.work.found("attempt") if path != self.folder]
        except FileNotFoundError:  # somebody has removed .work, and the lock with it
            return False
        return not others and self.work.is_lock(self._lock)

    def _begin(self) -> None:
        self._disk.calls.make_folder(self.folder)
        self._note(self.token)
        self._disk.calls.sync_folder(self.work.folder)

    def _note(self, token: str | None) -> None:
        started = self.started if token else ""
        ledger = Ledger(self.identity, list(self.work.parts), token, started, list(self.attempts), self._number)
        self._disk.write_whole(self.folder / LEDGER, json.dumps(asdict(ledger)).encode())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def as_store_error(place: Path) -> Iterator[None]:
    """Turn the system's refusals at a place into a :class:`StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{place}: cannot be written: {error.strerror or error}. Choose another folder with "
            f"--results, or mend its permissions or free space"
        ) from error


@contextmanager
def of_attempt(folder: Path) -> Iterator[None]:
    """Like :func:`as_store_error`, for what belongs to an attempt alone: where its folder is gone, so is its turn."""
    with as_store_error(folder):
        try:
            yield
        except FileNotFoundError as error:
            if is_folder(folder):
                raise
            raise FencedOff(f"{folder}: is gone; a newer attempt has taken the run over, or it was removed") from error


def _short(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
