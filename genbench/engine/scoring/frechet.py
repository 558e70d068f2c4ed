"""Frechet distances between Gaussians fitted to features, and their extrapolation to infinitely many samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from genbench.engine.scoring.pairs import Array, Float64
from genbench.errors import DataError

GRAM_ABOVE = 256
"""Singular values of a matrix up to this size come straight from it, since they cost nothing."""
GRAM_ERROR = 4e-7
"""Of the sum of singular values: twice in the distance, and less than 1e-6 of tr(S1 + S2), twice the sum or more."""
BLOCK_ROWS = 4096
"""Rows of features that are taken to float64 at a time."""
STRIPES, STRIPED_ABOVE = 8, 256
"""Stripes that a symmetric matrix is computed in, each from the diagonal on; small ones are not worth the calls."""

INFINITY_POINTS, INFINITY_LEAST, INFINITY_SEED = 15, 5000, 2020
"""Of FD at infinity: subset sizes, the smallest of them, both as in its authors' code, and the subsets' seed."""
INFINITY_DRAWS, INFINITY_DRAWS_TO = 10, 256
"""Subsets of each size for features of up to 256 dimensions, where they cost little; beyond that one, as theirs."""
INFINITY_SAMPLES = 40
"""Fewer samples do not give 15 sizes apart."""


def frechet_distance_of_factors(mean1: Float64, factor1: Float64, mean2: Float64, factor2: Float64) -> float:
    """Frechet distance between two Gaussians, squared: Heusel et al. 2017 (arXiv:1706.08500), eq. 6.

    For factors F with F^T F = S, tr (S1 S2)^(1/2) is the sum of the singular values of F1 F2^T: the eigenvalues of
    S1 S2 are those of (F1 F2^T)^T (F1 F2^T). No matrix square root, nothing complex, and for n < d samples a matrix no
    larger than the samples.

    Args:
        mean1, mean2: float64 ``[d]``.
        factor1, factor2: float64 ``[r, d]``, of the covariances S; each with an r of its own.

    Returns:
        |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), 0 or more.
    """
    trace = _sum_of_singular_values(torch.from_numpy(factor1) @ torch.from_numpy(factor2).T)  # of [r1, r2]
    return _distance(mean1 - mean2, float(np.square(factor1).sum()), float(np.square(factor2).sum()), trace)


def frechet_distance_of_features(features: Array, mean: Float64, factor: Float64) -> float:
    """The same of samples ``[n, d]`` against a Gaussian known by its mean ``[d]`` and factor ``[r, d]``.

    Where n > d the eigenvalues of F2 S1 F2^T, whose roots are those singular values, spare the samples' own
    decomposition, as long as they are exact enough.

    Raises:
        DataError: for fewer than 2 samples.
    """
    own_mean: Float64 = features.mean(axis=0, dtype=np.float64)
    if len(features) <= features.shape[1]:
        return frechet_distance_of_factors(own_mean, square_root_factor(features), mean, factor)
    cov, other = covariance(features), torch.from_numpy(factor)
    product = torch.zeros((len(other), len(other)), dtype=torch.float64)
    _add_upper_product(product, (other @ cov).T, other.T)
    # The product's own rounding counts too, which scales with its factors.
    trace = _sum_of_roots(product, float(cov.norm() * other.square().sum(1).norm()))
    if trace is None:
        return frechet_distance_of_factors(own_mean, _factor_of_covariance(cov).numpy(), mean, factor)
    return _distance(own_mean - mean, float(cov.trace()), float(np.square(factor).sum()), trace)


def _distance(difference: Float64, trace1: float, trace2: float, trace_of_root: float) -> float:
    return max(0.0, float(difference @ difference) + trace1 + trace2 - 2 * trace_of_root)


def _sum_of_singular_values(matrix: torch.Tensor) -> float:
    """By the eigenvalues of the Gram matrix, twice as fast for large ones, where that is exact enough."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if len(wide) > GRAM_ABOVE:
        trace = _sum_of_roots(wide @ wide.T, 0.0)
        if trace is not None:
            return trace
    return float(torch.linalg.svdvals(wide).sum())


def _sum_of_roots(gram: torch.Tensor, scale: float) -> float | None:
    """The sum of the roots of the eigenvalues of a positive semidefinite matrix, or None if it is not exact enough.

    An eigenvalue is off by about ``noise``, so its root by noise / (2 root), at most by sqrt(noise). Where many are
    nearly 0 that adds up, and a decomposition whose error is relative to the largest singular value is called for.

    Args:
        gram: only its diagonal and what is above it are read.
        scale: of the numbers that the matrix was computed from, if larger than its greatest eigenvalue.
    """
    values = torch.linalg.eigvalsh(gram, UPLO="U").clamp(min=0)
    roots = values.sqrt()
    noise = 4 * torch.finfo(torch.float64).eps * values[-1].clamp(min=scale)
    error = torch.minimum(noise.sqrt(), noise / (2 * roots)).nan_to_num(0.0).sum()
    return float(roots.sum()) if error <= GRAM_ERROR * roots.sum() else None


