"""What an ended process means: from its completion mark, and from how it ended."""

from __future__ import annotations

import json
import os
import signal
import stat
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from genbench.record import Status

MAX_BYTES = 64 << 20
"""Of a completion mark."""
MAX_REASON = 500
"""Characters of a reason that came from a stage."""
STATUSES = ("ok", "diverged", "failed", "invalid_output", "over_budget", "oom_device", "oom_host", "harness_error")
"""That a stage may say of itself."""
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
"""Signals that no model sends itself: a system short of memory, or a person."""


class BrokenMark(ValueError):
    """A completion mark that is not one."""


def judge(
    stage: str, path: str, log: str, exit_code: int, oom_killed: bool
) -> tuple[Status, str | None, dict[str, Any] | None]:
    """Status, reason and result of a stage that ended by itself, or by somebody outside.

    Without a completion mark an exit code of 0 is a failure too.

    Args:
        stage: its name for people.
        path: of its completion mark.
        log: name of the file with its output.
        exit_code: negative for a signal.
        oom_killed: whether the system ended processes for want of memory while it ran.
    """
    try:
        found = read_mark(path)
    except BrokenMark as error:
        return "failed", f"{stage} left a completion mark that is none: {error}", None
    if found is not None and found["status"] != "ok":
        return found["status"], f"{stage}: {found['reason']}", None
    if found is not None and exit_code == 0:
        return "ok", None, found["result"]
    if exit_code < 0:
        name = signal_name(-exit_code)
        if -exit_code not in FROM_OUTSIDE:
            return "crashed", f"{stage} was ended by {name}; see {log}", None
        if oom_killed and -exit_code == signal.SIGKILL:
            return "oom_host", f"{stage} was ended by the system, which was short of memory", None
        return "lost", f"{stage} was ended by {name} from outside; see {log}", None
    if not os.path.isdir(os.path.dirname(path)):
        return "failed", f"{stage}: the run's folder was removed while it ran; see {log}", None
    if exit_code == os.EX_IOERR:
        return "harness_error", f"{stage}: what came of it could not be written; see {log}", None
    return "failed", f"{stage} exited with {exit_code} before it was done; see {log}", None


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


def read_mark(path: str) -> dict[str, Any] | None:
    """A completion mark with ``status``, ``reason`` and ``result`` of the right form, or None where there is none.

    Raises:
        BrokenMark: if it is anything else. Code of plugins can write to its folder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenMark(error.strerror) from error
    with os.fdopen(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise BrokenMark("not a file")
        if about.st_size > MAX_BYTES:
            raise BrokenMark(f"{about.st_size} bytes, where {MAX_BYTES} are the most")
        text = stream.read(MAX_BYTES)
    try:
        return _checked(json.loads(text, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise BrokenMark(str(error)[:MAX_REASON] or type(error).__name__) from error


def _checked(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict) or found.get("status") not in STATUSES:
        raise BrokenMark("no status that a stage can have")
    reason, result = found.get("reason"), found.get("result")
    if found["status"] == "ok" and not isinstance(result, dict):
        raise BrokenMark("ok without a result")
    if found["status"] != "ok" and not isinstance(reason, str):
        raise BrokenMark(f"{found['status']} without a reason")
    if isinstance(reason, str):
        reason = reason.encode("utf-8", "replace").decode()  # lone surrogates
        reason = reason if len(reason) <= MAX_REASON + 100 else reason[:MAX_REASON] + " ..."
    return {"status": found["status"], "reason": reason, "result": result}


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
