"""One run from its job to its outcome: stages started, limits enforced, nothing left behind."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import psutil

from genbench.executors import foreign
from genbench.executors.audits import Audits
from genbench.executors.launcher import HarnessError, Launcher
from genbench.executors.processes import Child, family, kill_session, kill_tree
from genbench.job import JOB, PROGRESS, STAGES, Job, Stage, outcome_file
from genbench.record import Audit, Status

POLL_SECONDS = 0.1
AUDIT_SECONDS = 600.0
"""The least time that an audit has: what it finds hangs on the model, not on the benchmark's budget."""
LOG = "log.txt"

OnProgress = Callable[[Stage, float], None]


@dataclass(frozen=True)
class Ended:
    """How a stage ended: ``ok`` with a result, or with a status, a reason, and the signal if one ended it."""

    status: Status
    reason: str | None
    result: dict[str, Any] | None
    signal: int | None = None


@dataclass
class Outcome:
    """How a run went.

    Attributes:
        status, reason: of the record.
        results: what each finished stage returned.
        audit: the verdict on the likelihood of the model, or None where it has none.
        answers: what each third party's metrics gave.
        stage_seconds: wall time of each stage.
        cpu_seconds: of all its processes but the audit's.
        peak_memory: bytes, the most that a stage's process tree was seen to hold.
    """

    status: Status = "ok"
    reason: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    audit: Audit | None = None
    answers: list[foreign.Answer] = field(default_factory=list)
    stage_seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_memory: int = 0


def supervise(
    job: Job, launcher: Launcher, audits: Audits, cancelled: threading.Event, on_progress: OnProgress
) -> Outcome:
    """Audit the model's likelihood where nobody has, then run the stages of a job one after another until one fails.

    Args:
        audits: the verdicts known so far; a new one is added.
        cancelled: set to end the run as ``cancelled``.
        on_progress: told the stage and the share of the training budget spent, a few times a second.
    """
    outcome = Outcome()
    run = functools.partial(_timed_stage, launcher, cancelled, on_progress, outcome)
    if job.likelihood is not None:
        outcome.audit = audits.verdict(job, cancelled, lambda: run(job, "audit"))
        if outcome.audit is not None and outcome.audit.verdict == "failed":
            job = replace(job, likelihood=None)  # so that its numbers are nowhere
            job.write()
    for stage in STAGES:
        ended = run(job, stage)
        if ended.result is None:
            outcome.status, outcome.reason = ended.status, ended.reason
            return outcome
        outcome.results[stage] = ended.result
    for part in range(len(job.foreign_metrics)):
        measuring = foreign.job_for(job, part)
        ended = run(measuring, "measure", part)
        foreign.append_log(measuring, job.folder / LOG)
        if ended.status == "cancelled":
            outcome.status, outcome.reason = ended.status, ended.reason
            return outcome
        outcome.answers.append(foreign.answer_of(measuring, part, ended))
    return outcome


def _timed_stage(
    launcher: Launcher,
    cancelled: threading.Event,
    on_progress: OnProgress,
    outcome: Outcome,
    job: Job,
    stage: Stage,
    part: int | None = None,
) -> Ended:
    began = time.monotonic()
    try:
        return _run_stage(stage, part, job, launcher, cancelled, on_progress, outcome)
    except HarnessError as error:
        return Ended("harness_error", str(error), None)
    finally:
        name = stage if part is None else f"{stage}-{part}"
        outcome.stage_seconds[name] = time.monotonic() - began


def _run_stage(
    stage: Stage,
    part: int | None,
    job: Job,
    launcher: Launcher,
    cancelled: threading.Event,
    on_progress: OnProgress,
    outcome: Outcome,
) -> Ended:
    request = {"stage": stage, "part": part, "job": str(job.folder / JOB), "sys_path": job.sys_path}
    child = launcher.start(request, job.folder / LOG, job.folder)
    allowed = job.budget.seconds + job.budget.grace
    if stage == "audit":
        allowed = max(allowed, AUDIT_SECONDS)
    deadline = time.monotonic() + allowed
    assert child.pid is not None
    verdict: tuple[Status, str] | None = None
    ours = stage in ("score", "measure")  # the evaluator's memory is not the model's
    while not child.ended.wait(POLL_SECONDS):
        held = _tree_memory(child.pid)
        if not ours and stage != "audit":
            outcome.peak_memory = max(outcome.peak_memory, held)
        on_progress(stage, _read_progress(job, stage))
        if cancelled.is_set():
            verdict = "cancelled", "the harness was asked to stop"
        elif held > job.budget.memory:
            verdict = (
                "harness_error" if ours else "oom_host",
                (f"{stage} held {held >> 20} MiB of memory where the benchmark allows {job.budget.memory >> 20} MiB"),
            )
        elif time.monotonic() > deadline:
            verdict = (
                "timeout",
                (
                    f"{stage} was still running after {allowed:g} s, where the benchmark allows "
                    f"{job.budget.seconds:g} s and {job.budget.grace:g} s of grace"
                ),
            )
        if verdict is not None:
            kill_tree(child)
            break
    if stage != "audit":  # which serves all runs of the model
        outcome.cpu_seconds += child.cpu_seconds
    kill_session(child.pid)
    return Ended(*verdict, None) if verdict else _verdict(stage, part, job, child)


def _verdict(stage: Stage, part: int | None, job: Job, child: Child) -> Ended:
    """What an ended process means. Without a completion mark an exit code of 0 is a failure too."""
    mark = outcome_file(job.folder, stage, part)
    if mark.exists():
        found = json.loads(mark.read_text())
        if found["status"] != "ok":
            return Ended(found["status"], f"{stage}: {found['reason']}", None)
        if child.exit == 0:
            return Ended("ok", None, found["result"])
    if child.exit is None:
        return Ended("harness_error", f"{stage}: the fork server was lost", None)
    if child.exit < 0:
        number = -child.exit
        name = signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
        return Ended("crashed", f"{stage} was ended by {name}; see {LOG}", None, number)
    return Ended("failed", f"{stage} exited with {child.exit} before it was done; see {LOG}", None)


def _tree_memory(pid: int) -> int:
    """Resident bytes of a process and its descendants."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _read_progress(job: Job, stage: Stage) -> float:
    """The share of the training budget spent; 0 before training and 1 once it is over."""
    if stage != "train":
        return 0.0 if stage == "audit" else 1.0
    with contextlib.suppress(OSError, ValueError, IndexError):
        return float((job.folder / PROGRESS).read_text().split()[1])
    return 0.0
