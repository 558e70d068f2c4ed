"""Records of older schemas, brought forward step by step as they are read. What stands on disk is never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Raw = dict[str, Any]


def from_1(raw: Raw) -> Raw:
    """Schema 2 names each attempt, says where it went on from, and has warnings.

    An attempt of schema 1 has no token, and every one of them began anew.
    """
    attempts = raw.get("attempts")
    if isinstance(attempts, list):
        attempts = [_with(attempt, "attempts", token="", resumed_at=None) for attempt in attempts]
    return {**_with(raw, "record", warnings=[]), "schema": 2, "attempts": attempts}


def from_2(raw: Raw) -> Raw:
    """Schema 3 has divisions; every run before it was trained by genbench."""
    return {**_with(raw, "record", division="closed"), "schema": 3}


def _with(table: Any, where: str, **fields: Any) -> Any:
    """A table with the fields that the next schema has; what is no table stays what it is."""
    if not isinstance(table, dict):
        return table
    for name in fields:
        if name in table:
            raise ValueError(f"{where}: {name!r} is a field of a later schema than the record's")
    return {**table, **fields}


STEPS: dict[int, Callable[[Raw], Raw]] = {1: from_1, 2: from_2}
"""Schema to what makes its records those of the next one."""


def forward(raw: Raw, schema: int, wanted: int) -> Raw:
    """A record of an older schema as one of ``wanted``. What is wrong with it stays wrong, for the parser to say.

    Raises:
        KeyError: for a schema that never was.
        ValueError: for a field that came later than the schema that the record claims.
    """
    while schema < wanted:
        raw = STEPS[schema](raw)
        schema += 1
    return raw
