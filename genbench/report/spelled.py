"""The samples of a text that a run left, read as what may come from elsewhere."""

from __future__ import annotations

from pathlib import Path

from genbench.record import Record
from genbench.report.artifacts import read_artifact
from genbench.report.printable import printable

SPELLED = "samples.txt"
MAX_BYTES = 1 << 20


def read_spelled(folder: Path, record: Record) -> list[tuple[str, str]]:
    """Text and class of each sample in a run's ``samples.txt``; the class is empty for an unconditional model.

    Raises:
        OSError: if there is no such file, or it can't be read.
        ValueError: if it is another than the record's, or no text.
    """
    content = read_artifact(folder, record, SPELLED, MAX_BYTES)
    lines = [line.partition("\t") for line in content.decode("utf-8").splitlines()]
    return [(printable(text), printable(of)) for text, _, of in lines]
