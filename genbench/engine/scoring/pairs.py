"""Scalar products of all pairs of points, tile by tile: the one costly thing that KID and the neighbours share.

A tile is computed in float32 about a common centre, which keeps the rounding small, and shown to visitors. What a
visitor can't tell within :func:`rounding` it decides itself in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Array = NDArray[np.float32] | Float64

TILE = 512
"""Points on a side of a tile: 1 MiB of float32, which stays in a core's cache while visitors work on it."""
PANEL = 4
"""Tiles of rows whose centred copies are kept while the columns pass by."""
CHUNK = 1 << 17
"""Numbers in a temporary of distances between single pairs."""


@dataclass(frozen=True)
class Points:
    """Rows of features, seen from a centre.

    Attributes:
        rows: ``[n, d]``, as the evaluator gives them; never copied whole.
        centre: ``[d]``, of the dtype that scalar products are taken in.
    """

    rows: torch.Tensor
    centre: torch.Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def tile(self, part: slice) -> torch.Tensor:
        """x - c of some rows, ``[TILE, d]``."""
        return self.rows[part].to(self.centre.dtype) - self.centre

    @cached_property
    def squares(self) -> torch.Tensor:
        """|x - c|^2, float64 ``[n]``."""
        return self._squares_and_leans[0]

    @cached_property
    def leans(self) -> torch.Tensor:
        """(x - c).c, float64 ``[n]``: x.y is (x - c).(y - c) + (x - c).c + (y - c).c + c.c."""
        return self._squares_and_leans[1]

    @cached_property
    def _squares_and_leans(self) -> tuple[torch.Tensor, torch.Tensor]:
        centre, found = self.centre.double(), []
        for part in tiles(len(self)):
            rows = self.tile(part).double()
            found.append((torch.linalg.vecdot(rows, rows), rows @ centre))
        squares, leans = zip(*found, strict=True)
        return torch.cat(squares), torch.cat(leans)


class Visitor(Protocol):
    """Takes what it needs from each tile."""

    def visit(self, rows: slice, columns: slice, products: torch.Tensor) -> None:
        """Be shown (x - c).(y - c), ``[rows, columns]``, which other visitors will see too: not to be changed."""


def points(x: Array, centre: Float64 | None = None, dtype: torch.dtype = torch.float32) -> Points:
    """Features ``[n, d]`` seen from a centre ``[d]``, their own mean unless given."""
    mean = x.mean(axis=0, dtype=np.float64) if centre is None else centre
    return Points(torch.from_numpy(np.asarray(x)), torch.from_numpy(mean).to(dtype))


def tiles(n: int, start: int = 0) -> Iterator[slice]:
    """Ranges of up to TILE rows that make up those from ``start`` to n."""
    return (slice(first, min(first + TILE, n)) for first in range(start, n, TILE))


def _panels(x: Points) -> Iterator[list[tuple[slice, torch.Tensor]]]:
    """Up to PANEL tiles at a time."""
    parts = list(tiles(len(x)))
    for start in range(0, len(parts), PANEL):
        yield [(rows, x.tile(rows)) for rows in parts[start : start + PANEL]]


def walk_between(x: Points, y: Points, visitors: Sequence[Visitor]) -> None:
    """Show every pair of a point of ``x`` and one of ``y``, which have one centre, to the visitors."""
    for panel in _panels(x):
        for columns in tiles(len(y)):
            second = y.tile(columns)
            for rows, first in panel:
                _show(visitors, rows, columns, first @ second.T)


def walk_within(x: Points, visitors: Sequence[Visitor]) -> None:
    """Show the pairs of points of ``x`` to the visitors: tiles on the diagonal whole, of the others the upper half."""
    for panel in _panels(x):
        for columns in tiles(len(x), panel[0][0].start):
            second = x.tile(columns)
            for rows, first in panel:
                if rows.start <= columns.start:
                    _show(visitors, rows, columns, first @ second.T)


def _show(visitors: Sequence[Visitor], rows: slice, columns: slice, products: torch.Tensor) -> None:
    for visitor in visitors:
        visitor.visit(rows, columns, products)


def rounding(d: int, dtype: torch.dtype) -> float:
    """By what share of |x|^2 + |y|^2 a squared distance from scalar products may be off.

    The errors of a sum of d products grow as sqrt(d) (Higham and Mary 2019, doi:10.1137/18M1226312, theorem 3.1);
    the factor in front leaves several standard deviations.
    """
    return 2 * torch.finfo(dtype).eps * math.sqrt(max(d, 16))


def distances_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Euclidean distances of row to row, ``[p, d]`` and ``[p, d]``, computed in float64 and rounded: float32 ``[p]``.

    Equal pairs give equal distances, whichever way round and wherever they stand.
    """
    exact: torch.Tensor = torch.linalg.vector_norm(x.double().sub_(y), dim=1)
    return exact.float()


def distances_of_pairs(x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    """:func:`distances_of` rows i of ``[n, d]`` and j of ``[m, d]``, float32 ``[len(i)]``, in bounded memory."""
    step = max(1, CHUNK // x.shape[1])
    parts = [distances_of(x[a], y[b]) for a, b in zip(i.split(step), j.split(step), strict=True)]
    return torch.cat(parts) if parts else torch.zeros(0)
