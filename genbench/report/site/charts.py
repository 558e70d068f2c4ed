"""Charts of a leaderboard, as SVG that stands inline in a page: no script, no style of its own, every name escaped.

Their classes and colours are in ``charts.css``. Each model's part carries ``data-model``, so that a page's filter can
dim it, and is a link named by its values, so that a keyboard and a screen reader reach it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markupsafe import Markup

from genbench.report.numbers import significant
from genbench.report.site.axes import Axis, Scale, drawable
from genbench.report.site.frame import (
    FONT,
    JOIN,
    LONGEST,
    RIGHT,
    SMALL,
    Frame,
    drawing,
    families,
    frame_of,
    left_out,
    margin_for,
    nothing,
    outside,
    series,
)
from genbench.report.site.labels import spread
from genbench.report.site.looks import ANCHOR, COLOURS, DASHES, Look, looks, path
from genbench.report.site.svg import element, number, shortened

Place = tuple[float, float, float | None, float | None]
"""x, y and the ends of y's interval, None where there is none."""

MANY = 25
"""Curves that are all labelled; of more, the best few."""
FEW = 10
FAINT = 40
"""From so many on, curves are drawn faint but for those that are labelled."""
WITH_BANDS = 6
"""Curves whose intervals are all shown; of more, those of the curve that is pointed at."""
APART = 14.5
"""Between the names of lines, in pixels."""
WITH_MARKERS = 12
"""Points of a seed's curve that are marked each."""


@dataclass(frozen=True)
class Curve:
    """A model's score against what it spent.

    Attributes:
        points: at the milestones, x rising.
        anchor: a point of reference and no contender: a level line, at its last point.
        group: its family, which decides on colour and marker.
        final: of the full evaluation, which is of more samples than the milestones'; not on the line for that reason.
        mark: printed before its numbers, such as ``≤ `` of a bound.
    """

    model: str
    href: str
    points: tuple[Place, ...]
    anchor: bool = False
    group: str = ""
    final: Place | None = None
    mark: str = ""

    @property
    def all(self) -> tuple[Place, ...]:
        return (*self.points, self.final) if self.final else self.points


def interval_bar(mean: float | None, low: float | None, high: float | None, scale: Scale, label: str) -> Markup:
    """A small bar for a cell of a table: the interval, and a tick at the mean, on the scale of its column.

    Args:
        low, high: None for only a tick.
        label: what it says to a screen reader; empty where the numbers stand beside it.
    """
    parts = []
    if drawable(low, scale.log) and drawable(high, scale.log):
        start, end = (100 * scale.place(value) for value in (low, high))
        parts.append(element("rect", x=min(start, 99.0), y=2.0, width=max(1.0, end - start), height=4.0))
    if drawable(mean, scale.log):
        parts.append(element("path", d=f"M{number(100 * scale.place(mean))} 0V8"))
    named: Mapping[str, object] = {"role": "img", "aria_label": label} if label else {"aria_hidden": "true"}
    return element("svg", *parts or [Markup("")], class_="interval-bar", viewBox="0 0 100 8",
                   preserveAspectRatio="none", **named)  # fmt: skip


