"""Statistics over seeds, as pure functions: intervals, tests, ranks, components of variance, agreement of orders.

What they assume, how well they cover and how often they err is in ``docs/statistics.md``, measured by
``perf/coverage.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from genbench import student
from genbench.specs import Direction

LEVEL = 0.95

ALPHA = 0.05
"""The family-wise error that Holm's correction keeps to within a column."""

MIN_SEEDS = 5
"""Fewer seeds give means and intervals, no ranks and no verdicts."""

SAME = 1e-12
"""Relative difference below which two means are the same number but for rounding."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval.

    Attributes:
        mean: arithmetic, or geometric where ``log_scale`` is true.
        low, high: ends of the Student-t interval; None where it can't be had, or an end is no finite number.
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
        return None if self.low is None or self.high is None else self.high / 2 - self.low / 2


def mean_interval(values: Sequence[float], log_scale: bool = False, level: float = LEVEL) -> Estimate:
    """Mean and Student-t interval: mean +- t(n - 1) s / sqrt(n), with s the sample standard deviation.

    A percentile bootstrap would cover 73 % at n = 3 where this covers 94 %.

    Args:
        values: one a seed, finite, at least one.
        log_scale: take both of the logarithms and transform back, for positive, skewed scores such as FID. A
            value of zero or less has no logarithm: all are then taken as they are.
        level: coverage, in (0, 1).

    Returns:
        The estimate; without an interval for a single value, which says nothing of the spread, and where an end of it
        is beyond the range of floats.

    Raises:
        ValueError: if there is no value, one is not finite, or the level is out of range.
    """
    _check(values, level)
    log_scale = log_scale and min(values) > 0
    (scaled,), back = _scaled([values], log_scale)
    n = len(scaled)
    mean, variance = moments(scaled)
    if n == 1:
        return Estimate(values[0], None, None, 1, log_scale)
    half = student_t(n - 1, level) * math.sqrt(variance / n)
    inside = min(max(back(mean), min(values)), max(values))  # the way back must not round past the largest float
    return Estimate(inside, *_interval(back(mean - half), back(mean + half)), n, log_scale)


def student_t(degrees: float, level: float = LEVEL) -> float:
    """The quantile t with P(-t < T < t) = ``level`` for Student's T of ``degrees`` degrees of freedom."""
    return student.quantile(degrees, level)


@dataclass(frozen=True)
class Difference:
    """What separates the means of two groups of seeds.

    Attributes:
        value: mean of the first less that of the second; where ``log_scale``, the ratio of the geometric means.
            Infinite where it is beyond the range of floats.
        low, high: ends of its interval; None where a group has one value, or an end is no finite number.
        p: of Welch's test that it is none, two-sided, in [0, 1]; None where a group has one value.
        log_scale: whether it was taken of logarithms.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    log_scale: bool


def welch(a: Sequence[float], b: Sequence[float], log_scale: bool = False, level: float = LEVEL) -> Difference:
    """Welch's unequal-variances t-test (Biometrika 34, 1947) of two groups of seeds, and the interval of it.

    t = (mean a - mean b) / sqrt(s_a^2 / n_a + s_b^2 / n_b), with the degrees of freedom of Welch and Satterthwaite.
    Seeds are not paired: those of two models share no noise.

    A group without variance, as of a deterministic model, adds neither error nor degrees of freedom. If neither
    group varies, the means are known: p is 1 where they are the same but for rounding, else 0.

    Args:
        a, b: one value a seed, finite, at least one each.
        log_scale: test the logarithms. If any value of either group is zero or less, both are taken as they are.
        level: coverage of the interval, in (0, 1).

    Raises:
        ValueError: if a group is empty, a value is not finite, or the level is out of range.
    """
    _check(a, level)
    _check(b, level)
    log_scale = log_scale and min(*a, *b) > 0
    scaled, back = _scaled([a, b], log_scale)
    (mean_a, variance_a), (mean_b, variance_b) = map(moments, scaled)
    difference = mean_a - mean_b
    if min(len(a), len(b)) < 2:
        return Difference(back(difference), None, None, None, log_scale)
    error_a, error_b = variance_a / len(a), variance_b / len(b)
    error = math.sqrt(error_a + error_b)
    rounding = SAME * max(abs(mean_a), abs(mean_b), float(log_scale))  # of logarithms it is absolute
    if error <= rounding:
        same = abs(difference) <= rounding
        value = back(difference)
        return Difference(value, *_interval(value, value), float(same), log_scale)
    # As shares of the sum, so that tiny variances do not vanish when they are squared.
    share_a, share_b = error_a / (error_a + error_b), error_b / (error_a + error_b)
    degrees = 1 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    half = student_t(degrees, level) * error
    p = two_sided(difference / error, degrees)
    ends = _interval(back(difference - half), back(difference + half))
    return Difference(back(difference), *ends, p, log_scale)


def two_sided(t: float, degrees: float) -> float:
    """P(|T| >= |t|) for Student's T of ``degrees`` degrees of freedom."""
    return student.tail(t, degrees)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scand. J. Statist. 6, 1979): p-values adjusted for being one of several.

    The k-th smallest of m becomes the largest (m - j + 1) p_(j) over j <= k, at most 1. Rejecting those at or below
    a level keeps the chance of any false rejection at or below it, however the tests hang together.

    Returns:
        The adjusted values, in the order given.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class Probability:
    """A probability with its interval, each in [0, 1]."""

    value: float
    low: float
    high: float


