"""Two models side by side: for each metric the difference, its interval and test, the probability of improvement.

Several pairs, such as all models of two results folders, are compared in one family of tests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from genbench.columns import COSTS, OURS, Column, columns_of
from genbench.comparability import LeftOut, select, why_different, why_not_demanded
from genbench.power import detectable
from genbench.record import Record, Score
from genbench.rows import MARKS, withheld_scores
from genbench.statistics import (
    ALPHA,
    MIN_SEEDS,
    Difference,
    Estimate,
    Probability,
    holm,
    improvement,
    mean_interval,
    welch,
)

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.specs import MetricSpec
    from genbench.store import Loaded


@dataclass(frozen=True)
class Side:
    """One of the two: a model and its records that belong to the benchmark.

    Attributes:
        name: how it is called in the comparison.
        records: one a seed, failed ones included.
        left_out: its records that do not belong to the benchmark, and why.
        seeds: how many the benchmark has.
        anchor: whether it is a point of reference and no contender.
    """

    name: str
    records: tuple[Record, ...]
    left_out: tuple[LeftOut, ...]
    seeds: int
    anchor: bool = False

    @property
    def good(self) -> list[Record]:
        return [record for record in self.records if record.status == "ok"]


@dataclass(frozen=True)
class Compared:
    """One metric of both sides.

    Attributes:
        column: key, title, direction.
        a, b: means with intervals; without where a seed is missing or not ok.
        marks: what is printed before each mean.
        kinds: ``metric``, or the kinds of likelihood.
        values: of the seeds of each.
        difference: a - b, or a / b where it is of logarithms; None where a side lacks seeds, since the seeds that are
            left flatter it.
        p_adjusted: the test's p-value after Holm's correction over the metrics tested; None without a test.
        improvement: the probability that A is better, or None where nothing is.
        verdict: in words.
        decided: whether there is one; else ``verdict`` says why not.
        flags: of either side, seed to the warning that belongs to its value.
        detectable: the smallest difference of means, or ratio of them above 1, that would have been found with a
            probability of :data:`genbench.power.POWER`, whatever the family's other tests say; None without a verdict.
    """

    column: Column
    a: Estimate
    b: Estimate
    marks: tuple[str, str]
    kinds: tuple[str, str]
    values: tuple[tuple[float, ...], tuple[float, ...]]
    difference: Difference | None
    p_adjusted: float | None
    improvement: Probability | None
    verdict: str
    decided: bool = False
    flags: tuple[dict[int, str], dict[int, str]] = field(default_factory=lambda: ({}, {}))
    detectable: float | None = None

    @property
    def winner(self) -> Literal["A", "B"] | None:
        """Which side is significantly better; None where neither is, or there is no verdict."""
        if not self.decided or self.difference is None or self.p_adjusted is None or self.p_adjusted > ALPHA:
            return None
        a_is_lower = self.difference.value < (1.0 if self.difference.log_scale else 0.0)
        return "A" if a_is_lower == (self.column.better == "lower") else "B"


@dataclass(frozen=True)
class NotCompared:
    """A metric that both sides ought to have and that is not compared, and why.

    Attributes:
        lacking: of which side there is no number that may be compared with any; of neither where the two were measured
            differently.
    """

    column: Column
    reason: str
    lacking: tuple[bool, bool]

    @property
    def key(self) -> str:
        return self.column.key

    @property
    def title(self) -> str:
        return self.column.title


@dataclass(frozen=True)
class Cost:
    """What both sides cost: means over the seeds that are ok. Not tested: times are of a machine and its load.

    Attributes:
        key, title: of the cost.
        a, b: None where no seed has it.
    """

    key: str
    title: str
    a: float | None
    b: float | None

    @property
    def ratio(self) -> float | None:
        """A / B; None where either is unknown or B is 0."""
        return self.a / self.b if self.a is not None and self.b else None


@dataclass(frozen=True)
class Comparison:
    """Two models, metric by metric."""

    benchmark: Benchmark
    a: Side
    b: Side
    metrics: tuple[Compared, ...]
    refused: tuple[NotCompared, ...]
    costs: tuple[Cost, ...] = ()


def side_of(benchmark: Benchmark, loaded: Loaded, model: str, name: str, anchors: Collection[str] = ()) -> Side:
    """The records of a model, by the name that stands in them.

    Args:
        anchors: names, without options, of the models that are points of reference.
    """
    records = [record for record in loaded.records if record.model.name == model]
    used, left_out = select(benchmark, replace(loaded, records=records, unreadable=[]))
    anchor = model.partition("[")[0] in anchors
    return Side(name, tuple(used), tuple(left_out), len(benchmark.file.seeds), anchor)


def compare(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    a: Side,
    b: Side,
    plugins: Mapping[str, str] | None = None,
    wanted: Sequence[str] = (),
) -> Comparison:
    """Both sides in each metric that both have.

    Args:
        metrics: the benchmark's.
        plugins: metric to the distribution that registers it.
        wanted: keys of the scores to compare, all of them if there is none. Holm's family is what of them has a
            better and a worse: a descriptive score or a test of copying is not tested.
    """
    return compare_all(benchmark, metrics, [(a, b)], plugins, wanted)[0]


def compare_all(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    pairs: Sequence[tuple[Side, Side]],
    plugins: Mapping[str, str] | None = None,
    wanted: Sequence[str] = (),
) -> list[Comparison]:
    """Each pair as by :func:`compare`, with Holm's correction over the tests of all pairs."""
    found = [_measured(benchmark, metrics, a, b, plugins or {}, wanted) for a, b in pairs]
    corrected = iter(_corrected([entry for comparison in found for entry in comparison.metrics]))
    return [replace(of, metrics=tuple(next(corrected) for _ in of.metrics)) for of in found]


