"""What looks like a mistake or like cheating. Few of these are proof: most are warnings, for a person to judge.

How often each one fires on honest runs is measured in ``docs/submissions.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genbench.benchmark import Benchmark
from genbench.comparability import select
from genbench.record import Record, Score
from genbench.submission.interval import prediction
from genbench.submission.verdict import Verdict
from genbench.verification import Finding

if TYPE_CHECKING:
    from genbench.specs import MetricSpec
    from genbench.store import Loaded

REPLAYED_IMAGES, REPLAYED_TEXTS = 0.5, 0.9
"""Shares of samples at which they are a replay: images that equal a training example or are nearer to one than nearly
all held-out data are, so that a little noise does not hide it; texts that equal one. An honest model of short words
gives up to 0.45 of them, since most words there are stand in the training data."""
HELD_OUT_COPIES = 0.01
"""The share of images that equal held-out ones at which they were known."""
NEAR = 0.05
"""The share of images nearer to the training data than held-out ones ever are; 0.01 is expected of held-out data."""
TOWARD_IMAGES, TOWARD_TEXTS, OF_HELD_OUT = 0.65, 0.75, 0.9
"""The shares of samples nearer to the held-out data than to as many training examples that are told, and that fail.
Honest runs have 0.39 to 0.58 on digits and 0.37 to 0.64 on words."""
REPEATED = 0.01
"""The share of images that equal an earlier one; a model that has collapsed does so too."""
ALIKE = 1e-4
"""Relative difference below which all quality scores of two runs are the same. The most alike pair of 390 honest runs
differs by 1.3e-2 in at least one of them."""
COMPARABLE = 2.0
"""Factor within which the FLOPs of two models are comparable."""
TOO_GOOD_LEVEL = 0.99
"""Of the prediction interval that a mean is held against."""
FLOORED = ("fid", "fd_inf", "kid")
"""Metrics by which no model should do better than training examples themselves: distances to the held-out data."""
FASTER = 3.0
"""Times the most FLOPs a CPU second of any known run."""
FASTEST = 2.5e11
"""FLOPs a second of one core: two 512-bit multiply-adds a cycle at 4 GHz."""


def likeness_findings(record: Record, likeness: Mapping[str, float], is_image: bool) -> Iterator[Finding]:
    """Samples that repeat data or each other.

    Args:
        likeness: of :class:`genbench.engine.rescoring.Likeness`.
    """
    copies, near = likeness["training_copies"], likeness["near_training"] if is_image else 0.0
    if copies >= (REPLAYED_IMAGES if is_image else REPLAYED_TEXTS) or near >= REPLAYED_IMAGES:
        promised, advice = "samples of a model", "Submit what the model draws, or the anchor train-copy under its name."
        found = f"{copies:.1%} of them equal a training example"
        found += f", {near:.1%} are as near to one as 1% of held-out data are" * is_image
        yield _failure("replayed training data", promised, found, advice)
    elif is_image:
        if copies > 0:
            promised, advice = "samples that are no training example", "Look whether the model has memorised."
            yield _warning("exact copies", promised, f"{copies:.1%} equal one", advice)
        if near > NEAR:
            promised = "1% as near to the training data as the nearest 1% of held-out data"
            yield _warning("near copies", promised, f"{near:.1%}", "Look at their nearest neighbours.")
    if is_image and likeness["held_out_copies"] >= HELD_OUT_COPIES:
        promised, advice = "samples made without the test data", "Train on the training split alone."
        found = f"{likeness['held_out_copies']:.1%} of them equal a held-out example"
        yield _failure("test data among the samples", promised, found, advice)
    toward = likeness["toward_held_out"]
    if toward > (TOWARD_IMAGES if is_image else TOWARD_TEXTS):
        make = _failure if toward >= OF_HELD_OUT else _warning
        promised, advice = (
            "samples no nearer to the test data than to as many training examples",
            "Ask what it was trained on.",
        )
        yield make("nearer to the test data", promised, f"{toward:.1%} are nearer, where half is expected", advice)
    if is_image and likeness["repeated"] > REPEATED:
        promised, found = "samples that differ", f"{likeness['repeated']:.1%} equal an earlier one"
        yield _warning("duplicates", promised, found, "The model may have collapsed; look at the samples.")


def twin_findings(verdicts: Sequence[Verdict], digests: Mapping[str, str], known: Iterable[Record]) -> None:
    """Note runs whose samples are those of another run, here or among known ones.

    Args:
        digests: folder of a run to a hash of its samples' values.
        known: records of other runs; their files are compared by hash.
    """
    files: dict[str, list[Record]] = {}
    for record in known:
        if "samples.npz" in record.artifacts:
            files.setdefault(record.artifacts["samples.npz"], []).append(record)
    first: dict[str, Record] = {}
    for verdict in verdicts:
        digest = digests.get(str(verdict.folder))
        if verdict.record is None or digest is None:
            continue
        record = verdict.record
        others = [
            one.run for one in files.get(record.artifacts.get("samples.npz", ""), ()) if not _same_run(one, record)
        ]
        if digest in first and not _same_run(first[digest], record):
            others.insert(0, first[digest].run)
        first.setdefault(digest, record)
        if others:
            promised, advice = "samples of its own", "Submit each seed's own samples."
            verdict.add(
                [Finding(0, "failure", "same samples", "samples.npz", promised, f"those of {others[0]}", advice)]
            )


def twin_scores(
    verdicts: Sequence[Verdict], known: Iterable[Record], specs: Mapping[str, MetricSpec]
) -> Iterator[tuple[Verdict, Finding]]:
    """Runs with the quality scores of another run, here or among known ones: its samples in another order or packing.

    Args:
        verdicts: with their scores recomputed.
        specs: of genbench's own metrics.
    """
    seen = [(record, _of_all_samples(record.scores, specs)) for record in known]
    for verdict in verdicts:
        record, mine = verdict.record, _of_all_samples(verdict.recomputed, specs)
        if record is None or len(mine) < 2:
            continue
        twin = next((one.run for one, theirs in seen if not _same_run(one, record) and _alike(mine, theirs)), None)
        seen.append((record, mine))
        if twin is not None:
            found, advice = f"the scores of {twin}, to one part in ten thousand", "Submit each seed's own samples."
            yield verdict, _failure("same samples", "samples of its own", found, advice)


def _of_all_samples(scores: Mapping[str, Score], specs: Mapping[str, MetricSpec]) -> dict[str, float]:
    """Scores that do not hang on the order of the samples, as those of growing subsets do."""
    names = [name for name in scores if (spec := specs.get(name.partition("@")[0])) and spec.group == "quality"]
    return {name: scores[name].value for name in names if not name.startswith("fd_inf")}


def _alike(mine: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
    shared = mine.keys() & theirs.keys()
    return len(shared) > 1 and all(math.isclose(mine[key], theirs[key], rel_tol=ALIKE, abs_tol=1e-6) for key in shared)


def _same_run(one: Record, other: Record) -> bool:
    return (one.run, one.started, one.finished) == (other.run, other.started, other.finished)


@dataclass(frozen=True)
class Known:
    """Runs that stand in a leaderboard already, by model; anchors apart."""

    models: dict[str, list[Record]] = field(default_factory=dict)
    anchors: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def records(self) -> list[Record]:
        return [record for runs in (*self.models.values(), *self.anchors.values()) for record in runs]


def known_of(benchmark: Benchmark, loaded: Loaded, anchors: Iterable[str]) -> Known:
    """The runs of a results folder that belong to a benchmark's table and ended ``ok``."""
    known, names = Known(), set(anchors)
    for record in select(benchmark, loaded)[0]:
        if record.status == "ok":
            side = known.anchors if record.model.name.partition("[")[0] in names else known.models
            side.setdefault(record.model.name, []).append(record)
    return known


