"""What the folder of an attempt says of itself: whose it is, and how far the run has come."""

from __future__ import annotations

import errno
import functools
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.benchmark import STRICT
from genbench.errors import RecordError
from genbench.job import RESUMED_AT
from genbench.reading import is_folder, read_file
from genbench.record import Attempt
from genbench.strict_json import strict_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LEDGER = "run.json"
MAX_STEP_BYTES = 32
MAX_LEDGER_BYTES = 1 << 20


@dataclass(frozen=True)
class Ledger:
    """What is known of a run that has no record of it yet.

    Attributes:
        identity: of the run; what another has left is of no use to it.
        run: benchmark, model and seed, as folders of the results.
        token, started: of the attempt under way; None and "" between attempts, and where a commit has parked it.
        attempts: earlier ones that no committed record holds.
        number: of the attempt under way, counted since the folder was made; the larger is the newer, whatever the
            clocks of the harnesses said.
    """

    identity: str
    run: list[str]
    token: str | None
    started: str
    attempts: list[Attempt]
    number: int = 0

    __pydantic_config__ = STRICT


def read_resumed_at(folder: Path) -> int | None:
    """The step that the training in an attempt's folder went on from; None if it began anew, or has not begun."""
    try:
        return int(read_file(folder / RESUMED_AT, MAX_STEP_BYTES))
    except (OSError, ValueError):
        return None


def last_sign(folder: Path) -> str:
    """When something was last written into an attempt's folder, UTC, ISO 8601: about when it ended."""
    with os.scandir(folder) as entries:
        written = [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
    return datetime.fromtimestamp(max(written, default=0.0), UTC).isoformat(timespec="seconds")


def read_ledger(folder: Path) -> Ledger | None:
    """The ledger of an attempt's folder, or None where there is none that can be trusted.

    Raises:
        OSError: if it can't be read.
    """
    from pydantic import ValidationError

    if not is_folder(folder):
        return None
    try:
        content = read_file(folder / LEDGER, MAX_LEDGER_BYTES)
        strict_json(content)
        return _adapter().validate_json(content)
    except (RecordError, ValidationError):
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.EFBIG):
            return None
        raise


@functools.cache
def _adapter() -> TypeAdapter[Ledger]:
    from pydantic import TypeAdapter

    return TypeAdapter(Ledger)
