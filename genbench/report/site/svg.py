"""SVG in strings: elements whose attributes and texts are escaped, since names in charts come from records."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from genbench.report.printable import printable

WIDE = ("W", "F")
"""East Asian widths of characters that are about as wide as high."""
NARROW, BROAD = frozenset("iljtfrI.,:;'|!()[]-/ "), frozenset("mwMW@%")


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """``<name ...>children</name>``; what is not :class:`Markup` is escaped and made printable.

    Args:
        attributes: underscores stand for hyphens, and one at the end is dropped (``class_``); None leaves one out.
            Floats are written with one decimal, which is a tenth of a pixel.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"')
    if not children:
        return Markup("".join(parts) + "/>")
    return Markup(f"{''.join(parts)}>{joined(children)}</{name}>")


def joined(children: Iterable[str | Markup]) -> Markup:
    """Elements and texts behind one another."""
    return Markup("").join(child if isinstance(child, Markup) else printable(child) for child in children)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def width_of(text: str, size: float) -> float:
    """About how wide a text is in pixels, at a font size of so many; rather more, since typefaces differ."""
    return size * sum(map(_em, text))


def shortened(text: str, size: float, width: float) -> str:
    """A name cut to about so many pixels, at a font size of so many; the whole one belongs into a ``<title>``."""
    text = printable(text)
    if width_of(text, size) <= width:
        return text
    text = text[: int(width)]
    while text and width_of(text, size) > width - size:
        text = text[:-1]
    return text.rstrip() + "…"


def _em(character: str) -> float:
    """The width of a character in font sizes, of a wide sans-serif typeface (DejaVu Sans, Verdana)."""
    if character in NARROW:
        return 0.4
    if character in BROAD:
        return 0.97
    if character.isupper() or not character.isascii():
        return 1.05 if unicodedata.east_asian_width(character) in WIDE else 0.72
    return 0.63


def _value(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return str(escape(printable(str(value))))
