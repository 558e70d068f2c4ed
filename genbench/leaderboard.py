"""Leaderboard: a pure view of the records with one digest, one row a model."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genbench.errors import SpecError
from genbench.record import Record, Score
from genbench.specs import Direction
from genbench.statistics import Estimate, mean_interval

if TYPE_CHECKING:
    import pandas as pd

    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.specs import MetricSpec
    from genbench.store import Loaded

ANCHORS = "genbench_baselines"
"""The plugin module whose models are anchors: known points of the scale, not contenders."""

INCEPTION = "inception-v3"
"""The evaluator that ``FID`` without a suffix means."""

ESTIMATE = "_estimate"
"""Suffix of the column for likelihoods of kind ``estimate``, which are not comparable with the others."""

COSTS: tuple[tuple[str, str, Callable[[Record], Any]], ...] = (
    ("parameters", "Parameters", lambda record: record.cost.get("parameters")),
    ("train_tflop", "Train TFLOP", lambda record: _scaled(record.spent.get("flops"), 1e-12)),
    ("train_seconds", "Train s", lambda record: record.cost.get("train_seconds")),
    ("samples_per_second", "Samples/s", lambda record: record.cost.get("samples_per_second")),
    ("peak_memory_mib", "Peak MiB", lambda record: _scaled(record.cost.get("peak_memory"), 2**-20)),
)
"""Key, title and source of the cost columns."""


@dataclass(frozen=True)
class Column:
    """A column of scores: its key in the rows, its title without a direction mark, and which way is better."""

    key: str
    title: str
    direction: Direction
    unit: str = ""
    summary: str = ""
    reference: str = ""


@dataclass(frozen=True)
class Cell:
    """A model's score over its seeds.

    Attributes:
        estimate: over the seeds that are ok; without an interval where any seed is missing or not ok.
        kind: ``metric``, or the kind of likelihood.
        n: samples or examples behind each value.
        values: seed to value.
    """

    estimate: Estimate
    kind: str
    n: int
    values: dict[int, float]

    @property
    def mark(self) -> str:
        """What is printed before the number: ``<=`` for an upper bound on bits/dim, ``~`` for an estimate."""
        return {"iwae": "<= ", "bound": "<= ", "estimate": "~ "}.get(self.kind, "")


@dataclass(frozen=True)
class Failure:
    """Seeds of a row that ended alike, other than well."""

    status: str
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

    @property
    def complete(self) -> bool:
        return self.ok == self.seeds

    @property
    def problem(self) -> str:
        """What keeps the row from being complete, in words; empty if nothing does."""
        parts = [f"{_of_seeds(f.seeds)} {f.status}: {f.reason}" for f in self.failures]
        if self.missing:
            parts.append(f"{_of_seeds(self.missing)} not run")
        return "; ".join(parts)


@dataclass(frozen=True)
class LeftOut:
    """A record that is not in the table, and why."""

    run: str
    reason: str


@dataclass(frozen=True)
class Leaderboard:
    """Rows in order, columns in order, and what was left out."""

    benchmark: Benchmark
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def official(self) -> bool:
        """False for tables of ``--dev`` or ``--budget`` runs, which may not be published."""
        return not (self.benchmark.dev or self.benchmark.custom_budget)

    def frame(self) -> pd.DataFrame:
        """One row a model: per score its mean, ``_low`` and ``_high``, then kinds of likelihood, then costs."""
        import pandas as pd

        return pd.DataFrame(as_dicts(self))


def build(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    loaded: Loaded,
    sort: str | None = None,
    anchors: Collection[str] = (),
) -> Leaderboard:
    """The leaderboard of ``benchmark``.

    Args:
        benchmark: only records with its digest, and of its seeds, are used.
        metrics: the specs of its metrics, in the order of the columns.
        loaded: what the results folder holds.
        sort: key of the column to sort by; by default ``fid`` where there is one, else the first. Rows with
            all seeds ok come first, and among the rest those without the score last.
        anchors: names, without options, of the models that are points of reference and no contenders.

    Raises:
        SpecError: if ``sort`` is no column, naming the nearest.
    """
    used, left_out = _select(benchmark, loaded)
    comparable, notes = _comparable_scores(used)
    by_model: dict[str, list[Record]] = {}
    for record in used:
        by_model.setdefault(record.model.name, []).append(record)
    notes += [
        f"{name}: its seeds come from {len(codes)} versions of its code; run it again to have one"
        for name, records in by_model.items()
        if len(codes := {record.model.code_sha256 for record in records}) > 1
    ]
    logs = {metric.name: metric.log_scale for metric in metrics}
    rows = [
        _row(records, comparable, benchmark.file.seeds, logs, name.partition("[")[0] in anchors)
        for name, records in by_model.items()
    ]
    columns = _columns(metrics, benchmark.evaluator.name, rows)
    return Leaderboard(benchmark, columns, _sorted(rows, columns, sort), tuple(left_out), tuple(notes))


def from_registry(benchmark: Benchmark, registry: Registry, loaded: Loaded, sort: str | None = None) -> Leaderboard:
    """:func:`build` with the metrics that the benchmark names and the anchors that are installed."""
    metrics = [registry.find("metrics", name).spec for name in benchmark.file.metrics]
    anchors = [name for name, entry in registry.models.items() if entry.plugin.module == ANCHORS]
    return build(benchmark, metrics, loaded, sort, anchors)


def as_dicts(board: Leaderboard) -> list[dict[str, Any]]:
    """The rows as flat dicts with the same keys in each, numbers unrounded, None where there is none."""
    flat = []
    for row in board.rows:
        entry: dict[str, Any] = {"model": row.model, "anchor": row.anchor, "ok": row.ok, "seeds": row.seeds}
        for column in board.columns:
            cell = row.scores.get(column.key)
            estimate = cell.estimate if cell else None
            entry[column.key] = estimate and estimate.mean
            entry[f"{column.key}_low"] = estimate and estimate.low
            entry[f"{column.key}_high"] = estimate and estimate.high
            if any(other.scores[column.key].kind != "metric" for other in board.rows if column.key in other.scores):
                entry[f"{column.key}_kind"] = cell and cell.kind
        flat.append({**entry, **row.costs, "problem": row.problem})
    return flat


def _select(benchmark: Benchmark, loaded: Loaded) -> tuple[list[Record], list[LeftOut]]:
    used: list[Record] = []
    left_out = [LeftOut(str(entry.path), f"unreadable: {entry.problem}") for entry in loaded.unreadable]
    for record in loaded.records:
        why = _foreign(benchmark, record)
        if why:
            left_out.append(LeftOut(record.run, why))
        else:
            used.append(record)
    return used, left_out


def _foreign(benchmark: Benchmark, record: Record) -> str | None:
    """Why a record does not belong to the table of ``benchmark``, or None."""
    of = record.benchmark
    if of.dev != benchmark.dev:
        return "of --dev: scored against the validation fold" if of.dev else "not of --dev"
    if of.custom_budget != benchmark.custom_budget:
        return "of a custom budget (--budget)" if of.custom_budget else "of the benchmark's own budget"
    if of.name != benchmark.name:
        return f"of the benchmark {of.name}"
    if of.digest != benchmark.digest:
        return f"of another definition of {of.name}: its digest is {of.digest}, not {benchmark.digest}"
    if record.seed not in benchmark.file.seeds:
        return f"seed {record.seed} is not one of the benchmark's"
    return None


Scores = dict[str, dict[str, Score]]
"""By run, the scores of a record that may stand in the table."""


def _comparable_scores(records: list[Record]) -> tuple[Scores, list[str]]:
    """The scores whose n and fingerprint are those of most records; and a note for each of the others."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for record in records:
        for name, score in record.scores.items():
            found.setdefault((name, score.kind), Counter())[_identity(score)] += 1
    usual = {key: counter.most_common(1)[0][0] for key, counter in found.items()}
    comparable: Scores = {}
    notes = []
    for record in records:
        good = {name: score for name, score in record.scores.items() if _identity(score) == usual[name, score.kind]}
        notes += [
            f"{record.run}: its {name} was measured in another way than the others' (n or fingerprint differ) and "
            "is left out"
            for name in record.scores
            if name not in good
        ]
        comparable[record.run] = good
    return comparable, notes


