"""Level 0, the record: is it one of the benchmark, within its budget and bounds, and does it agree with itself?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from genbench.benchmark import Benchmark
from genbench.comparability import why_foreign, why_not_demanded
from genbench.record import UNFINISHED, Record, Score
from genbench.submission.bounds import why_out_of_bounds
from genbench.verification import Finding

if TYPE_CHECKING:
    from genbench.specs import MetricSpec

OVERSHOOT = 10
"""Mean steps by which the FLOPs spent may pass the budget: training ends with the step that reaches it, and steps with
several updates of one network cost several times the mean."""
MEMORY_SLACK = 1.25
"""The supervisor looks at memory a few times a second: a peak between two looks may be above the limit."""
COSTS = (
    "parameters",
    "train_flops",
    "train_seconds",
    "compile_seconds",
    "sample_seconds",
    "samples_per_second",
    "peak_memory",
)
"""What a record says of costs beside the seconds of its stages, each a number of 0 or more."""
CLOCK_SLACK = timedelta(days=1)
"""By which clocks of two machines may differ."""
AS_SUBMITTED = "Submit the record as genbench wrote it."


def record_findings(
    benchmark: Benchmark, record: Record, metrics: Mapping[str, MetricSpec], own: set[str]
) -> Iterator[Finding]:
    """What is wrong with a record by itself.

    Args:
        benchmark: the one installed.
        metrics: specs of its metrics by name.
        own: names of those of genbench itself.
    """
    foreign = why_foreign(benchmark, record)
    if foreign is not None:
        promised = f"a run of {benchmark.folder} with the digest {benchmark.digest}"
        yield _failure(
            "benchmark", "", promised, foreign, "Run it on the installed benchmark, or give its file with -b."
        )
        return
    if record.status in UNFINISHED:
        advice = "Run it again: it ended for no reason of the model's."
        yield _failure("status", "status", "a run that came to its end", record.status, advice)
    if record.division == "closed":
        yield from _budget(benchmark, record)
        yield from _costs(benchmark, record)
    elif record.budget or record.spent or record.cost or record.milestones:
        told = "no budget, nothing spent, no cost and no milestones in the open division"
        yield _failure("budget", "", told, "some", "Make the bundle with genbench submit --samples.")
    for name, score in record.scores.items():
        yield from _score(benchmark, record, name, score, metrics, own)
    yield from _milestones(benchmark, record)
    yield from _times(record)


def _budget(benchmark: Benchmark, record: Record) -> Iterator[Finding]:
    limits = {key: value for key, value in dataclasses.asdict(benchmark.budget).items() if value is not None}
    for key in ("images", "flops", "seconds", "memory", "parameters", "threads", "device"):
        if key in limits and record.budget.get(key) != limits[key]:
            found = str(record.budget.get(key, "nothing"))[:80]
            yield _failure("budget", f"budget.{key}", f"{limits[key]}, the benchmark's", found, AS_SUBMITTED)
    if record.status != "ok":
        return
    spent = {
        key: _number(record.spent.get(key)) for key in ("images", "steps", "flops", "seconds", "memory", "parameters")
    }
    for key, value in spent.items():
        if value is None:
            found = str(record.spent.get(key, "nothing"))[:80]
            yield _failure("spent", f"spent.{key}", "a number of 0 or more", found, AS_SUBMITTED)
    allowed = {
        "images": limits["images"],
        "seconds": limits["seconds"] + limits["grace"],
        "memory": limits["memory"] * MEMORY_SLACK,
        "parameters": limits["parameters"],
    }
    if "flops" in limits and spent["flops"] is not None:
        allowed["flops"] = limits["flops"] + OVERSHOOT * spent["flops"] / max(1.0, spent["steps"] or 0.0)
    for key, most in allowed.items():
        value = spent[key]
        if value is not None and value > most:
            advice = "Train within the benchmark's budget."
            yield _failure("over budget", f"spent.{key}", f"at most {most:g}", f"{value:g}", advice)


def _costs(benchmark: Benchmark, record: Record) -> Iterator[Finding]:
    """What of the costs is no number, or contradicts what was spent. That they are true no file can show."""
    cost, spent = record.cost, record.spent
    stages = cost.get("stage_seconds", {})
    named = {key: value for key, value in cost.items() if key != "stage_seconds"}
    named |= {f"stage_seconds.{key}": value for key, value in stages.items()} if isinstance(stages, dict) else {}
    if not isinstance(stages, dict) or not set(cost) <= {*COSTS, "stage_seconds"}:
        found = ", ".join(sorted(set(cost) - {*COSTS, "stage_seconds"})) or "stage_seconds of another form"
        yield _failure("cost", "cost", f"{', '.join(COSTS)}, and stage_seconds by stage", found[:160], AS_SUBMITTED)
    wrong = {key: value for key, value in named.items() if _number(value) is None}
    for key, value in wrong.items():
        yield _failure("cost", f"cost.{key}", "a number of 0 or more", str(value)[:80], AS_SUBMITTED)
    if wrong:
        return
    for key, other in (("train_flops", "flops"), ("train_seconds", "seconds"), ("parameters", "parameters")):
        if key in cost and cost[key] != spent.get(other):
            found = f"cost.{key} {cost[key]} and spent.{other} {spent.get(other)}"[:160]
            yield _failure("consistency", f"cost.{key}", f"the same as spent.{other}", found, AS_SUBMITTED)
    if "peak_memory" in cost and cost["peak_memory"] < (_number(spent.get("memory")) or 0.0):
        promised = f"{spent['memory']} bytes or more, those of training"
        yield _failure("consistency", "cost.peak_memory", promised, f"{cost['peak_memory']}", AS_SUBMITTED)
    if {"samples_per_second", "sample_seconds"} & set(cost):
        drawn = cost.get("samples_per_second", 0.0) * cost.get("sample_seconds", 0.0)
        if not math.isclose(drawn, benchmark.file.samples.n, rel_tol=1e-6):
            promised = f"times cost.sample_seconds {benchmark.file.samples.n}, the samples that were drawn"
            yield _failure("consistency", "cost.samples_per_second", promised, f"{drawn:g}", AS_SUBMITTED)


def _score(
    benchmark: Benchmark, record: Record, name: str, score: Score, metrics: Mapping[str, MetricSpec], own: set[str]
) -> Iterator[Finding]:
    place, (metric, at, evaluator) = f"scores.{name}", name.partition("@")
    spec, second = metrics.get(metric), benchmark.second_evaluator
    if spec is None or (at and not (spec.both_evaluators and second is not None and second.name == evaluator)):
        promised = f"the metrics of {benchmark.name}"
        yield _failure("unknown score", place, promised, f"{name!r}", "Remove it: the benchmark does not ask for it.")
        return
    if why := why_not_demanded(benchmark, name, score, spec.group if metric in own else None):
        yield _failure("measurement", place, "measured as the benchmark demands", why, AS_SUBMITTED)
    if (score.direction, score.unit) != (spec.direction, spec.unit):
        promised, found = f"{spec.direction}, unit {spec.unit!r}", f"{score.direction}, unit {score.unit!r}"
        yield _failure("measurement", place, promised, found, AS_SUBMITTED)
    for value in (score.value, *score.repeats):
        if metric in own and (bounds := why_out_of_bounds(name, value)):
            yield _failure(
                "bounds", place, bounds, f"{value:g}", "Such a value can't come out; " + AS_SUBMITTED.lower()
            )
    if score.n < 1 or (score.stderr is not None and not 0 <= score.stderr < math.inf):
        found = f"n {score.n}, stderr {score.stderr}"
        yield _failure("bounds", place, "n of 1 or more and a stderr of 0 or more", found, AS_SUBMITTED)
    repeated = spec.group in ("quality", "control") and metric in own and record.division == "closed"
    wanted = benchmark.file.samples.repeats if repeated else 0
    if len(score.repeats) not in (0, wanted):
        yield _failure("repeats", place, f"{wanted} or none", f"{len(score.repeats)}", AS_SUBMITTED)


def _milestones(benchmark: Benchmark, record: Record) -> Iterator[Finding]:
    asked = benchmark.file.milestones
    if record.milestones and record.status != "ok":
        promised = f"none of a run that is {record.status}"
        yield _failure("milestones", "milestones", promised, f"{len(record.milestones)}", AS_SUBMITTED)
    last = (0.0, -1, -1, -1.0)
    for index, milestone in enumerate(record.milestones):
        place = f"milestones[{index}]"
        now = (milestone.fraction, milestone.step, milestone.images, milestone.flops)
        if milestone.fraction not in asked:
            yield _failure(
                "milestones", place, f"shares of the budget {asked}", f"{milestone.fraction:g}", AS_SUBMITTED
            )
        if now[0] <= last[0] or any(one < other for one, other in zip(now[1:], last[1:], strict=True)):
            found = f"after {last} comes {now}"
            yield _failure("milestones", place, "share, step, images and FLOPs that rise", found, AS_SUBMITTED)
        last = now
        end = _number(record.spent.get("steps"))
        if end is not None and milestone.step > end:
            yield _failure(
                "milestones", place, f"at most {end:g} steps, those spent", f"{milestone.step}", AS_SUBMITTED
            )
        for name, score in milestone.scores.items():
            if bounds := why_out_of_bounds(name, score.value):
                yield _failure("bounds", f"{place}.scores.{name}", bounds, f"{score.value:g}", AS_SUBMITTED)


def _times(record: Record) -> Iterator[Finding]:
    moments = [record.started, *(t for each in record.attempts for t in (each.started, each.finished)), record.finished]
    try:
        parsed = [_moment(text) for text in moments]
    except ValueError:
        yield _failure("times", "", "moments in ISO 8601 with a time zone", "something else", AS_SUBMITTED)
        return
    if parsed[0] > parsed[-1]:
        found = f"{record.started} and {record.finished}"
        yield _failure("times", "", "a start before the end", found, AS_SUBMITTED)
    if parsed[-1] > datetime.now(UTC) + CLOCK_SLACK:
        yield _failure("times", "finished", "a moment that has been", record.finished, "Set the machine's clock.")
    if not record.attempts or record.attempts[-1].status != record.status:
        found = record.attempts[-1].status if record.attempts else "no attempt"
        yield _failure("attempts", "", f"a last attempt that is {record.status}", found, AS_SUBMITTED)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("without a time zone")
    return moment


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
    return float(value) if good else None


def _failure(check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(0, "failure", check, place, promised, found, advice)
