"""Where the score of another seed is to be expected, given the seeds that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genbench.statistics import student_t

ERROR = 0.05
"""The chance that of all scores of a model that are held to intervals, at least one lies outside by chance alone."""


@dataclass(frozen=True)
class Prediction:
    """An interval for a score to come, in the score's unit, and the coverage that it was made for."""

    low: float
    high: float
    level: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.6g} to {self.high:.6g} (t prediction interval of {self.level:.4%} from the seeds here)"


def prediction(values: Sequence[float], log_scale: bool, level: float, to_come: int = 1) -> Prediction | None:
    """The interval that the mean of ``to_come`` further seeds falls into with probability ``level``.

    mean +- t(n - 1) s sqrt(1 / to_come + 1 / n), for values that are independent and normal, or lognormal
    (Hahn, Journal of the American Statistical Association 64, 1969, equation 2).

    Args:
        values: one a seed, finite.
        log_scale: of the logarithms, where all values have one.

    Returns:
        None for fewer than two values, which tell nothing of the spread.
    """
    n = len(values)
    if n < 2:
        return None
    log_scale = log_scale and min(values) > 0
    scaled = [math.log(value) for value in values] if log_scale else list(values)
    mean = math.fsum(scaled) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (n - 1))
    half = student_t(n - 1, level) * deviation * math.sqrt(1 / to_come + 1 / n)
    low, high = mean - half, mean + half
    return Prediction(_back(low), _back(high), level) if log_scale else Prediction(low, high, level)


def shared_level(comparisons: int) -> float:
    """The level of each of so many intervals that keeps the chance of any false alarm to ``ERROR`` (Bonferroni)."""
    return 1 - ERROR / max(1, comparisons)


def _back(value: float) -> float:
    return math.exp(min(value, 700.0))
