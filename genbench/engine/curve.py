"""The training curve: means of the logged figures over stretches of the budget, and the watch for divergence."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from genbench.errors import Diverged

READ_EVERY = 32
ROWS = 200


class Curve:
    """Collects the logs of each step and writes ``curve.csv``, at most ``ROWS`` rows of means.

    Logs stay on the device and are read every ``READ_EVERY`` steps, so that no step waits for the device.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._pending: list[tuple[int, Mapping[str, torch.Tensor]]] = []
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, step: int, logs: Mapping[str, torch.Tensor]) -> None:
        """Take the logs of a step.

        Raises:
            Diverged: if a figure of one of the last ``READ_EVERY`` steps is NaN or infinite.
        """
        self._pending.append((step, {name: value.detach() for name, value in logs.items()}))
        if len(self._pending) >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Fetch what is pending from the device.

        Raises:
            Diverged: naming the first step and figure that is not finite.
        """
        flat = [(step, name, value) for step, logs in self._pending for name, value in logs.items()]
        self._pending = []
        if not flat:
            return
        values = torch.stack([value.to(torch.float64) for _, _, value in flat]).tolist()
        for (step, name, _), value in zip(flat, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value} at step {step}")
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def close_row(self, progress: float, step: int, images: int, flops: float, seconds: float) -> None:
        """End a stretch once progress has moved on by 1 / ``ROWS``."""
        if progress < (len(self.rows) + 1) / ROWS:
            return
        self.read()
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self.rows.append({"step": step, "images": images, "flops": flops, "seconds": round(seconds, 3), **means})
        self._sums, self._counts = {}, {}

    def write(self, path: Path) -> None:
        """Write all rows as CSV; a figure that was not logged in a stretch is left empty."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, names or ["step"])
            writer.writeheader()
            writer.writerows(self.rows)
