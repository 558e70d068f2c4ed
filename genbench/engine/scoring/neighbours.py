"""Precision, recall, density and coverage: balls around points that reach to their k-th nearest neighbour.

Distances are float64 ones rounded to float32, so that a point at the same distance as the neighbour that gives a ball
its radius lies on its surface exactly. There the definitions part. Precision and recall count the surface in
(Kynkaanniemi et al. 2019, eq. 1, and torch-fidelity); density and coverage don't (Naeem et al. 2020 as their package
``prdc`` has it), which makes the density of samples identical to the data 1, not (k + 1) / k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.scoring.pairs import (
    Points,
    distances_of_pairs,
    rounding,
    walk_between,
)
from genbench.errors import DataError

NEIGHBOURS = 3
"""k of precision and recall, as in their paper, section 3."""
DENSITY_NEIGHBOURS = 5
"""k of density and coverage, as in their paper, section 5."""
SPARE = 2
"""Candidates kept beyond the neighbours wanted, so that rounding seldom leaves it open which are the nearest."""
WAITING = 1 << 18
"""Pairs near a ball's surface that are collected before they are decided."""

Radii = NDArray[np.float32]


@dataclass(frozen=True)
class Shares:
    """What the balls say of N samples and M real examples.

    Attributes:
        precision: share of samples within a ball around a real example, k = 3.
        recall: share of real examples within a ball around a sample, k = 3.
        density: mean number of real balls (k = 5) that a sample lies in, over k; may exceed 1.
        coverage: share of real examples whose ball (k = 5) holds a sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


class Nearest:
    """Visits tiles and keeps, for each point of ``x``, the points of ``y`` that may be its nearest.

    Args:
        x, y: the points of the walk; the same object for a walk within.
        count: candidates kept of each.
    """

    def __init__(self, x: Points, y: Points, count: int) -> None:
        self._within = x is y
        self._x, self._y = x, y
        # Candidates are ranked by the least that their squared distance can be, short of |x - c|^2, which all share.
        self._off = rounding(x.rows.shape[1], x.centre.dtype)
        self._least = ((1 - self._off) * y.squares).to(x.centre.dtype)
        self._best = torch.full((len(x), count), torch.inf, dtype=x.centre.dtype)
        self._where = torch.zeros((len(x), count), dtype=torch.int64)

    def visit(self, rows: slice, columns: slice, products: torch.Tensor) -> None:
        self._keep(rows, columns, products)
        if self._within and rows != columns:
            self._keep(columns, rows, products.T.contiguous())

    def _keep(self, rows: slice, columns: slice, products: torch.Tensor) -> None:
        count = self._best.shape[1]
        least = torch.add(self._least[columns], products, alpha=-2)  # [rows, columns]
        better = (least.amin(1) < self._best[rows].amax(1)).nonzero()[:, 0]
        best, where = least[better].topk(min(count, least.shape[1]), largest=False, sorted=False)
        better += rows.start
        best = torch.cat([self._best[better], best], 1)
        where = torch.cat([self._where[better], where + columns.start], 1)
        self._best[better], chosen = best.topk(count, largest=False, sorted=False)
        self._where[better] = where.gather(1, chosen)

    def radii(self, own: torch.Tensor, ks: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Distances to the k-th nearest other points, and whether they are certain.

        Args:
            own: int64 ``[n]``, which point of ``y`` each point of ``x`` is itself.
            ks: each at most the number of candidates less 1.

        Returns:
            float32 ``[n, len(ks)]``, and bool ``[n]``: whether no point left out can be as near as the last of them.
        """
        at = [k - 1 for k in ks]
        x_squares = self._x.squares[:, None]
        least = self._best.double() + (1 - self._off) * x_squares  # [n, count]
        left_out = least.amax(1)
        most = least + 2 * self._off * (x_squares + self._y.squares[self._where])
        is_own = self._where == own[:, None]
        least[is_own] = most[is_own] = torch.inf
        # The k-th distance is between the k-th of the bounds; whatever may lie there too is measured exactly.
        low, high = (bounds.sort(1).values[:, None, at] for bounds in (least, most))  # [n, 1, len(ks)]
        open_ones = ((least[..., None] <= high) & (most[..., None] >= low)).any(2) & ~is_own
        found = (0.5 * (least + most)).clamp(min=0).sqrt().float()
        i, column = open_ones.nonzero(as_tuple=True)
        found[i, column] = distances_of_pairs(self._x.rows, i, self._y.rows, self._where[i, column])
        nearest = found.sort(1).values[:, at]
        return nearest, nearest.amax(1).double().square() <= left_out.clamp(min=0)


