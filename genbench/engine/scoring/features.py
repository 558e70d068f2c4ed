"""Pure functions on feature arrays: the arithmetic of the metrics, in blocks of bounded memory.

All linear algebra goes through torch, whose thread count the benchmark fixes, in float64 except where said.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.errors import DataError

Float64 = NDArray[np.float64]
Array = NDArray[np.float32] | Float64

NEIGHBOURS = 3
"""k of precision and recall, as in their paper."""
FULL_KID_BELOW = 5000
SUBSETS, SUBSET_SIZE, SUBSET_SEED = 100, 1000, 2020
"""Of KID from 5,000 samples on; torch-fidelity's defaults, and its generator."""
IS_SPLITS, IS_SPLITS_FROM, IS_SEED = 10, 5000, 2020
BLOCK = 1 << 22
"""Numbers in a block of a kernel or distance matrix: 32 MiB in float64."""
SYMMETRIC_ROWS = 256
"""Rows in a block of a symmetric matrix, of which only the upper half is computed."""
GRAM_ABOVE = 256
"""Singular values of a matrix up to this size come straight from it, since they cost nothing."""
GRAM_ERROR = 4e-7
"""Of the sum of singular values: twice in the distance, and less than 1e-6 of tr(S1 + S2), twice the sum or more."""


def frechet_distance(mean1: Float64, cov1: Float64, mean2: Float64, cov2: Float64) -> float:
    """Frechet distance between two Gaussians, squared: Heusel et al. 2017 (arXiv:1706.08500), eq. 6.

    Args:
        mean1, mean2: float64 ``[d]``.
        cov1, cov2: float64 ``[d, d]``, symmetric and positive semidefinite; of any rank.

    Returns:
        |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), 0 or more.
    """
    factors = (_factor_of_covariance(torch.from_numpy(np.asarray(cov, np.float64))) for cov in (cov1, cov2))
    return frechet_distance_of_factors(mean1, next(factors).numpy(), mean2, next(factors).numpy())


def frechet_distance_of_factors(mean1: Float64, factor1: Float64, mean2: Float64, factor2: Float64) -> float:
    """The same from factors F with F^T F = S, ``[r, d]`` each, with r of any size.

    For such factors tr (S1 S2)^(1/2) is the sum of the singular values of F1 F2^T: the eigenvalues of S1 S2 are
    those of (F1 F2^T)^T (F1 F2^T). No matrix square root, nothing complex, and for n < d samples a matrix no larger
    than the samples.
    """
    trace = _sum_of_singular_values(torch.from_numpy(factor1) @ torch.from_numpy(factor2).T)  # of [r1, r2]
    difference = mean1 - mean2
    distance = difference @ difference + np.square(factor1).sum() + np.square(factor2).sum() - 2 * trace
    return max(0.0, float(distance))


def _sum_of_singular_values(matrix: torch.Tensor) -> float:
    """By the eigenvalues of the Gram matrix, twice as fast for large ones, where that is exact enough.

    An eigenvalue is off by about ``noise``, so its root by noise / (2 root), at most by sqrt(noise). Where many are
    nearly 0 that adds up, and the slower decomposition, whose error is relative to the largest, takes over.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    if len(wide) > GRAM_ABOVE:
        values = torch.linalg.eigvalsh(wide @ wide.T).clamp(min=0)
        roots = values.sqrt()
        noise = 4 * torch.finfo(torch.float64).eps * values[-1]
        error = torch.minimum(noise.sqrt(), noise / (2 * roots)).sum()
        if error <= GRAM_ERROR * roots.sum():
            return float(roots.sum())
    return float(torch.linalg.svdvals(wide).sum())


def square_root_factor(features: Array) -> Float64:
    """F, ``[min(n, d), d]``, with F^T F the covariance (divisor n - 1) of features ``[n, d]``, n of 2 or more.

    Raises:
        DataError: for fewer than 2 samples.
    """
    n, d = features.shape
    if n < 2:
        raise DataError(f"a Frechet distance needs 2 samples or more, not {n}")
    x = torch.from_numpy(np.asarray(features, np.float64))
    centred = (x - x.mean(0)) / (n - 1) ** 0.5
    if n <= d:
        narrow: Float64 = centred.numpy()
        return narrow
    factor: Float64 = _factor_of_covariance(centred.T @ centred).numpy()
    return factor


def _factor_of_covariance(covariance: torch.Tensor) -> torch.Tensor:
    """F with F^T F = S from the eigenvalues of S, rounding's tiny negatives taken as 0."""
    values, vectors = torch.linalg.eigh(covariance)
    factor: torch.Tensor = values.clamp(min=0).sqrt()[:, None] * vectors.T
    return factor


def kernel_distance(x: Array, y: Array) -> float:
    """KID: the unbiased squared MMD with the kernel (x.y / d + 1)^3, Binkowski et al. 2018 (arXiv:1801.01401), eq. 4.

    Below 5,000 samples on either side it is one U-statistic of all of them; from there on the mean over 100 subsets
    of 1,000, drawn as torch-fidelity draws them.

    Args:
        x: ``[n, d]``.
        y: ``[m, d]``; m need not be n.

    Returns:
        May be slightly below 0 where the two are alike.

    Raises:
        DataError: for fewer than 2 samples on a side.
    """
    if min(len(x), len(y)) < FULL_KID_BELOW:
        return kernel_mean_within(x) + kernel_mean_within(y) - 2 * kernel_mean_between(x, y)
    return kernel_distance_of_subsets(x, y)