def _measured(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    a: Side,
    b: Side,
    plugins: Mapping[str, str],
    wanted: Sequence[str],
) -> Comparison:
    """A pair with its tests, uncorrected, and without verdicts."""
    own = {metric.name: metric.group for metric in metrics if plugins.get(metric.name, OURS) == OURS}
    compared: list[Compared] = []
    refused: list[NotCompared] = []
    for column in columns_of(benchmark, metrics, plugins, ()):
        if wanted and column.key not in wanted:
            continue
        found = [_scores(benchmark, side, column, metrics, own) for side in (a, b)]
        reasons = [of for of in found if isinstance(of, str)]
        scores = [{} if isinstance(of, str) else of for of in found]
        lacking = (not scores[0], not scores[1])
        why = "; ".join(reasons) or _why_different(a, scores[0], b, scores[1])
        if why:
            refused.append(NotCompared(column, why, lacking))
        elif all(scores):
            compared.append(_compared(column, a, scores[0], b, scores[1]))
        elif any(scores) or wanted:
            names = " and ".join(side.name for side, of in zip((a, b), scores, strict=True) if not of)
            refused.append(NotCompared(column, f"no such score of {names}", lacking))
    return Comparison(benchmark, a, b, tuple(compared), tuple(refused), _costs(a, b))


def _costs(a: Side, b: Side) -> tuple[Cost, ...]:
    costs = []
    for key, title, source in COSTS:
        means = []
        for side in (a, b):
            values = [source(record) for record in side.good]
            numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
            means.append(mean_interval(numbers).mean if numbers else None)
        if means != [None, None]:
            costs.append(Cost(key, title, *means))
    return tuple(costs)


def _scores(
    benchmark: Benchmark, side: Side, column: Column, metrics: Sequence[MetricSpec], own: Mapping[str, object]
) -> dict[int, Score] | str:
    """A side's score of each seed; or why they may not be compared with anything."""
    key = column.key
    withheld = withheld_scores(side.good, {metric.name: metric for metric in metrics}).get(key)
    if withheld:
        return f"withheld of {side.name}: {withheld[0].reason}"
    having = [record for record in side.good if key in record.scores]
    if any(record.scores[key].kind != "metric" and record.audit is None for record in having):
        return f"the likelihood of {side.name} is unaudited"
    scores = {record.seed: record.scores[key] for record in having}
    if any(score.kind == "estimate" for score in scores.values()):
        return f"the likelihood of {side.name} is an estimate and no bound"
    for seed, score in scores.items():
        group = column.group if key.partition("@")[0] in own else None
        if why := why_not_demanded(benchmark, key, score, group):
            return f"{side.name}, seed {seed}: {why}"
    first = next(iter(scores.values()), None)
    for seed, score in scores.items():
        if first is not None and (why := _why_unlike(score, first)):
            return f"the seeds of {side.name} were not measured alike: seed {seed}: {why}"
    return scores