class Balls:
    """Visits tiles and finds which points lie in which balls.

    Args:
        x, y: the samples and the real examples of the walk.
        x_radii: float32 ``[n]``, of the balls that recall counts.
        y_radii, y_wide_radii: float32 ``[m]``, of those that precision counts, and density and coverage.
    """

    def __init__(self, x: Points, y: Points, x_radii: Radii, y_radii: Radii, y_wide_radii: Radii) -> None:
        self._x, self._y = x, y
        self._x_radii, self._y_radii, self._y_wide = (torch.from_numpy(r) for r in (x_radii, y_radii, y_wide_radii))
        # A pair is of interest if the least its squared distance can be, s (|x|^2 + |y|^2) - 2 x.y, is within a ball.
        self._off = rounding(x.rows.shape[1], x.centre.dtype)
        self._x_half, self._y_half = ((0.5 * (1 - self._off) * side.squares).float() for side in (x, y))
        self._x_reach = 0.5 * self._x_radii.square()
        self._y_reach = self._y_half - 0.5 * torch.maximum(self._y_radii, self._y_wide).square()
        self._waiting: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._waiting_pairs = 0
        self._inside = torch.zeros(len(x), dtype=torch.bool)
        self._recalled, self._covered = (torch.zeros(len(y), dtype=torch.bool) for _ in range(2))
        self._held = 0

    def visit(self, rows: slice, columns: slice, products: torch.Tensor) -> None:
        from_x = products - self._x_half[rows, None]
        near = from_x >= self._y_reach[columns]
        near |= from_x.add_(self._x_reach[rows, None]) >= self._y_half[columns]
        flat = torch.from_numpy(np.flatnonzero(near.numpy()))
        if len(flat):
            width = products.shape[1]
            self._waiting.append((flat // width + rows.start, flat % width + columns.start, products.flatten()[flat]))
            self._waiting_pairs += len(flat)
            if self._waiting_pairs >= WAITING:
                self._decide()

    def _decide(self) -> None:
        if not self._waiting:
            return
        i, j, products = (torch.cat(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        self._waiting_pairs = 0
        reach = torch.stack([self._y_radii[j], self._y_wide[j], self._x_radii[i]])  # [3, pairs]
        scale = self._x.squares[i] + self._y.squares[j]
        squared = scale - 2 * products.double()
        distances = squared.clamp(min=0).sqrt().float()
        unclear = ((squared - reach.double().square()).abs() <= self._off * scale).any(0)
        distances[unclear] = distances_of_pairs(self._x.rows, i[unclear], self._y.rows, j[unclear])
        self._inside[i[distances <= reach[0]]] = True
        held = distances < reach[1]
        self._covered[j[held]] = True
        self._held += int(held.sum())
        self._recalled[j[distances <= reach[2]]] = True

    def shares(self) -> Shares:
        """What was found, once all pairs have been seen."""
        self._decide()
        inside, recalled, covered = (
            float(found.double().mean()) for found in (self._inside, self._recalled, self._covered)
        )
        return Shares(inside, recalled, self._held / (DENSITY_NEIGHBOURS * len(self._inside)), covered)


def candidates(n: int, ks: Sequence[int]) -> int:
    """How many of n points :class:`Nearest` has to keep for these k, each point itself among them.

    Raises:
        DataError: for too few points.
    """
    if n <= max(ks):
        raise DataError(f"balls to the neighbour k = {max(ks)} need {max(ks) + 1} samples or more, not {n}")
    return min(n, max(ks) + 1 + SPARE)


def settle(x: Points, nearest: Nearest, ks: Sequence[int]) -> tuple[Radii, ...]:
    """The radii from a finished walk within ``x``, float32 ``[n]`` for each k; what it left open again in float64."""
    own = torch.arange(len(x))
    radii, certain = nearest.radii(own, ks)
    if not bool(certain.all()):
        open_ones = (~certain).nonzero()[:, 0]
        again = Points(x.rows[open_ones], x.centre.double()), Points(x.rows, x.centre.double())
        second = Nearest(*again, candidates(len(x), ks))
        walk_between(*again, [second])
        radii[open_ones] = second.radii(own[open_ones], ks)[0]
    return tuple(column.numpy() for column in radii.T.contiguous())
