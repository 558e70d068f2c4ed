"""The leaderboard in a terminal, as wide as it is. All text of records is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Span, Text

from genbench.columns import Column
from genbench.leaderboard import Leaderboard
from genbench.report import legend
from genbench.report.console import plain
from genbench.report.fitting import Intervals, Layout, fitting, is_empty, stacked
from genbench.report.numbers import ARROWS, COST_TITLES, Number, cost, decimals_of, score
from genbench.report.printable import printable
from genbench.rows import Row

MODEL_WIDTHS: dict[Intervals, int] = {"beside": 36, "below": 18, "none": 18}
"""Longer names are folded; by where the intervals stand."""

GAPS: dict[Intervals, int] = {"beside": 2, "below": 1, "none": 1}
"""Spaces between columns."""


def print_leaderboard(board: Leaderboard, console: Console, wanted: str | None = None) -> None:
    """Print the table and the lines that explain it; what is left out for want of width is said.

    Args:
        wanted: keys of the columns to show, as :func:`genbench.columns.choose` reads them. All of them are shown,
            whatever the width: where they do not fit beside each other, below each other.

    Raises:
        SpecError: if one of them is unknown.
    """
    view = board if wanted is None else board.view(wanted)
    cells = _Cells(view)

    def fits(layout: Layout) -> bool:
        return sum(cells.widths(layout)) + GAPS[layout.intervals] * (len(cells.columns(layout)) - 1) <= console.width

    layouts = [fitting(view, fits)] if wanted is None else stacked(view, fits)
    shown = replace(view, columns=tuple(column for layout in layouts for column in layout.columns))
    console.print(plain(legend.title(board), "bold"))
    for index, layout in enumerate(layouts):
        lines = [Text()] * (index > 0) + list(cells.lines(layout))
        console.print(Text("\n").join(lines), no_wrap=True, overflow="ignore", crop=False)
    console.print()
    for problem in legend.problems(board):
        console.print(plain(problem, "red"))
    for note in [*legend.explanations(shown, board), *_left_away(view, layouts), *legend.omissions(board)]:
        console.print(plain(note, "dim"))


@dataclass(frozen=True)
class _Column:
    """A column ready to print.

    Attributes:
        group: what stands above it and its neighbours of the same group.
        title: lines, from the top.
        cells: for each row, its lines and their style.
    """

    group: str
    title: list[str]
    cells: list[list[tuple[str, str]]]
    left: bool = False

    @property
    def width(self) -> int:
        texts = [text for cell in self.cells for text, _ in cell]
        return max(map(cell_len, [*texts, *self.title]), default=0)


class _Cells:
    """The columns of a view as text, made once for each way to write them: many layouts are tried."""

    def __init__(self, view: Leaderboard) -> None:
        self.view = view
        self._decimals = decimals_of(view)
        self._numbers: dict[str, list[Number]] = {}
        self._made: dict[tuple[str, Intervals], tuple[_Column, int]] = {}

    def columns(self, layout: Layout) -> list[_Column]:
        return [column for column, _ in self._measured(layout)]

    def widths(self, layout: Layout) -> list[int]:
        """Of the columns, wide enough for the names of the groups above them."""
        widths = [width for _, width in self._measured(layout)]
        for group, start, end in _spans(self.columns(layout)):
            room = sum(widths[start:end]) + GAPS[layout.intervals] * (end - start - 1)
            widths[end - 1] += max(0, len(group) - room)
        return widths

    def lines(self, layout: Layout) -> Iterator[Text]:
        """The table, line by line."""
        columns, widths, gap = self.columns(layout), self.widths(layout), " " * GAPS[layout.intervals]
        yield _group_line(columns, widths, gap)
        yield from _titles(columns, widths, gap)
        place = 0
        for section in self.view.sections():
            if section.title:
                yield Text()
                yield Text(section.title, style="bold")
            for row in section.rows:
                yield from _row_lines(columns, widths, gap, place, "" if row.complete and not row.anchor else "dim")
                place += 1

    def _measured(self, layout: Layout) -> list[tuple[_Column, int]]:
        keys = ["model", "seeds", *["verified"] * self.view.has_verified]
        keys += [column.key for column in layout.columns] + list(layout.costs)
        return [self._column(key, layout.intervals) for key in keys]

    def _column(self, key: str, intervals: Intervals) -> tuple[_Column, int]:
        if (key, intervals) not in self._made:
            column = self._make(key, intervals)
            self._made[key, intervals] = column, column.width
        return self._made[key, intervals]

    def _make(self, key: str, intervals: Intervals) -> _Column:
        rows = self.view.rows
        if key == "model":
            return _Column("", ["Model"], [_name(row, MODEL_WIDTHS[intervals]) for row in rows], left=True)
        if key == "seeds":
            return _Column("", ["Seeds"], [[(f"{row.ok}/{row.seeds}", "" if row.complete else "red")] for row in rows])
        if key == "verified":
            return _Column("", ["Verified"], [[(legend.level(row.verified), "")] for row in rows])
        if key in self.view.costs:
            title = COST_TITLES[key].split(" ", 1)
            return _Column("cost", title, [[(cost(row.costs[key]), "")] for row in rows])
        (column,) = [column for column in self.view.columns if column.key == key]
        if key not in self._numbers:
            self._numbers[key] = [score(row, column, self._decimals[key]) for row in rows]
        cells = _scores(self._numbers[key], intervals)
        width = max((cell_len(text) for cell in cells for text, _ in cell), default=0)
        return _Column(column.group, _title(column, intervals, width), cells)


def _name(row: Row, width: int) -> list[tuple[str, str]]:
    """A name that is too long is parted before its options, and then wherever the line ends."""
    text = legend.named(row) + legend.marks(row)
    name, bracket, options = text.partition("[")
    parts = [text] if cell_len(text) <= width or not bracket else [name, bracket + options]
    return [(line, "") for part in parts for line in chop_cells(part, width)]


def _title(column: Column, intervals: Intervals, width: int) -> list[str]:
    """The title, a suffix below it; where room is scarce, in lines as short as the cells or its words."""
    name, bracket, suffix = printable(column.title).partition(" [")
    name, parenthesis, remark = name.partition(" (")
    whole = f"{name} {ARROWS[column.better]}".rstrip()
    lines = [whole] if intervals == "beside" or cell_len(whole) <= max(width, 8) else [name, ARROWS[column.better]]
    below = f"[{suffix}" * bool(bracket) + f"({remark}" * bool(parenthesis)
    if intervals == "beside" or not bracket:
        return [*lines, *[below] * bool(below)]
    lines.append("")
    for part in below.split("-"):
        if lines[-1] and cell_len(lines[-1] + part) > max(width, 10):
            lines.append("")
        lines[-1] += f"{part}-"
    return [*lines[:-1], lines[-1].removesuffix("-")]


def _scores(numbers: list[Number], intervals: Intervals) -> list[list[tuple[str, str]]]:
    """The cells of a column, with means below each other: what has no rank is filled up with as many spaces."""
    behind = [f"{number.warning} {number.place}".rstrip() for number in numbers]
    room = max(map(len, behind), default=0)
    wide = max((len(number.interval) for number in numbers), default=0)
    cells = []
    for number, text in zip(numbers, behind, strict=True):
        mean = (f"{number.mark}{number.mean}{text.ljust(room)}", "bold" if number.rank == 1 else "")
        if intervals == "beside" and wide:
            cells.append([(f"{mean[0]} {number.interval.rjust(wide)}", mean[1])])
        elif intervals == "below" and number.interval:
            tight = number.interval.replace(", ", ",").replace("± ", "±")
            cells.append([mean, (tight, "dim")])
        else:
            cells.append([mean])
    return cells


def _spans(columns: Sequence[_Column]) -> Iterator[tuple[str, int, int]]:
    """Each group of neighbours with a name: where it begins and where it ends."""
    for group, members in groupby(range(len(columns)), key=lambda index: columns[index].group):
        indices = list(members)
        if group:
            yield group, indices[0], indices[-1] + 1


def _group_line(columns: Sequence[_Column], widths: Sequence[int], gap: str) -> Text:
    """The names of the groups, each with a line over its columns."""
    line = ""
    for group, start, end in _spans(columns):
        line = line.ljust(sum(widths[:start]) + len(gap) * start)
        span = sum(widths[start:end]) + len(gap) * (end - start - 1)
        line += group if span < len(group) + 2 else f"{group} " + "─" * (span - len(group) - 1)
    return Text(line.rstrip(), style="dim")


def _titles(columns: Sequence[_Column], widths: Sequence[int], gap: str) -> Iterator[Text]:
    height = max(len(column.title) for column in columns)
    for index in range(height):
        parts = []
        for column, width in zip(columns, widths, strict=True):
            place = index - (height - len(column.title))
            parts.append(_padded(column.title[place] if place >= 0 else "", width, column.left))
        yield Text(gap.join(parts).rstrip(), style="bold")


def _row_lines(columns: Sequence[_Column], widths: Sequence[int], gap: str, place: int, style: str) -> Iterator[Text]:
    cells = [column.cells[place] for column in columns]
    for index in range(max(map(len, cells))):
        line, spans = "", []
        for column, cell, width in zip(columns, cells, widths, strict=True):
            text, of = cell[index] if index < len(cell) else ("", "")
            padded = _padded(text, width, column.left)
            if of:
                spans.append(Span(len(line), len(line) + len(padded), of))
            line += padded + gap
        whole = Text(line, style=style, spans=spans)
        whole.rstrip()
        yield whole


def _padded(text: str, width: int, left: bool) -> str:
    spaces = " " * (width - cell_len(text))
    return text + spaces if left else spaces + text


def _left_away(view: Leaderboard, layouts: Sequence[Layout]) -> list[str]:
    shown = [column for layout in layouts for column in layout.columns]
    costs = [key for layout in layouts for key in layout.costs]
    names = [column.title for column in view.columns if column not in shown and not is_empty(view, column)]
    names += ["the intervals"] * any(layout.intervals == "none" for layout in layouts)
    names += [COST_TITLES[key] for key in view.costs if key not in costs]
    if not names:
        return []
    # Where columns were named, all of them are shown, and only intervals can be missing.
    advice = "--columns all shows every column; all" if len(names) > 1 or names != ["the intervals"] else "All"
    return [f"Not shown for want of width: {', '.join(names)}. {advice} is in --format csv, md and json."]