def improvement(a: Sequence[float], b: Sequence[float], direction: Direction, level: float = LEVEL) -> Probability:
    """The probability of improvement P(A better than B) of Agarwal et al. 2021, arXiv:2108.13264, section 4.3.

    The share of pairs (seed of A, seed of B) in which A is better, ties counted half: the Mann-Whitney statistic over
    n_a n_b. The interval is Newcombe's method 5 (Statistics in Medicine 25, 2006): the theta for which

        |theta - share| <= z sqrt(V),   N = (n_a + n_b) / 2 - 1,
        V = theta (1 - theta) / (n_a n_b) (1 + N ((1 - theta) / (2 - theta) + theta / (1 + theta))).

    Unlike a bootstrap of a few seeds it has a width where all pairs agree.

    Raises:
        ValueError: if a group is empty, a value is not finite, or ``direction`` is ``none``.
    """
    _check(a, level)
    _check(b, level)
    if direction == "none":
        raise ValueError("nothing is better without a direction")
    sign = -1 if direction == "lower" else 1
    wins = sum(0.5 if x == y else float(sign * x > sign * y) for x in a for y in b)
    pairs, share = len(a) * len(b), wins / (len(a) * len(b))
    z, extra = _normal(level), (len(a) + len(b)) / 2 - 1

    def excess(theta: float) -> float:
        spread = theta * (1 - theta) * (1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta)))
        return (theta - share) ** 2 - z**2 * spread / pairs

    return Probability(share, _crossing(excess, share, 0.0), _crossing(excess, share, 1.0))


@dataclass(frozen=True)
class Components:
    """Where the variance of a score comes from.

    Attributes:
        training: standard deviation over trained states, sampling left out; None where it can't be told apart, and
            0 where sampling alone explains what is seen.
        sampling: standard deviation over independent sets of samples from one trained state; None without repeats.
            Either is None where it is beyond the range of floats.
        runs, draws: trained states, and values in all.
        log_scale: whether both are of logarithms; :meth:`relative` then is the variation in parts of the score.
    """

    training: float | None
    sampling: float | None
    runs: int
    draws: int
    log_scale: bool = False

    @staticmethod
    def relative(deviation: float) -> float:
        """The coefficient of variation sqrt(exp(s^2) - 1) of a lognormal score whose logarithm deviates by s."""
        return math.sqrt(math.expm1(min(deviation, 25.0) ** 2))


