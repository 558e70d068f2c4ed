"""The training curve: means of the logged figures over stretches of the budget, and the watch for divergence."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genbench.disk import Disk
from genbench.errors import Diverged

READ_EVERY = 32
ROWS = 200


class Curve:
    """Collects the logs of each step and writes ``curve.csv``, at most ``ROWS`` rows of means.

    Logs on a device stay there and are read every ``READ_EVERY`` steps, so that no step waits for the device. When
    they are read changes nothing in the rows.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._pending: list[tuple[int, str, torch.Tensor | float]] = []
        self._steps = 0
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, step: int, logs: Mapping[str, torch.Tensor]) -> None:
        """Take the logs of a step.

        Raises:
            Diverged: if a figure of one of the last ``READ_EVERY`` steps is NaN or infinite.
        """
        for name, value in logs.items():
            # The value of now: a model may log a buffer that its next step writes to.
            self._pending.append((step, name, value.item() if value.is_cpu else value.detach().clone()))
        self._steps += 1
        if self._steps >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Fetch what is pending from the device.

        Raises:
            Diverged: naming the first step and figure that is not finite.
        """
        pending, self._pending, self._steps = self._pending, [], 0
        for (step, name, _), value in zip(pending, _values([value for _, _, value in pending]), strict=True):
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value} at step {step}")
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def state(self) -> dict[str, Any]:
        """The rows and the stretch that is not yet one, as plain values for JSON.

        Raises:
            Diverged: as :meth:`read`.
        """
        self.read()
        return {"rows": list(self.rows), "sums": dict(self._sums), "counts": dict(self._counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` gave, in this process or another."""
        self.rows, self._sums, self._counts = list(state["rows"]), dict(state["sums"]), dict(state["counts"])
        self._pending, self._steps = [], 0

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
        write_csv(path, names or ["step"], self.rows)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, durably and whole; what a row lacks is left empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    Disk().write_whole(path, text.getvalue().encode(errors="backslashreplace"))


def _values(figures: list[torch.Tensor | float]) -> list[float]:
    """Figures as numbers, with one wait for the device in all."""
    tensors = [figure.to(torch.float64) for figure in figures if isinstance(figure, torch.Tensor)]
    fetched = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(fetched) if isinstance(figure, torch.Tensor) else float(figure) for figure in figures]
