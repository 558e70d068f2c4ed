"""The descendants of a process, and the memory that they hold.

On Linux from /proc, without objects between: a supervisor reads it twenty times a second all through a training that
may have one core, and psutil takes ten times as long. Elsewhere from psutil.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

LINUX = sys.platform == "linux"
PAGE = os.sysconf("SC_PAGE_SIZE")
ALL_AGAIN_SECONDS = 10.0
"""How often every process of the machine is looked at again; in between only those that are new."""


class ProcessTree:
    """The descendants of a process, without itself. What has left the tree for init is no longer found.

    Args:
        root: process id.

    Attributes:
        members: process id of each descendant, and when it started, in clock ticks since boot: the two together name
            one process for ever.
    """

    def __init__(self, root: int) -> None:
        self.root = root
        self.members: dict[int, int] = {}
        self._strangers: set[int] = set()
        self._all_again = 0.0

    def refresh(self) -> dict[int, int]:
        """Look for descendants, and return :attr:`members`."""
        self.members = self._from_proc() if LINUX else _from_psutil(self.root)
        return self.members

    def _from_proc(self) -> dict[int, int]:
        if (now := time.monotonic()) >= self._all_again:
            self._strangers = set()  # a number may have gone to another process since
            self._all_again = now + ALL_AGAIN_SECONDS
        present = {int(name) for name in os.listdir("/proc") if name.isdecimal()}
        found = {pid: stat for pid in present - self._strangers if (stat := _parent_and_start(pid)) is not None}
        children: dict[int, list[int]] = {}
        for pid, (parent, _) in found.items():
            children.setdefault(parent, []).append(pid)
        members: dict[int, int] = {}
        new = [self.root]
        while new:
            new = [child for pid in new for child in children.get(pid, [])]
            members.update((pid, found[pid][1]) for pid in new)
        # One whose parent ended while we read has another parent now: it is looked at again the next time.
        known = self._strangers | found.keys() | {0}
        self._strangers = (self._strangers & present) | {
            pid for pid, (parent, _) in found.items() if parent in known and pid not in members and pid != self.root
        }
        return members

    def kill(self) -> None:
        """SIGKILL to every member that is still the process that it was."""
        send(self.members, signal.SIGKILL)


def descendants(root: int) -> dict[int, int]:
    """Descendants of a process, as :attr:`ProcessTree.members` names them."""
    return ProcessTree(root).refresh()


def children(parent: int) -> dict[int, int]:
    """Processes whose parent is this one, as :attr:`ProcessTree.members` names them."""
    if not LINUX:
        return _from_psutil(parent, recursive=False)
    stats = {int(name): _parent_and_start(int(name)) for name in os.listdir("/proc") if name.isdecimal()}
    return {pid: stat[1] for pid, stat in stats.items() if stat is not None and stat[0] == parent}


def send(members: dict[int, int], number: signal.Signals) -> None:
    """A signal to each process that is still the one that it was; those that have ended are passed over."""
    for pid, started in members.items():
        if _start(pid) == started:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # ended, or another user's by now
                os.kill(pid, number)


def resident(pid: int) -> int:
    """Bytes of resident memory of a process, shared pages included; 0 if it has ended."""
    if not LINUX:
        return _from_psutil_resident(pid)
    pages = _read(f"/proc/{pid}/statm").split()
    return int(pages[1]) * PAGE if pages else 0


def proportional(pid: int) -> int:
    """Bytes of resident memory, a page that n processes share counted as a n-th.

    0 if the process has ended; what :func:`resident` says where the system does not tell.
    """
    if not os.path.exists(f"/proc/{pid}/smaps_rollup"):
        return resident(pid)
    return _kilobytes(f"/proc/{pid}/smaps_rollup", b"Pss:")


def high_water(pid: int) -> int:
    """Bytes of resident memory at the peak of a process; 0 if it has ended or the system does not tell.

    VmHWM: the ``ru_maxrss`` of a process also holds what its parent held when it began.
    """
    return _kilobytes(f"/proc/{pid}/status", b"VmHWM:") if LINUX else 0


def oom_kills() -> int:
    """How often the kernel has ended a process because memory ran out, since it started; 0 if it does not tell."""
    for line in _read("/proc/vmstat").splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


def _read(path: str) -> bytes:
    """A file of /proc; nothing if its process has ended or is not ours to look at."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _parent_and_start(pid: int) -> tuple[int, int] | None:
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    # The name stands in parentheses and may hold anything, parentheses too.
    fields = text[text.rindex(b")") + 2 :].split()
    return int(fields[1]), int(fields[19])


def _start(pid: int) -> int | None:
    if not LINUX:
        return _from_psutil_start(pid)
    stat = _parent_and_start(pid)
    return None if stat is None else stat[1]


def _kilobytes(path: str, key: bytes) -> int:
    for line in _read(path).splitlines():
        if line.startswith(key):
            return int(line.split()[1]) << 10
    return 0


def _from_psutil(root: int, recursive: bool = True) -> dict[int, int]:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(root).children(recursive=recursive)
        return {process.pid: int(process.create_time() * 100) for process in found}
    return {}


def _from_psutil_start(pid: int) -> int | None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return int(psutil.Process(pid).create_time() * 100)
    return None


def _from_psutil_resident(pid: int) -> int:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return int(psutil.Process(pid).memory_info().rss)
    return 0
