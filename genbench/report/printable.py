"""Text of records and plugins, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` on one line, without characters that a terminal would obey: records come from elsewhere too."""
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
