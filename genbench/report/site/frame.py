"""What all charts share: the plot's place, its axes and grid, a legend above, notes below, names for screen readers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from genbench.report.site.axes import Axis, Scale, drawable, ticks
from genbench.report.site.labels import Box
from genbench.report.site.looks import Look, path
from genbench.report.site.svg import element, joined, shortened, width_of

LARGE = 760.0, 470.0
SMALL = 470.0, 310.0
"""Width and height of a chart of many models, and of one model's seeds: letters have the same size in both."""
LEFT, RIGHT, BOTTOM = 62.0, 18.0, 50.0
"""Margins of the plot; that at the top is the legend's."""
NAMES, MOST_NAMES = 110.0, 240.0
"""Margin at the right for the names of lines, least and most."""
JOIN = 22.0
"""Of it, what leads from a line to its name."""
FONT = 12.0
ROW = 19.0
"""Height of a line of the legend, or of notes."""
NOTES = 6.0
"""Between the axis' label and the notes."""
LONGEST = 190.0
"""Pixels of a name in a chart, where nothing else bounds it."""


@dataclass(frozen=True)
class Frame:
    """The plot within the picture: the picture's size, the plot's sides, in pixels, and the scales along them."""

    x_axis: Axis
    y_axis: Axis
    x: Scale
    y: Scale
    width: float
    height: float
    right: float
    left: float = LEFT
    top: float = 12.0

    @property
    def bottom(self) -> float:
        return self.height - BOTTOM

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The pixel of a pair of drawable values; what lies outside the scales stands at the plot's side."""
        return self.across(x), self.down(y)

    def across(self, x: float) -> float:
        return self.left + self.x.place(x) * (self.right - self.left)

    def down(self, y: float) -> float:
        return self.bottom - self.y.place(y) * (self.bottom - self.top)

    def has(self, x: float | None, y: float | None) -> bool:
        """Whether a pair of values can be drawn."""
        return drawable(x, self.x_axis.log) and drawable(y, self.y_axis.log)

    @property
    def area(self) -> Box:
        return Box(self.left, self.top, self.right, self.bottom)


def frame_of(
    x_axis: Axis,
    y_axis: Axis,
    xs: Iterable[float],
    ys: Iterable[float],
    margin: float = RIGHT,
    size: tuple[float, float] = LARGE,
) -> Frame:
    """A plot that holds the values, with a margin at its right."""
    width, height = size
    scales = Scale.around(xs, x_axis.log), Scale.around(ys, y_axis.log)
    return Frame(x_axis, y_axis, *scales, width, height, width - margin)


def margin_for(names: Iterable[str]) -> float:
    """The margin that the names of lines need, as far as there is room."""
    longest = max((width_of(name, FONT) for name in names), default=0.0)
    return min(MOST_NAMES, max(NAMES, JOIN + longest + 4))


def drawing(
    title: str,
    description: str,
    frame: Frame,
    legend: Sequence[tuple[Look, str]],
    body: Sequence[Markup],
    notes: Sequence[str],
    linked: bool,
) -> Markup:
    """The whole picture around what is drawn into the plot.

    Args:
        legend: look and name of each family.
        body: made for ``frame``; it is moved down as a whole to make room for the legend.
        notes: told below the plot, a line each.
        linked: whether there are links in it, which a picture (``role="img"``) would hide from screen readers.
    """
    above, rows = _legend(legend, frame.width)
    down = rows * ROW
    height = frame.height + down + (ROW * len(notes) + NOTES if notes else 0)
    told = [
        element("text", note, class_="chart-note", x=LEFT, y=frame.height + down + ROW * index + NOTES + 4)
        for index, note in enumerate(notes)
    ]
    content = joined([above, element("g", _axes(frame), *body, transform=f"translate(0 {down:g})"), *told])
    about = " ".join([description, *notes]).strip()
    key = "chart-" + hashlib.sha256(f"{title}\n{about}\n{content}".encode()).hexdigest()[:12]
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", about, id=f"{key}-desc"),
        content,
        class_="chart",
        viewBox=f"0 0 {frame.width:g} {height:g}",
        role="group" if linked else "img",
        aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-desc",
    )


