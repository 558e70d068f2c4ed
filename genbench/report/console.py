"""What every command prints with. Text of records and plugins is printed as text, never as markup."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genbench.report.printable import printable, printable_lines


def table_of(rows: list[list[str]], header: list[str] | None, styles: list[str] | None = None) -> Table:
    """A plain table of text, without a header where there is none; the first and the last column wrap."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=header is not None)
    width = len(header or rows[0])
    for index in range(width):
        foldable = index in (0, width - 1)
        table.add_column(
            escape(printable_lines(header[index])) if header else "", overflow="fold", no_wrap=not foldable
        )
    for index, row in enumerate(rows):
        table.add_row(*map(plain, row), style=styles[index] if styles else "")
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
