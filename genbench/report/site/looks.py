"""How families of models look in charts: a colour and a marker each, so that they can be told apart without colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from genbench.report.site.svg import element, number

COLOURS = 8
"""Classes ``chart-c0`` to ``chart-c7`` of the style sheet: Okabe and Ito's colours, told apart by most eyes."""
DASHES = (None, "7 3", "2 3", "9 3 2 3")
"""Of the lines of a family, in their order."""


@dataclass(frozen=True)
class Look:
    """How a series is drawn: class of its colour, marker (an index into :data:`SHAPES`), dashes or None."""

    colour: str
    shape: int
    dash: str | None = None

    def marker(self, x: float, y: float, size: float, **attributes: object) -> Markup:
        """The marker at a place; ``size`` is half its width."""
        return element("path", d=SHAPES[self.shape](x, y, size), **attributes)


def looks(groups: Collection[str]) -> Mapping[str, Look]:
    """The look of each family, in the order of their names; beyond 64 they repeat."""
    return {
        group: Look(f"chart-c{index % COLOURS}", (index + index // COLOURS) % len(SHAPES))
        for index, group in enumerate(sorted(set(groups)))
    }


ANCHOR = Look("chart-anchor", 0, "4 4")


def path(points: Sequence[tuple[float, float]], closed: bool = False) -> str:
    """The ``d`` of a line through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z" * closed


def _circle(x: float, y: float, size: float) -> str:
    radius, across = number(size), number(2 * size)
    left = f"{number(x - size)} {number(y)}"
    return f"M{left}a{radius} {radius} 0 1 0 {across} 0a{radius} {radius} 0 1 0 -{across} 0Z"


def _polygon(*corners: tuple[float, float]) -> Callable[[float, float, float], str]:
    def shape(x: float, y: float, size: float) -> str:
        return path([(x + size * across, y + size * down) for across, down in corners], closed=True)

    return shape


def _star(points: int, inner: float) -> list[tuple[float, float]]:
    turns = [math.pi * k / points for k in range(2 * points)]
    radii = [1.2 if k % 2 == 0 else inner for k in range(2 * points)]
    return [(radius * math.sin(turn), -radius * math.cos(turn)) for radius, turn in zip(radii, turns, strict=True)]


ARM = 0.38
SHAPES = (
    _circle,
    _polygon((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    _polygon((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
    _polygon((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    _polygon((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),
    _polygon((-ARM, -1.1), (ARM, -1.1), (ARM, -ARM), (1.1, -ARM), (1.1, ARM), (ARM, ARM), (ARM, 1.1), (-ARM, 1.1),
             (-ARM, ARM), (-1.1, ARM), (-1.1, -ARM), (-ARM, -ARM)),
    _polygon(*_star(5, 0.5)),
    _polygon((-0.55, -1.05), (0.55, -1.05), (1.1, 0), (0.55, 1.05), (-0.55, 1.05), (-1.1, 0)),
)  # fmt: skip
"""Circle, square, triangle, diamond, triangle on its tip, cross, star, hexagon."""
