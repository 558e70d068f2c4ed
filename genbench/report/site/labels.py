"""Where names in charts stand, so that none covers another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """The places nearest to the wanted ones, by least squares, that keep the order and a distance.

    Less ``k apart`` for the k-th, they are the isotonic regression of what is wanted, which pools adjacent violators
    (Barlow et al., Statistical Inference under Order Restrictions, 1972), held between the ends.

    Args:
        wanted: rising.
        apart: least distance between neighbours; where they would not fit between the ends, as much as fits.
        low, high: ends.
    """
    if not wanted:
        return []
    apart = min(apart, (high - low) / max(1, len(wanted) - 1))
    pools: list[tuple[float, int]] = []  # mean and size
    for index, value in enumerate(wanted):
        mean, size = value - index * apart, 1
        while pools and pools[-1][0] >= mean:
            before, count = pools.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    top = high - (len(wanted) - 1) * apart
    level = [min(max(mean, low), max(low, top)) for mean, size in pools for _ in range(size)]
    return [place + index * apart for index, place in enumerate(level)]


@dataclass(frozen=True)
class Box:
    """A rectangle, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: Box) -> bool:
        """Whether they have a part in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def beside(x: float, y: float, width: float, height: float, taken: Iterable[Box], area: Box, away: float) -> Box | None:
    """A free rectangle of a size beside a point: to the right, left, above, below, or at a corner; None if all cover
    what is taken or leave the area.

    Args:
        away: from the point.
    """
    taken = list(taken)
    near = 0.7 * away
    corners = (
        (x + away, y - height / 2),
        (x - away - width, y - height / 2),
        (x - width / 2, y - away - height),
        (x - width / 2, y + away),
        (x + near, y - near - height),
        (x + near, y + near),
        (x - near - width, y - near - height),
        (x - near - width, y + near),
    )
    for left, top in corners:
        box = Box(left, top, left + width, top + height)
        if box.within(area) and not any(box.covers(other) for other in taken):
            return box
    return None
