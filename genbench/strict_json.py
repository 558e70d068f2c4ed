"""JSON of records and of what is beside them, read under caps of size, depth and number."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from genbench.errors import RecordError, clean

MAX_RECORD_BYTES = 4 << 20
MAX_DEPTH = 64
"""Of a record's JSON: lists and objects inside one another."""
MAX_VALUES = 100_000
MAX_DIGITS = 64
"""Characters of a number, of which Python writes 24 at most for a float."""
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def strict_json(text: str | bytes) -> Any:
    """The document in a JSON text from anyone: no NaN, no infinity, at most ``MAX_DEPTH`` deep.

    Raises:
        RecordError: if it is larger than ``MAX_RECORD_BYTES``, no JSON in UTF-8, deeper, of more than ``MAX_VALUES``
            values, or holds a number of more than ``MAX_DIGITS`` characters.
    """
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(content) > MAX_RECORD_BYTES:
        raise RecordError(f"larger than {MAX_RECORD_BYTES} bytes, which no record is")
    _check_extent(content)
    try:
        return json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_short
        )
    except (ValueError, RecursionError) as error:
        raise RecordError(clean(f"not JSON: {error}")) from None


def _check_extent(content: bytes) -> None:
    """Refuse JSON that a parser would recurse into deeply or that is made of very many values, before one sees it."""
    without_strings = STRING.sub(b"", content)
    if without_strings.count(b",") >= MAX_VALUES:
        raise RecordError(f"has more than {MAX_VALUES} values, which no record has")
    depth = 0
    for bracket in without_strings.translate(None, delete=NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
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
