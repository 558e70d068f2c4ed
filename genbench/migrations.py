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
        attempts = [
            {**attempt, "token": "", "resumed_at": None} if isinstance(attempt, dict) else attempt
            for attempt in attempts
        ]
    return {**raw, "schema": 2, "attempts": attempts, "warnings": []}


STEPS: dict[int, Callable[[Raw], Raw]] = {1: from_1}
"""Schema to what makes its records those of the next one."""


def forward(raw: Raw, schema: int, wanted: int) -> Raw:
    """A record of an older schema as one of ``wanted``. What is wrong with it stays wrong, for the parser to say.

    Raises:
        KeyError: for a schema that never was.
    """
    while schema < wanted:
        raw = STEPS[schema](raw)
        schema += 1
    return raw
