"""What an ended process means: from its completion mark, and from how it ended."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

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
DISK_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Of a disk that is full, over its quota or read-only."""
UNWRITTEN = 112
"""Exit code of a stage whose outcome could not be written. No convention gives it a meaning."""
UNWRITTEN_DISK = 113
"""The same, where the disk refused."""
PLUGINS_MARKS = (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR)
"""Why a mark can't be opened that is no file: a link, a socket, a folder; or whose folder is none."""


class BrokenMark(ValueError):
    """A completion mark that is not one."""


class Judgement(NamedTuple):
    """What the end of a stage means; the fields are those of :class:`~genbench.executors.protocol.StageEnd`."""

    status: Status
    reason: str | None
    result: dict[str, Any] | None = None
    disk: bool = False


def judge(stage: str, path: str, log: str, exit_code: int, oom_killed: bool) -> Judgement:
    """What it means that a stage ended by itself, or by somebody outside.

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
        return Judgement("failed", f"{stage} left a completion mark that is none: {error}")
    except OSError as error:
        return Judgement("harness_error", f"{stage}: its completion mark could not be read: {error.strerror}")
    if found is not None and found["status"] != "ok":
        return Judgement(found["status"], f"{stage}: {found['reason']}", disk=found["disk"])
    if found is not None and exit_code == 0:
        return Judgement("ok", None, found["result"])
    if exit_code < 0:
        name = signal_name(-exit_code)
        if -exit_code not in FROM_OUTSIDE:
            return Judgement("crashed", f"{stage} was ended by {name}; see {log}")
        if oom_killed and -exit_code == signal.SIGKILL:
            return Judgement("oom_host", f"{stage} was ended by the system, which was short of memory")
        return Judgement("lost", f"{stage} was ended by {name} from outside; see {log}")
    if not os.path.isdir(os.path.dirname(path)):
        return Judgement("failed", f"{stage}: the run's folder was removed while it ran; see {log}")
    if exit_code in (UNWRITTEN, UNWRITTEN_DISK):
        reason = f"{stage}: what came of it could not be written; see {log}"
        return Judgement("harness_error", reason, disk=exit_code == UNWRITTEN_DISK)
    return Judgement("failed", f"{stage} exited with {exit_code} before it was done; see {log}")


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"


def read_mark(path: str) -> dict[str, Any] | None:
    """A completion mark with ``status``, ``reason`` and ``result`` of the right form, or None where there is none.

    ``disk`` says whether the stage failed because the disk refused.

    Raises:
        BrokenMark: if it is anything else. Code of plugins can write to its folder.
        OSError: if the system can't open or read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in PLUGINS_MARKS:
            raise BrokenMark(error.strerror) from error
        raise
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
    disk = found["status"] == "harness_error" and found.get("errno") in DISK_REFUSALS
    return {"status": found["status"], "reason": reason, "result": result, "disk": disk}


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