def kernel_distance_of_subsets(x: Array, y: Array, subsets: int = SUBSETS, size: int = SUBSET_SIZE) -> float:
    """KID as the mean over subsets without replacement, from NumPy's legacy generator with torch-fidelity's seed."""
    generator = np.random.RandomState(SUBSET_SEED)
    found = []
    for _ in range(subsets):
        first = x[generator.choice(len(x), size, replace=False)]
        second = y[generator.choice(len(y), size, replace=False)]
        within = kernel_mean_within(first) + kernel_mean_within(second)
        found.append(within - 2 * kernel_mean_between(first, second))
    return float(np.mean(found))


def kernel_mean_within(x: Array) -> float:
    """The mean of KID's kernel over all pairs of different rows of ``[n, d]``.

    Raises:
        DataError: for fewer than 2 rows.
    """
    n = len(x)
    if n < 2:
        raise DataError(f"KID needs 2 samples or more, not {n}")
    rows = torch.from_numpy(np.asarray(x, np.float64))
    block = max(1, min(SYMMETRIC_ROWS, BLOCK // n))
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, n, block):
        part, after = rows[start : start + block], rows[start + block :]
        square = _kernel(part, part)
        total += square.sum() - square.trace() + 2 * _kernel(part, after).sum()
    return float(total / (n * (n - 1)))


def kernel_mean_between(x: Array, y: Array) -> float:
    """The mean of KID's kernel over all pairs of a row of ``[n, d]`` and one of ``[m, d]``."""
    first, second = (torch.from_numpy(np.asarray(part, np.float64)) for part in (x, y))
    parts = first.split(max(1, BLOCK // len(second)))
    return float(sum(float(_kernel(part, second).sum()) for part in parts) / (len(x) * len(y)))


def _kernel(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    base = (first @ second.T).div_(first.shape[1]).add_(1)
    return base * base * base


def inception_score(logits: Array, splits: int = 1) -> float:
    """Inception Score, Salimans et al. 2016 (arXiv:1606.03498): exp E KL(p(y|x) || p(y)), between 1 and K.

    Computed in logarithms throughout, so that a class of vanishing probability in every sample counts 0, not NaN.

    Args:
        logits: ``[N, K]`` of a calibrated classifier.
        splits: the mean over so many parts, shuffled with torch-fidelity's seed where there are more than one.
    """
    rows = torch.from_numpy(np.asarray(logits, np.float64))
    if splits > 1:
        rows = rows[torch.from_numpy(np.random.RandomState(IS_SEED).permutation(len(rows)))]
    log_p = rows.log_softmax(1)
    scores = []
    for part in range(splits):
        chunk = log_p[part * len(rows) // splits : (part + 1) * len(rows) // splits]
        log_marginal = chunk.logsumexp(0) - np.log(len(chunk))
        scores.append(float((chunk.exp() * (chunk - log_marginal)).sum(1).mean().exp()))
    return float(np.mean(scores))


def is_splits(n: int) -> int:
    """Into how many parts n samples are split for the Inception Score."""
    return IS_SPLITS if n >= IS_SPLITS_FROM else 1


def neighbour_radii(features: Array, k: int = NEIGHBOURS) -> NDArray[np.float32]:
    """Euclidean distance of each row of ``[n, d]`` to its k-th nearest other row, float32 ``[n]``.

    Raises:
        DataError: for k rows or fewer.
    """
    if len(features) <= k:
        raise DataError(f"precision and recall with k = {k} need {k + 1} samples or more, not {len(features)}")
    rows = torch.from_numpy(np.asarray(features, np.float32))
    block = max(1, BLOCK // len(rows))
    found = [torch.cdist(part, rows).kthvalue(k + 1).values for part in rows.split(block)]
    radii: NDArray[np.float32] = torch.cat(found).numpy()
    return radii


def shares_within(
    generated: Array, real: Array, generated_radii: NDArray[np.float32], real_radii: NDArray[np.float32]
) -> tuple[float, float]:
    """Precision and recall, Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2, from each side's radii.

    Args:
        generated, real: ``[n, d]`` and ``[m, d]``.
        generated_radii, real_radii: of the balls around them, ``[n]`` and ``[m]``.

    Returns:
        The share of generated points within a ball around a real one, and of real ones within a ball around a
        generated one. Distances in float32, as torch-fidelity has them.
    """
    rows, columns = (torch.from_numpy(np.asarray(part, np.float32)) for part in (generated, real))
    reach, real_reach = torch.from_numpy(generated_radii), torch.from_numpy(real_radii)
    block = max(1, BLOCK // len(columns))
    inside, covered = 0, torch.zeros(len(columns), dtype=torch.bool)
    for part, part_reach in zip(rows.split(block), reach.split(block), strict=True):
        distances = torch.cdist(part, columns)  # [block, m]
        inside += int((distances <= real_reach).any(1).sum())
        covered |= (distances <= part_reach[:, None]).any(0)
    return inside / len(rows), float(covered.double().mean())


def precision_recall(generated: Array, real: Array, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall with balls that reach to the k-th neighbour; see :func:`shares_within`."""
    return shares_within(generated, real, neighbour_radii(generated, k), neighbour_radii(real, k))
