"""How well the intervals over seeds cover, and how often a table separates equal rows: a simulation.

Vectorised twins of :mod:`genbench.statistics`, held to it by ``tests/test_statistics.py``, on scores of a coefficient
of variation of 0.3, normal and lognormal:

- coverage of the 95 % Student-t interval of a mean, of the 95 % Welch interval of a difference or ratio, and of the
  95 % interval of the probability of improvement;
- the family-wise error: in how many tables of eight equal rows some pair is told apart;
- the gate of ``genbench compare --fail-on-regression``: how often it alarms at two equal versions, and how often it
  finds the difference that it says it would.

    python perf/coverage.py [--tables 20000] [--seed 0]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from genbench.power import detectable
from genbench.statistics import ALPHA, LEVEL, improvement

Array = NDArray[np.float64]
Draw = Callable[[tuple[int, ...]], Array]

CV = 0.3
ROWS = 8
METRICS = 11
"""Tests that the gate makes of two models of the benchmark digits."""
SEEDS = (3, 5, 10)
SIGMA = math.sqrt(math.log1p(CV**2))
"""Of the logarithm of a lognormal score with this coefficient of variation."""


def normal(rng: np.random.Generator) -> Draw:
    """Scores of mean 1."""
    return lambda shape: rng.normal(1.0, CV, shape)


def lognormal(rng: np.random.Generator) -> Draw:
    """Scores of geometric mean 1."""
    return lambda shape: np.exp(rng.normal(0.0, SIGMA, shape))


def mean_intervals(values: Array) -> tuple[Array, Array]:
    """The ends of :func:`genbench.statistics.mean_interval` over the last axis: ``[..., n]`` to two ``[...]``."""
    n = values.shape[-1]
    half = stdtrit(n - 1, (1 + LEVEL) / 2) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    mean = values.mean(axis=-1)
    return mean - half, mean + half


def welch_tests(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """:func:`genbench.statistics.welch` over the last axis: p and the interval's ends, ``[...]`` each."""
    errors = [group.var(axis=-1, ddof=1) / group.shape[-1] for group in (a, b)]
    total = errors[0] + errors[1]
    degrees = total**2 / sum(error**2 / (group.shape[-1] - 1) for error, group in zip(errors, (a, b), strict=True))
    difference = a.mean(axis=-1) - b.mean(axis=-1)
    half = stdtrit(degrees, (1 + LEVEL) / 2) * np.sqrt(total)
    return 2 * stdtr(degrees, -np.abs(difference) / np.sqrt(total)), difference - half, difference + half


