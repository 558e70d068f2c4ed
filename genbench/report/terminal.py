"""The leaderboard in a terminal, as wide as it is. All text of records is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genbench.leaderboard import Column, Leaderboard, Row
from genbench.report import legend
from genbench.report.numbers import ARROWS, COST_TITLES, cost, decimals_of, score

MODEL_WIDTHS = {"beside": 36, "below": 24, "none": 18}
"""Longer names are folded; by where the intervals stand."""


@dataclass(frozen=True)
class Layout:
    """One way to fit a table: where intervals go, how many cost and score columns there are."""

    intervals: Literal["beside", "below", "none"]
    costs: int
    scores: int


def print_leaderboard(board: Leaderboard, console: Console) -> None:
    """Print the table and the lines that explain it.

    Where the terminal is too narrow, cost columns go first, the last one before the others; then intervals move
    below their means, then are left out, then columns of scores are left out, the last ones first. What is left
    out is said.
    """
    unbounded = console.options.update(width=10_000)
    for layout in _layouts(len(board.columns)):
        table = _table(board, layout)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    console.print(Text(legend.title(board), style="bold"))
    console.print(table)
    for line in legend.problems(board):
        console.print(Text(line, style="red"))
    for line in [*legend.explanations(board), *_left_away(board, layout), *legend.omissions(board)]:
        console.print(Text(line, style="dim"))


def _layouts(scores: int) -> Iterator[Layout]:
    for intervals in ("beside", "below"):
        for costs in range(len(COST_TITLES), -1, -1):
            yield Layout(intervals, costs, scores)
    for shown in range(scores, 0, -1):
        yield Layout("none", 0, shown)


def _table(board: Leaderboard, layout: Layout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Model", max_width=MODEL_WIDTHS[layout.intervals], overflow="fold")
    table.add_column("Seeds", justify="right", no_wrap=True)
    columns = board.columns[: layout.scores]
    for column in columns:
        table.add_column(_title(column, layout), justify="right", no_wrap=True)
    for title in list(COST_TITLES.values())[: layout.costs]:
        table.add_column(Text(title.replace(" ", "\n", 1)), justify="right", no_wrap=True)
    decimals = decimals_of(board)
    for row in board.rows:
        cells = [_score(row, column, decimals[column.key], layout) for column in columns]
        costs = [cost(row.costs[key]) for key in list(COST_TITLES)[: layout.costs]]
        style = "" if row.complete and not row.anchor else "dim"
        seeds = Text(f"{row.ok}/{row.seeds}", style="" if row.complete else "red")
        table.add_row(Text(row.model + " †" * row.anchor), seeds, *cells, *costs, style=style)
    return table


def _title(column: Column, layout: Layout) -> Text:
    """The title, its suffix on lines of its own, broken at hyphens where room is scarce."""
    name, bracket, suffix = column.title.partition(" [")
    name = f"{name} {ARROWS[column.direction]}".rstrip()
    if not bracket:
        return Text(name.replace(" (", "\n(", 1))
    if layout.intervals == "beside":
        return Text(f"{name}\n[{suffix}")
    lines = [""]
    for part in f"[{suffix}".split("-"):
        if lines[-1] and len(lines[-1]) + len(part) > 10:
            lines.append("")
        lines[-1] += f"{part}-"
    return Text("\n".join([name, *lines]).removesuffix("-"))


def _score(row: Row, column: Column, decimals: int, layout: Layout) -> Text:
    number = score(row.scores.get(column.key), decimals)
    cell = Text(f"{number.mark}{number.mean}")
    if layout.intervals != "none" and number.interval:
        cell.append(" " if layout.intervals == "beside" else "\n")
        cell.append(number.interval, style="dim")
    return cell


def _left_away(board: Leaderboard, layout: Layout) -> list[str]:
    names = [column.title for column in board.columns[layout.scores :]]
    names += ["the intervals"] * (layout.intervals == "none")
    names += list(COST_TITLES.values())[layout.costs :]
    if not names:
        return []
    return [f"Not shown for want of width: {', '.join(names)}. All is in --format csv, md and json."]


def table_of(rows: list[list[str]], header: list[str] | None, styles: list[str] | None = None) -> Table:
    """A plain table of text, without a header where there is none; the last column wraps."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=header is not None)
    width = len(header or rows[0])
    for index in range(width):
        last = index == width - 1
        table.add_column(escape(header[index]) if header else "", overflow="fold", no_wrap=not last)
    for index, row in enumerate(rows):
        table.add_row(*map(Text, row), style=styles[index] if styles else "")
    return table


def console() -> Console:
    """The console on stdout: no markup read from text, no colours where NO_COLOR is set or stdout is no terminal."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
