"""A row of a table: one model over its seeds, what went wrong with them, and its score in each column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from genbench.columns import COSTS, ESTIMATE
from genbench.comparability import Scores
from genbench.record import Record, Score
from genbench.statistics import Components, Estimate, mean_interval, variance_components

if TYPE_CHECKING:
    from genbench.specs import MetricSpec
    from genbench.verification import Verification

EFFECTIVE_DRAWS = "effective_draws"
"""The key in a score's details for the effective number of draws of an importance likelihood."""

MARKS = {"iwae": "<= ", "bound": "<= ", "estimate": "~ "}
"""What is printed before a likelihood, by kind: an upper bound on bits/dim, an estimate that is none."""

FLAGGED = "!"
"""Printed behind a number that a warning belongs to."""

UNAUDITED = "?"
"""Printed behind a likelihood whose record has no verdict of the audit."""


@dataclass(frozen=True)
class Cell:
    """A model's score over its seeds.

    Attributes:
        estimate: over the seeds that are ok; without an interval where any seed is missing or not ok.
        kind: ``metric``, or the kind of likelihood.
        n: samples or examples behind each value.
        values: seed to value.
        draws: for each seed its value and those of its repeats, further sets of samples of the same state.
        rank: among the contenders of the column, from 1; None where there is none.
        flags: seed to the warning that belongs to its value.
        audited: of a likelihood, whether each record has the verdict of its audit; true for other scores.
        smallest_flattery: of a likelihood, the least excess in bits/dim that its audits would all have seen.
        effective_draws: of an importance likelihood, the mean over seeds of the effective number of its draws.
        evaluator: whose features it was measured on, as its fingerprint has it; empty if on none.
    """

    estimate: Estimate
    kind: str
    n: int
    values: dict[int, float]
    draws: tuple[tuple[float, ...], ...] = ()
    rank: int | None = None
    flags: dict[int, str] = field(default_factory=dict)
    audited: bool = True
    smallest_flattery: float | None = None
    effective_draws: float | None = None
    evaluator: str = ""

    @cached_property
    def components(self) -> Components:
        """How much of the variance is training's and how much sampling's."""
        return variance_components(self.draws, self.estimate.log_scale)

    @property
    def is_likelihood(self) -> bool:
        return self.kind != "metric"

    @property
    def mark(self) -> str:
        """What is printed before the number."""
        return MARKS.get(self.kind, "")

    @property
    def warning(self) -> str:
        """What is printed behind the number."""
        return FLAGGED * bool(self.flags) + UNAUDITED * (not self.audited)


