"""Power: the smallest difference that a comparison of two groups of seeds would have found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

POWER = 0.8
"""The probability with which a detectable difference is found."""

NODES = 16
"""Of the quadrature."""


def detectable(
    a: Sequence[float], b: Sequence[float], log_scale: bool, alpha: float, power: float = POWER
) -> float | None:
    """The smallest true difference of means that Welch's test would find with a probability of ``power``.

    The power is that of Moser, Stevens and Watts (Communications in Statistics 18, 1989, 3963-3975), exact for normal
    values: given B = X / (X + Y), X and Y the chi-squared sums of squares of both groups, the test's degrees of freedom
    are known and its statistic is a multiple of a noncentral t of n_a + n_b - 2 degrees of freedom; B has a beta
    distribution, over which Gauss-Jacobi quadrature takes the mean. The spreads put in are those seen, so that the
    result is as uncertain as they are: five seeds a side know them to within a factor of two.

    Args:
        a, b: one value a seed, finite, at least two each.
        log_scale: whether the test is of the logarithms; all values are then above 0.
        alpha: of the two-sided test, in (0, 1). With Holm's correction over m tests the m-th part holds for each,
            whatever the others say.
        power: above ``alpha / 2`` and below 1.

    Returns:
        A difference of means, 0 or more; of logarithms the ratio of geometric means, 1 or more. None where it is beyond
        the range of floats.

    Raises:
        ValueError: if a group has fewer than two values, or ``alpha`` or ``power`` is out of range.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("power needs two values a group or more")
    if not 0 < alpha < 1 or not alpha / 2 < power < 1:
        raise ValueError(f"alpha {alpha} and power {power} must lie in (0, 1), with power above alpha / 2")
    groups = [[math.log(value) for value in group] for group in (a, b)] if log_scale else [a, b]
    # In parts of the largest, of which no square can overflow.
    unit = max(abs(value) for group in groups for value in group) or 1.0
    errors = [_error([value / unit for value in group]) for group in groups]
    if not any(errors):
        return 1.0 if log_scale else 0.0  # neither group varies: any difference is found
    found = _smallest(_power(errors, (len(a), len(b)), alpha), power) * math.sqrt(sum(errors)) * unit
    if log_scale:
        found = math.exp(found) if found < 700 else math.inf
    return found if math.isfinite(found) else None


def _error(values: Sequence[float]) -> float:
    """The squared standard error of the mean."""
    n = len(values)
    mean = math.fsum(values) / n
    return math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n


def _power(errors: Sequence[float], sizes: tuple[int, int], alpha: float) -> Callable[[float], float]:
    """The power as a function of the true difference in standard errors, for a difference of one sign.

    Args:
        errors: squared standard errors of both means, not both 0.
    """
    from scipy.special import nctdtr, roots_jacobi, stdtrit

    free_a, free_b = sizes[0] - 1, sizes[1] - 1
    free = free_a + free_b
    nodes, weights = roots_jacobi(NODES, free_b / 2 - 1, free_a / 2 - 1)
    share = (1 + nodes) / 2  # B, the share of the first group in all squares
    seen_a = errors[0] * share * free / free_a  # squared errors as seen, in parts of (X + Y) / free
    seen_b = errors[1] * (1 - share) * free / free_b
    seen = seen_a + seen_b
    degrees = 1 / ((seen_a / seen) ** 2 / free_a + (seen_b / seen) ** 2 / free_b)
    critical = stdtrit(degrees, 1 - alpha / 2) * (seen / sum(errors)) ** 0.5

    def of(noncentrality: float) -> float:
        return 1 - float((weights * nctdtr(free, noncentrality, critical)).sum() / weights.sum())

    return of


def _smallest(function: Callable[[float], float], value: float) -> float:
    """Where a rising function of numbers from 0 on reaches ``value``, by bisection."""
    low, high = 0.0, 1.0
    while function(high) < value:
        low, high = high, 2 * high
    while high - low > 1e-4 * high:  # it is shown with three digits
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < value else (low, middle)
    return high
