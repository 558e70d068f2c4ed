"""Malicious and broken files, made when they are wanted: nothing binary is kept that a reader could not explain.

Each module has ``CASES``, by name. ``python tests/corpus/make.py FOLDER`` writes them all, to be looked at.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """A file or folder that somebody else made.

    Attributes:
        build: makes it in an empty folder, ``inside``, and returns its path. Beside that folder stands ``outside``,
            which no command may look into.
        says: a regular expression of what the reader answers; None where the file is harmless and only its text is
            hostile.
    """

    build: Callable[[Path], Path]
    says: str | None


class Canary:
    """Unpickled, it makes a file in the folder it was made for."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "canary")

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


def pickled(folder: Path) -> bytes:
    """A pickle whose opening would be noticed."""
    return pickle.dumps(Canary(folder))


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """A builder of one file of fixed content."""

    def build(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return build
