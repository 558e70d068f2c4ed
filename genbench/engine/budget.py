"""What a run has spent, and when its training ends."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from genbench.record import EndedBy
from genbench.specs import Budget


class Clock:
    """A monotonic training clock that stands still while states are written.

    Attributes:
        seconds: elapsed training time.
    """

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        running = 0.0 if self._since is None else time.monotonic() - self._since
        return self._elapsed + running

    def restore(self, seconds: float) -> None:
        """Go on from the time that an earlier process had reached."""
        self._elapsed = seconds

    def start(self) -> None:
        self._since = time.monotonic()

    def stop(self) -> None:
        self._elapsed = self.seconds
        self._since = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()


class Spending:
    """Images, FLOPs and steps of a run against its budget.

    ``progress`` is max(images / I, flops / F), the larger of the shares spent; a model that has a use for
    fewer images only (``max_epochs``) ends earlier, and its own share counts too.

    Args:
        budget: the limits.
        batch_size: images a step.
        train_examples: N, for ``max_epochs``.
        max_epochs: as the model's spec declares.
    """

    def __init__(self, budget: Budget, batch_size: int, train_examples: int, max_epochs: int | None) -> None:
        self.budget = budget
        self.batch_size = batch_size
        self.steps = 0
        self.flops = 0.0
        # An incomplete last batch is left out, so no example is seen more than max_epochs times.
        self.useful_steps = math.inf if max_epochs is None else max_epochs * train_examples // batch_size

    @property
    def images(self) -> int:
        return self.steps * self.batch_size

    @property
    def budget_share(self) -> float:
        """The share of the benchmark's budget that is spent; at or above 1 when training ends."""
        share = self.images / self.budget.images
        return share if self.budget.flops is None else max(share, self.flops / self.budget.flops)

    @property
    def progress(self) -> float:
        """What ``train_step`` is told, in [0, 1)."""
        own = self.steps / self.useful_steps if self.useful_steps else 0.0
        return min(max(self.budget_share, own), math.nextafter(1.0, 0.0))

    def restore(self, steps: int, flops: float) -> None:
        """Go on from what an earlier process had spent."""
        self.steps, self.flops = steps, flops

    def charge(self, flops: float) -> None:
        """One step was taken."""
        self.steps += 1
        self.flops += flops

    def ended_by(self, seconds: float) -> EndedBy | None:
        """Why training ends now, or None if it goes on."""
        if self.steps >= self.useful_steps:
            return "max_epochs"
        if self.images >= self.budget.images:
            return "images"
        if self.budget.flops is not None and self.flops >= self.budget.flops:
            return "flops"
        return "seconds" if seconds >= self.budget.seconds else None
