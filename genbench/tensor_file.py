"""The header of a safetensors file, held to the format before any library allocates what it claims.

The format, from its documentation: eight bytes with the header's length, little-endian; the header, JSON that gives
each tensor's ``dtype``, ``shape`` and ``data_offsets`` in the bytes that follow, beside ``__metadata__``, strings by
name. The tensors fill those bytes without gap or overlap.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.foreign_files import open_regular

MAX_HEADER = 4 << 20
"""Bytes of a header: some 40,000 tensors."""
MAX_DIMENSIONS = 16
MAX_SIZE = 1 << 48
"""Of one dimension."""

SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
"""Bytes of one number, by the format's name of its type."""

METADATA = "__metadata__"


@dataclass(frozen=True)
class Layout:
    """What a safetensors file says that it holds: each tensor's type and shape, and the metadata."""

    tensors: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[str, str]


def read_layout(path: Path, most: int, follow: bool = True) -> Layout:
    """The header of a safetensors file of at most ``most`` bytes; the tensors themselves are not read.

    Args:
        follow: whether a link is followed.

    Raises:
        OSError: if it cannot be read or is larger.
        ValueError: saying how it departs from the format.
    """
    with open_regular(path, most, follow) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        prefix = stream.read(8)
        if len(prefix) < 8:
            raise ValueError(f"has {len(prefix)} bytes, too few for a safetensors file")
        length: int = struct.unpack("<Q", prefix)[0]
        if length > min(MAX_HEADER, size - 8):
            raise ValueError(
                f"claims a header of {length} bytes, in a file of {size} and with {MAX_HEADER} allowed; if it is a "
                "pickle (.pt, .ckpt), it is never opened: convert it to safetensors where it was made"
            )
        header = _parse(stream.read(length))
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{METADATA} must hold strings by name")
    _check_offsets(header, size - 8 - length)
    return Layout({name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}, metadata)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For :func:`json.loads`: an object none of whose names stands twice.

    Raises:
        ValueError: naming the one that does.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name[:80]!r} stands twice")
        found[name] = value
    return found


def refuse_constant(name: str) -> float:
    """For :func:`json.loads`: NaN and infinities are not JSON.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not JSON")


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"its header is not the JSON of a safetensors file: {error}") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _check_offsets(header: dict[str, Any], size: int) -> None:
    """Each tensor has the bytes that its shape needs, and all together are the file's, without gap or overlap."""
    ranges = []
    for name, entry in header.items():
        shown = repr(name[:80])
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"{shown} must have dtype, shape and data_offsets, and nothing else")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in SIZES:
            raise ValueError(f"{shown} has an unknown dtype, {ascii(dtype)[:40]}")
        if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS:
            raise ValueError(f"{shown} has an impossible shape")
        if not _are_sizes(offsets) or len(offsets) != 2:
            raise ValueError(f"{shown} has impossible data_offsets")
        if offsets[1] - offsets[0] != math.prod(shape) * SIZES[dtype]:
            raise ValueError(f"{shown} does not have as many bytes as its shape needs")
        ranges.append((offsets[0], offsets[1]))
    end = 0
    for first, last in sorted(ranges):
        if first != end:
            raise ValueError("its tensors overlap, or leave bytes between them")
        end = last
    if end != size:
        raise ValueError(f"its header accounts for {end} bytes, and {size} follow it; it was cut short or added to")


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < MAX_SIZE for value in values)
