"""What every command prints with. Text of records and plugins is printed as text, never as markup."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genbench.report.printable import printable


def table_of(rows: list[list[str]], header: list[str] | None, styles: list[str] | None = None) -> Table:
    """A plain table of text, without a header where there is none; the last column wraps."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=header is not None)
    width = len(header or rows[0])
    for index in range(width):
        last = index == width - 1
        table.add_column(escape(header[index]) if header else "", overflow="fold", no_wrap=not last)
    for index, row in enumerate(rows):
        table.add_row(*map(plain, row), style=styles[index] if styles else "")
    return table


def plain(text: str, style: str = "") -> Text:
    """``text`` as it is, line by line, without characters that a terminal would obey."""
    return Text("\n".join(map(printable, text.splitlines())), style=style)


def console() -> Console:
    """The console on stdout: no markup read from text, no colours where NO_COLOR is set or stdout is no terminal."""
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