@dataclass(frozen=True)
class Failure:
    """Seeds of a row that ended alike, other than well."""

    status: str
    reason: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Withheld:
    """A score that a row ought to have and that is not shown: for these seeds, for this reason."""

    reason: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A model's row.

    Attributes:
        model: name with options.
        anchor: whether it is a point of reference and no contender.
        ok, seeds: how many of the benchmark's seeds are ok, of how many.
        failures: the others, grouped; ``missing`` those that have no record.
        scores: column key to cell; without a key where there is no such score.
        withheld: column key to what of it is not shown.
        verified: the least level that ``genbench verify`` reached on its ok seeds; None where any has none.
        costs: key of :data:`COSTS` to the mean over ok seeds, or None.
        records: the records behind the row.
    """

    model: str
    anchor: bool
    ok: int
    seeds: int
    failures: tuple[Failure, ...]
    missing: tuple[int, ...]
    scores: dict[str, Cell]
    costs: dict[str, float | None]
    records: tuple[Record, ...]
    withheld: dict[str, tuple[Withheld, ...]] = field(default_factory=dict)
    verified: int | None = None

    @property
    def complete(self) -> bool:
        """Whether all seeds are ok; a row whose likelihood is withheld is complete for its other columns."""
        return self.ok == self.seeds

    @property
    def unsupported(self) -> bool:
        """Whether all there is of the model is that it is not made for such data."""
        return all(record.status == "unsupported" for record in self.records)

    @property
    def problem(self) -> str:
        """What the row lacks, in words; empty if nothing."""
        parts = [f"{_of_seeds(f.seeds)} {f.status}: {f.reason}" for f in self.failures]
        if self.missing:
            parts.append(f"{_of_seeds(self.missing)} not run")
        for key, entries in self.withheld.items():
            for entry in entries:
                of = "" if len(entry.seeds) == self.ok else f" of {_of_seeds(entry.seeds)}"
                parts.append(f"{key}{of} withheld: {entry.reason}")
        return "; ".join(parts)


def row_of(
    records: list[Record],
    comparable: Mapping[str, Scores],
    seeds: list[int],
    specs: Mapping[str, MetricSpec],
    anchor: bool,
    verifications: Mapping[str, Verification],
) -> Row:
    """The row of a model.

    Args:
        records: of one model, one a seed.
        comparable: by run, the scores that may stand in the table.
        seeds: the benchmark's.
        specs: the benchmark's metrics by name.
        anchor: whether the model is a point of reference.
        verifications: by run, what was verified of it.
    """
    good = [record for record in records if record.status == "ok"]
    groups: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if record.status != "ok":
            groups.setdefault((record.status, record.reason or ""), []).append(record.seed)
    present = {record.seed for record in records}
    withheld = withheld_scores(good, specs)
    levels = [verifications[record.run].level if record.run in verifications else None for record in good]
    known = [level for level in levels if level is not None]
    return Row(
        model=records[0].model.name,
        anchor=anchor,
        ok=len(good),
        seeds=len(seeds),
        failures=tuple(Failure(status, reason, tuple(sorted(of))) for (status, reason), of in groups.items()),
        missing=tuple(seed for seed in seeds if seed not in present),
        scores=_cells(good, comparable, withheld, specs, complete=len(good) == len(seeds)),
        costs={key: _mean(source(record) for record in good) for key, _, source in COSTS},
        records=tuple(records),
        withheld=withheld,
        verified=min(known) if known and len(known) == len(levels) else None,
    )


def withheld_scores(records: Sequence[Record], specs: Mapping[str, MetricSpec]) -> dict[str, tuple[Withheld, ...]]:
    """By score, what of the records is not to be shown: what they withhold, and likelihoods whose audit failed."""
    found: dict[str, dict[str, list[int]]] = {}
    for record in records:
        reasons = dict(record.withheld)
        if record.audit is not None and record.audit.verdict == "failed":
            failed = [key for key, score in record.scores.items() if score.kind != "metric"]
            reasons |= dict.fromkeys(failed, record.audit.reason or "its audit failed")
        for key, reason in reasons.items():
            if key.partition("@")[0] in specs:
                found.setdefault(key, {}).setdefault(reason, []).append(record.seed)
    return {
        key: tuple(Withheld(reason, tuple(sorted(seeds))) for reason, seeds in reasons.items())
        for key, reasons in found.items()
    }


def _cells(
    good: list[Record],
    comparable: Mapping[str, Scores],
    withheld: Mapping[str, tuple[Withheld, ...]],
    specs: Mapping[str, MetricSpec],
    complete: bool,
) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    found = [(record, comparable[record.run]) for record in good]
    for name in dict.fromkeys(name for _, scores in found for name in scores):
        spec = specs.get(name.partition("@")[0])
        if spec is not None and spec.group == "likelihood" and name in withheld:
            continue  # the audit is of the model, so that one seed that failed it is enough
        without = {seed for entry in withheld.get(name, ()) for seed in entry.seeds}
        having = [(record, scores[name]) for record, scores in found if name in scores and record.seed not in without]
        if not having:
            continue
        kind = having[0][1].kind
        alike = [(record, score) for record, score in having if score.kind == kind]
        scored = {record.seed: score for record, score in alike}
        cell = _cell(scored, spec is not None and spec.log_scale)
        if not complete or len(scored) < len(good):
            cell = replace(cell, estimate=replace(cell.estimate, low=None, high=None))
        if cell.is_likelihood:
            cell = _with_audit(cell, [record for record, _ in alike], scored)
        cells[name + ESTIMATE * (kind == "estimate")] = cell
    return cells


def _cell(scored: Mapping[int, Score], log_scale: bool) -> Cell:
    first = next(iter(scored.values()))
    values = {seed: score.value for seed, score in scored.items()}
    return Cell(
        estimate=mean_interval(list(values.values()), log_scale),
        kind=first.kind,
        n=first.n,
        values=values,
        draws=tuple((score.value, *score.repeats) for score in scored.values()),
        flags={seed: score.flag for seed, score in scored.items() if score.flag},
        evaluator=str(first.fingerprint.get("evaluator", "")),
    )


def _with_audit(cell: Cell, records: Sequence[Record], scored: Mapping[int, Score]) -> Cell:
    audits = [record.audit for record in records]
    flatteries = [audit.smallest_flattery if audit else None for audit in audits]
    known = [flattery for flattery in flatteries if flattery is not None]
    return replace(
        cell,
        audited=all(audit is not None and audit.verdict == "passed" for audit in audits),
        smallest_flattery=max(known) if len(known) == len(flatteries) else None,
        effective_draws=_mean(score.details.get(EFFECTIVE_DRAWS) for score in scored.values()),
    )


def _of_seeds(seeds: tuple[int, ...]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _mean(values: Iterable[Any]) -> float | None:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return mean_interval(numbers).mean if numbers else None
