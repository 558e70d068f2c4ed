"""What a run logged while it trained, read from its ``curve.csv`` as what may come from elsewhere."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from genbench.record import Record
from genbench.report.artifacts import read_artifact

CURVE = "curve.csv"
MAX_BYTES = 4 << 20
MAX_FIGURES = 12
"""Figures of a run that are drawn, the first in the file."""
MAX_POINTS = 120
"""Of a curve: what is more than a screen shows is thinned out."""
CLOCK = ("step", "images", "flops", "seconds", "n")
"""Columns that say when, and of how many samples."""
SCORE = "score:"
"""What the columns of the milestones' scores begin with; the record has them too."""

Curve = tuple[tuple[float, float], ...]


def training_figures(folder: Path, record: Record) -> dict[str, Curve]:
    """Each figure that the model logged, as ``(images, value)``; finite values alone. Empty without a file.

    Raises:
        OSError: if the file can't be read.
        ValueError: if it is another than the record's, or no table.
    """
    if CURVE not in record.artifacts:
        return {}
    content = read_artifact(folder, record, CURVE, MAX_BYTES)
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    except csv.Error as error:
        raise ValueError(f"it is no table: {error}") from None
    if not rows or "images" not in rows[0]:
        raise ValueError("it is no table of a training")
    head, x = rows[0], rows[0].index("images")
    wanted = [(index, name) for index, name in enumerate(head) if name not in CLOCK and not name.startswith(SCORE)]
    figures: dict[str, Curve] = {}
    for index, name in wanted[:MAX_FIGURES]:
        points = [(_number(row, x), _number(row, index)) for row in rows[1:]]
        drawn = [(images, value) for images, value in points if images is not None and value is not None]
        if drawn:
            figures[name] = _thinned(drawn)
    return figures


def _number(row: list[str], index: int) -> float | None:
    try:
        value = float(row[index])
    except (ValueError, IndexError):  # an empty cell, or a line that is cut short
        return None
    return value if math.isfinite(value) else None


def _thinned(points: list[tuple[float, float]]) -> Curve:
    """At most so many points, at regular intervals, the last among them."""
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    return tuple(points[::-1][::step][::-1])