def _why_different(a: Side, of_a: Mapping[int, Score], b: Side, of_b: Mapping[int, Score]) -> str | None:
    """Why one side's score may not be compared with the other's, or None; each is alike within."""
    if not of_a or not of_b:
        return None
    first, second = next(iter(of_a.values())), next(iter(of_b.values()))
    if first.kind == second.kind and (why := why_different(first, second)):
        return f"{a.name} and {b.name} were measured differently: {why}"
    return None


def _why_unlike(score: Score, first: Score) -> str | None:
    if score.kind != first.kind:
        return f"kind {score.kind}, not {first.kind}"
    return why_different(score, first)


def _compared(column: Column, a: Side, of_a: Mapping[int, Score], b: Side, of_b: Mapping[int, Score]) -> Compared:
    values_a, values_b = [s.value for s in of_a.values()], [s.value for s in of_b.values()]
    kinds = (next(iter(of_a.values())).kind, next(iter(of_b.values())).kind)
    estimates = [mean_interval(values, column.log_scale) for values in (values_a, values_b)]
    short = [
        f"{letter} has {len(of)}/{side.seeds}"
        for letter, side, of in (("A", a, of_a), ("B", b, of_b))
        if len(of) < side.seeds
    ]
    if short:
        estimates = [replace(estimate, low=None, high=None) for estimate in estimates]
    better = None if short or not column.ranked else improvement(values_a, values_b, column.better)
    difference = None if short else welch(values_a, values_b, column.log_scale)
    if difference and not column.ranked:
        difference = replace(difference, p=None)
    return Compared(
        column=column,
        a=estimates[0],
        b=estimates[1],
        marks=(MARKS.get(kinds[0], ""), MARKS.get(kinds[1], "")),
        kinds=kinds,
        values=(tuple(values_a), tuple(values_b)),
        difference=difference,
        p_adjusted=None,
        improvement=better,
        verdict=_why_untested(column, short),
        flags=(_flags(of_a), _flags(of_b)),
    )


def _why_untested(column: Column, short: Sequence[str]) -> str:
    if column.group == "copying":
        return "not tested: no value is better than another, only a flag counts"
    if not column.ranked:
        return "not tested: descriptive, without a better or worse"
    return f"not tested: {', '.join(short)} seeds" if short else ""


def _flags(scores: Mapping[int, Score]) -> dict[int, str]:
    return {seed: score.flag for seed, score in scores.items() if score.flag}


def _corrected(compared: Sequence[Compared]) -> list[Compared]:
    """With p-values corrected over all that were tested, and the verdicts that follow."""
    tests = [entry.difference.p for entry in compared if entry.difference and entry.difference.p is not None]
    adjusted = iter(holm(tests))
    done = []
    for entry in compared:
        if entry.difference and entry.difference.p is not None:
            entry = replace(entry, p_adjusted=next(adjusted))
        if not entry.verdict:
            why = _why_undecided(entry)
            entry = replace(entry, verdict=why, decided=not why)
        if entry.decided and entry.difference:
            # Holm's correction tests the smallest p-value at this level, and the others at higher ones.
            least = detectable(*entry.values, entry.difference.log_scale, ALPHA / len(tests))
            entry = replace(entry, verdict=_verdict(entry), detectable=least)
        done.append(entry)
    return done


def _why_undecided(entry: Compared) -> str:
    if entry.p_adjusted is None:
        return "not tested: one seed"
    return f"none: a verdict needs {MIN_SEEDS} seeds" if min(entry.a.n, entry.b.n) < MIN_SEEDS else ""


def _verdict(entry: Compared) -> str:
    if entry.winner is None:
        return "not distinguishable"
    loser = "B" if entry.winner == "A" else "A"
    if entry.kinds["AB".index(loser)] in ("iwae", "bound"):
        # What lies under a higher bound is unknown: its true value may be the lower one.
        return f"{entry.winner} is lower than the bound of {loser}"
    return f"{entry.winner} is better"
