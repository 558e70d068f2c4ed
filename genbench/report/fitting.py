"""How a table fits a terminal: which columns it shows, and where their intervals go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from genbench.columns import Column, most_wanted
from genbench.leaderboard import Leaderboard

FEWEST = 4
"""As many columns of scores are worth more than their intervals."""

MOST_AT_FIRST = 7
"""Columns of scores where there is no room for all."""

Intervals = Literal["beside", "below", "none"]


@dataclass(frozen=True)
class Layout:
    """One way to fit a table, or a part of it: its columns of scores, where intervals go, keys of its cost columns."""

    columns: tuple[Column, ...]
    intervals: Intervals
    costs: tuple[str, ...]


Fits = Callable[[Layout], bool]


def fitting(view: Leaderboard, fits: Fits) -> Layout:
    """The first of the layouts that fits, or the narrowest.

    All columns with intervals beside them, then below them with what costs do; else the scores that
    :func:`genbench.columns.most_wanted` puts first. Where these are too wide, cost columns go first, the last one
    before the others; then intervals move below their means, then columns of scores go down to ``FEWEST``, then the
    intervals, then more columns, the least wanted first.
    """
    for layout in _layouts(view):
        if fits(layout):
            break
    return layout


def stacked(view: Leaderboard, fits: Fits) -> list[Layout]:
    """All columns, in as few blocks below each other as the width allows; at least one column in each."""
    ways: tuple[Intervals, ...] = ("beside", "below")
    for intervals in ways:
        whole = Layout(view.columns, intervals, view.costs)
        if fits(whole):
            return [whole]
    parts: list[Column | str] = [*view.columns, *view.costs]
    blocks: list[Layout] = []
    start = 0
    while start < len(parts):
        end = len(parts)
        while end > start + 1 and not fits(_block(parts[start:end], "below")):
            end -= 1
        block = _block(parts[start:end], "below")
        # A single column may be too wide with its intervals.
        blocks.append(block if fits(block) else _block(parts[start:end], "none"))
        start = end
    return blocks


def is_empty(view: Leaderboard, column: Column) -> bool:
    """Whether no row has anything in a column."""
    return bool(view.rows) and not any(column.key in row.scores or column.key in row.withheld for row in view.rows)


def _layouts(view: Leaderboard) -> Iterator[Layout]:
    every = tuple(column for column in view.columns if not is_empty(view, column))
    costs = [view.costs[:count] for count in range(len(view.costs), -1, -1)]
    count = min(len(every), MOST_AT_FIRST)
    if count < len(every):
        yield Layout(every, "beside", view.costs)
        yield from (Layout(every, "below", fewer) for fewer in costs)
    ways: tuple[Intervals, ...] = ("beside", "below")
    for intervals in ways:
        yield from (Layout(_first(every, count), intervals, fewer) for fewer in costs)
    yield from (Layout(_first(every, fewer), "below", ()) for fewer in range(count - 1, FEWEST - 1, -1))
    yield from (Layout(_first(every, fewer), "none", ()) for fewer in range(count, 0, -1))


def _block(parts: Sequence[Column | str], intervals: Intervals) -> Layout:
    columns = tuple(part for part in parts if isinstance(part, Column))
    return Layout(columns, intervals, tuple(part for part in parts if isinstance(part, str)))


def _first(columns: tuple[Column, ...], count: int) -> tuple[Column, ...]:
    """The ``count`` columns that are read first, in the order of the table."""
    first = most_wanted(columns)[:count]
    return tuple(column for column in columns if column in first)
