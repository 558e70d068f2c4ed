"""Level 1: the scores computed again from the samples and nats that were submitted. No submitted code is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from genbench.benchmark import Benchmark
from genbench.plugins import Registry
from genbench.record import Record, Score
from genbench.submission.checks import likeness_findings
from genbench.submission.machine import why_other_class
from genbench.submission.verdict import Verdict
from genbench.verification import Finding

if TYPE_CHECKING:
    from genbench.specs import MetricSpec

TOLERANCE = 1e-4
"""Relative difference that a smooth score may show between two classes of machines. With other instruction sets (SSE4
in place of AVX2 in torch, MKL and oneDNN) the smooth scores of the 24 models of ``digits`` changed by at most 3.2e-6 of
their value; this is thirty times as much, and a hundredth of what separates two seeds."""
LEAST = 1e-6
"""The same for scores about 0, in their own unit."""
COUNTS: Mapping[str, float] = {
    **dict.fromkeys(
        ("precision", "recall", "density", "coverage", "class_histogram", "label_accuracy", "invalid_words",
         "distinct_words", "new_words", "exact_copies"), 1.0,
    ),
    "authenticity": 100.0,
    "modes_kl": 10.0,
}  # fmt: skip
"""Metrics that count samples, and what one sample in n moves them by, times n."""
FEW = 3
"""Samples that near ties may let fall the other way; two of 300 was the most seen."""
UNCHECKED = "nats unchecked"
"""The check by which level 1 says that it takes the nats as they come."""
RANKED: Mapping[str, float] = {"c_t": 0.5, "modes_found": 3.0}
"""Metrics that move by something else, and by how much they may: half a unit of C_T's z, which was seen to move by
0.12, and three modes."""


def rescore(
    registry: Registry,
    benchmark: Benchmark,
    verdicts: Sequence[Verdict],
    specs: Mapping[str, MetricSpec],
    own: set[str],
) -> None:
    """Take runs of one benchmark through level 1, and note in their verdicts what was found.

    A run that has not ended ``ok`` has nothing to be scored.

    Raises:
        GenbenchError: if data or weights are missing.
    """
    from genbench.executors.task import task
    from genbench.job import JOB
    from genbench.selection import select_model

    scored = [
        verdict
        for verdict in verdicts
        if verdict.record is not None and verdict.record.status == "ok" and not verdict.thin
    ]
    for verdict in verdicts:
        verdict.checked = 1
    if not scored:
        return
    # A task carries a model; what is scored here does not depend on it.
    with task(registry, benchmark, select_model(registry, "noise"), seed=0) as prepared:
        runs = [_request(verdict) for verdict in scored]
        arguments = {"job": str(prepared.job.folder / JOB), "runs": runs}
        found = prepared.launcher.call("genbench.engine.rescoring:rescore", arguments, [])
    for verdict, result in zip(scored, found["runs"], strict=True):
        assert verdict.record is not None
        verdict.environment = found["environment"]
        other = why_other_class(verdict.record.environment, verdict.environment)
        verdict.same_machine = other is None
        verdict.add(_findings(benchmark, verdict, result, specs, own, other))


def _request(verdict: Verdict) -> dict[str, Any]:
    record = verdict.record
    assert record is not None
    closed = record.division == "closed"
    folder = str(verdict.folder.resolve())
    return {"folder": folder, "seed": record.seed, "conditional": record.model.conditional, "closed": closed}


def _findings(
    benchmark: Benchmark,
    verdict: Verdict,
    result: dict[str, Any],
    specs: Mapping[str, MetricSpec],
    own: set[str],
    other: str | None,
) -> Iterator[Finding]:
    """What came out otherwise for one run; its recomputed scores go into the verdict."""
    record = verdict.record
    assert record is not None
    if "problem" in result:
        yield _failure(
            "scoring", "samples.npz", "samples that can be scored", result["problem"], "Submit the run's own."
        )
        return
    scores = {name: Score(**entry) for name, entry in result["scores"].items()}
    if record.audit is not None and record.audit.verdict == "failed":
        scores = {name: score for name, score in scores.items() if specs[name.partition("@")[0]].group != "likelihood"}
    verdict.recomputed = scores
    if result["labels"] is False:
        promised = f"the labels that genbench asks for with seed {record.seed}"
        yield _failure("labels", "samples.npz", promised, "others", "Submit the samples that genbench drew.")
    if result["examples"] is False:
        promised = f"the held-out examples that {benchmark.name} chooses"
        yield _failure("nats", "nats.npz, examples", promised, "others", "Submit the nats that genbench took.")
    for name in sorted({*record.scores, *scores}):
        recorded, found = record.scores.get(name), scores.get(name)
        if name.partition("@")[0] not in own:
            promised = "a score that can be computed again"
            told = "a third party's metric, which level 1 does not run"
            yield _warning("not recomputed", f"scores.{name}", promised, told, "Verify to level 2 to have it measured.")
        elif recorded is None or found is None:
            promised, told = _shown(recorded), _shown(found)
            yield _failure(
                "re-scored", f"scores.{name}", promised, told, "Submit the record that belongs to the samples."
            )
        elif why := why_different(name, recorded, found, exact=other is None):
            advice = "Submit the record that belongs to the samples."
            yield _failure("re-scored", f"scores.{name}", *why, advice)
    yield from likeness_findings(record, result["likeness"], benchmark.dataset.data.is_image)
    yield from _flags(record, scores)
    if "nats.npz" in record.artifacts and record.division == "closed":
        told = "nats as they were submitted"
        promised, advice = "a likelihood that the model gives", "Verify to level 2 to have the model asked again."
        yield _warning(UNCHECKED, "nats.npz", promised, told, advice)


def why_different(name: str, recorded: Score, found: Score, exact: bool) -> tuple[str, str] | None:
    """What was recorded and what was found of a score that came out otherwise; None if it is the same.

    Args:
        exact: whether to the last bit, as on a machine of the same class; else within ``TOLERANCE``.
    """
    for part in ("n", "kind", "unit", "direction", "fingerprint"):
        if getattr(recorded, part) != getattr(found, part):
            return f"{part} {getattr(recorded, part)}", f"{part} {getattr(found, part)}"
    if exact:
        for part in ("value", "stderr", "flag", "details"):
            if asdict(recorded)[part] != asdict(found)[part]:
                return f"{part} {getattr(recorded, part)}", f"{part} {getattr(found, part)}"
        return None
    allowed = tolerance(name, recorded)
    if abs(recorded.value - found.value) <= allowed:
        return None
    return f"{recorded.value!r}, give or take {allowed:.2g} on another class of machine", f"{found.value!r}"


def tolerance(name: str, score: Score) -> float:
    """By how much a score may differ between classes of machines, in its own unit."""
    metric = name.partition("@")[0]
    counted = COUNTS.get(metric, 0.0) * FEW / max(score.n, 1)
    return max(TOLERANCE * abs(score.value), LEAST, counted, RANKED.get(metric, 0.0))


def _flags(record: Record, scores: Mapping[str, Score]) -> Iterator[Finding]:
    for name, score in scores.items():
        if score.flag:
            promised, advice = "samples no nearer to the training data than held-out data are", "Look at the samples."
            yield _warning("copying", f"scores.{name}", promised, score.flag, advice)


def _shown(score: Score | None) -> str:
    return "no such score" if score is None else f"{score.value!r}"


def _failure(check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(1, "failure", check, place, promised, found, advice)


def _warning(check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(1, "warning", check, place, promised, found, advice)
