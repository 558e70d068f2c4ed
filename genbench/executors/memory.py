"""The memory of a process tree: how much it holds now, and the most that it held."""

from __future__ import annotations

import time

from genbench.executors import tree

POLL_SECONDS = 0.05
"""Between two looks, while less than half of the cap is held."""
TIGHT_SECONDS = 0.01
"""Between two looks over half of the cap: a process can fill some 4 MB in a millisecond."""
SHARE_OF_SCANS = 0.004
"""Of the time: what looking for new processes may take, however many the machine has."""
SHARE_OF_SHARING = 0.02
"""Of the time: what finding out which pages are shared may take."""
LEAST_SCAN_SECONDS = 0.2


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
        self._next_sharing = 0.0
        self._highest_sum = 0
        self._polled_at = 0.0
        self._rate = 0.0

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
        if self.main is not None and self.main in sizes:
            self.peak = max(self.peak, tree.high_water(self.main))
        self._rate = max(0.0, (held - self.held) / max(began - self._polled_at, 1e-3))
        self.held, self._polled_at = held, began

    def pause(self) -> float:
        """Seconds until the next look is due: less, the nearer the cap is."""
        if self.held <= self._cap // 2 and self._rate * POLL_SECONDS <= self._cap // 4:
            return POLL_SECONDS
        return TIGHT_SECONDS if self._rate or self.held > self._cap * 7 // 8 else 2 * TIGHT_SECONDS

    def _of_several(self, sizes: dict[int, int], total: int) -> int:
        """What several processes hold; their plain sum as long as nothing hangs on it."""
        now = time.monotonic()
        if total <= max(self._highest_sum, self.peak) and total <= self._cap:
            return total
        if now < self._next_sharing:
            return min(total, self._cap)  # not known yet; the next look is near
        held = sum(tree.proportional(pid) for pid in sizes)
        after = time.monotonic()
        self._next_sharing = after + (after - now) / SHARE_OF_SHARING
        self._highest_sum = max(self._highest_sum, total)
        self.peak = max(self.peak, held)
        return held
