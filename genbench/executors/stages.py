"""The stages of one attempt at a run: what its supervisor is asked for, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genbench.claims import of_attempt
from genbench.errors import StoreError
from genbench.executors import foreign
from genbench.executors.audits import Audits
from genbench.executors.ends import ENDS, Cost, read_ends
from genbench.executors.launcher import HarnessError, Launcher
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import Stop, supervise
from genbench.job import JOB, LOG, RESUMED_AT, SCRATCH, STAGES, Job, Stage, finished, outcome_file, result_of
from genbench.record import UNFINISHED, Audit, Status

AUDIT_SECONDS = 600.0
"""The least time that an audit has: what it finds hangs on the model, not on the benchmark's budget."""
MEASURE_TRIES = 3
"""The most that a third party's metrics are begun, where something other than them ended their process."""

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
        earlier: what the stages of earlier attempts have cost, whose work this one goes on with.
        warnings: what a reader of the record should know, beside what the stages say.
    """

    status: Status = "ok"
    reason: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    audit: Audit | None = None
    answers: list[foreign.Answer] = field(default_factory=list)
    ends: list[StageEnd] = field(default_factory=list)
    earlier: list[Cost] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Wall time of each stage, in all attempts."""
        total: dict[str, float] = {}
        for end in self._all():
            total[end.name] = total.get(end.name, 0.0) + end.seconds
        return total

    @property
    def cpu_seconds(self) -> float:
        """Of all processes in all attempts, but the audit's, which serves all runs of the model."""
        return sum(end.cpu_seconds for end in self._all() if end.name != "audit")

    @property
    def peak_memory(self) -> int:
        """Bytes, the most that the process tree of a stage of the model's own held in any attempt."""
        return max((end.peak_memory for end in self._all() if end.name in ("train", "evaluate")), default=0)

    def _all(self) -> list[StageEnd | Cost]:
        return [*self.earlier, *self.ends]

    def closed(self, end: StageEnd) -> Outcome:
        """This outcome, ended by a stage that did not end well."""
        self.status, self.reason = end.status, end.reason
        return self


def carry_out_stages(
    job: Job, audits: Audits, launcher: Launcher, stop: Stop, on_progress: OnProgress, held: tuple[int, ...] = ()
) -> Outcome:
    """Audit the model's likelihood where nobody has, then do the stages one after another until one fails.

    Stages that an interrupted attempt finished in the job's folder are not done again.

    Args:
        audits: the verdicts known so far; a new one is added.
        stop: asked all the time whether to end in order (``cancel``) or at once (``kill``).
        on_progress: told the stage and the share of the training budget spent, a few times a second.
        held: as of :class:`~genbench.executors.protocol.Supervision`.

    Raises:
        StoreError: if the disk refuses; FencedOff if the job's folder is gone.
        Killed: if ``stop`` said so.
    """
    outcome = Outcome(earlier=read_ends(job.folder))

    def do(stages: Sequence[StageRequest]) -> list[StageEnd]:
        folder = job.folder
        log, ends_file = str(folder / LOG), str(folder / ENDS)
        supervision = Supervision(list(stages), log, job.budget.threads, ends=ends_file, held=held)
        ends = supervise(supervision, launcher, stop, lambda name, share: on_progress(_stage_of(name), share))
        ends = [_told(end, job) for end in ends]
        outcome.ends += ends
        if ends and ends[-1].disk:
            raise StoreError(
                f"{folder.parent.parent}: the disk refused what a run had to write: {ends[-1].reason}. Make room "
                f"there, or mend its permissions; the same command then goes on from the last checkpoint"
            )
        return ends

    if job.likelihood is not None:
        outcome.audit = audits.verdict(job, lambda: stop() is not None, lambda: do([_request(job, "audit")])[-1])
        if outcome.ends and outcome.ends[-1].status in UNFINISHED:
            return outcome.closed(outcome.ends[-1])
        if outcome.audit is not None and outcome.audit.verdict == "failed":
            job = replace(job, likelihood=None)  # so that its numbers are nowhere
            with of_attempt(job.folder):
                job.write()
    outcome.results = _done_before(job)
    todo = [stage for stage in STAGES if stage not in outcome.results]
    if "train" in todo:
        (job.folder / RESUMED_AT).unlink(missing_ok=True)  # of an earlier attempt
    for end in do([_request(job, stage) for stage in todo]) if todo else []:
        if end.result is None:
            return outcome.closed(end)
        outcome.results[end.name] = end.result
    for part in range(len(job.foreign_metrics)):
        measuring, end = _measure(job, part, do)
        if end.status == "cancelled":
            return outcome.closed(end)
        outcome.answers.append(foreign.answer_of(measuring, part, end))
    return outcome


def _measure(job: Job, part: int, do: Callable[[list[StageRequest]], list[StageEnd]]) -> tuple[Job, StageEnd]:
    """Have a third party's metrics measure; however often that comes to nothing, it is no fault of the run's.

    Returns:
        Their job, in whose folder they left what they measured, and how their process ended.
    """
    for _ in range(MEASURE_TRIES):
        measuring = foreign.job_for(job, part)
        request = _request(measuring, "measure", part)
        try:
            (end,) = do([request])
        except HarnessError as error:
            end = StageEnd(request.name, "harness_error", str(error), None)
        if end.status not in ("lost", "harness_error"):
            break
    return measuring, end


def _told(end: StageEnd, job: Job) -> StageEnd:
    """An end in words for a record: the attempt's folder is called otherwise by the time that somebody reads them."""
    return replace(
        end,
        reason=None if end.reason is None else without_folder(end.reason, job),
        warnings=[without_folder(warning, job) for warning in end.warnings],
    )


def without_folder(text: str, job: Job) -> str:
    """A text with paths below the job's folder, and without that folder's own."""
    return text.replace(f"{job.folder}/", "").replace(str(job.folder), "the run's folder")


def _done_before(job: Job) -> dict[str, dict[str, Any]]:
    """What the first stages returned, as far as an earlier attempt finished them."""
    done: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        if not finished(job.folder, stage):
            break
        done[stage] = result_of(job.folder, stage)
    return done


def _request(job: Job, stage: Stage, part: int | None = None) -> StageRequest:
    """What the supervisor is asked to do for a stage."""
    budget = job.budget
    seconds, allowed = budget.seconds + budget.grace, f"{budget.seconds:g} s and {budget.grace:g} s of grace"
    if stage == "audit" and seconds < AUDIT_SECONDS:
        seconds, allowed = AUDIT_SECONDS, f"{AUDIT_SECONDS:g} s"
    return StageRequest(
        name=stage if part is None else f"{stage}-{part}",
        work={
            "stage": stage,
            "part": part,
            "job": str(job.folder / JOB),
            "sys_path": job.sys_path,
            "seconds": seconds,
            "visible_devices": job.visible_devices,
        },
        mark=str(outcome_file(job.folder, stage, part)),
        cwd=str(job.folder if stage == "measure" else job.folder / SCRATCH),
        progress=stage == "train",
        seconds=seconds,
        allowed=allowed,
        memory=budget.memory,
        over_memory="harness_error" if stage == "score" else "oom_host",  # the evaluator's memory is not the model's
    )


def _stage_of(name: str) -> Stage:
    """The stage of a request's name: ``measure-0`` is a part of ``measure``."""
    stage: Stage = name.partition("-")[0]  # type: ignore[assignment]
    return stage
