"""What the stages of earlier attempts have cost, as their supervisors noted it in the attempt's folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from genbench.reading import read_file

ENDS = "ends.jsonl"
MAX_BYTES = 1 << 20
"""Of that file: thousands of stages."""
MOST = float(1 << 53)
"""Of any number in it, which other code than ours can write to."""
NAME = re.compile(r"(audit|train|evaluate|score|measure-[0-9]{1,4})\Z")


@dataclass(frozen=True)
class Cost:
    """What a stage has cost, however it ended; see :class:`~genbench.executors.protocol.StageEnd`."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_memory: int


def read_ends(folder: Path) -> list[Cost]:
    """The costs of all stages that have ended in an attempt's folder; without those that can't be read.

    A line may be torn, where its supervisor died or the disk was full.
    """
    try:
        lines = read_file(folder / ENDS, MAX_BYTES).splitlines()
    except OSError:
        return []
    return [cost for line in lines if (cost := _cost(line)) is not None]


def _cost(line: bytes) -> Cost | None:
    try:
        end = json.loads(line, parse_constant=_no_number)
        if not NAME.match(end["name"]):
            return None
        peak = int(_number(end["peak_memory"]))
        return Cost(end["name"], _number(end["seconds"]), _number(end["cpu_seconds"]), peak)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _number(found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= MOST:
        raise ValueError(f"{found!r} is no number of seconds or bytes")
    return float(found)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
