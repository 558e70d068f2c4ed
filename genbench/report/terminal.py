"""The leaderboard in a terminal, as wide as it is. All text of records is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genbench.columns import FIRST, Column
from genbench.leaderboard import Leaderboard
from genbench.report import legend
from genbench.report.console import plain
from genbench.report.numbers import ARROWS, COST_TITLES, Number, cost, decimals_of, score

MODEL_WIDTHS = {"beside": 36, "below": 18, "none": 18}
"""Longer names are folded; by where the intervals stand."""


FEWEST = 4
"""As many columns of scores are worth more than their intervals."""


MOST_AT_FIRST = 7
"""Columns of scores where there is no room for all."""


@dataclass(frozen=True)
class Layout:
    """One way to fit a table, or a part of it: its columns of scores, where intervals go, keys of its cost columns."""

    columns: tuple[Column, ...]
    intervals: Literal["beside", "below", "none"]
    costs: tuple[str, ...]


def print_leaderboard(board: Leaderboard, console: Console, wanted: str | None = None) -> None:
    """Print the table and the lines that explain it.

    All columns are shown where they fit, with what costs do; else the scores that are read first, of
    :data:`genbench.columns.FIRST`. Where these are too wide, cost columns go first, the last one before the others;
    then intervals move below their means, then columns of scores go down to ``FEWEST``, then the intervals, then more
    columns, the least wanted first. What is left out is said.

    Args:
        wanted: keys of the columns to show, as :func:`genbench.columns.choose` reads them. All of them are shown,
            whatever the width: where they do not fit beside each other, below each other.

    Raises:
        SpecError: if one of them is unknown.
    """
    view = board if wanted is None else board.view(wanted)
    layouts = [_fitting(view, console)] if wanted is None else _stacked(view, console)
    shown = replace(view, columns=tuple(column for layout in layouts for column in layout.columns))
    console.print(plain(legend.title(board), "bold"))
    for index, layout in enumerate(layouts):
        console.print(*[""] * (index > 0), _table(view, layout), sep="\n")
    for line in legend.problems(board):
        console.print(plain(line, "red"))
    for line in [*legend.explanations(shown, board), *_left_away(view, layouts), *legend.omissions(board)]:
        console.print(plain(line, "dim"))


def _fitting(view: Leaderboard, console: Console) -> Layout:
    """The first layout that is no wider than the terminal, or the narrowest."""
    for layout in _layouts(view):
        if _fits(view, layout, console):
            break
    return layout


def _fits(view: Leaderboard, layout: Layout, console: Console) -> bool:
    unbounded = console.options.update(width=10_000)
    return console.measure(_table(view, layout), options=unbounded).maximum <= console.width


def _layouts(view: Leaderboard) -> Iterator[Layout]:
    every = tuple(column for column in view.columns if not _is_empty(view, column))
    costs = [view.costs[:count] for count in range(len(view.costs), -1, -1)]
    count = min(len(every), MOST_AT_FIRST)
    if count < len(every):
        yield Layout(every, "beside", view.costs)
        yield from (Layout(every, "below", fewer) for fewer in costs)
    for intervals in ("beside", "below"):
        yield from (Layout(_first(every, count), intervals, fewer) for fewer in costs)
    yield from (Layout(_first(every, fewer), "below", ()) for fewer in range(count - 1, FEWEST - 1, -1))
    yield from (Layout(_first(every, fewer), "none", ()) for fewer in range(count, 0, -1))


def _stacked(view: Leaderboard, console: Console) -> list[Layout]:
    """All columns, in as few blocks below each other as the width allows; at least one column in each."""
    for intervals in ("beside", "below"):
        whole = Layout(view.columns, intervals, view.costs)
        if _fits(view, whole, console):
            return [whole]
    parts: list[Column | str] = [*view.columns, *view.costs]
    blocks: list[Layout] = []
    start = 0
    while start < len(parts):
        end = len(parts)
        while end > start + 1 and not _fits(view, _block(parts[start:end], "below"), console):
            end -= 1
        block = _block(parts[start:end], "below")
        # A single column may be too wide with its intervals.
        blocks.append(block if _fits(view, block, console) else _block(parts[start:end], "none"))
        start = end
    return blocks


def _block(parts: Sequence[Column | str], intervals: Literal["below", "none"]) -> Layout:
    columns = tuple(part for part in parts if isinstance(part, Column))
    return Layout(columns, intervals, tuple(part for part in parts if isinstance(part, str)))


def _first(columns: tuple[Column, ...], count: int) -> tuple[Column, ...]:
    """The ``count`` columns that are read first, in the order of the table."""
    keys = [column.key for column in columns]
    order = [key for key in FIRST if key in keys] + [key for key in keys if key not in FIRST]
    return tuple(column for column in columns if column.key in order[:count])


def _is_empty(view: Leaderboard, column: Column) -> bool:
    return bool(view.rows) and not any(column.key in row.scores or column.key in row.withheld for row in view.rows)


def _table(view: Leaderboard, layout: Layout) -> Table:
    gap = 2 if layout.intervals == "beside" else 1
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, gap, 0, 0))
    table.add_column("Model", max_width=MODEL_WIDTHS[layout.intervals], overflow="fold")
    table.add_column("Seeds", justify="right", no_wrap=True)
    for column in layout.columns:
        table.add_column(_title(column, layout), justify="right", no_wrap=True)
    for key in layout.costs:
        table.add_column(Text(COST_TITLES[key].replace(" ", "\n", 1)), justify="right", no_wrap=True)
    decimals = decimals_of(view)
    cells = {
        column.key: _scores([score(row, column, decimals[column.key]) for row in view.rows], layout)
        for column in layout.columns
    }
    for index, row in enumerate(view.rows):
        style = "" if row.complete and not row.anchor else "dim"
        seeds = Text(f"{row.ok}/{row.seeds}", style="" if row.complete else "red")
        scores = [cells[column.key][index] for column in layout.columns]
        model = plain(legend.named(row) + legend.marks(row))
        table.add_row(model, seeds, *scores, *(cost(row.costs[key]) for key in layout.costs), style=style)
    return table


def _title(column: Column, layout: Layout) -> Text:
    """The title, a suffix below it; where room is scarce, in lines as short as its words."""
    arrow = ARROWS[column.better]
    name, bracket, suffix = column.title.partition(" [")
    name, parenthesis, remark = name.partition(" (")
    lines = [f"{name} {arrow}".rstrip()] if layout.intervals == "beside" or len(name) < 6 else [name, arrow]
    below = f"[{suffix}" * bool(bracket) + f"({remark}" * bool(parenthesis)
    if layout.intervals == "beside" or not bracket:
        return plain("\n".join([*lines, below] if below else lines))
    lines.append("")
    for part in below.split("-"):
        if lines[-1] and len(lines[-1]) + len(part) > 10:
            lines.append("")
        lines[-1] += f"{part}-"
    return plain("\n".join(lines).removesuffix("-"))


def _scores(numbers: list[Number], layout: Layout) -> list[Text]:
    """The cells of a column, with means below each other: what has no rank is filled up with as many spaces."""
    behind = [f"{number.warning} {number.place}".rstrip() for number in numbers]
    width = max(map(len, behind), default=0)
    cells = []
    for number, text in zip(numbers, behind, strict=True):
        cell = Text(f"{number.mark}{number.mean}", style="bold" if number.rank == 1 else "")
        cell.append(text.ljust(width))
        if layout.intervals != "none" and number.interval:
            beside = layout.intervals == "beside"
            tight = number.interval.replace(", ", ",").replace("± ", "±")
            cell.append(f" {number.interval}" if beside else f"\n{tight}", style="not bold dim")
        cells.append(cell)
    return cells


def _left_away(view: Leaderboard, layouts: Sequence[Layout]) -> list[str]:
    shown = [column for layout in layouts for column in layout.columns]
    costs = [key for layout in layouts for key in layout.costs]
    names = [column.title for column in view.columns if column not in shown and not _is_empty(view, column)]
    names += ["the intervals"] * any(layout.intervals == "none" for layout in layouts)
    names += [COST_TITLES[key] for key in view.costs if key not in costs]
    if not names:
        return []
    # Where columns were named, all of them are shown, and only intervals can be missing.
    advice = "--columns all shows every column; all" if len(names) > 1 or names != ["the intervals"] else "All"
    return [f"Not shown for want of width: {', '.join(names)}. {advice} is in --format csv, md and json."]