def too_good(
    model: str, records: Sequence[Record], known: Known, specs: Mapping[str, MetricSpec]
) -> Iterator[tuple[str, Finding]]:
    """Scores of a model that are better than what is known makes likely: each with the score's name.

    Args:
        model: its name; known runs of it are left out.
        records: of its seeds, scores recomputed.
    """
    flops = _mean_flops(records)
    rivals = [
        runs for name, runs in known.models.items()
        if name != model and flops > 0 and 1 / COMPARABLE <= _mean_flops(runs) / flops <= COMPARABLE
    ]  # fmt: skip
    for name in records[0].scores:
        spec = specs.get(name.partition("@")[0])
        mine = _values(records, name)
        if spec is None or spec.direction == "none" or spec.group not in ("quality", "likelihood") or not mine:
            continue
        sign = 1.0 if spec.direction == "lower" else -1.0
        found = [values for runs in rivals if len(values := _values(runs, name, records[0])) > 1]
        if found:
            best = min(found, key=lambda values: sign * _mean(values, spec.log_scale))
            yield from _beyond(name, mine, best, spec, "too good for the budget", "the best known of comparable FLOPs")
        for floor in (
            runs for anchor, runs in known.anchors.items() if anchor == "train-copy" and spec.name in FLOORED
        ):
            values = _values(floor, name, records[0])
            yield from _beyond(name, mine, values, spec, "better than real data", "training examples themselves")


