"""Nothing but a record or a refusal comes out of the parser of records, whatever goes in, and it comes soon."""

from __future__ import annotations

import json
import time
from typing import Any

import factories
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.errors import RecordError
from genbench.record import Record, _adapter, _of_today, parse
from genbench.stable import stable
from genbench.strict_json import MAX_DEPTH, MAX_DIGITS, MAX_RECORD_BYTES, strict_json

GOOD = json.loads(factories.record().to_json())
NUMBERS = st.integers() | st.floats() | st.integers(-(10**400), 10**400)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text(max_size=20)
    | st.sampled_from(["ok", "nan", "../..", "<b>", "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FRAGMENTS = st.lists(
    st.sampled_from(
        ['"', "\\", "\\u", "d800", "{", "}", "[", "]", ":", ",", "1", "-", "e999", ".", "NaN", "Infinity", "true",
         "null", '"schema":', "2", "\x00", "\n", "\ufeff", "é", "\ud800", '{"schema": 2}', "[" * 70, "9" * 70]
    ),
    max_size=40,
).map("".join)  # fmt: skip


def read(text: str | bytes) -> Record | None:
    """The record, or None for one that is refused; any other exception is a fault."""
    refusal, record = "", None
    try:
        record = parse(text)
    except RecordError as error:
        refusal = str(error)
    if record is None:
        assert 0 < len(refusal) < 1000
        return None
    # What is accepted can be used: written, read and compared.
    assert parse(record.to_json()) == record
    stable(record)
    return record


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value of a document."""
    entries = document.items() if isinstance(document, dict) else enumerate(document)
    found: list[tuple[Any, ...]] = []
    for key, value in entries:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def changed(path: tuple[Any, ...], value: Any) -> Any:
    document = json.loads(json.dumps(GOOD))
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return document


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    assert read(content) is None


@given(FRAGMENTS)
def test_fragments_of_json_are_refused(text: str) -> None:
    assert read(text) is None
    read(text.encode("utf-8", "surrogatepass"))


@given(JSON)
def test_arbitrary_json_is_refused(document: Any) -> None:
    assert read(json.dumps(document)) is None


@settings(max_examples=200)
@given(st.sampled_from(places(GOOD)), JSON)
def test_a_record_with_any_value_anywhere_is_a_record_or_refused(path: tuple[Any, ...], value: Any) -> None:
    read(json.dumps(changed(path, value)))


@given(st.data())
def test_a_record_with_flipped_or_missing_bytes_is_a_record_or_refused(data: st.DataObject) -> None:
    content = bytearray(json.dumps(GOOD).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del content[at : at + data.draw(st.integers(1, 50))]
    read(bytes(content))


NUMBER = r"-?(0|[1-9][0-9]{0,80})(\.[0-9]{1,80})?([eE][+-]?[0-9]{1,4})?"


@settings(max_examples=200)
@given(
    st.from_regex(NUMBER, fullmatch=True) | st.sampled_from(["NaN", "-Infinity", "Infinity", "1E999", "-0", "1e400"])
)
def test_a_number_is_read_or_refused_alike_whichever_parser_reads_it(number: str) -> None:
    def refused(name: str) -> float:
        raise ValueError(name)

    try:
        expected = json.loads(number, parse_constant=refused)
    except ValueError:
        expected = None
    if expected is None or len(number) > MAX_DIGITS or abs(expected) == float("inf"):
        with pytest.raises(RecordError):
            strict_json(f'{{"a": ["e000 NaN", {number}]}}')
    else:
        found = strict_json(f'{{"a": ["e000 NaN", {number}]}}')["a"][1]
        assert (found, type(found)) == (expected, type(expected))


@given(st.data())
def test_what_is_read_at_once_is_what_a_second_reading_of_it_says(data: st.DataObject) -> None:
    text = factories.record().to_json()
    start = data.draw(st.integers(0, len(text)))
    piece = data.draw(
        st.sampled_from(["", '"seed": 7, ', '"schema": 2, ', "1e9, ", "\\", '\\"', '"', "é", "0", "{}", "-1"])
    )
    content = (text[:start] + piece + text[start + data.draw(st.integers(0, 3)) :]).encode()
    try:
        record = _of_today(content)
    except RecordError:
        return
    if record is not None:
        assert record == _adapter().validate_json(json.dumps(json.loads(content)))
    assert _of_today(text.encode()) == parse(text)


@given(
    st.integers(1, 2 * MAX_DEPTH), st.sampled_from(["list", "object", "both"]), st.text(alphabet='[]{}"\\', max_size=9)
)
def test_json_is_refused_from_the_depth_on_that_is_promised(depth: int, kind: str, text: str) -> None:
    document: Any = text
    for level in range(depth):
        as_list = kind == "list" or (kind == "both" and level % 2 == 0)
        document = [document] if as_list else {text: document}
    written = json.dumps(document)
    if depth <= MAX_DEPTH:
        assert strict_json(written) == document
    else:
        with pytest.raises(RecordError, match="deep"):
            strict_json(written)


@given(st.integers(1, 3 * MAX_DIGITS), st.sampled_from(["1", "-1", "0.1", "1e+"]))
def test_a_number_is_refused_from_the_length_on_that_is_promised(digits: int, start: str) -> None:
    number = start + "0" * digits
    if len(number) <= MAX_DIGITS:
        assert strict_json(f"[{number}]") == [json.loads(number)]
    else:
        with pytest.raises(RecordError, match="are the most"):
            strict_json(f"[{number}]")


FULL = MAX_RECORD_BYTES // 2
BOMBS = {
    "open lists": b"[" * MAX_RECORD_BYTES,
    "closed lists": b"[" * FULL + b"]" * FULL,
    "lists and objects": b"[{" * (FULL // 2) + b"}]" * (FULL // 2),
    "many small lists": b"[" + b"[]," * (MAX_RECORD_BYTES // 3 - 2) + b"1]",
    "one long number": b"[" + b"7" * (MAX_RECORD_BYTES - 2) + b"]",
    "one long fraction": b"[0." + b"7" * (MAX_RECORD_BYTES - 4) + b"]",
    "quotes": b'"' * MAX_RECORD_BYTES,
    "escapes": b'"' + b"\\" * (MAX_RECORD_BYTES - 1),
    "escaped quotes": b'\\"' * FULL,
    "one long string": b'["' + b"a" * (MAX_RECORD_BYTES - 4) + b'"]',
    "one long key": b'{"schema": 2, "' + b"a" * (MAX_RECORD_BYTES - 20) + b'":1}',
    "spaces": b" " * MAX_RECORD_BYTES,
    "many keys": b'{"schema": 2' + b"".join(b',"%07d":1' % key for key in range(MAX_RECORD_BYTES // 12 - 2)) + b"}",
    "too large": b" " * (MAX_RECORD_BYTES + 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_the_largest_file_that_is_read_is_refused_within_seconds(kind: str) -> None:
    started = time.process_time()
    assert read(BOMBS[kind]) is None
    assert time.process_time() - started < 5