def curves(
    title: str,
    description: str,
    curves: Sequence[Curve],
    x: Axis,
    y: Axis,
    floor: float | None = None,
    direct_labels: bool = True,
    groups: Sequence[str] = (),
) -> Markup:
    """Quality against compute: a line of each model's milestones, and a larger mark for its full evaluation.

    Models that spent nothing have no place on a log scale of compute and are level lines, as anchors are.

    Args:
        floor: value that real data get, a dashed line.
        direct_labels: names at the right; else only in the links.
        groups: all families of the page, so that one has the same look in all its charts.
    """
    shown = [curve for curve in curves if any(drawable(place[1], y.log) for place in curve.all)]
    lines = [curve for curve in shown if not curve.anchor and _drawn(curve.all, x, y)]
    levels = [curve for curve in shown if curve.anchor or not _drawn(curve.all, x, y)]
    floors = [floor] if floor is not None and drawable(floor, y.log) else []
    places = [place for curve in lines for place in _drawn(curve.all, x, y)]
    heights = [place[1] for place in places] + [_level(curve, y) for curve in levels if not curve.anchor] + floors
    reach = Scale.around(heights, y.log)
    far = [curve for curve in levels if curve.anchor and heights and not reach.reaches(_level(curve, y))]
    levels = [curve for curve in levels if curve not in far]
    heights += [_level(curve, y) for curve in levels]
    labelled = _labelled([*lines, *levels], y) if direct_labels else []
    margin = margin_for(_name(curve, LONGEST) for curve in labelled)
    frame = frame_of(x, y, [place[0] for place in places], heights, margin if labelled else RIGHT)
    family = looks([*groups, *(curve.group for curve in curves if not curve.anchor)])
    look = _with_dashes(lines, family)
    ends = {curve: frame.at(*_drawn(curve.all, x, y)[-1][:2]) for curve in lines}
    ends |= {curve: (frame.right, frame.down(_level(curve, y))) for curve in levels}
    names = _names(frame, labelled, ends)
    faint = len(lines) >= FAINT
    body = [_floor(frame, value) for value in floors]
    for curve in levels:
        own = ANCHOR if curve.anchor else replace(family[curve.group], dash="2 3")
        body.append(_linked(curve, own, x, y, [_level_line(frame, curve, own), names.get(curve, Markup(""))]))
    for curve in sorted(lines, key=lambda curve: curve in labelled):  # the best on top
        more = "chart-bands" if len(lines) <= WITH_BANDS else "chart-faint" if faint and curve not in labelled else ""
        parts = [*_line(frame, curve, look[curve]), names.get(curve) or _pointed_at(frame, curve, ends[curve])]
        body.append(_linked(curve, look[curve], x, y, parts, more))
    without = sum(1 for curve in curves if not curve.anchor for place in curve.all if not frame.has(*place[:2]))
    without -= sum(len(curve.all) for curve in levels if not curve.anchor)
    notes = left_out(without, frame)
    if any(not curve.anchor for curve in levels):
        notes.append("Dotted lines: models that spend no floating-point operations on training.")
    if any(curve.final for curve in lines):
        notes.append("Small marks: milestones. Large marks: the full evaluation, of more samples or examples.")
    notes += outside(curve.model for curve in far)
    about = f"{description} {_best(lines, y)}".strip()
    legend = families(family, [curve.group for curve in shown if not curve.anchor])
    return drawing(title, about, frame, legend, body or [nothing(frame)], notes, linked=True)


def seed_curves(
    title: str, description: str, series: Mapping[int, Sequence[tuple[float, float]]], x: Axis, y: Axis
) -> Markup:
    """A figure of one model's training, a line a seed.

    Args:
        series: seed to its points, x rising.
    """
    drawn = {seed: [p for p in points if drawable(p[0], x.log) and drawable(p[1], y.log)]
             for seed, points in series.items()}  # fmt: skip
    every = [point for points in drawn.values() for point in points]
    frame = frame_of(x, y, [p[0] for p in every], [p[1] for p in every], size=SMALL)
    body, legend = [], []
    for index, seed in enumerate(sorted(seed for seed, points in drawn.items() if points)):
        look = Look(f"chart-c{index % COLOURS}", index % COLOURS)
        places = [frame.at(*point) for point in drawn[seed]]
        parts = [element("path", d=path(places), class_="chart-line")] if len(places) > 1 else []
        if len(places) <= WITH_MARKERS:
            parts += [look.marker(*place, 3.5, class_="chart-mark") for place in places]
        body.append(element("g", *parts, class_=f"chart-series {look.colour}"))
        legend.append((look, f"seed {seed}"))
    notes = left_out(sum(map(len, series.values())) - len(every), frame)
    return drawing(title, description, frame, legend, body or [nothing(frame)], notes, linked=False)


def _drawn(places: Sequence[Place], x: Axis, y: Axis) -> list[Place]:
    return [place for place in places if drawable(place[0], x.log) and drawable(place[1], y.log)]


def _level(curve: Curve, y: Axis) -> float:
    return next(place[1] for place in reversed(curve.all) if drawable(place[1], y.log))


def _with_dashes(curves: Sequence[Curve], family: Mapping[str, Look]) -> dict[Curve, Look]:
    """The look of each curve: its family's, dashed by its place in it."""
    found, counts = {}, dict.fromkeys(family, 0)
    for curve in curves:
        found[curve] = replace(family[curve.group], dash=DASHES[counts[curve.group] % len(DASHES)])
        counts[curve.group] += 1
    return found


def _labelled(shown: Sequence[Curve], y: Axis) -> list[Curve]:
    """The curves whose names are written, in the order of their last values: all, or the best few and the anchors."""
    in_order = sorted(shown, key=lambda curve: (_level(curve, y), curve.model), reverse=y.better == "higher")
    if len(shown) <= MANY:
        return in_order
    contenders = [curve for curve in in_order if not curve.anchor]
    anchors = [curve for curve in in_order if curve.anchor]
    return contenders[:FEW] + anchors[: MANY - FEW]


