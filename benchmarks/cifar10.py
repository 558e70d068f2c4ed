"""CIFAR-10 from its binary version, which holds plain bytes: nothing is unpickled, and nothing extracted to disk.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.engine.data import Examples
from genbench.errors import DataError

ARCHIVE = "cifar-10-binary.tar.gz"
FOLDER = "cifar-10-batches-bin"
BATCHES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
IMAGES = 10_000
"""Of a batch."""
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
"""Bytes of an example: its label, then its red, green and blue planes row by row."""


def load(files: Mapping[str, Path]) -> dict[str, Examples]:
    """The six batches in the archive as uint8 ``[N, 3, 32, 32]`` and int64 ``[N]`` a split, 50,000 and 10,000.

    Args:
        files: the path of ``cifar-10-binary.tar.gz`` by that name.

    Raises:
        DataError: if the archive lacks a batch, or one is not of the format.
    """
    return read(files[ARCHIVE], IMAGES)


def read(path: Path, images: int) -> dict[str, Examples]:
    """:func:`load` for batches of ``images`` examples each."""
    wanted = {f"{FOLDER}/{name}": name for names in BATCHES.values() for name in names}
    found: dict[str, NDArray[np.uint8]] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name in wanted:
                    found[wanted[member.name]] = _batch(archive, member, path, images)
                if len(found) == len(wanted):
                    break
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as the archive of CIFAR-10: {error}") from None
    missing = sorted(set(wanted.values()) - set(found))
    if missing:
        raise DataError(f"{path}: holds no {FOLDER}/{missing[0]}; is it {ARCHIVE}, the binary version?")
    return {split: _examples([found[name] for name in names]) for split, names in BATCHES.items()}


def _batch(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, images: int) -> NDArray[np.uint8]:
    """The records of a batch, ``[images, RECORD]``; no more is read than a batch holds."""
    if not member.isfile() or member.size != images * RECORD:
        raise DataError(f"{path}: {member.name} must be a file of {images * RECORD} bytes, not of {member.size}")
    stream = archive.extractfile(member)
    assert stream is not None  # a regular file has one
    return np.frombuffer(stream.read(), np.uint8).reshape(images, RECORD)


def _examples(batches: list[NDArray[np.uint8]]) -> Examples:
    records = np.concatenate(batches)
    images = records[:, 1:].reshape(-1, *SHAPE)  # [N, 3072] -> [N, 3, 32, 32]
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)