def holm_rejects(p_values: Array, alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Whether :func:`genbench.statistics.holm` leaves anything at or below ``alpha``: ``[T, m]`` to ``[T]``.

    The smallest p-value is tested first, at alpha / m; where it stands, all stand.
    """
    return p_values.min(axis=-1) * p_values.shape[-1] <= alpha


def coverage(draw: Draw, n: int, tables: int, truth: float, logs: bool) -> float:
    """How often the interval of ``n`` seeds holds ``truth``, the mean on the scale on which it is taken."""
    values = draw((tables, n))
    low, high = mean_intervals(np.log(values) if logs else values)
    return float(np.mean((low <= truth) & (truth <= high)))


def difference_coverage(draw: Draw, n: int, tables: int, truth: float, logs: bool) -> float:
    """How often the interval of the difference of two rows holds the true one.

    The second row is twice the first, so that variances are as unequal as those of scores of one coefficient of
    variation; ``truth`` is the first one's mean on the scale on which it is taken.
    """
    a, b = draw((tables, n)), 2 * draw((tables, n))
    _, low, high = welch_tests(np.log(a), np.log(b)) if logs else welch_tests(a, b)
    difference = -math.log(2) if logs else -truth
    return float(np.mean((low <= difference) & (difference <= high)))


def false_separations(draw: Draw, n: int, tables: int, logs: bool) -> tuple[float, float]:
    """The share of tables of ``ROWS`` equal rows in which some pair differs: with Holm's correction, and without."""
    values = draw((tables, ROWS, n))
    values = np.log(values) if logs else values
    first, second = np.triu_indices(ROWS, 1)
    p_values, _, _ = welch_tests(values[:, first], values[:, second])  # [T, 28]
    return float(holm_rejects(p_values).mean()), float((p_values.min(axis=-1) <= ALPHA).mean())


def improvement_coverage(rng: np.random.Generator, n: int, shift: float, tables: int) -> float:
    """How often the interval of P(A better) holds the true one, of two normal rows ``shift`` deviations apart."""
    truth = 0.5 * math.erfc(-shift / 2)  # P(x > y) = Phi(shift / sqrt 2)
    held = 0
    for _ in range(tables):
        a, b = rng.normal(shift, 1.0, n).tolist(), rng.normal(0.0, 1.0, n).tolist()
        found = improvement(a, b, "higher")
        held += found.low <= truth <= found.high
    return held / tables


def false_alarms(draw: Draw, n: int, tables: int) -> tuple[float, float]:
    """The share of pairs of equal models of which B is worse in a metric: with Holm's correction, and without.

    Metrics are independent, on the log scale, and lower is better.
    """
    a, b = np.log(draw((tables, METRICS, n))), np.log(draw((tables, METRICS, n)))
    p_values, _, _ = welch_tests(a, b)  # [T, M]
    worse = a.mean(axis=-1) < b.mean(axis=-1)
    order = np.argsort(p_values, axis=-1)
    steps = np.take_along_axis(p_values, order, axis=-1) * np.arange(METRICS, 0, -1)
    rejected = np.maximum.accumulate(steps, axis=-1) <= ALPHA
    alarms = (rejected & np.take_along_axis(worse, order, axis=-1)).any(axis=-1)
    return float(alarms.mean()), float((worse & (p_values <= ALPHA)).any(axis=-1).mean())


def found_differences(rng: np.random.Generator, n: int, spread: float, alpha: float, tables: int) -> float:
    """How often a test at ``alpha`` finds the difference that :func:`genbench.power.detectable` gives for it.

    Normal scores of standard deviation 1 and ``spread``.
    """
    unit = np.arange(n) - (n - 1) / 2
    unit /= unit.std(ddof=1)
    difference = detectable(unit.tolist(), (spread * unit).tolist(), False, alpha)
    assert difference is not None
    a, b = rng.normal(0.0, 1.0, (tables, n)), rng.normal(difference, spread, (tables, n))
    p_values, _, _ = welch_tests(a, b)
    return float(np.mean((p_values <= alpha) & (a.mean(axis=-1) < b.mean(axis=-1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=20_000, help="simulated tables a figure")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, tables = np.random.default_rng(options.seed), options.tables
    scales = (("normal", normal(rng), 1.0, False), ("lognormal", lognormal(rng), math.exp(SIGMA**2 / 2), False),
              ("lognormal, log scale", lognormal(rng), 0.0, True))  # fmt: skip
    error = 100 * math.sqrt(LEVEL * (1 - LEVEL) / tables)
    print(f"{tables:,} tables a figure, CV {CV}; standard error of a figure of 95 %: {error:.2f} %\n")
    print("Coverage of the 95 % interval of a mean, of a difference; false separations with Holm, without, in %")
    print(f"{'scores':<22}{'n':>4}{'mean':>8}{'difference':>12}{'Holm':>8}{'without':>9}")
    for name, draw, truth, logs in scales:
        for n in SEEDS:
            of_mean = coverage(draw, n, tables, truth, logs)
            of_difference = difference_coverage(draw, n, tables, truth, logs)
            with_holm, without = false_separations(draw, n, tables, logs)
            figures = f"{100 * of_mean:>8.1f}{100 * of_difference:>12.1f}{100 * with_holm:>8.1f}{100 * without:>9.1f}"
            print(f"{name:<22}{n:>4}{figures}")
    print("\nCoverage of the 95 % interval of P(A better), normal rows so many standard deviations apart, in %")
    shifts = (0.0, 1.0, 2.0)
    print(f"{'n':>4}" + "".join(f"{shift:>8.0f}" for shift in shifts))
    for n in SEEDS:
        held = [improvement_coverage(rng, n, shift, max(1, tables // 10)) for shift in shifts]
        print(f"{n:>4}" + "".join(f"{100 * of:>8.1f}" for of in held))
    print(f"\nFalse alarms of the gate, {METRICS} metrics, in %: with Holm, without")
    for n in SEEDS[1:]:
        print(f"{n:>4}" + "".join(f"{100 * of:>8.1f}" for of in false_alarms(lognormal(rng), n, tables)))
    print("\nDetectable differences that are found, in %: spreads equal, and of 1 to 3; at 5 %, and at a part of it")
    for n in SEEDS[1:]:
        cases = [(spread, level) for spread in (1.0, 3.0) for level in (ALPHA, ALPHA / METRICS)]
        found = [found_differences(rng, n, spread, level, tables) for spread, level in cases]
        print(f"{n:>4}" + "".join(f"{100 * of:>8.1f}" for of in found))


if __name__ == "__main__":
    main()
