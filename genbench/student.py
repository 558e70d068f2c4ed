"""Student's t distribution: the tail beyond a value, for one or for many, and its quantile.

``scipy.special`` has both. Importing it takes a quarter of the time of ``genbench table``, which needs nothing else of
it; the tests hold the two against each other.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLOSE = 1e-13
"""Relative change below which a quantile is found."""

SHIFT = 20
"""From here on five terms of the series for log Gamma(a + 1/2) - log Gamma(a) have the precision of floats."""


def tail(t: float, degrees: float) -> float:
    """P(|T| >= |t|) for Student's T of ``degrees`` > 0 degrees of freedom: I_x(degrees / 2, 1 / 2) of
    x = degrees / (degrees + t^2), with I the regularised incomplete beta function (NIST DLMF, 8.17)."""
    square = t * t
    if math.isinf(square):
        return 0.0
    a, x, y = degrees / 2, degrees / (degrees + square), square / (degrees + square)
    if x < _turn(a):
        return float(_beta_head(a, 0.5, x, y) / _fraction(a, 0.5, x, _terms(a)))
    return float(1 - _beta_head(0.5, a, y, x) / _fraction(0.5, a, y, _terms(a)))


def tails(t: NDArray[np.float64], degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`tail` of arrays of one shape, elementwise; infinite ``t`` among them."""
    import numpy as np

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = t * t / degrees
        a, x = degrees / 2, 1 / (1 + ratio)
        y = np.where(np.isinf(ratio), 1.0, ratio * x)
        upper = x < _turn(a)
        # Where the fraction converges slowly it is that of the other end: I_x(a, b) = 1 - I_y(b, a).
        first, second = np.where(upper, a, 0.5), np.where(upper, 0.5, a)
        low, high = np.where(upper, x, y), np.where(upper, y, x)
        head = np.exp(first * np.log(low) + second * np.log(high) + _log_gamma_ratios(a)) / SQRT_PI / first
        head = np.where(low == 0, 0.0, head)
        found = head / _fraction(first, second, low, _terms(float(a.max(initial=1.0))))
    return np.asarray(np.where(upper, found, 1 - found), dtype=np.float64)


@functools.lru_cache(4096)
def quantile(degrees: float, level: float) -> float:
    """The t with P(-t < T < t) = ``level``, by Newton's method on the logarithm of the tail."""
    beyond = 1 - level
    t = 1.0
    for _ in range(200):
        excess = tail(t, degrees)
        step = t * math.exp(math.log(excess / beyond) * excess / (t * 2 * _density(t, degrees)))
        step = min(max(step, t / 8), t * 8)
        if abs(step - t) <= CLOSE * t:
            break
        t = step
    return step


SQRT_PI = math.sqrt(math.pi)


def _density(t: float, degrees: float) -> float:
    """Of Student's T at t."""
    log = _log_gamma_ratio(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    return math.exp(log - (degrees + 1) / 2 * math.log1p(t * t / degrees))


def _beta_head(a: float, b: float, x: float, y: float) -> float:
    """x^a y^b / (a B(a, b)), where y = 1 - x and one of a and b is 1/2."""
    if x == 0:
        return 0.0
    log = _log_gamma_ratio(a if b == 0.5 else b)
    return math.exp(a * math.log(x) + b * math.log(y) + log) / SQRT_PI / a


def _log_gamma_ratio(a: float) -> float:
    """log Gamma(a + 1/2) - log Gamma(a); for a large ``a`` by the series of DLMF 5.11.13, as it would cancel."""
    if a < 50:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)


def _log_gamma_ratios(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """:func:`_log_gamma_ratio` elementwise, by the same series; small ones from that of ``a + SHIFT``, since
    Gamma(a + 1) = a Gamma(a)."""
    import numpy as np

    small = a < SHIFT
    large = np.where(small, a + SHIFT, a)
    square = 1 / (large * large)
    series = 1 / 8 - square * (1 / 192 - square * (1 / 640 - square * (17 / 14336 - square * 31 / 18432)))
    found = 0.5 * np.log(large) - series / large
    below = a[small]
    factor = np.ones_like(below)
    for step in range(SHIFT):
        factor *= (below + step + 0.5) / (below + step)
    found[small] -= np.log(factor)
    return np.asarray(found, dtype=np.float64)


def _turn(a: Any) -> Any:
    """The x below which the fraction for I_x(a, 1/2) converges fast."""
    return (a + 1) / (a + 2.5)


def _terms(a: float) -> int:
    """How many terms of the fraction are enough: their number grows as the root of the parameters."""
    return 20 + 2 * math.isqrt(math.ceil(a))


def _fraction(a: Any, b: Any, x: Any, terms: int) -> Any:
    """The continued fraction 1 + d_1 / (1 + d_2 / (1 + ...)) of DLMF 8.17.22, of numbers or arrays of one shape."""
    value: Any = 1.0
    for m in range(terms, 0, -1):
        value = 1 + m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) / value
        k = m - 1
        value = 1 - (a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)) / value
    return value
