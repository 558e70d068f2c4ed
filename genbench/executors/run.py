"""One planned run, carried out: from the claim to the record on disk. Every executor calls this."""

from __future__ import annotations

import math
import platform
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genbench import __version__
from genbench.audit_key import supported_spaces
from genbench.benchmark import Benchmark
from genbench.errors import StoreError
from genbench.executors.audits import Audits
from genbench.executors.launcher import Launcher
from genbench.executors.supervisor import LOG, OnProgress, Outcome, supervise
from genbench.job import ForeignMetrics, Job
from genbench.matrix import PlannedRun, benchmark_id, sys_path
from genbench.record import Attempt, Milestone, Record, RecordError, Score, Status, parse
from genbench.specs import MetricSpec
from genbench.store import MAX_RECORD_BYTES, Store, as_store_error, sha256_of

ARTIFACTS = (
    "samples.png",
    "samples.npz",
    "nats.npz",
    "state.safetensors",
    "state.json",
    "curve.csv",
    LOG,
)
"""What is kept of a run, beside its record: enough to score it again, and to sample from it again."""


@dataclass(frozen=True)
class Context:
    """What all runs of a call share.

    Attributes:
        benchmark, metrics, foreign_metrics: what is run; third parties' metrics apart.
        store: where records go.
        data_folder: the materialised data.
        cache: folder of reference statistics.
        audits: verdicts on likelihoods.
    """

    benchmark: Benchmark
    metrics: list[MetricSpec]
    foreign_metrics: list[ForeignMetrics]
    store: Store
    data_folder: str
    cache: str
    audits: Audits


def carry_out(
    run: PlannedRun, context: Context, launcher: Launcher, cancelled: threading.Event, on_progress: OnProgress
) -> Record | None:
    """Do a run and commit its record, whatever its status.

    Returns:
        The record; None where another harness holds the run.

    Raises:
        StoreError: if the results folder refuses.
    """
    store = context.store
    with store.claim(run.key) as claimed:
        if not claimed:
            return None
        if run.state != "unreadable" and (current := store.read(run.key)) != run.record:
            return current  # another harness has done it since this one planned
        started = _now()
        with as_store_error(store.root):
            job = make_job(run, context)
            job.write()
        try:
            outcome = _outcome(run, job, context, launcher, cancelled, on_progress)
            record = _finished(run, job, outcome, started)
        except StoreError:
            raise
        except Exception as error:
            # A plugin may have brought its folder into any state, and said anything; the other runs go on.
            job = make_job(run, context)
            outcome = Outcome("harness_error", f"{type(error).__name__}: {error}")
            record = _finished(run, job, outcome, started)
        if run.record is not None:
            store.supersede(run.key)
        elif run.state == "unreadable":
            store.quarantine(run.key)
        store.commit(job.folder, run.key, record)
        return record


def _outcome(
    run: PlannedRun,
    job: Job,
    context: Context,
    launcher: Launcher,
    cancelled: threading.Event,
    on_progress: OnProgress,
) -> Outcome:
    if run.entry.unsupported is not None:
        return Outcome("unsupported", run.entry.unsupported)
    return supervise(job, launcher, context.audits, cancelled, on_progress)


def _finished(run: PlannedRun, job: Job, outcome: Outcome, started: str) -> Record:
    """The record, with nothing left in the working folder but what is kept."""
    _clean(job.folder, keep=outcome.status == "ok")
    # Attempts belong to the same code and benchmark: a stale run's are not this run's.
    attempts = run.record.attempts if run.record is not None and run.state == "retry" else []
    record = assemble(job, outcome, attempts, started)
    # Before anything is moved: what is committed must be readable again.
    if len(text := record.to_json().encode()) > MAX_RECORD_BYTES:
        raise RecordError(f"a record of {len(text)} bytes, where {MAX_RECORD_BYTES} are the most")
    parse(text)
    return record


def make_job(run: PlannedRun, context: Context) -> Job:
    """The job of a planned run, with a fresh working folder."""
    benchmark, entry = context.benchmark, run.entry
    return Job(
        work=str(context.store.work_folder(run.key).resolve()),
        benchmark=benchmark_id(benchmark),
        model=entry.identity,
        seed=run.key.seed,
        factory=entry.factory,
        config_type=entry.config_type,
        likelihood=entry.spec.likelihood,
        max_epochs=entry.spec.max_epochs,
        audit_spaces=supported_spaces(entry.spec, benchmark.dataset.data),
        sys_path=sys_path(entry.plugin),
        data=benchmark.dataset.data,
        data_sha256=benchmark.dataset.sha256,
        data_folder=context.data_folder,
        budget=benchmark.budget,
        milestones=benchmark.file.milestones,
        samples=benchmark.file.samples,
        likelihood_settings=benchmark.file.likelihood,
        evaluator=benchmark.evaluator,
        second_evaluator=benchmark.second_evaluator,
        metrics=context.metrics,
        foreign_metrics=context.foreign_metrics,
        cache=context.cache,
    )


