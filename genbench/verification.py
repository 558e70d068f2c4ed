"""``verification.json``: what ``genbench verify`` found of a run, beside its record, for badges in tables and pages.

It is bound to the bytes of ``record.json``: of a record that has changed since, it says nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le

from genbench.benchmark import STRICT
from genbench.disk import Disk
from genbench.errors import RecordError, clean
from genbench.layout import RECORD, VERIFICATION
from genbench.reading import is_there, read_file
from genbench.strict_json import MAX_RECORD_BYTES, strict_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Level = Annotated[int, Ge(0), Le(3)]
"""0: files and bounds. 1: scored again from the samples. 2: sampled again from the state. 3: trained again."""

LEVELS = ("files and bounds", "re-scored", "resampled", "retrained")
"""What each level did, for people."""


@dataclass(frozen=True)
class Finding:
    """What a check found that is not as it should be.

    Attributes:
        level: of the check; a failure there means that the level is not reached.
        severity: ``failure`` keeps the run from the level; ``warning`` is for a person to judge.
        check: its name, as in the documentation of submissions.
        place: the file or the score that it is about; empty for the run as a whole.
        promised, found, advice: what ought to be, what is, and what to do.
    """

    level: Level
    severity: Literal["failure", "warning"]
    check: str
    place: str
    promised: str
    found: str
    advice: str

    __pydantic_config__ = STRICT

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        told = f"promised {self.promised}; found {self.found}. {self.advice}"
        return f"L{self.level} {self.severity}, {self.check}: {where}{told}"


@dataclass(frozen=True)
class Verification:
    """That a run was verified, how far, and with what result.

    Attributes:
        level: the highest one that it reached.
        record_sha256: ``sha256:<hex>`` of the bytes of the ``record.json`` that was verified.
        genbench: the version that verified.
        date: UTC, ISO 8601.
        machine: its class, as far as numbers depend on it; see :func:`genbench.submission.machine.machine_class`.
        findings: the warnings that a reader ought to know, and what kept it from a higher level that was asked for.
    """

    level: Level
    record_sha256: str
    genbench: str
    date: str
    machine: dict[str, str | int | float | bool | None]
    findings: list[Finding] = field(default_factory=list)
    format: Literal[1] = 1

    __pydantic_config__ = STRICT

    def to_json(self) -> str:
        """The text of ``verification.json``."""
        return json.dumps({"format": self.format, **asdict(self)}, indent=2, allow_nan=False) + "\n"


def read_verification(run_folder: Path) -> Verification | None:
    """What was verified of the run in a folder; None where nothing is, or nothing that holds of its record."""
    try:
        return load_verification(run_folder)
    except (RecordError, OSError):
        return None


def load_verification(run_folder: Path, below: Path | None = None) -> Verification | None:
    """The same, telling what is wrong; None only where there is no such file.

    Args:
        below: no folder between it and the run's may be a link.

    Raises:
        RecordError: if it is no verification, or one of another record than the one beside it.
        OSError: if either file can't be read.
    """
    path = run_folder / VERIFICATION
    if not is_there(path):
        return None
    found = parse(read_file(path, MAX_RECORD_BYTES, below))
    now = sha256(read_file(run_folder / RECORD, MAX_RECORD_BYTES, below))
    if found.record_sha256 != now:
        raise RecordError(
            f"verifies a record of {found.record_sha256[:23]}..., where the one beside it is {now[:23]}...; "
            "verify the run again"
        )
    return found


def write_verification(run_folder: Path, verification: Verification) -> None:
    """Write the file, durably and whole.

    Raises:
        OSError: if the disk refuses.
    """
    Disk().write_whole(run_folder / VERIFICATION, verification.to_json().encode())


def sha256(content: bytes) -> str:
    """``sha256:<hex>`` of some bytes, as records write hashes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parse(text: str | bytes) -> Verification:
    """The verification in the text of a file that may come from anyone.

    Raises:
        RecordError: saying what is wrong.
    """
    from pydantic import ValidationError

    raw = strict_json(text)
    try:
        return _adapter().validate_json(json.dumps(raw))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(clean(f"not a verification: {place}: {first['msg']}")) from None


@functools.cache
def _adapter() -> TypeAdapter[Verification]:
    from pydantic import TypeAdapter

    return TypeAdapter(Verification)
