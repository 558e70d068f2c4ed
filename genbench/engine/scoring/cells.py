"""Cells of a space, found by k-means, and which cell a point lies in."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.scoring.pairs import Array, Float64

MOST_ITERATIONS = 100
SEED = 2020
BLOCK_ROWS = 4096
"""Points that are compared with all centres at a time."""


def k_means(points: Array, cells: int) -> Float64:
    """Centres by Lloyd's iterations from k-means++ (Arthur and Vassilvitskii 2007), seeded: the same each time.

    Args:
        points: ``[n, d]``, n of ``cells`` or more. A cell that loses all its points keeps its centre.

    Returns:
        float64 ``[cells, d]``.
    """
    centres, labels = _first_centres(points, cells), None
    for _ in range(MOST_ITERATIONS):
        found = cells_of(points, centres)
        if labels is not None and np.array_equal(found, labels):
            break
        labels = found
        for cell in np.unique(labels):
            centres[cell] = points[labels == cell].mean(axis=0, dtype=np.float64)
    return centres


def cells_of(points: Array, centres: Float64) -> NDArray[np.int64]:
    """The nearest of the centres ``[cells, d]`` to each point of ``[n, d]``, the first of equals: int64 ``[n]``."""
    middle = centres.mean(axis=0)
    about = torch.from_numpy(centres - middle)
    found = np.empty(len(points), np.int64)
    for start in range(0, len(points), BLOCK_ROWS):
        rows = torch.from_numpy(points[start : start + BLOCK_ROWS] - middle)
        # |x - c|^2 short of |x|^2, which all centres share.
        found[start : start + len(rows)] = torch.addmm(about.square().sum(1), rows, about.T, alpha=-2).argmin(1).numpy()
    return found


def _first_centres(points: Array, cells: int) -> Float64:
    """Points drawn one after another, each with a chance in proportion to its squared distance from those before."""
    generator = np.random.default_rng(SEED)
    centres = np.empty((cells, points.shape[1]))
    centres[0] = points[generator.integers(len(points))]
    nearest = np.full(len(points), np.inf)
    for cell in range(1, cells):
        nearest = np.minimum(nearest, _squared_distances(points, centres[cell - 1]))
        total = nearest.cumsum()
        # Where all points coincide with a centre the last of them is taken again.
        drawn = int(np.searchsorted(total, generator.random() * total[-1], "right"))
        centres[cell] = points[min(drawn, len(points) - 1)]
    return centres


def _squared_distances(points: Array, centre: Float64) -> Float64:
    parts = [
        np.square(points[start : start + BLOCK_ROWS] - centre).sum(1) for start in range(0, len(points), BLOCK_ROWS)
    ]
    squared: Float64 = np.concatenate(parts)
    return squared