def _beyond(
    name: str, mine: list[float], theirs: list[float], spec: MetricSpec, check: str, what: str
) -> Iterator[tuple[str, Finding]]:
    interval = prediction(theirs, spec.log_scale, TOO_GOOD_LEVEL, to_come=len(mine))
    if interval is None:
        return
    mean = _mean(mine, spec.log_scale and min(mine) > 0)
    if (mean < interval.low) if spec.direction == "lower" else (mean > interval.high):
        promised = f"{what} to be as good: {interval.low:.4g} to {interval.high:.4g}"
        advice = "It may be a better model; look before it is believed."
        yield name, Finding(1, "warning", check, f"scores.{name}", promised, f"a mean of {mean:.4g}", advice)


def speed_findings(record: Record, known: Known) -> Iterator[Finding]:
    """FLOPs in less CPU time than processors can do, or than known runs took by far; none for what ran on a GPU."""
    rate = _rate(record)
    if rate is None:
        return
    rates = [other for one in known.records if (other := _rate(one)) is not None]
    for most, what in (
        (FASTEST, "any core"),
        (FASTER * max(rates, default=math.inf), "the known runs, three times over"),
    ):
        if rate > most:
            promised, found = f"at most {most:.2g} FLOPs a CPU second, as {what}", f"{rate:.2g}"
            yield Finding(0, "warning", "speed", "spent", promised, found, "Ask how the run was made.")
            return


def _rate(record: Record) -> float | None:
    flops, seconds = record.spent.get("flops"), record.spent.get("cpu_seconds")
    good = all(isinstance(each, int | float) and each > 0 for each in (flops, seconds))
    return float(flops) / float(seconds) if good and record.budget.get("device") == "cpu" else None  # type: ignore[arg-type]


def _values(records: Sequence[Record], name: str, like: Record | None = None) -> list[float]:
    """A score over the seeds; of those only that were measured as that of another record, where one is given."""
    wanted = like.scores.get(name) if like is not None else None
    return [
        record.scores[name].value
        for record in records
        if name in record.scores
        and (wanted is None or (record.scores[name].kind, record.scores[name].n) == (wanted.kind, wanted.n))
    ]


def _mean_flops(records: Sequence[Record]) -> float:
    spent = [record.spent.get("flops") for record in records]
    return math.fsum(float(flops) for flops in spent if isinstance(flops, int | float)) / len(records)


def _mean(values: Sequence[float], log_scale: bool) -> float:
    if log_scale and min(values) > 0:
        return math.exp(math.fsum(map(math.log, values)) / len(values))
    return math.fsum(values) / len(values)


def _failure(check: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(1, "failure", check, "samples.npz", promised, found, advice)


def _warning(check: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(1, "warning", check, "samples.npz", promised, found, advice)