def series(model: str, href: str, look: Look, about: Sequence[str], parts: Iterable[Markup], more: str = "") -> Markup:
    """What belongs to a model: a link where there is a page to lead to, named by its values.

    Args:
        about: lines of its ``<title>``.
        more: further classes.
    """
    title = element("title", Markup("\n").join(joined([line]) for line in about))
    attributes: Mapping[str, object] = {"class_": f"chart-series {look.colour} {more}".rstrip(), "data_model": model}
    if href:
        return element("a", title, *parts, href=href, **attributes)
    return element("g", title, *parts, **attributes)


def families(looks: Mapping[str, Look], groups: Iterable[str]) -> list[tuple[Look, str]]:
    """The entries of a legend: the families that are drawn, if they have names."""
    drawn = set(groups)
    return [(replace(look, dash=None), group) for group, look in looks.items() if group in drawn and group]


def left_out(count: int, frame: Frame) -> list[str]:
    """The note on values that have no place in a plot."""
    if not count:
        return []
    why = "not finite" + " or not above 0 on a log scale" * (frame.x_axis.log or frame.y_axis.log)
    return [f"{count} value{'s' * (count > 1)} not drawn: {why}."]


def outside(models: Iterable[str]) -> list[str]:
    """The note on anchors that lie so far from all contenders that these would not be told apart."""
    names = ", ".join(models)
    return [f"Anchors far outside the plot: {shortened(names, FONT, LARGE[0] - LEFT - 220)}."] if names else []


def nothing(frame: Frame) -> Markup:
    """Stands in a plot without anything."""
    middle = (frame.left + frame.right) / 2
    return element("text", "nothing to draw", class_="chart-note", x=middle, y=frame.height / 2, text_anchor="middle")


def _axes(frame: Frame) -> Markup:
    """Grid, numbers and labels."""
    fine: list[str] = []
    grid: list[str] = []
    numbers: list[Markup] = []
    for tick in ticks(frame.x):
        x = frame.across(tick.value)
        (grid if tick.major else fine).append(path([(x, frame.top), (x, frame.bottom)]))
        if tick.major:
            numbers.append(element("text", tick.text, x=x, y=frame.bottom + 17, text_anchor="middle"))
    for tick in ticks(frame.y):
        y = frame.down(tick.value)
        (grid if tick.major else fine).append(path([(frame.left, y), (frame.right, y)]))
        if tick.major:
            numbers.append(element("text", tick.text, x=frame.left - 7, y=y + 4, text_anchor="end"))
    middle, centre = (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2
    sides = [(frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom)]
    return joined([
        *(element("path", d="".join(fine), class_="chart-grid chart-fine") for _ in range(bool(fine))),
        element("path", d="".join(grid), class_="chart-grid"),
        element("path", d=path(sides), class_="chart-axis"),
        element("g", *numbers, class_="chart-tick"),
        element("text", _label(frame.x_axis), class_="chart-label", x=middle, y=frame.bottom + 39,
                text_anchor="middle"),
        element("text", _label(frame.y_axis), class_="chart-label", x=0.0, y=0.0, text_anchor="middle",
                transform=f"translate(15 {centre:.1f}) rotate(-90)"),
    ])  # fmt: skip


def _label(axis: Axis) -> str:
    return axis.label if axis.better == "none" else f"{axis.label} ({axis.better} is better)"


def _legend(entries: Sequence[tuple[Look, str]], across: float) -> tuple[Markup, int]:
    """The legend, and of how many lines it is."""
    found, x, row = [], LEFT, 0
    for look, name in entries:
        name = shortened(name, FONT, LONGEST)
        width = 16 + width_of(name, FONT)
        if x + width > across - RIGHT and x > LEFT:
            x, row = LEFT, row + 1
        y = ROW * row + 13
        found.append(
            element("g", look.marker(x + 5, y - 4, 4.5, class_="chart-mark"), element("text", name, x=x + 15, y=y),
                    class_=look.colour)
        )  # fmt: skip
        x += width + 14
    return element("g", *found, class_="chart-legend"), row + 1 if entries else 0