def _names(frame: Frame, labelled: Sequence[Curve], ends: Mapping[Curve, tuple[float, float]]) -> dict[Curve, Markup]:
    """Names at the right, each joined to its line's end."""
    in_order = sorted(labelled, key=lambda curve: (ends[curve][1], curve.model))
    heights = spread([ends[curve][1] for curve in in_order], APART, frame.top + 4, frame.bottom - 2)
    left = frame.right + JOIN
    found = {}
    for curve, height in zip(in_order, heights, strict=True):
        leader = path([ends[curve], (frame.right + 6, height), (left - 4, height)])
        name = element("text", _name(curve, frame.width - left), class_="chart-name", x=left, y=height + 4)
        found[curve] = element("path", d=leader, class_="chart-leader") + name
    return found


def _name(curve: Curve, width: float) -> str:
    return shortened(curve.mark + curve.model, FONT, width)


def _pointed_at(frame: Frame, curve: Curve, end: tuple[float, float]) -> Markup:
    """A name that is seen while its curve is pointed at."""
    return element("text", _name(curve, LONGEST), class_="chart-name chart-hover",
                   x=end[0] - 8, y=max(frame.top + FONT, end[1] - 8), text_anchor="end")  # fmt: skip


def _linked(curve: Curve, look: Look, x: Axis, y: Axis, parts: Sequence[Markup], more: str = "") -> Markup:
    about = [curve.model + " (anchor)" * curve.anchor]
    for place in curve.all:
        if drawable(place[1], y.log):
            about.append(f"{y.label} {curve.mark}{told(*place[1:])}, {x.label} {significant(place[0])}")
    return series(curve.model, curve.href, look, about, parts, more)


def told(value: float, low: float | None, high: float | None) -> str:
    """A number with its interval, for a title."""
    if low is None or high is None:
        return significant(value)
    return f"{significant(value)} [{significant(low)}, {significant(high)}]"


def _level_line(frame: Frame, curve: Curve, look: Look) -> Markup:
    y = frame.down(_level(curve, frame.y_axis))
    return element("path", d=path([(frame.left, y), (frame.right, y)]), class_="chart-line", stroke_dasharray=look.dash)


def _floor(frame: Frame, value: float) -> Markup:
    y = frame.down(value)
    text = f"real data {significant(value)}"
    return element(
        "g",
        element("path", d=path([(frame.left, y), (frame.right, y)]), class_="chart-floor"),
        element("text", text, class_="chart-note", x=frame.left + 6, y=y - 5 if y > frame.top + FONT else y + FONT),
    )


def _line(frame: Frame, curve: Curve, look: Look) -> list[Markup]:
    """Bands of the intervals, the line, its marks, and the full evaluation with its interval."""
    x, y = frame.x_axis, frame.y_axis
    places = _drawn(curve.points, x, y)
    parts = []
    for has, run in groupby(places, key=lambda p: drawable(p[2], y.log) and drawable(p[3], y.log)):
        stretch = list(run)
        if has and len(stretch) > 1:
            lows = [frame.at(p[0], p[2] or 0.0) for p in stretch]
            highs = [frame.at(p[0], p[3] or 0.0) for p in stretch]
            parts.append(element("path", d=path([*lows, *reversed(highs)], closed=True), class_="chart-band"))
    pixels = [frame.at(*place[:2]) for place in places]
    if len(pixels) > 1:
        parts.append(element("path", d=path(pixels), class_="chart-line", stroke_dasharray=look.dash))
    parts += [look.marker(*pixel, 3.0, class_="chart-mark") for pixel in pixels]
    if curve.final and frame.has(*curve.final[:2]):
        pixel = frame.at(*curve.final[:2])
        if pixels:
            parts.append(element("path", d=path([pixels[-1], pixel]), class_="chart-joint"))
        parts += [_whisker(frame, curve.final), look.marker(*pixel, 5.0, class_="chart-mark chart-final")]
    return parts


def _whisker(frame: Frame, place: Place) -> Markup:
    low, high = place[2], place[3]
    if not (drawable(low, frame.y_axis.log) and drawable(high, frame.y_axis.log)):
        return Markup("")
    return element("path", d=path([frame.at(place[0], low), frame.at(place[0], high)]), class_="chart-whisker")


def _best(lines: Sequence[Curve], y: Axis) -> str:
    if not lines or y.better == "none":
        return f"{len(lines)} models." if lines else ""
    best = (min if y.better == "lower" else max)(lines, key=lambda curve: _level(curve, y))
    value = best.mark + significant(_level(best, y))
    return f"{len(lines)} model{'s' * (len(lines) > 1)}; best at the end: {best.model} with {y.label} {value}."
