"""Records that only a newer genbench can read: they are whole, and not to be treated as broken ones."""

from __future__ import annotations

from pathlib import Path

from genbench.errors import RecordError
from genbench.reading import read_file
from genbench.record import SCHEMA
from genbench.strict_json import MAX_RECORD_BYTES, strict_json


def newer_schema(path: Path) -> int | None:
    """The schema of the record in a file, where it is a later one than this genbench reads; else None."""
    try:
        raw = strict_json(read_file(path, MAX_RECORD_BYTES))
    except (RecordError, OSError):
        return None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    is_newer = isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA
    return schema if is_newer else None
