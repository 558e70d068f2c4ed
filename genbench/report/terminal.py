"""The leaderboard in a terminal, as wide as it is. All text of records is printed as text, never as markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genbench.leaderboard import Column, Leaderboard, Row
from genbench.report import legend
from genbench.report.console import plain
from genbench.report.numbers import ARROWS, COST_TITLES, cost, decimals_of, score

MODEL_WIDTHS = {"beside": 36, "below": 18, "none": 18}
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
    console.print(plain(legend.title(board), "bold"))
    console.print(table)
    for line in legend.problems(board):
        console.print(plain(line, "red"))
    for line in [*legend.explanations(board), *_left_away(board, layout), *legend.omissions(board)]:
        console.print(plain(line, "dim"))


def _layouts(scores: int) -> Iterator[Layout]:
    for intervals in ("beside", "below"):
        for costs in range(len(COST_TITLES), -1, -1):
            yield Layout(intervals, costs, scores)
    for shown in range(scores, 0, -1):
        yield Layout("none", 0, shown)


def _table(board: Leaderboard, layout: Layout) -> Table:
    gap = 2 if layout.intervals == "beside" else 1
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, gap, 0, 0))
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
        table.add_row(plain(row.model + " †" * row.anchor), seeds, *cells, *costs, style=style)
    return table


def _title(column: Column, layout: Layout) -> Text:
    """The title, a suffix below it; where room is scarce, in lines as short as its words."""
    arrow = ARROWS[column.direction]
    name, bracket, suffix = column.title.partition(" [")
    name, parenthesis, remark = name.partition(" (")
    lines = [f"{name} {arrow}".rstrip()] if layout.intervals == "beside" or len(name) < 6 else [name, arrow]
    below = f"[{suffix}" * bool(bracket) + f"({remark}" * bool(parenthesis)
    if layout.intervals == "beside" or not bracket:
        return Text("\n".join([*lines, below] if below else lines))
    lines.append("")
    for part in below.split("-"):
        if lines[-1] and len(lines[-1]) + len(part) > 10:
            lines.append("")
        lines[-1] += f"{part}-"
    return Text("\n".join(lines).removesuffix("-"))


def _score(row: Row, column: Column, decimals: int, layout: Layout) -> Text:
    number = score(row.scores.get(column.key), decimals)
    cell = Text(f"{number.mark}{number.mean}")
    if layout.intervals != "none" and number.interval:
        beside = layout.intervals == "beside"
        tight = number.interval.replace(", ", ",").replace("± ", "±")
        cell.append(f" {number.interval}" if beside else f"\n{tight}", style="dim")
    return cell


def _left_away(board: Leaderboard, layout: Layout) -> list[str]:
    names = [column.title for column in board.columns[layout.scores :]]
    names += ["the intervals"] * (layout.intervals == "none")
    names += list(COST_TITLES.values())[layout.costs :]
    if not names:
        return []
    return [f"Not shown for want of width: {', '.join(names)}. All is in --format csv, md and json."]
