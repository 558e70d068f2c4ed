"""One-off work that commands ask of the engine; each function takes and returns plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from genbench.engine import data
from genbench.specs import DatasetSpec


def materialise(dataset: dict[str, Any], cache: str) -> str:
    """Load a data set, check it against its declaration, and return the folder of its splits in the cache."""
    spec = TypeAdapter(DatasetSpec).validate_python(dataset)
    return str(data.materialise(spec, Path(cache)))
