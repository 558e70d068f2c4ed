"""Models as points: one quantity against another, and those that no other is better than in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from genbench.report.numbers import significant
from genbench.report.site.axes import Axis, Scale, drawable
from genbench.report.site.frame import (
    FONT,
    LONGEST,
    Frame,
    drawing,
    families,
    frame_of,
    left_out,
    nothing,
    outside,
    series,
)
from genbench.report.site.labels import Box, beside
from genbench.report.site.looks import ANCHOR, looks, path
from genbench.report.site.svg import element, shortened, width_of
from genbench.specs import Direction

MARK = 5.0
BOLD = 1.1
"""How much wider the names on the front are."""
AWAY = (3.0, 16.0, 30.0, 48.0)
"""Pixels between a point and its name, the nearest that is free."""
MANY = 40
"""Points of which all are named that have room; of more, those on the front and the anchors."""


@dataclass(frozen=True)
class Point:
    """A model at two of its quantities.

    Attributes:
        x_interval, y_interval: low and high end, or None.
        anchor: a point of reference and no contender: never on the front.
        group: its family, which decides on colour and marker.
        x_mark, y_mark: printed before its numbers, such as ``≤ `` of a bound.
    """

    model: str
    href: str
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    anchor: bool = False
    group: str = ""
    x_mark: str = ""
    y_mark: str = ""


def pareto_front(points: Sequence[Point], x_better: Direction, y_better: Direction) -> tuple[Point, ...]:
    """The points that no other is better than in one quantity and at least as good as in the other, from the best x on.

    Points with the same two values are on it together. Points that are not finite are not on it.

    Raises:
        ValueError: if nothing is better by one of them.
    """
    if "none" in (x_better, y_better):
        raise ValueError("a Pareto front needs two quantities that have a better and a worse")
    across, down = (-1 if better == "higher" else 1 for better in (x_better, y_better))
    finite = [point for point in points if drawable(point.x, False) and drawable(point.y, False)]
    front: list[Point] = []
    for point in sorted(finite, key=lambda p: (across * p.x, down * p.y, p.model)):
        last = front[-1] if front else None
        if last is None or down * point.y < down * last.y or (point.x, point.y) == (last.x, last.y):
            front.append(point)
    return tuple(front)


def scatter(
    title: str,
    description: str,
    points: Sequence[Point],
    x: Axis,
    y: Axis,
    front: bool,
    groups: Sequence[str] = (),
) -> Markup:
    """Models as points with the intervals of their means.

    Args:
        front: whether the contenders' Pareto front is drawn, as a line of steps, and its members are marked; there is
            none where one quantity has no better way.
        groups: all families of the page, so that one has the same look in all its charts.
    """
    drawn = [point for point in points if drawable(point.x, x.log) and drawable(point.y, y.log)]
    far = _far(drawn, x, y)
    drawn = [point for point in drawn if point not in far]
    frame = frame_of(x, y, [point.x for point in drawn], [point.y for point in drawn])
    family = looks([*groups, *(point.group for point in points if not point.anchor)])
    ranked = front and "none" not in (x.better, y.better)
    best = pareto_front([p for p in drawn if not p.anchor], x.better, y.better) if ranked else ()
    names = _names(frame, drawn, best)
    body = [_front_line(frame, best)] if best else []
    for point in sorted(drawn, key=lambda point: (not point.anchor, point in best)):  # the best on top
        look = ANCHOR if point.anchor else family[point.group]
        more = "chart-on-front" if point in best else ""
        parts = [*_whiskers(frame, point), look.marker(*frame.at(point.x, point.y), MARK, class_="chart-mark")]
        about = _about(point, x, y, point in best)
        body.append(series(point.model, point.href, look, about, [*parts, names[point]], more))
    notes = left_out(len(points) - len(drawn) - len(far), frame)
    summary = f"{description} {len(drawn)} model{'s' * (len(drawn) != 1)}."
    if best:
        summary += " On the Pareto front: " + ", ".join(point.model for point in best) + "."
        notes.append("Stepped line: the Pareto front of the contenders' means.")
    notes += outside(point.model for point in far)
    legend = families(family, [point.group for point in drawn if not point.anchor])
    return drawing(title, summary, frame, legend, body or [nothing(frame)], notes, linked=True)


def _far(points: Sequence[Point], x: Axis, y: Axis) -> list[Point]:
    """Anchors that lie so far from all contenders that these would not be told apart beside them."""
    contenders = [point for point in points if not point.anchor]
    if not contenders:
        return []
    across = Scale.around([point.x for point in contenders], x.log)
    down = Scale.around([point.y for point in contenders], y.log)
    return [p for p in points if p.anchor and not (across.reaches(p.x) and down.reaches(p.y))]


def _about(point: Point, x: Axis, y: Axis, on_front: bool) -> list[str]:
    def said(axis: Axis, mark: str, value: float, interval: tuple[float, float] | None) -> str:
        ends = f" [{', '.join(map(significant, interval))}]" if interval else ""
        return f"{axis.label} {mark}{significant(value)}{ends}"

    return [
        point.model + " (anchor)" * point.anchor + " (on the Pareto front)" * on_front,
        said(x, point.x_mark, point.x, point.x_interval),
        said(y, point.y_mark, point.y, point.y_interval),
    ]


def _names(frame: Frame, points: Sequence[Point], best: Sequence[Point]) -> dict[Point, Markup]:
    """The names beside their points, the front's first; one that finds no room is seen when its point is pointed at."""
    places = {point: frame.at(point.x, point.y) for point in points}
    taken = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in places.values()]
    named = {}
    for point in sorted(points, key=lambda point: (point not in best, not point.anchor, point.model)):
        text = shortened(point.model, FONT, LONGEST)
        width, (x, y) = width_of(text, FONT * (BOLD if point in best else 1.0)), places[point]
        away = AWAY if len(points) <= MANY or point in best or point.anchor else ()
        boxes = ((beside(x, y, width, FONT, taken, frame.area, MARK + far), far) for far in away)
        box, far = next(((box, far) for box, far in boxes if box), (None, 0.0))
        if box is None:
            left = x + width + MARK > frame.right
            named[point] = element("text", text, class_="chart-name chart-hover", x=x + (-8 if left else 8),
                                   y=max(y - 8, frame.top + FONT), text_anchor="end" if left else "start")  # fmt: skip
            continue
        taken.append(box)
        named[point] = element("text", text, class_="chart-name", x=box.left, y=box.bottom - 2)
        if far > AWAY[0]:
            end = min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)
            named[point] += element("path", d=path([(x, y), end]), class_="chart-leader")
    return named


def _front_line(frame: Frame, best: Sequence[Point]) -> Markup:
    """Steps through the worse of two neighbours' values, on to the plot's sides."""
    higher_x, higher_y = frame.x_axis.better == "higher", frame.y_axis.better == "higher"
    pixels = [frame.at(point.x, point.y) for point in best]
    steps = [(pixels[0][0], frame.bottom if higher_y else frame.top), pixels[0]]
    for before, after in pairwise(pixels):
        steps += [(after[0], before[1]), after]
    steps.append((frame.left if higher_x else frame.right, pixels[-1][1]))
    return element("path", d=path(steps), class_="chart-front")


def _whiskers(frame: Frame, point: Point) -> list[Markup]:
    found = []
    for across, interval, log in (
        (True, point.x_interval, frame.x_axis.log),
        (False, point.y_interval, frame.y_axis.log),
    ):
        if interval and all(drawable(end, log) for end in interval):
            ends = [frame.at(end, point.y) if across else frame.at(point.x, end) for end in interval]
            found.append(element("path", d=path(ends), class_="chart-whisker"))
    return found
