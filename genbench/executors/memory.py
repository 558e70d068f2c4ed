"""The memory of a process tree: how much it holds now, and the most that it held."""

from __future__ import annotations

import time

from genbench.executors import tree

LONGEST_PAUSE = 0.1
SHORTEST_PAUSE = 0.01
"""Seconds between two looks."""
FILLED_PER_SECOND = 16 << 30
"""Bytes of memory that fast processes fill, at most; a single thread does not come to half of it."""
OVERSHOOT = 1.15
"""How far over the cap, as a share of it, the next look may be: the rest of a quarter is for the killing."""
SHARE_OF_SCANS = 0.004
"""Of the time: what looking for new processes may take, however many the machine has."""
SHARE_OF_SHARING = 0.02
"""Of the time: what finding out which pages are shared may take."""
SHARE_OVER_CAP = 0.25
"""The same, while the cap may be exceeded."""
LEAST_SCAN_SECONDS = 0.2
HIGH_WATER_SECONDS = 0.2
"""Between two looks at the kernel's own peak, while nothing changes."""


class MemoryWatch:
    """Polls the memory of all descendants of a process.

    The resident memory of a single process is exact. Of several together it counts the pages that they share several
    times (each forked child shares torch's code, some 200 MB, with its parent), so where it matters, which is over the
    cap and at each new peak, the sum of proportional shares (PSS) stands for it.

    Args:
        root: process id of the processes' server, which is not counted.
        cap: bytes that they may hold.

    Attributes:
        main: the process whose own peak counts; none yet if None.
        held: bytes at the last look.
        peak: bytes, the most so far: of the main process as the kernel saw it, of all together as polled.
    """

    def __init__(self, root: int, cap: int) -> None:
        self.tree = tree.ProcessTree(root)
        self.main: int | None = None
        self.held = 0
        self.peak = 0
        self._cap = cap
        self._next_scan = 0.0
        self._counted: tuple[set[int], int, int] = set(), 0, 0  # whose pages were counted; as sums of both kinds
        self._counted_at = 0.0
        self._counting_seconds = 0.0
        self._next_high_water = 0.0

    def poll(self) -> None:
        """Look once; :attr:`held` and :attr:`peak` are of now."""
        began = time.monotonic()
        if began >= self._next_scan:
            self.tree.refresh()
            after = time.monotonic()
            self._next_scan = after + max(LEAST_SCAN_SECONDS, (after - began) / SHARE_OF_SCANS)
        sizes = {pid: size for pid in self.tree.members if (size := tree.resident(pid))}
        total = sum(sizes.values())
        if len(sizes) > 1:
            held = self._of_several(sizes, total)
        else:
            held = total
            self.peak = max(self.peak, held)
        if self.main in sizes and (held != self.held or began >= self._next_high_water):
            self.peak = max(self.peak, tree.high_water(self.main))
            self._next_high_water = began + HIGH_WATER_SECONDS
        self.held = held

    def pause(self) -> float:
        """Seconds until the next look is due: what it takes to fill all that is left, and somewhat more."""
        left = (self._cap * OVERSHOOT - self.held) / FILLED_PER_SECOND
        return min(LONGEST_PAUSE, max(SHORTEST_PAUSE, left))

    def _of_several(self, sizes: dict[int, int], total: int) -> int:
        """What several processes hold. Their plain sum is the most that it can be.

        It stands while nothing hangs on it. Between two counts of shared pages what the sum has grown by since the last
        one is added to that.
        """
        whose, proportional, plain = self._counted
        estimate = proportional + total - plain if whose == sizes.keys() else total
        if total <= self._cap and estimate <= self.peak:
            return estimate
        now = time.monotonic()
        share = SHARE_OF_SHARING if estimate <= self._cap else SHARE_OVER_CAP
        if now < self._counted_at + self._counting_seconds / share:
            return min(estimate, self._cap)  # whether it is more is not known yet
        held = sum(tree.proportional(pid) for pid in sizes)
        self._counted, self._counted_at = (set(sizes), held, total), time.monotonic()
        self._counting_seconds = self._counted_at - now
        self.peak = max(self.peak, held)
        return held
