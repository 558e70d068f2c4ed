"""A worker's progress, left in a file that its supervisor reads."""

from __future__ import annotations

import os
import time
from pathlib import Path

from genbench.job import PROGRESS

EVERY_SECONDS = 0.2
WIDTH = 32


class Progress:
    """Overwrites one short line in place, at most five times a second: ``train 0.4170``.

    Args:
        folder: the run's working folder.
        stage: what is going on.
    """

    def __init__(self, folder: Path, stage: str) -> None:
        self._path = folder / PROGRESS
        self._stage = stage
        self._next = 0.0

    def report(self, progress: float) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(descriptor, f"{self._stage} {progress:.4f}".ljust(WIDTH - 1).encode() + b"\n", 0)
        finally:
            os.close(descriptor)
