"""The record of a run, put together from what its stages left."""

from __future__ import annotations

import math
import platform
from pathlib import Path
from typing import Any

from genbench import __version__
from genbench.benchmark import NOT_USED
from genbench.claims import Claim, now
from genbench.data_files import noted_content
from genbench.errors import clean
from genbench.executors.stages import Outcome
from genbench.job import LOG, Job
from genbench.ledger import read_resumed_at
from genbench.record import Attempt, Milestone, Record, Score, Status, brief
from genbench.store import sha256_of

ARTIFACTS = (
    "samples.png",
    "samples.txt",
    "samples.npz",
    "nats.npz",
    "state.safetensors",
    "state.json",
    "curve.csv",
    LOG,
)
"""What is kept of a run, beside its record: enough to score it again, and to sample from it again."""
KEPT_OF_FAILURES = ("curve.csv", LOG)


def assemble(job: Job, outcome: Outcome, claim: Claim, before: list[Attempt]) -> Record:
    """The record of a run from what its stages left.

    Args:
        claim: that the last attempt was made under.
        before: attempts in the record that this one will replace.
    """
    trained = outcome.results.get("train", {})
    evaluated = outcome.results.get("evaluate", {})
    scored = outcome.results.get("score", {})
    scores, withheld = scores_of(job, outcome)
    status, reason = outcome.status, outcome.reason
    if status == "ok" and not scores:
        status, reason = _without_scores(job, withheld)
    attempts = [*before, *claim.attempts, attempt_of(status, reason, outcome, claim)]
    spent: dict[str, Any] = {**trained.get("spent", {}), "cpu_seconds": outcome.cpu_seconds}
    if "prepare" in evaluated:
        spent["prepare"] = evaluated["prepare"]
    peaks = [outcome.peak_memory, spent.get("memory", 0), evaluated.get("memory", 0)]
    cost: dict[str, Any] = {"stage_seconds": outcome.stage_seconds, "peak_memory": max(peaks)}
    if trained:
        cost |= {"parameters": trained["parameters"], "train_seconds": spent["seconds"], "train_flops": spent["flops"]}
        cost |= {key: trained[key] for key in ("compile_seconds",) if key in trained}
    if evaluated:
        cost |= {key: evaluated[key] for key in ("sample_seconds", "samples_per_second")}
    kept = ARTIFACTS if status == "ok" else KEPT_OF_FAILURES
    return Record(
        benchmark=job.benchmark,
        model=job.model,
        seed=job.seed,
        status=status,
        reason=reason,
        scores=scores,
        milestones=[_milestone(entry, scores) for entry in scored.get("milestones", [])] if scores else [],
        budget=_limits(job),
        spent=spent,
        cost=cost,
        environment=_environment(job, trained),
        artifacts=claim.artifacts(kept),
        attempts=attempts,
        started=attempts[0].started,
        finished=attempts[-1].finished,
        withheld=withheld if scores else {},
        audit=outcome.audit,
        warnings=_warnings(outcome),
    )


def attempt_of(status: Status, reason: str | None, outcome: Outcome, claim: Claim) -> Attempt:
    """The attempt that is under way, ended now."""
    trained = outcome.results.get("train")
    if trained is not None and not any(end.name == "train" for end in outcome.ends):
        resumed_at = trained["spent"]["steps"]  # an earlier attempt had trained it to the end
    else:
        resumed_at = read_resumed_at(claim.folder)
    return Attempt(status, reason, claim.started, now(), claim.token, resumed_at)


def _warnings(outcome: Outcome) -> list[str]:
    """What the stages and their harness would have a reader know, each thing once."""
    warned = [*(end.warnings for end in outcome.ends), outcome.warnings]
    told = [*outcome.results.values(), *({"warnings": warnings} for warnings in warned)]
    return list(dict.fromkeys(clean(warning) for result in told for warning in result.get("warnings", ())))


def _environment(job: Job, trained: dict[str, Any]) -> dict[str, Any]:
    """Where the run was made, with which reference statistics of other making, and what was read from the data set's
    files, where these identify it."""
    environment = trained.get("environment", {"genbench": __version__, "python": platform.python_version()})
    evaluators = [spec for spec in (job.evaluator, job.second_evaluator) if spec is not None]
    given = [sha256_of(Path(path)) for spec in evaluators for path in spec.references]
    content = noted_content(Path(job.data_folder))
    more = {"given_references": given, "data_content_sha256": content}
    return {**environment, **{key: value for key, value in more.items() if value}}


def _without_scores(job: Job, withheld: dict[str, str]) -> tuple[Status, str]:
    """The status of a run that went well and has nothing to show."""
    if withheld:
        return "invalid_output", "no score is left: " + "; ".join(dict.fromkeys(withheld.values()))
    metrics = [*job.metrics, *(metric for foreign in job.foreign_metrics for metric in foreign.metrics)]
    names = ", ".join(metric.name for metric in metrics)
    return "unsupported", f"none of the benchmark's metrics ({names}) applies to the model"


def scores_of(job: Job, outcome: Outcome) -> tuple[dict[str, Score], dict[str, str]]:
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


def _milestone(entry: dict[str, Any], finals: dict[str, Score]) -> Milestone:
    scores = {name: Score(**score) for name, score in entry["scores"].items()}
    return brief(Milestone(**{**entry, "scores": scores}), finals)


def _limits(job: Job) -> dict[str, Any]:
    limits = vars(job.budget).items()
    return {
        name: value
        for name, value in limits
        if value is not None and value != math.inf and (name, value) not in NOT_USED.items()
    }