def variance_components(groups: Sequence[Sequence[float]], log_scale: bool = False) -> Components:
    """Training variance apart from sampling variance: the one-way random-effects analysis of variance.

    With k groups of m_i values, N in all (Searle, Casella and McCulloch, Variance Components, 1992, section 3.6):

        MSW = sum_ij (x_ij - mean_i)^2 / (N - k)          sampling^2 = MSW
        MSB = sum_i m_i (mean_i - mean)^2 / (k - 1)       training^2 = max(0, (MSB - MSW) / m_0)
        m_0 = (N - sum_i m_i^2 / N) / (k - 1)

    Args:
        groups: one a trained state, with the score of each independent set of its samples; not all empty.
        log_scale: of logarithms, unless a value is zero or less.

    Raises:
        ValueError: if there is no value, or one is not finite.
    """
    flat = [value for group in groups for value in group]
    _check(flat)
    log_scale = log_scale and min(flat) > 0
    scaled, back = _scaled([group for group in groups if group], log_scale)
    k, total = len(scaled), len(flat)
    if total == k:
        return Components(None, None, k, total, log_scale)

    def deviation(variance: float) -> float | None:
        found = math.sqrt(variance) if log_scale else back(math.sqrt(variance))
        return found if math.isfinite(found) else None

    means = [math.fsum(group) / len(group) for group in scaled]
    within = math.fsum((x - mean) ** 2 for group, mean in zip(scaled, means, strict=True) for x in group) / (total - k)
    if k == 1:
        return Components(None, deviation(within), k, total, log_scale)
    grand = math.fsum(x for group in scaled for x in group) / total
    between = math.fsum(len(g) * (mean - grand) ** 2 for g, mean in zip(scaled, means, strict=True)) / (k - 1)
    size = (total - sum(len(group) ** 2 for group in scaled) / total) / (k - 1)
    training = max(0.0, (between - within) / size)
    return Components(deviation(training), deviation(within), k, total, log_scale)


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Kendall's tau-b (Biometrika 33, 1945) of two orders of the same rows: 1 the same order, -1 the reverse.

    Returns:
        (concordant - discordant) / sqrt((pairs untied in a) (pairs untied in b)); None where all of a, or all of b,
        are tied, or there is but one row.

    Raises:
        ValueError: if they have different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"an order needs both values of each row, not {len(a)} and {len(b)}")
    agreement = untied_a = untied_b = 0
    for i in range(len(a)):
        for j in range(i):
            sign_a, sign_b = (a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])
            agreement += sign_a * sign_b
            untied_a += abs(sign_a)
            untied_b += abs(sign_b)
    return agreement / math.sqrt(untied_a * untied_b) if untied_a and untied_b else None


def _check(values: Sequence[float], level: float = LEVEL) -> None:
    if not values or not all(map(math.isfinite, values)):
        raise ValueError(f"an interval needs finite values, at least one; not {list(values)}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def _scaled(groups: Sequence[Sequence[float]], log_scale: bool) -> tuple[list[list[float]], Callable[[float], float]]:
    """The values as they are reckoned with, and the way back, which is infinite beyond the range of floats.

    Logarithms; else parts of the power of two above the largest, of which no sum or square can overflow.
    """
    if log_scale:
        return [[math.log(value) for value in group] for group in groups], _finite_or_infinite(math.exp)
    exponent = math.frexp(max(abs(value) for group in groups for value in group))[1]
    parts = [[math.ldexp(value, -exponent) for value in group] for group in groups]
    return parts, _finite_or_infinite(lambda part: math.ldexp(part, exponent))


def _finite_or_infinite(function: Callable[[float], float]) -> Callable[[float], float]:
    def found(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.copysign(math.inf, value)

    return found


def _interval(low: float, high: float) -> tuple[float | None, float | None]:
    """Both ends, or neither: an interval without a finite end can't be printed, and says little."""
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample variance; a variance of 0 for a single value."""
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.fsum((value - mean) ** 2 for value in values) / max(1, n - 1)


def _normal(level: float) -> float:
    """The quantile z with P(-z < Z < z) = ``level`` for a standard normal Z."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _crossing(excess: Callable[[float], float], inside: float, end: float) -> float:
    """Where ``excess``, at most 0 at ``inside`` and at least 0 at ``end``, crosses 0, by bisection."""
    for _ in range(60):
        middle = (inside + end) / 2
        inside, end = (inside, middle) if excess(middle) > 0 else (middle, end)
    return end
