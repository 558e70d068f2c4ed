"""A stage under way, as its supervisor sees it: what it holds, how far it is, when it must end, and how it ended."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from genbench.executors.memory import MemoryWatch
from genbench.executors.protocol import START_SECONDS, StageRequest

if TYPE_CHECKING:
    from genbench.record import Status

GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL: time to flush a log, and with what follows less than two seconds in all."""


class WatchedStage:
    """Holds the limits of one stage.

    Args:
        request: what was asked for.
        told: descriptor of the pipe that it says its progress into; None if it says none.

    Attributes:
        began: on the monotonic clock; when its process was started, once it has been.
        deadline: on the monotonic clock, by which it must have ended, or at first been started.
        watch: of its memory, once it has been started.
        verdict: the status and reason that the supervisor ended it for; None while there is no cause.
        exit_code: of its process, once that has ended and nothing that it started is left.
        lost: nobody will tell us of its end.
        killed_at: when SIGKILL was first sent.
        cpu_seconds: of all its processes, once it has ended.
        over_memory: whether it was ended because it held more than it may.
        progress: the share of its work that is done, as told last.
        stood_still: seconds for which the supervisor was held, which are given back to the stage.
    """

    def __init__(self, request: StageRequest, told: int | None = None) -> None:
        self.request = request
        self._told = told
        self.title = request.name.partition("-")[0]
        self.began = time.monotonic()
        self.deadline = self.began + START_SECONDS
        self.watch: MemoryWatch | None = None
        self.verdict: tuple[Status, str] | None = None
        self.exit_code: int | None = None
        self.lost = False
        self.killed_at: float | None = None
        self.cpu_seconds = 0.0
        self.over_memory = False
        self.progress = 0.0
        self.stood_still = 0.0
        self._ended = 0.0
        self._terminated_at: float | None = None
        self._next_poll = 0.0
        self._next_news = 0.0

    def hear(self, message: dict[str, Any]) -> None:
        """A word from the run server."""
        now = time.monotonic()
        if "refused" in message:
            self.condemn("harness_error", f"{self.title} could not be started: {message['refused']}", now)
            self.lost = True
        elif "started" in message:
            self.began, self.deadline = now, now + self.request.seconds
            self.watch = MemoryWatch(message["server"], self.request.memory)
            self.watch.main = message["started"]
        elif "ended" in message:
            self.exit_code, self.cpu_seconds, self._ended = message["exit"], message["cpu_seconds"], now

    def condemn(self, status: Status, reason: str, now: float) -> None:
        """Decide that it must end, unless that has been decided already: SIGTERM is due, and SIGKILL after a grace."""
        if self.verdict is not None:
            return
        self.verdict = status, reason
        self._terminated_at = None
        if self.watch is None:  # there is nothing yet that could be ended
            self.lost = True

    def stand_still(self, seconds: float) -> None:
        """Put off all that is due by the time for which nobody could look."""
        self.stood_still += seconds
        self.deadline += seconds
        if self._terminated_at is not None:
            self._terminated_at += seconds
        if self.killed_at is not None:
            self.killed_at += seconds

    def check(self, now: float) -> list[str]:
        """Look at the memory and the clock; returns the signals that are due."""
        due = []
        if self.watch is not None and now >= self._next_poll:
            self.watch.poll()
            self._next_poll = now + self.watch.pause()
            if self.watch.held > self.request.memory and self.killed_at is None:
                self.over_memory = self.verdict is None
                self.condemn(self.request.over_memory, f"{self.title} held more memory than the benchmark allows", now)
                due.append(self._kill(now))  # a grace would let it grow
        if self.watch is None and now > self.deadline:
            self.condemn("harness_error", f"the fork server did not answer within {START_SECONDS:g} s", now)
        if self.watch is not None and now > self.deadline:
            allowed = f"{self.request.seconds:g} s, where the benchmark allows {self.request.allowed}"
            self.condemn("timeout", f"{self.title} was still running after {allowed}; the log shows where", now)
        if self.verdict is not None and self.killed_at is None:
            if self._terminated_at is None:
                self._terminated_at = now
                due.append("SIGTERM")
            elif now > self._terminated_at + GRACE_SECONDS:
                if self.watch is not None:
                    self.watch.tree.refresh()
                due.append(self._kill(now))
        return due

    def _kill(self, now: float) -> str:
        """Kill what is known of it; the run server, which may be held up, is to find the rest."""
        self.killed_at = now
        if self.watch is not None:
            self.watch.tree.kill()
        return "SIGKILL"

    def news(self, now: float, every: float) -> float | None:
        """The share of its work that is done, if it is another than was told last; looked for every so many seconds."""
        if self._told is None or now < self._next_news:
            return None
        self._next_news = now + every
        before, self.progress = self.progress, _read_progress(self._told, self.progress)
        return self.progress if self.progress != before else None

    def pause(self, longest: float) -> float:
        """Seconds until :meth:`check` has something to do, at most ``longest``."""
        if self.watch is None:
            return longest
        return min(longest, max(0.0, self._next_poll - time.monotonic()))

    def seconds(self) -> float:
        """Wall time so far, or until its end."""
        return (self._ended or time.monotonic()) - self.began

    def peak_memory(self) -> int:
        """Bytes, as far as it has been seen."""
        return 0 if self.watch is None else self.watch.peak

    def memory_figures(self) -> str:
        """The limit and the peak, for people."""
        return f"limit {self.request.memory >> 20:,} MiB, peak {self.peak_memory() >> 20:,} MiB"

    def warnings(self) -> list[str]:
        """What a reader of the record should know."""
        if not self.stood_still:
            return []
        held = f"{self.title} was watched by nobody for {self.stood_still:.1f} s, in which the machine or its processes"
        return [f"{held} were held; its time limit was put off by as much"]


def _read_progress(told: int, before: float) -> float:
    """The last number that was said; as before where there is none, since plugins may say anything there too."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        share = float(os.read(told, 1 << 16).split()[-1])
        if 0.0 <= share <= 1.0:
            return share
    return before
