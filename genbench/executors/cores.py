"""Claims of CPU cores, so that two harnesses on one machine do not pin their runs to the same ones."""

from __future__ import annotations

import contextlib
import fcntl
import os


class Cores:
    """Cores that nobody else has claimed, held until :meth:`close` or the end of the process.

    A claim is a lock on a file named after the core; the system lets go of it when its holder ends, however that
    happens. The lock is flock itself: a supervisor starts once a run, and filelock's imports take longer than the rest.

    Args:
        wanted: how many.
        folder: path of the folder of the files.

    Attributes:
        claimed: their numbers; empty if fewer than wanted are free, or the system has no affinities.
    """

    def __init__(self, wanted: int, folder: str) -> None:
        self.claimed: list[int] = []
        self._locks: list[int] = []
        if not hasattr(os, "sched_getaffinity"):
            return
        for core in sorted(os.sched_getaffinity(0)):
            if len(self.claimed) == wanted:
                break
            if (lock := _claim(os.path.join(folder, f"{core}.lock"))) is not None:
                self._locks.append(lock)
                self.claimed.append(core)
        if len(self.claimed) < wanted:
            self.close()

    def close(self) -> None:
        """Let go of all cores."""
        for lock in self._locks:
            os.close(lock)
        self._locks, self.claimed = [], []


def _claim(path: str) -> int | None:
    """The descriptor that holds the lock on a file, or None where somebody else does or there are no locks."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def claims_folder() -> str:
    """The folder of this machine's claims of cores. It is for the harness to ask: finding the cache takes longer than a
    supervisor takes to start."""
    return machine_folder("cores")


def machine_folder(what: str) -> str:
    """A folder for this machine's locks on a resource: in the cache, which several machines may share; where that can't
    be written, in the temporary folder.

    Args:
        what: the resource, ``cores`` or ``devices``.
    """
    import tempfile

    from genbench import paths

    folder = os.path.join(paths.cache_root(), what, os.uname().nodename)
    with contextlib.suppress(OSError):
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = os.path.join(tempfile.gettempdir(), f"genbench-{what}-{os.getuid()}")
    with contextlib.suppress(OSError):  # then nothing can be claimed, and nothing is pinned
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder
