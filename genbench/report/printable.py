"""Text of records, files and plugins, made safe to print: it comes from elsewhere too."""

from __future__ import annotations

import json
from typing import Any


def printable(text: str) -> str:
    """``text`` on one line, without characters that a terminal would obey or that turn the order of others round.

    What is no letter, mark, number, sign or space (Unicode's categories C and Z: control characters, overrides of the
    writing direction, surrogates, unassigned ones) becomes the replacement character.
    """
    return _visible(" ".join(text.split()))


def printable_lines(text: str) -> str:
    """The same line by line, spaces kept: for errors and reports of several lines."""
    return "\n".join(_visible(line.replace("\t", " ")) for line in text.split("\n"))


def one_line(text: str) -> str:
    """The same, all lines on one, spaces kept: for what is told as a run goes on."""
    return printable_lines(" ".join(text.splitlines()))


def _visible(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def json_text(document: Any) -> str:
    """``document`` as indented JSON that a terminal can show: whatever it would obey is written as ``\\uXXXX``.

    Raises:
        ValueError: for NaN and infinities, which are not JSON.
    """
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    if all(line.isprintable() for line in text.split("\n")):
        return text
    return "".join(character if character.isprintable() or character == "\n" else _escaped(character)
                   for character in text)  # fmt: skip


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"
