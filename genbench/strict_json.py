"""JSON of records and of what is beside them, read under caps of size, depth and number."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import Any

from genbench.errors import RecordError, clean

MAX_RECORD_BYTES = 4 << 20
MAX_DEPTH = 64
"""Of a record's JSON: lists and objects inside one another."""
MAX_VALUES = 100_000
MAX_DIGITS = 64
"""Characters of a number, of which Python writes 24 at most for a float."""
ESCAPED = re.compile(rb"\\.", re.DOTALL)
OUTLINE = bytes.maketrans(b"[]123456789E.", b"{}000000000e0")
"""Makes one of the kinds of bracket, of digits and of exponents."""
NO_OUTLINE = bytes(set(range(256)) - set(b'"[]{},0123456789eE.NI'))
NO_BRACKETS = bytes(set(range(256)) - set(b"{}"))
DOUBTFUL = (b"e000", b"0" * (MAX_DIGITS - 5), b"N", b"I")
"""In an outline: an exponent of three digits, which may be that of an infinite number; a number that may be too long
with its signs and an exponent of two; NaN and Infinity."""


def strict_json(text: str | bytes) -> Any:
    """The document in a JSON text from anyone: no NaN, no infinity, at most ``MAX_DEPTH`` deep.

    Raises:
        RecordError: if it is larger than ``MAX_RECORD_BYTES``, no JSON in UTF-8, deeper, of more than ``MAX_VALUES``
            values, or holds a number of more than ``MAX_DIGITS`` characters.
    """
    content = as_bytes(text)
    if check_extent(content):
        from pydantic_core import from_json  # twice as fast

        with suppress(ValueError):  # which is told below
            return from_json(content)
    try:
        return json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_short
        )
    except (ValueError, RecursionError) as error:
        raise RecordError(clean(f"not JSON: {error}")) from None


def as_bytes(text: str | bytes) -> bytes:
    """The bytes of a JSON text; what has no UTF-8 is refused later, when it is read."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def check_extent(content: bytes) -> bool:
    """Refuse JSON that a parser would recurse into deeply or that is made of very many values, before one sees it.

    It takes half the time of the fastest parser. What stands outside of strings is told by quotation marks
    alone; where a backslash stands outside of a string, every parser stops.

    Returns:
        Whether any parser of JSON may read it: there is no NaN, infinity or long number in it. If not, there may be.

    Raises:
        RecordError: if it is larger, deeper or of more values than allowed.
    """
    if len(content) > MAX_RECORD_BYTES:
        raise RecordError(f"larger than {MAX_RECORD_BYTES} bytes, which no record is")
    if b"\\" in content:
        content = ESCAPED.sub(b"", content)
    outline = b"".join(content.translate(OUTLINE, NO_OUTLINE).split(b'"')[::2])
    if outline.count(b",") >= MAX_VALUES:
        raise RecordError(f"has more than {MAX_VALUES} values, which no record has")
    _check_depth(outline.translate(None, NO_BRACKETS))
    return not any(sign in outline for sign in DOUBTFUL)


def _check_depth(brackets: bytes) -> None:
    """Refuse what is too deep or cut short, of a text of braces."""
    rest = brackets
    for _ in range(MAX_DEPTH):  # the innermost go, level by level
        rest, before = rest.replace(b"{}", b""), len(rest)
        if not rest:
            return
        if len(rest) == before:
            break
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket == ord("{") else -1
        if depth > MAX_DEPTH:
            raise RecordError(f"nested more than {MAX_DEPTH} deep, which no record is")
    if depth:
        raise RecordError("not JSON: its brackets do not match, as where a file was cut short")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """JSON has no infinity, but numbers as large as you like."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:20]}... is a number of {len(text)} characters; {MAX_DIGITS} are the most")
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is larger than any float")
    return value


def _short(text: str) -> int:
    """Reading a whole number takes the square of its digits."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:20]}... is a number of {len(text)} digits; {MAX_DIGITS} are the most")
    return int(text)
