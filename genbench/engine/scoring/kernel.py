"""KID: the unbiased squared MMD with a cubic kernel, Binkowski et al. 2018 (arXiv:1801.01401), eq. 4."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.scoring.pairs import Array, Float64, Points, points, walk_between, walk_within
from genbench.errors import DataError

FULL_KID_BELOW = 5000
SUBSETS, SUBSET_SIZE, SUBSET_SEED = 100, 1000, 2020
"""Of KID from 5,000 samples on; torch-fidelity's defaults, and its generator."""

Subsets = NDArray[np.int64]
"""Indices of the points in each subset, ``[S, size]``."""


class KernelMeans:
    """Visits tiles and sums the kernel (x.y / d + 1)^3 over the pairs of every two subsets, in float64.

    Args:
        x, y: the points of the walk; the same object for a walk within, where no point is paired with itself.
        x_subsets, y_subsets: ``[S, size]`` each; sizes may differ.
    """

    def __init__(self, x: Points, y: Points, x_subsets: Subsets, y_subsets: Subsets) -> None:
        self._within = x is y
        d = x.rows.shape[1]
        centre = x.centre.double()
        self._scale = 1 / d
        self._row_part = x.leans / d  # with the column's part and (x - c).(y - c) / d it makes x.y / d + 1
        self._column_part = (y.leans + centre @ centre) / d + 1
        self._row_members = _members(x_subsets, len(x))
        self._column_members = _members(y_subsets, len(y)).double()
        n, m = x_subsets.shape[1], y_subsets.shape[1]
        self._pairs = n * (n - 1) if self._within else n * m
        self._sums = torch.zeros(len(x_subsets), dtype=torch.float64)

    def visit(self, rows: slice, columns: slice, products: torch.Tensor) -> None:
        base = products.double().mul_(self._scale)  # [rows, columns]
        base.add_(self._column_part[columns]).add_(self._row_part[rows, None])
        kernel = (base * base).mul_(base)
        on_diagonal = self._within and rows == columns
        if on_diagonal:
            kernel.fill_diagonal_(0)
        sums = _sums_of_rows(kernel, self._row_members[rows])  # [S, columns]
        found = (sums * self._column_members[columns].T).sum(1)
        # Of a walk within, the tiles below the diagonal are not shown.
        self._sums += 2 * found if self._within and not on_diagonal else found

    def means(self) -> Float64:
        """The mean kernel of each pair of subsets, float64 ``[S]``."""
        means: Float64 = (self._sums / self._pairs).numpy()
        return means


def _members(subsets: Subsets, n: int) -> torch.Tensor:
    """Which of n points are in which subset, bool ``[n, S]``."""
    members = torch.zeros(n, len(subsets), dtype=torch.bool)
    for column, subset in enumerate(subsets):
        members[torch.from_numpy(subset), column] = True
    return members


def _sums_of_rows(values: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """The sum of the rows that are in each subset, ``[S, columns]``; a product with a sparse matrix."""
    if bool(members.all()):
        return values.sum(0).expand(members.shape[1], -1)
    chosen = members.T.nonzero()[:, 1]
    starts = members.sum(0).cumsum(0).roll(1)
    starts[0] = 0
    return torch.nn.functional.embedding_bag(chosen, values, starts, mode="sum")


def kid_subsets(n: int, m: int) -> tuple[Subsets, Subsets]:
    """Which of n samples and of m real examples KID compares with which.

    Below 5,000 on either side all with all, one U-statistic; from there on 100 subsets of 1,000 without replacement,
    drawn as torch-fidelity draws them, so that both depend on n and m.

    Returns:
        int64 ``[S, size]`` each.

    Raises:
        DataError: for fewer than 2 on a side.
    """
    if min(n, m) < 2:
        raise DataError(f"KID needs 2 samples or more, not {min(n, m)}")
    if min(n, m) < FULL_KID_BELOW:
        return np.arange(n)[None], np.arange(m)[None]
    return draw_subsets(n, m, SUBSETS, SUBSET_SIZE)


def draw_subsets(n: int, m: int, subsets: int, size: int) -> tuple[Subsets, Subsets]:
    """Subsets of n and of m points from NumPy's legacy generator with torch-fidelity's seed and in its order."""
    generator = np.random.RandomState(SUBSET_SEED)
    drawn = [[generator.choice(count, size, replace=False) for count in (n, m)] for _ in range(subsets)]
    first, second = np.array(drawn, dtype=np.int64).transpose(1, 0, 2)  # [subsets, 2, size]
    return first, second


def kernel_means_within(x: Array, subsets: Subsets) -> Float64:
    """The mean of KID's kernel over all pairs of different rows in each subset of ``[n, d]``, float64 ``[S]``."""
    means = []
    for subset in subsets:
        chosen = points(x[subset])
        everything = np.arange(len(chosen))[None]
        visitor = KernelMeans(chosen, chosen, everything, everything)
        walk_within(chosen, [visitor])
        means.append(visitor.means()[0])
    return np.array(means)


def kernel_means_between(x: Array, y: Array, x_subsets: Subsets, y_subsets: Subsets) -> Float64:
    """The mean of KID's kernel over all pairs of a row of ``[n, d]`` and one of ``[m, d]`` in subsets, ``[S]``."""
    means = []
    for x_subset, y_subset in zip(x_subsets, y_subsets, strict=True):
        centre = y[y_subset].mean(axis=0, dtype=np.float64)
        first, second = points(x[x_subset], centre), points(y[y_subset], centre)
        visitor = KernelMeans(first, second, np.arange(len(first))[None], np.arange(len(second))[None])
        walk_between(first, second, [visitor])
        means.append(visitor.means()[0])
    return np.array(means)


def kernel_distance(x: Array, y: Array) -> float:
    """KID of samples ``[n, d]`` against real examples ``[m, d]``, over the subsets of :func:`kid_subsets`.

    Returns:
        May be slightly below 0 where the two are alike.

    Raises:
        DataError: for fewer than 2 on a side.
    """
    return _distance(x, y, *kid_subsets(len(x), len(y)))


def _distance(x: Array, y: Array, x_subsets: Subsets, y_subsets: Subsets) -> float:
    within = kernel_means_within(x, x_subsets) + kernel_means_within(y, y_subsets)
    return float(np.mean(within - 2 * kernel_means_between(x, y, x_subsets, y_subsets)))
