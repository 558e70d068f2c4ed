"""One run from its job to its outcome: stages started, limits enforced, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from genbench.executors.launcher import HarnessError, Launcher
from genbench.executors.processes import Child, family, kill_session, kill_tree
from genbench.job import JOB, PROGRESS, STAGES, Job, Stage, outcome_file
from genbench.record import Status

POLL_SECONDS = 0.1
LOG = "log.txt"

OnProgress = Callable[[Stage, float], None]


@dataclass
class Outcome:
    """How a run went.

    Attributes:
        status, reason: of the record.
        results: what each finished stage returned.
        stage_seconds: wall time of each stage.
        cpu_seconds: of all its processes.
        peak_memory: bytes, the most that a stage's process tree was seen to hold.
    """

    status: Status = "ok"
    reason: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_memory: int = 0


def supervise(job: Job, launcher: Launcher, cancelled: threading.Event, on_progress: OnProgress) -> Outcome:
    """Run the stages of a job one after another until one fails.

    Args:
        cancelled: set to end the run as ``cancelled``.
        on_progress: told the stage and the share of the training budget spent, a few times a second.
    """
    outcome = Outcome()
    for stage in STAGES:
        began = time.monotonic()
        try:
            status, reason = _run_stage(stage, job, launcher, cancelled, on_progress, outcome)
        except HarnessError as error:
            status, reason = "harness_error", str(error)
        outcome.stage_seconds[stage] = time.monotonic() - began
        if status != "ok":
            outcome.status, outcome.reason = status, reason
            break
    return outcome


def _run_stage(
    stage: Stage, job: Job, launcher: Launcher, cancelled: threading.Event, on_progress: OnProgress, outcome: Outcome
) -> tuple[Status, str | None]:
    request = {"stage": stage, "job": str(job.folder / JOB), "sys_path": job.sys_path}
    child = launcher.start(request, job.folder / LOG, job.folder)
    deadline = time.monotonic() + job.budget.seconds + job.budget.grace
    assert child.pid is not None
    verdict: tuple[Status, str] | None = None
    while not child.ended.wait(POLL_SECONDS):
        held = _tree_memory(child.pid)
        if stage != "score":  # the evaluator's memory is not the model's
            outcome.peak_memory = max(outcome.peak_memory, held)
        on_progress(stage, _read_progress(job, stage))
        if cancelled.is_set():
            verdict = "cancelled", "the harness was asked to stop"
        elif held > job.budget.memory:
            verdict = (
                "harness_error" if stage == "score" else "oom_host",
                (f"{stage} held {held >> 20} MiB of memory where the benchmark allows {job.budget.memory >> 20} MiB"),
            )
        elif time.monotonic() > deadline:
            verdict = (
                "timeout",
                (
                    f"{stage} was still running {job.budget.grace:g} s after the "
                    f"{job.budget.seconds:g} s that the benchmark allows"
                ),
            )
        if verdict is not None:
            kill_tree(child)
            break
    outcome.cpu_seconds += child.cpu_seconds
    kill_session(child.pid)
    return verdict or _verdict(stage, job, child, outcome)


def _verdict(stage: Stage, job: Job, child: Child, outcome: Outcome) -> tuple[Status, str | None]:
    """What an ended process means. Without a completion mark an exit code of 0 is a failure too."""
    mark = outcome_file(job.folder, stage)
    if mark.exists():
        found = json.loads(mark.read_text())
        if found["status"] != "ok":
            return found["status"], f"{stage}: {found['reason']}"
        if child.exit == 0:
            outcome.results[stage] = found["result"]
            return "ok", None
    if child.exit is None:
        return "harness_error", f"{stage}: the fork server was lost"
    if child.exit < 0:
        number = -child.exit
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        return "crashed", f"{stage} was ended by {name}; see {LOG}"
    return "failed", f"{stage} exited with {child.exit} before it was done; see {LOG}"


def _tree_memory(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _read_progress(job: Job, stage: Stage) -> float:
    """The share of the training budget spent; 1 once training is over."""
    if stage != "train":
        return 1.0
    with contextlib.suppress(OSError, ValueError, IndexError):
        return float((job.folder / PROGRESS).read_text().split()[1])
    return 0.0