def _identity(score: Score) -> str:
    return json.dumps([score.n, score.fingerprint], sort_keys=True, default=str)


def _row(records: list[Record], comparable: Scores, seeds: list[int], log_scale: dict[str, bool], anchor: bool) -> Row:
    good = [record for record in records if record.status == "ok"]
    groups: dict[tuple[str, str], list[int]] = {}
    for record in records:
        if record.status != "ok":
            groups.setdefault((record.status, record.reason or ""), []).append(record.seed)
    present = {record.seed for record in records}
    scores = {record.seed: comparable[record.run] for record in good}
    return Row(
        model=records[0].model.name,
        anchor=anchor,
        ok=len(good),
        seeds=len(seeds),
        failures=tuple(Failure(status, reason, tuple(sorted(of))) for (status, reason), of in groups.items()),
        missing=tuple(seed for seed in seeds if seed not in present),
        scores=_cells(scores, len(good) == len(seeds), log_scale),
        costs={key: _mean(source(record) for record in good) for key, _, source in COSTS},
        records=tuple(records),
    )


def _cells(scores: dict[int, dict[str, Score]], complete: bool, log_scale: dict[str, bool]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    for name in dict.fromkeys(name for of_seed in scores.values() for name in of_seed):
        scored = {seed: of_seed[name] for seed, of_seed in scores.items() if name in of_seed}
        first = next(iter(scored.values()))
        values = {seed: score.value for seed, score in scored.items() if score.kind == first.kind}
        estimate = mean_interval(list(values.values()), log_scale.get(name, False))
        if not complete or len(values) < len(scores):
            estimate = replace(estimate, low=None, high=None)
        cells[name + ESTIMATE * (first.kind == "estimate")] = Cell(estimate, first.kind, first.n, values)
    return cells


def _columns(metrics: Sequence[MetricSpec], evaluator: str, rows: list[Row]) -> tuple[Column, ...]:
    columns = []
    for metric in metrics:
        named = metric.name == "fid" and evaluator != INCEPTION
        title = f"{metric.title} [{evaluator}]" if named else metric.title
        column = Column(metric.name, title, metric.direction, metric.unit, metric.summary, metric.reference)
        columns.append(column)
        key = metric.name + ESTIMATE
        if any(key in row.scores for row in rows):
            columns.append(replace(column, key=key, title=f"{title} (estimate)"))
    return tuple(columns)


def _sorted(rows: list[Row], columns: tuple[Column, ...], sort: str | None) -> tuple[Row, ...]:
    keys = {column.key: column for column in columns}
    if sort is not None and sort not in keys:
        raise SpecError.unknown("column to sort by", sort, keys)
    column = keys[sort] if sort else keys.get("fid", columns[0])
    sign = -1 if column.direction == "higher" else 1

    def place(row: Row) -> tuple[bool, bool, float, str]:
        cell = row.scores.get(column.key)
        return not row.complete, cell is None, sign * cell.estimate.mean if cell else 0.0, row.model

    return tuple(sorted(rows, key=place))


def _of_seeds(seeds: tuple[int, ...]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _mean(values: Iterable[Any]) -> float | None:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return statistics.fmean(numbers) if numbers else None


def _scaled(value: Any, factor: float) -> float | None:
    return value * factor if isinstance(value, int | float) else None
