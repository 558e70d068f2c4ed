"""Verdicts of the likelihood audit: made once for a model and its data, kept in the cache for all its runs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from genbench.audit_key import AUDIT_VERSION, key_of
from genbench.files import write_whole
from genbench.job import Job
from genbench.record import Audit

if TYPE_CHECKING:
    from genbench.executors.protocol import StageEnd

POLL_SECONDS = 0.2
"""Between two looks at whether to stop."""
FIRST_TRY, LONGEST_TRY = 0.2, 5.0
"""Seconds between two looks at a verdict that another run makes: ever longer, since on a file server that many nodes
share a thousand runs may be waiting."""
OF_THE_MODEL = ("failed", "crashed", "invalid_output", "diverged", "over_budget")
"""Ends of an audit that are the model's doing, and so would be the same again."""


class Audits:
    """The audits in a folder, a JSON file each, named by what was audited.

    Args:
        folder: made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def verdict(self, job: Job, stopped: Callable[[], bool], make: Callable[[], StageEnd]) -> Audit | None:
        """The verdict on the likelihood of a job's model; made now unless it is known.

        One of several runs of a model makes it while the others wait.

        Args:
            stopped: whether the harness was asked to stop.
            make: carries out the audit.

        Returns:
            The verdict; None if there is none: the run was cancelled, the audit took more time or memory than allowed,
            or something other than the model ended it. The likelihood then stands as unaudited.
        """
        key = key_of(job)
        path = self._folder / f"{key}.json"
        lock = self._lock(path)
        pause = FIRST_TRY
        while lock is not None and not stopped():
            if (known := _read(path, key)) is not None:
                return known
            try:
                with lock.acquire(blocking=False):
                    return _read(path, key) or _made(path, key, make())
            except Timeout:
                _wait(pause, stopped)
                pause = min(LONGEST_TRY, pause * random.uniform(1.2, 1.8))  # so that they do not all come at once
        return None if stopped() else _made(path, key, make())

    def _lock(self, path: Path) -> FileLock | None:
        """None where the folder cannot be written: each run then makes the verdict for itself."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".lock").touch()
        except OSError:
            return None
        return FileLock(path.with_suffix(".lock"))


def _wait(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stopped() and (left := end - time.monotonic()) > 0:
        time.sleep(min(POLL_SECONDS, left))


def _made(path: Path, key: str, ended: StageEnd) -> Audit | None:
    if ended.status not in ("ok", *OF_THE_MODEL):
        return None
    audit = _parse(json.dumps(ended.result), key) if ended.result is not None else None
    if audit is None:
        reason = f"the audit could not be completed: {ended.reason or 'it left no verdict'}"
        audit = Audit(AUDIT_VERSION, key, "failed", reason, None, [])
    with contextlib.suppress(OSError):  # it is then made again
        write_whole(path, json.dumps(dataclasses.asdict(audit), allow_nan=False).encode())
    return audit


def _read(path: Path, key: str) -> Audit | None:
    """The verdict in a file, or None where there is none that can be trusted."""
    try:
        return _parse(path.read_text(), key)
    except (OSError, UnicodeDecodeError):
        return None


def _parse(text: str, key: str) -> Audit | None:
    from pydantic import TypeAdapter, ValidationError

    try:
        audit = TypeAdapter(Audit).validate_json(text)
    except ValidationError:
        return None
    return audit if audit.key == key and audit.version == AUDIT_VERSION else None
