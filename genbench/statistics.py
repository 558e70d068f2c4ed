"""Statistics over seeds, as pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Attributes:
        mean: arithmetic, or geometric where ``log_scale`` is true.
        low, high: ends of the Student-t interval; None where it can't be had.
        n: number of values.
        log_scale: whether mean and interval were taken of the logarithms.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    log_scale: bool = False

    @property
    def half_width(self) -> float | None:
        """Half the interval's width, in the values' unit."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def mean_interval(values: Sequence[float], log_scale: bool = False, level: float = LEVEL) -> Estimate:
    """Mean and Student-t interval: mean +- t(n - 1) s / sqrt(n), with s the sample standard deviation.

    A percentile bootstrap would cover 73 % at n = 3 where this covers 94 %.

    Args:
        values: one a seed, finite, at least one.
        log_scale: take both of the logarithms and transform back, for positive, skewed scores such as FID. A
            value of zero or less has no logarithm: all are then taken as they are.
        level: coverage, in (0, 1).

    Returns:
        The estimate; without an interval for a single value, which says nothing of the spread.

    Raises:
        ValueError: if there is no value, one is not finite, or the level is out of range.
    """
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"an interval needs finite values, at least one; not {list(values)}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    log_scale = log_scale and min(values) > 0
    scale = [math.log(value) for value in values] if log_scale else list(values)
    n = len(scale)
    mean = math.fsum(scale) / n
    back = math.exp if log_scale else float
    if n == 1:
        return Estimate(values[0], None, None, 1, log_scale)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in scale) / (n - 1))
    half = student_t(n - 1, level) * spread / math.sqrt(n)
    return Estimate(back(mean), back(mean - half), back(mean + half), n, log_scale)


def student_t(degrees: int, level: float = LEVEL) -> float:
    """The quantile t with P(-t < T < t) = ``level`` for Student's T of ``degrees`` degrees of freedom."""
    from scipy.special import stdtrit  # much lighter than scipy.stats, of which this is the core

    return float(stdtrit(degrees, (1 + level) / 2))
