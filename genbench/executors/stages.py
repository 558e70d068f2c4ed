"""The stages of one attempt at a run: what its supervisor is asked for, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genbench.executors import foreign
from genbench.executors.audits import Audits
from genbench.executors.launcher import Launcher
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import Stop, supervise
from genbench.job import JOB, LOG, PROGRESS, STAGES, Job, Stage, finished, outcome_file
from genbench.record import UNFINISHED, Audit, Status

AUDIT_SECONDS = 600.0
"""The least time that an audit has: what it finds hangs on the model, not on the benchmark's budget."""
SCRATCH = "scratch"
"""The folder in which a stage's process starts: what a plugin writes beside itself goes with it."""


OnProgress = Callable[[Stage, float], None]


@dataclass
class Outcome:
    """How an attempt went.

    Attributes:
        status, reason: of the record.
        results: what each finished stage returned, also where an earlier attempt finished it.
        audit: the verdict on the likelihood of the model, or None where it has none.
        answers: what each third party's metrics gave.
        ends: of the stages that this attempt carried out.
    """

    status: Status = "ok"
    reason: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    audit: Audit | None = None
    answers: list[foreign.Answer] = field(default_factory=list)
    ends: list[StageEnd] = field(default_factory=list)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Wall time of each stage."""
        return {end.name: end.seconds for end in self.ends}

    @property
    def cpu_seconds(self) -> float:
        """Of all processes but the audit's, which serves all runs of the model."""
        return sum(end.cpu_seconds for end in self.ends if end.name != "audit")

    @property
    def peak_memory(self) -> int:
        """Bytes, the most that the process tree of a stage of the model's own held."""
        return max((end.peak_memory for end in self.ends if end.name in ("train", "evaluate")), default=0)

    def closed(self, end: StageEnd) -> Outcome:
        """This outcome, ended by a stage that did not end well."""
        self.status, self.reason = end.status, end.reason
        return self


def carry_out_stages(job: Job, audits: Audits, launcher: Launcher, stop: Stop, on_progress: OnProgress) -> Outcome:
    """Audit the model's likelihood where nobody has, then do the stages one after another until one fails.

    Stages that an interrupted attempt finished in the job's folder are not done again.

    Args:
        audits: the verdicts known so far; a new one is added.
        stop: asked all the time whether to end in order (``cancel``) or at once (``kill``).
        on_progress: told the stage and the share of the training budget spent, a few times a second.

    Raises:
        Killed: if ``stop`` said so.
    """
    outcome = Outcome()

    def do(stages: Sequence[StageRequest]) -> list[StageEnd]:
        supervision = Supervision(list(stages), str(job.folder / LOG), job.budget.threads)
        ends = supervise(supervision, launcher, stop, lambda name, share: on_progress(_stage_of(name), share))
        outcome.ends += ends
        return ends

    if job.likelihood is not None:
        outcome.audit = audits.verdict(job, lambda: stop() is not None, lambda: do([_request(job, "audit")])[-1])
        if outcome.ends and outcome.ends[-1].status in UNFINISHED:
            return outcome.closed(outcome.ends[-1])
        if outcome.audit is not None and outcome.audit.verdict == "failed":
            job = replace(job, likelihood=None)  # so that its numbers are nowhere
            job.write()
    for stage in _done_before(job):
        outcome.results[stage] = json.loads(outcome_file(job.folder, stage).read_bytes())["result"]
    todo = [stage for stage in STAGES if stage not in outcome.results]
    for end in do([_request(job, stage) for stage in todo]) if todo else []:
        if end.result is None:
            return outcome.closed(end)
        outcome.results[end.name] = end.result
    for part in range(len(job.foreign_metrics)):
        measuring = foreign.job_for(job, part)
        (end,) = do([_request(measuring, "measure", part)])
        if end.status in UNFINISHED:
            return outcome.closed(end)
        outcome.answers.append(foreign.answer_of(measuring, part, end))
    return outcome


def _done_before(job: Job) -> list[Stage]:
    """The first stages, as far as an earlier attempt finished them."""
    done: list[Stage] = []
    for stage in STAGES:
        if not finished(job.folder, stage):
            break
        done.append(stage)
    return done


def _request(job: Job, stage: Stage, part: int | None = None) -> StageRequest:
    """What the supervisor is asked to do for a stage."""
    budget = job.budget
    ours = stage in ("score", "measure")  # the evaluator's memory is not the model's
    seconds, allowed = budget.seconds + budget.grace, f"{budget.seconds:g} s and {budget.grace:g} s of grace"
    if stage == "audit" and seconds < AUDIT_SECONDS:
        seconds, allowed = AUDIT_SECONDS, f"{AUDIT_SECONDS:g} s"
    return StageRequest(
        name=stage if part is None else f"{stage}-{part}",
        work={"stage": stage, "part": part, "job": str(job.folder / JOB), "sys_path": job.sys_path},
        mark=str(outcome_file(job.folder, stage, part)),
        cwd=str(job.folder if stage == "measure" else job.folder / SCRATCH),
        progress=str(job.folder / PROGRESS) if stage == "train" else "",
        seconds=seconds,
        allowed=allowed,
        memory=budget.memory,
        over_memory="harness_error" if ours else "oom_host",
    )


def _stage_of(name: str) -> Stage:
    """The stage of a request's name: ``measure-0`` is a part of ``measure``."""
    stage: Stage = name.partition("-")[0]  # type: ignore[assignment]
    return stage
