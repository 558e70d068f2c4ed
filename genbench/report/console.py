"""What every command prints with. Text of records and plugins is printed as text, never as markup."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from genbench.report.printable import printable, printable_lines

LEAST_LAST = 24
"""Characters that the last column needs to stand beside the others, if it has as many."""
GAP = 2
"""Spaces between columns."""
INDENT = 4
"""Spaces before the last cell of a row that stands below the others."""


def print_table(
    console: Console, rows: list[list[str]], header: list[str] | None, styles: list[str] | None = None
) -> None:
    """Print a plain table of text, without a header where there is none, in whose last column prose may stand.

    Names are not broken: only cells of the last column are, between words, and where little room is left beside the
    others, they stand below them. In a terminal that is too narrow for the others, all cells are folded.
    """
    styles = styles or [""] * len(rows)
    *widths, last = _widths(rows, header)
    room = console.width - sum(width + GAP for width in widths)
    if room >= min(last, LEAST_LAST) or not widths:
        console.print(_wrapping([*widths, None], rows, header, styles))
        return
    if room + GAP < 0:
        console.print(_wrapping([None] * (len(widths) + 1), rows, header, styles))
        return
    if header:
        console.print(_wrapping(widths, [], header[:-1], []))
        console.print(Padding(Text(printable_lines(header[-1]), style="bold"), (0, 0, 0, INDENT)))
    for row, style in zip(rows, styles, strict=True):
        console.print(_wrapping(widths, [row[:-1]], None, [style]))
        console.print(Padding(plain(row[-1], style), (0, 0, 0, INDENT)))


def _widths(rows: list[list[str]], header: list[str] | None) -> list[int]:
    """Of each column, the characters of its longest line."""
    cells = [[plain(cell).plain for cell in row] for row in [*([header] if header else []), *rows]]
    return [max(cell_len(line) for cell in column for line in cell.split("\n")) for column in zip(*cells, strict=True)]


def _wrapping(
    widths: Sequence[int | None], rows: list[list[str]], header: list[str] | None, styles: Sequence[str]
) -> Table:
    """A table whose columns have these widths, or share what is left where they have none."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0), show_header=header is not None)
    for index, width in enumerate(widths):
        title = escape(printable_lines(header[index])) if header else ""
        table.add_column(title, overflow="fold", no_wrap=width is not None, width=width)
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*map(plain, row), style=style)
    return table


def print_fitted(console: Console, rows: list[list[str]], header: list[str], first_to_go: Sequence[str] = ()) -> None:
    """Print a table with every cell whole on a line of its own: where it is too wide, columns go, and it is said which.

    Args:
        first_to_go: titles of the columns that may be dropped, in that order. In a terminal too narrow even then, cells
            are folded, never cut.
    """
    dropped: list[str] = []
    while not _fits(console, rows, header) and len(dropped) < len(first_to_go):
        index = header.index(first_to_go[len(dropped)])
        dropped.append(header[index])
        header = header[:index] + header[index + 1 :]
        rows = [row[:index] + row[index + 1 :] for row in rows]
    console.print(_whole(rows, header, no_wrap=_fits(console, rows, header)))
    if dropped:
        names = ", ".join(" ".join(title.split()) for title in dropped)
        console.print(plain(f"Not shown for want of width: {names}. All is in --json.", "dim"))


def print_stacked(console: Console, rows: list[list[str]], header: list[str]) -> None:
    """Print a table with as many of its columns beside each other as fit, the others below with the first repeated."""
    start = 1
    while start < len(header):
        end = len(header)
        while end > start + 1 and not _fits(console, *_part(rows, header, start, end)):
            end -= 1
        part = _part(rows, header, start, end)
        console.print(_whole(*part, no_wrap=_fits(console, *part)))
        start = end


def _part(rows: list[list[str]], header: list[str], start: int, end: int) -> tuple[list[list[str]], list[str]]:
    return [row[:1] + row[start:end] for row in rows], header[:1] + header[start:end]


def _fits(console: Console, rows: list[list[str]], header: list[str]) -> bool:
    unbounded = console.options.update(width=10_000)
    return console.measure(_whole(rows, header, no_wrap=True), options=unbounded).maximum <= console.width


def _whole(rows: list[list[str]], header: list[str], no_wrap: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in header:
        table.add_column(escape(printable_lines(title)), overflow="fold", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*map(plain, row))
    return table


def plain(text: str, style: str = "") -> Text:
    """``text`` as it is, line by line, without characters that a terminal would obey."""
    return Text("\n".join(map(printable, text.splitlines())), style=style)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has gone is an error as others are; rich would end the process with 1: a run is not ok."""
        raise BrokenPipeError(errno.EPIPE, "the reader of the output has gone")


def console() -> Console:
    """The console on stdout: no markup read from text, no colours where NO_COLOR is set or stdout is no terminal."""
    return _Console(markup=False, highlight=False, emoji=False, soft_wrap=False)


def printed(print_to: Callable[[Console], None], width: int = 120) -> str:
    """What a function prints, as plain text ``width`` characters wide: for ``str()`` of what has a table."""
    stream = io.StringIO()
    print_to(Console(file=stream, width=width, color_system=None, markup=False, highlight=False, emoji=False))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
