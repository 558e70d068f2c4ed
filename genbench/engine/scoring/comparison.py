"""Everything about pairs of points in two walks: among the samples, and between samples and real examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genbench.engine.scoring.kernel import KernelMeans, kid_subsets
from genbench.engine.scoring.neighbours import (
    DENSITY_NEIGHBOURS,
    NEIGHBOURS,
    Balls,
    Nearest,
    Radii,
    Shares,
    candidates,
    settle,
)
from genbench.engine.scoring.pairs import Array, Float64, points, walk_between, walk_within


@dataclass(frozen=True)
class RealSide:
    """What can be cached of M real examples.

    Attributes:
        radii, wide_radii: float32 ``[M]``, distances to the third and the fifth neighbour.
        kernel_means: float64 ``[S]``, of KID's kernel within each subset; which subsets hangs on the number of samples
            too, see :func:`~genbench.engine.scoring.kernel.kid_subsets`.
    """

    radii: Radii
    wide_radii: Radii
    kernel_means: Float64


@dataclass(frozen=True)
class Comparison:
    """Samples against real examples.

    Attributes:
        kernel_distance: KID.
        shares: precision, recall, density and coverage.
    """

    kernel_distance: float
    shares: Shares


def real_side(real: Array, n: int) -> RealSide:
    """What :func:`compare` has to know of real examples ``[M, d]`` that n samples are compared with.

    Raises:
        DataError: for 5 examples or fewer, or fewer than 2 samples.
    """
    y = points(real)
    _, subsets = kid_subsets(n, len(real))
    ks = (NEIGHBOURS, DENSITY_NEIGHBOURS)
    nearest, kernel = Nearest(y, y, candidates(len(y), ks)), KernelMeans(y, y, subsets, subsets)
    walk_within(y, [nearest, kernel])
    radii, wide_radii = settle(y, nearest, ks)
    return RealSide(radii, wide_radii, kernel.means())


def compare(generated: Array, real: Array, side: RealSide) -> Comparison:
    """KID, precision, recall, density and coverage of samples ``[n, d]`` against real examples ``[M, d]``.

    Beside the features it takes tens of MiB. About 2 d (n M + n^2 / 2) floating-point operations in float32.

    Args:
        side: of these real examples, for this n.

    Raises:
        DataError: for 3 samples or fewer.
    """
    x_subsets, y_subsets = kid_subsets(len(generated), len(real))
    x = points(generated)
    nearest, kernel = Nearest(x, x, candidates(len(x), [NEIGHBOURS])), KernelMeans(x, x, x_subsets, x_subsets)
    walk_within(x, [nearest, kernel])
    (radii,) = settle(x, nearest, [NEIGHBOURS])

    centre = real.mean(axis=0, dtype=np.float64)
    x, y = points(generated, centre), points(real, centre)
    balls, between = Balls(x, y, radii, side.radii, side.wide_radii), KernelMeans(x, y, x_subsets, y_subsets)
    walk_between(x, y, [balls, between])
    distance = float(np.mean(kernel.means() + side.kernel_means - 2 * between.means()))
    return Comparison(distance, balls.shares())
