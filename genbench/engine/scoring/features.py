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
    cross = torch.from_numpy(factor1) @ torch.from_numpy(factor2).T  # [r1, r2]
    trace = float(torch.linalg.svdvals(cross).sum())
    difference = mean1 - mean2
    distance = difference @ difference + np.square(factor1).sum() + np.square(factor2).sum() - 2 * trace
    return max(0.0, float(distance))


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
    diagonal = _cubed(rows.square().sum(1), x.shape[1]).sum()
    return float((_kernel_sum(rows, rows) - diagonal) / (n * (n - 1)))


def kernel_mean_between(x: Array, y: Array) -> float:
    """The mean of KID's kernel over all pairs of a row of ``[n, d]`` and one of ``[m, d]``."""
    first, second = (torch.from_numpy(np.asarray(part, np.float64)) for part in (x, y))
    return float(_kernel_sum(first, second) / (len(x) * len(y)))


def _kernel_sum(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    block = max(1, BLOCK // len(second))
    return sum((_cubed(rows @ second.T, rows.shape[1]).sum() for rows in first.split(block)), torch.zeros(()))


def _cubed(products: torch.Tensor, d: int) -> torch.Tensor:
    base = products.div_(d).add_(1)
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


def share_within(points: Array, centres: Array, radii: NDArray[np.float32]) -> float:
    """The share of ``points`` ``[n, d]`` that lie in a ball around one of ``centres`` ``[m, d]``, ``radii`` ``[m]``.

    Kynkaanniemi et al. 2019 (arXiv:1904.06991), eq. 1 and 2. Distances in float32, as torch-fidelity has them.
    """
    rows, others = (torch.from_numpy(np.asarray(part, np.float32)) for part in (points, centres))
    reach = torch.from_numpy(radii)
    block = max(1, BLOCK // len(others))
    inside = [(torch.cdist(part, others) <= reach).any(1) for part in rows.split(block)]
    return float(torch.cat(inside).double().mean())


def precision_recall(generated: Array, real: Array, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall: the share of generated in the real manifold, of real in the generated."""
    return (
        share_within(generated, real, neighbour_radii(real, k)),
        share_within(real, generated, neighbour_radii(generated, k)),
    )
