"""The samples that runs left, copied beside the pages: proved to be the records', and nothing but a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genbench.record import Record
from genbench.report.artifacts import PICTURE, read_picture, reason
from genbench.report.printable import printable
from genbench.report.spelled import SPELLED, read_spelled

MAX_PIXELS = 1 << 24
"""Of a picture on a page: a browser unpacks it to 64 MiB."""


@dataclass(frozen=True)
class Samples:
    """The first samples of a run, in the order in which they were drawn.

    Attributes:
        seed: the run's.
        file: name of the picture beside the model's page; empty for a text.
        width, height: pixels of the picture.
        words: of a text, the samples themselves, each with the class asked for or "".
    """

    seed: int
    file: str = ""
    width: int = 0
    height: int = 0
    words: tuple[tuple[str, str], ...] = ()


def samples_of(folder: Path, record: Record, target: Path) -> Samples | str | None:
    """Copy the samples of a run that is ok into ``target``, a picture as ``seed-<k>.png``.

    Returns:
        The samples; a line saying why they are not shown; None where the run left none.
    """
    file = SPELLED if SPELLED in record.artifacts else PICTURE
    if file not in record.artifacts:
        return None
    try:
        if file == SPELLED:
            return Samples(record.seed, words=tuple(read_spelled(folder, record)))
        picture = read_picture(folder, record, MAX_PIXELS)
    except (OSError, ValueError) as error:
        return printable(f"{record.run}: its {file} is not shown: {reason(error)}")
    name = f"seed-{record.seed}.png"
    (target / name).write_bytes(picture.content)
    return Samples(record.seed, name, picture.width, picture.height)
