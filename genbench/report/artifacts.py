"""Files that a run left beside its record, read as what may come from elsewhere: only as the record names them."""

from __future__ import annotations

from pathlib import Path

from genbench.foreign_files import read_regular
from genbench.png import Png, essential
from genbench.record import Record
from genbench.verification import sha256

PICTURE = "samples.png"
"""A run's first samples as a grid."""
MAX_PICTURE_BYTES = 16 << 20


def read_artifact(folder: Path, record: Record, name: str, most: int) -> bytes:
    """The content of a file in a run's folder, which is no link and has the hash that stands in the record.

    Args:
        most: bytes that it may hold.

    Raises:
        OSError: if there is no such file, or it can't be read.
        ValueError: if the record names none, or another.
    """
    if name not in record.artifacts:
        raise ValueError("the record names none")
    content = read_regular(folder / name, most, follow=False)
    if sha256(content) != record.artifacts[name]:
        raise ValueError("its hash is not the one in the record")
    return content


def read_picture(folder: Path, record: Record, pixels: int) -> Png:
    """A run's :data:`PICTURE`, of at most so many pixels and without anything but them.

    Raises:
        OSError, ValueError: as :func:`read_artifact`; also if it is no such picture.
    """
    return essential(read_artifact(folder, record, PICTURE, MAX_PICTURE_BYTES), pixels)


def reason(error: Exception) -> str:
    """Why something could not be read, without the path, which is the publisher's."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
