"""Power: the smallest difference that a comparison of two groups of seeds would have found."""

from __future__ import annotations

import math

from genbench.statistics import Difference, student_t

POWER = 0.8
"""The probability with which a detectable difference is found."""


def detectable(difference: Difference, alpha: float, power: float = POWER) -> float | None:
    """The smallest true difference that Welch's test of such groups finds with a probability of ``power``.

    With the standard error SE and the degrees of freedom v of the test that was made,

        detectable = lambda SE,   P(T > t) = power,

    where T is noncentral t of v degrees of freedom and noncentrality lambda, and t is the two-sided critical value at
    ``alpha`` (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2; of the noncentral t:
    Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2, 1995, chapter 31). SE and v are those seen,
    so the figure is as uncertain as they are: five seeds a side know the spread to within a factor of two.

    Args:
        difference: of :func:`genbench.statistics.welch`, at its usual level.
        alpha: of the two-sided test, in (0, 1); with Holm's correction over m tests, the m-th part holds for any.
        power: above ``alpha / 2`` and below 1.

    Returns:
        A difference of means, 0 or more; where the test was of logarithms the ratio of geometric means, 1 or more. None
        where there was no test, or it is no finite number.

    Raises:
        ValueError: if ``alpha`` or ``power`` is out of range.
    """
    if not 0 < alpha < 1 or not alpha / 2 < power < 1:
        raise ValueError(f"alpha {alpha} and power {power} must lie in (0, 1), with power above alpha / 2")
    if difference.p is None or difference.low is None or difference.high is None:
        return None
    if difference.degrees is None:
        return 1.0 if difference.log_scale else 0.0  # neither group varies: any difference is seen
    if difference.log_scale:
        if difference.low <= 0:
            return None
        width = math.log(difference.high) - math.log(difference.low)
    else:
        width = difference.high - difference.low
    error = width / 2 / student_t(difference.degrees)
    critical = student_t(difference.degrees, 1 - alpha)
    found = _noncentrality(difference.degrees, critical, power) * error
    if difference.log_scale:
        found = math.exp(found) if found < math.log(1e300) else math.inf
    return found if math.isfinite(found) else None


def _noncentrality(degrees: float, critical: float, power: float) -> float:
    """The lambda for which a noncentral t exceeds ``critical`` with a probability of ``power``, by bisection."""
    from scipy.special import nctdtr

    low, high = 0.0, 1.0
    while 1 - nctdtr(degrees, high, critical) < power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - nctdtr(degrees, middle, critical) < power else (low, middle)
    return high
