"""What a stage's process does from its first line to its completion mark."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from genbench.engine import blame, device
from genbench.errors import Diverged, GenbenchError, InvalidOutput, OverBudget, clean
from genbench.executors.mark import DISK_REFUSALS, UNWRITTEN, UNWRITTEN_DISK
from genbench.job import outcome_file, read_job, write_json
from genbench.versions import versions

STAGES = {
    "audit": "genbench.engine.audit:audit",
    "train": "genbench.engine.train:train",
    "evaluate": "genbench.engine.evaluate:evaluate",
    "score": "genbench.engine.score:score",
    "measure": "genbench.engine.measure:measure",
}
"""A run's stages: each is called with the :class:`~genbench.job.Job`, and with the part where a stage has several, and
returns plain values for JSON."""

STATUS_OF: tuple[tuple[type[BaseException], str], ...] = (
    (Diverged, "diverged"),
    (InvalidOutput, "invalid_output"),
    (OverBudget, "over_budget"),
    (torch.OutOfMemoryError, "oom_device"),
    (MemoryError, "oom_host"),
)


def run_stage(stage: str, job_path: Path, part: int | None = None) -> int:
    """Run one stage of a job, or one part of it, and leave its outcome; returns the exit code: 0 for ``ok``,
    ``UNWRITTEN`` or ``UNWRITTEN_DISK`` where the outcome could not be written, else 1.

    Whatever a plugin raises, ``SystemExit`` included, becomes an outcome with the traceback in the log, which is
    where stderr goes. The outcome of a stage that went well is its completion mark: ``files`` in what the stage
    returned, the hash of each file that it left by name, stands there beside its ``result`` and the versions used.
    """
    target = outcome_file(job_path.parent, stage, part)
    try:
        target.unlink(missing_ok=True)  # an earlier attempt's, which must not be taken for this one's
        module, _, name = STAGES[stage].partition(":")
        job = read_job(job_path)
        arguments = (job,) if part is None else (job, part)
        result: dict[str, Any] = getattr(importlib.import_module(module), name)(*arguments)
        files = result.pop("files", {})
        mark = {"status": "ok", "reason": None, "result": result, "files": files, "versions": versions()}
        write_json(target, mark)
    except BaseException as error:
        traceback.print_exc()
        outcome: dict[str, Any] = {"status": status_of(error, stage), "reason": reason_of(error)}
        if isinstance(error, OSError) and _refused(error, target.parent):
            outcome["errno"] = error.errno
        return _leave_failure(target, outcome)
    return 0


def _leave_failure(target: Path, outcome: dict[str, Any]) -> int:
    """Write a stage's outcome, if that can be: a full disk, which may be why it failed, has room for no word of it."""
    try:
        write_json(target, outcome)
    except OSError as error:
        traceback.print_exc()
        return UNWRITTEN_DISK if error.errno in DISK_REFUSALS else UNWRITTEN
    return 1


def _refused(error: OSError, work: Path) -> bool:
    """Whether the disk that holds a job's folder refused, and not another one that a plugin writes to."""
    if error.errno not in DISK_REFUSALS:
        return False
    if not isinstance(error.filename, str | bytes | os.PathLike):  # of a write to an open file, which may be ours
        return True
    try:
        return os.stat(os.path.dirname(os.path.abspath(error.filename))).st_dev == os.stat(work).st_dev
    except OSError:
        return False


def status_of(error: BaseException, stage: str) -> str:
    """The status that an error gives a run. Scoring runs no model, so what goes wrong there is the harness's."""
    if isinstance(error, OSError) and error.errno in DISK_REFUSALS:
        return "harness_error"
    if isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error):
        return "oom_host"
    known = next((status for kind, status in STATUS_OF if isinstance(error, kind)), None)
    return known or ("harness_error" if stage == "score" else "failed")


def reason_of(error: BaseException) -> str:
    """One line for the table: the message, and where in the plugin it was raised."""
    if isinstance(error, GenbenchError):
        return clean(str(error))
    if isinstance(error, torch.OutOfMemoryError):
        return clean(device.out_of_memory(error))
    place = blame.place_of(error) or blame.raised_at(error)
    return clean(blame.message_of(error)) + (f" ({clean(place)})" if place else "")


def run_task(target: str, arguments: dict[str, Any], outcome: Path) -> int:
    """Run a one-off function of the engine (``"package.module:function"``) and leave its outcome in a file.

    A :class:`GenbenchError` keeps its message and exit code; anything else is ``failed`` with its traceback logged.
    """
    try:
        module, _, name = target.partition(":")
        result = getattr(importlib.import_module(module), name)(**arguments)
        write_json(outcome, {"status": "ok", "reason": None, "result": result})
    except GenbenchError as error:
        write_json(outcome, {"status": "refused", "reason": str(error), "exit_code": error.exit_code})
        return 1
    except BaseException as error:
        traceback.print_exc()
        write_json(outcome, {"status": "failed", "reason": reason_of(error)})
        return 1
    return 0


def main(request: dict[str, Any]) -> int:
    """Carry out a request of the executor: a stage of a job, or a one-off task; ``seconds`` is its hard deadline."""
    if (devices := request.get("visible_devices")) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices  # CUDA reads it when it starts, which it has not yet
    # At the end: a file beside a checked one must not shadow a module.
    sys.path += [folder for folder in request.get("sys_path", ()) if folder not in sys.path]
    with blame.standing_told(request.get("seconds")):
        if "stage" in request:
            return run_stage(request["stage"], Path(request["job"]), request.get("part"))
        return run_task(request["task"], request["arguments"], Path(request["outcome"]))
