"""How numbers are written in every table."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

from genbench.leaderboard import COSTS, Cell, Leaderboard

Detail = Literal["interval", "mean"]

ARROWS = {"lower": "↓", "higher": "↑", "none": ""}
MISSING = "-"


@dataclass(frozen=True)
class Number:
    """A score in parts, for a format to put together.

    Attributes:
        mark: ``<= `` or ``~ `` or nothing.
        mean: the number.
        interval: ``± 0.12`` or, where it was taken on a log scale, ``[1.31, 1.55]``; empty without one.
    """

    mark: str
    mean: str
    interval: str

    @property
    def text(self) -> str:
        return f"{self.mark}{self.mean} {self.interval}".rstrip()


def score(cell: Cell | None, decimals: int) -> Number:
    """A cell with the decimals of its column."""
    if cell is None:
        return Number("", MISSING, "")
    estimate = cell.estimate
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        if estimate.log_scale:
            interval = f"[{_fixed(estimate.low, decimals)}, {_fixed(estimate.high, decimals)}]"
        else:
            interval = f"± {_fixed((estimate.high - estimate.low) / 2, decimals)}"
    return Number(cell.mark, _fixed(estimate.mean, decimals), interval)


def decimals_of(board: Leaderboard) -> dict[str, int]:
    """Decimals of each column of scores: three significant digits of its median, at least 2 and at most 5."""
    return {
        column.key: _decimals([row.scores[column.key].estimate.mean for row in board.rows if column.key in row.scores])
        for column in board.columns
    }


def cost(value: float | None) -> str:
    """Three significant digits, with k, M or G from ten thousand on."""
    if value is None:
        return MISSING
    if 0 < abs(value) < 0.001:
        return "< 0.001"
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            return significant(value / (1e3 if unit == " k" else limit)) + unit
    return significant(value)


def significant(value: float, digits: int = 3) -> str:
    """``value`` in plain notation with so many significant digits; whole parts are never cut."""
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 6)}f}"


COST_TITLES = {key: title for key, title, _ in COSTS}


def _decimals(means: list[float]) -> int:
    sizes = [abs(mean) for mean in means if mean != 0]
    if not sizes:
        return 2
    return min(5, max(2, 2 - math.floor(math.log10(statistics.median(sizes)))))


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