def assemble(job: Job, outcome: Outcome, earlier: list[Attempt], started: str) -> Record:
    """The record of a run from what its stages left, and its earlier attempts."""
    trained = outcome.results.get("train", {})
    evaluated = outcome.results.get("evaluate", {})
    scored = outcome.results.get("score", {})
    scores, withheld = _scores(job, outcome)
    finished = _now()
    status, reason = outcome.status, outcome.reason
    if status == "ok" and not scores:
        status, reason = _without_scores(job, withheld)
    attempt = Attempt(status, reason, started, finished)
    spent: dict[str, Any] = {**trained.get("spent", {}), "cpu_seconds": outcome.cpu_seconds}
    if "prepare" in evaluated:
        spent["prepare"] = evaluated["prepare"]
    peaks = [outcome.peak_memory, spent.get("memory", 0), evaluated.get("memory", 0)]
    cost: dict[str, Any] = {"stage_seconds": outcome.stage_seconds, "peak_memory": max(peaks)}
    if trained:
        cost |= {"parameters": trained["parameters"], "train_seconds": spent["seconds"], "train_flops": spent["flops"]}
    if evaluated:
        cost |= {key: evaluated[key] for key in ("sample_seconds", "samples_per_second")}
    return Record(
        benchmark=job.benchmark,
        model=job.model,
        seed=job.seed,
        status=status,
        reason=reason,
        scores=scores,
        milestones=[_milestone(entry) for entry in scored.get("milestones", [])] if scores else [],
        budget=_limits(job),
        spent=spent,
        cost=cost,
        environment=_environment(job, trained),
        artifacts={name: sha256_of(job.folder / name) for name in ARTIFACTS if (job.folder / name).exists()},
        attempts=[*earlier, attempt],
        started=started,
        finished=finished,
        withheld=withheld if scores else {},
        audit=outcome.audit,
    )


def _environment(job: Job, trained: dict[str, Any]) -> dict[str, Any]:
    """Where the run was made, and with which reference statistics of other making."""
    environment = trained.get("environment", {"genbench": __version__, "python": platform.python_version()})
    evaluators = [spec for spec in (job.evaluator, job.second_evaluator) if spec is not None]
    given = [sha256_of(Path(path)) for spec in evaluators for path in spec.references]
    return {**environment, "given_references": given} if given else environment


def _without_scores(job: Job, withheld: dict[str, str]) -> tuple[Status, str]:
    """The status of a run that went well and has nothing to show."""
    if withheld:
        return "invalid_output", "no score is left: " + "; ".join(dict.fromkeys(withheld.values()))
    metrics = [*job.metrics, *(metric for foreign in job.foreign_metrics for metric in foreign.metrics)]
    names = ", ".join(metric.name for metric in metrics)
    return "unsupported", f"none of the benchmark's metrics ({names}) applies to the model"


def _scores(job: Job, outcome: Outcome) -> tuple[dict[str, Score], dict[str, str]]:
    """The scores of a run, and the reasons for those that it ought to have and has not."""
    if outcome.status != "ok":
        return {}, {}
    scores = {name: Score(**entry) for name, entry in outcome.results["score"]["scores"].items()}
    withheld: dict[str, str] = {}
    for answer in outcome.answers:
        scores |= answer.scores
        withheld |= answer.withheld
    if outcome.audit is not None and outcome.audit.verdict == "failed":
        reason = f"likelihood audit: {outcome.audit.reason}"
        metrics = [*job.metrics, *(metric for foreign in job.foreign_metrics for metric in foreign.metrics)]
        for name in [metric.name for metric in metrics if metric.group == "likelihood"]:
            scores.pop(name, None)
            withheld[name] = reason
    return scores, withheld


def _milestone(entry: dict[str, Any]) -> Milestone:
    scores = {name: Score(**score) for name, score in entry["scores"].items()}
    return Milestone(**{**entry, "scores": scores})


def _limits(job: Job) -> dict[str, Any]:
    limits = vars(job.budget)
    return {name: value for name, value in limits.items() if value is not None and value != math.inf}


def _clean(work: Path, keep: bool) -> None:
    """Leave in the working folder only what is kept: a plugin may have written anything there."""
    kept = ARTIFACTS if keep else (LOG, "curve.csv")
    for path in work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in kept or path.is_symlink():
            path.unlink()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
