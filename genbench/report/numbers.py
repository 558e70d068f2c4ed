"""How numbers are written in every table."""

from __future__ import annotations

import math
import statistics
import sys
from dataclasses import dataclass

from genbench.columns import COSTS, Column
from genbench.leaderboard import Leaderboard
from genbench.rows import Row

ARROWS = {"lower": "↓", "higher": "↑", "none": ""}
MISSING = "-"
WITHHELD = "withheld"
SMALL, LARGE = 1e-4, 1e7
"""Outside these a number has an exponent."""


@dataclass(frozen=True)
class Number:
    """A score in parts, for a format to put together.

    Attributes:
        mark: ``<= `` or ``~ `` or nothing.
        mean: the number, or a word where there is none to show.
        warning: ``!``, ``?``, both or nothing, behind the number.
        rank: among the contenders of the column, or None.
        interval: ``± 0.12`` or, where it was taken on a log scale, ``[1.31, 1.55]``; empty without one.
    """

    mark: str
    mean: str
    warning: str = ""
    rank: int | None = None
    interval: str = ""

    @property
    def is_number(self) -> bool:
        return self.mean not in (MISSING, WITHHELD)

    @property
    def place(self) -> str:
        """The rank as it is printed."""
        return "" if self.rank is None else f"({self.rank})"


def score(row: Row, column: Column, decimals: int) -> Number:
    """A row's cell with the decimals of its column."""
    cell = row.scores.get(column.key)
    if cell is None:
        return Number("", WITHHELD if column.key in row.withheld else MISSING)
    estimate = cell.estimate
    interval = ""
    if estimate.low is not None and estimate.high is not None:
        if estimate.log_scale:
            interval = f"[{_fixed(estimate.low, decimals)}, {_fixed(estimate.high, decimals)}]"
        else:
            interval = f"± {_half_width(estimate.high / 2 - estimate.low / 2, decimals)}"
    return Number(cell.mark, _fixed(estimate.mean, decimals), cell.warning, cell.rank, interval)


def decimals_of(board: Leaderboard) -> dict[str, int]:
    """Decimals of each column of scores: three significant digits of its median, and one of its median interval's
    half-width; at least 2 and at most 5. They do not hang on which rows are shown."""
    decimals = {}
    for column in board.columns:
        estimates = [row.scores[column.key].estimate for row in board.every if column.key in row.scores]
        means = [abs(estimate.mean) for estimate in estimates]
        widths = [
            estimate.high / 2 - estimate.low / 2
            for estimate in estimates
            if estimate.low is not None and estimate.high is not None
        ]
        decimals[column.key] = min(5, max(2, _decimals(means, digits=3), _decimals(widths, digits=1)))
    return decimals


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
    """``value`` with so many significant digits: plain from 1e-4 to 1e7, whole parts never cut, else with exponent."""
    if value == 0:
        return "0"
    if not SMALL <= abs(value) < LARGE:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 6)}f}"


COST_TITLES = {key: title for key, title, _ in COSTS}


def _decimals(sizes: list[float], digits: int) -> int:
    """Decimals that show so many significant digits of the median of the sizes above 0."""
    above = [size for size in sizes if size > 0]
    if not above:
        return 0
    # The mean of two numbers in the middle may be too large for a float.
    return digits - 1 - math.floor(math.log10(min(statistics.median(above), sys.float_info.max)))


def _half_width(value: float, decimals: int) -> str:
    """An interval that has a width is never printed as one that has none."""
    return f"< {10**-decimals:.{decimals}f}" if 0 < value < 0.5 * 10**-decimals else _fixed(value, decimals)


def _fixed(value: float, decimals: int) -> str:
    """With so many decimals; with an exponent, what is too large for a table or vanishes far below its column."""
    if abs(value) >= LARGE or 0 < abs(value) < 0.01 * 10**-decimals:
        return f"{value:.2e}"
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
