"""IDX, the file format of MNIST and its relatives: one array of bytes behind a header of its sizes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.engine.data import Examples
from genbench.errors import DataError

UNSIGNED_BYTE = 0x08
MAX_BYTES = 1 << 30
"""Of an array; those of MNIST and its relatives have 47 million."""
IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"
PREFIXES = {"train": "train", "test": "t10k"}


def load(files: Mapping[str, Path]) -> dict[str, Examples]:
    """The four files of MNIST or of a data set in its form as uint8 ``[N, 1, H, W]`` and int64 ``[N]`` a split.

    Args:
        files: paths by the names that MNIST's files have, which others have taken over.

    Raises:
        DataError: if one is no gzipped IDX file of unsigned bytes.
    """
    return {
        split: (
            read(files[f"{prefix}-{IMAGES}"], axes=3)[:, None],  # [N, H, W] -> [N, 1, H, W]
            read(files[f"{prefix}-{LABELS}"], axes=1).astype(np.int64),
        )
        for split, prefix in PREFIXES.items()
    }


def read(path: Path, axes: int) -> NDArray[np.uint8]:
    """A gzipped IDX file of unsigned bytes: 0, 0, type, number of axes, their sizes as big-endian uint32, the values.

    No more is unpacked than the header promises, so that a small file cannot fill the memory unannounced.

    Raises:
        DataError: naming the file and what of it is wrong.
    """
    try:
        with gzip.open(path, "rb") as stream:
            start = stream.read(4 + 4 * axes)
            if len(start) < 4 + 4 * axes or start[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]):
                raise DataError(
                    f"{path}: is no IDX file of unsigned bytes with {axes} axes: it starts {start[:4].hex()}"
                )
            shape = struct.unpack(f">{axes}I", start[4:])
            wanted = math.prod(shape)
            if wanted > MAX_BYTES:
                raise DataError(f"{path}: its header promises {wanted} bytes, and at most {MAX_BYTES} are read")
            values = stream.read(wanted + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as a gzipped IDX file: {error}") from None
    if len(values) != wanted:
        more = "more" if len(values) > wanted else f"{len(values)}"
        raise DataError(f"{path}: its header promises {wanted} bytes for shape {shape}, and it holds {more}")
    return np.frombuffer(values, np.uint8).reshape(shape)