def square_root_factor(features: Array) -> Float64:
    """F, ``[min(n, d), d]``, with F^T F the covariance (divisor n - 1) of features ``[n, d]``, n of 2 or more.

    Raises:
        DataError: for fewer than 2 samples.
    """
    n, d = features.shape
    _check_count(n)
    if n > d:
        factor: Float64 = _factor_of_covariance(covariance(features)).numpy()
        return factor
    x = torch.from_numpy(np.asarray(features, np.float64))
    centred: Float64 = ((x - x.mean(0)) / (n - 1) ** 0.5).numpy()
    return centred


def covariance(features: Array) -> torch.Tensor:
    """The covariance (divisor n - 1) of features ``[n, d]``, float64 ``[d, d]``.

    Raises:
        DataError: for fewer than 2 samples.
    """
    n, d = features.shape
    _check_count(n)
    rows, mean = torch.from_numpy(np.asarray(features)), torch.from_numpy(features.mean(axis=0, dtype=np.float64))
    total = torch.zeros((d, d), dtype=torch.float64)
    for start in range(0, n, BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS].double().sub_(mean)
        _add_upper_product(total, block, block)
    whole: torch.Tensor = (total.triu() + total.triu(1).T) / (n - 1)
    return whole


def _add_upper_product(total: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """Add a^T b, which is symmetric, to ``total``: its diagonal and all above it, and little else."""
    d = len(total)
    stripe = -(-d // STRIPES) if d > STRIPED_ABOVE else d
    for left in range(0, d, stripe):
        total[left : left + stripe, left:] += a[:, left : left + stripe].T @ b[:, left:]


def _check_count(n: int) -> None:
    if n < 2:
        raise DataError(f"a Frechet distance needs 2 samples or more, not {n}")


def _factor_of_covariance(cov: torch.Tensor) -> torch.Tensor:
    """F with F^T F = S from the eigenvalues of S, rounding's tiny negatives taken as 0."""
    values, vectors = torch.linalg.eigh(cov)
    factor: torch.Tensor = values.clamp(min=0).sqrt()[:, None] * vectors.T
    return factor


@dataclass(frozen=True)
class Extrapolation:
    """FD at infinity.

    Attributes:
        value: the intercept of the line through (1 / N, FD of N samples); may be below 0.
        stderr: the intercept's standard error from the scatter about the line: of the choice of subsets, not of another
            draw of samples.
        sizes: the subset sizes N.
        distances: the mean FD at each.
        draws: subsets of each size.
    """

    value: float
    stderr: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]
    draws: int


def infinity_sizes(n: int) -> tuple[int, ...]:
    """The subset sizes for FD at infinity of n samples: 15 at regular intervals, from 5,000 or n / 2 to n.

    The authors' code goes from 5,000 to 50,000. With fewer than 10,000 samples it starts at half of them: lower down
    1 / N no longer describes the bias, which has terms in d^2 / N^2.
    """
    least = min(INFINITY_LEAST, n // 2)
    return tuple(int(size) for size in np.linspace(least, n, INFINITY_POINTS))


def frechet_distance_at_infinity(features: Array, mean: Float64, factor: Float64) -> Extrapolation:
    """FD without the bias of a finite number of samples: Chong and Forsyth 2020 (arXiv:1911.07023), section 3.

    The FD of N samples is linear in 1 / N to first order; a least-squares line through the FD of random subsets gives
    its value at 1 / N = 0. The bias of the real side stays, as in the paper.

    Args:
        features: ``[n, d]`` of the samples, n of 40 or more.
        mean, factor: of the real examples, ``[d]`` and ``[r, d]``.

    Raises:
        DataError: for fewer samples.
    """
    n, d = features.shape
    if n < INFINITY_SAMPLES:
        raise DataError(f"FD at infinity needs {INFINITY_SAMPLES} samples or more, not {n}")
    generator = np.random.default_rng(INFINITY_SEED)
    sizes, draws = infinity_sizes(n), INFINITY_DRAWS if d <= INFINITY_DRAWS_TO else 1
    found = [
        [frechet_distance_of_features(features[generator.permutation(n)[:size]], mean, factor) for _ in range(draws)]
        for size in sizes
    ]
    intercept, stderr = _intercept(np.repeat([1 / size for size in sizes], draws), np.ravel(found))
    distances = tuple(float(np.mean(row)) for row in found)
    return Extrapolation(intercept, stderr, sizes, distances, draws)


def _intercept(x: Float64, y: Float64) -> tuple[float, float]:
    """Of the least-squares line through points ``[p]``, with its standard error; 0 where they lie on a line."""
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    intercept = float(y.mean() - slope * x.mean())
    residuals = y - y.mean() - slope * centred
    variance = float(residuals @ residuals) / (len(x) - 2)
    return intercept, float(np.sqrt(variance * (1 / len(x) + x.mean() ** 2 / spread)))
