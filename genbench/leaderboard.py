"""Leaderboard: a pure view of the records with one digest, one row a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genbench.columns import COST_KEYS, OURS, Column, choose, columns_of
from genbench.comparability import LeftOut, Scores, comparable_scores, select
from genbench.errors import SpecError
from genbench.ranking import ranks
from genbench.record import Record
from genbench.rows import Cell, Row, row_of
from genbench.statistics import MIN_SEEDS, kendall_tau

if TYPE_CHECKING:
    import pandas as pd

    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.specs import MetricSpec
    from genbench.store import Loaded

ANCHORS = "genbench_baselines"
"""The plugin module whose models are anchors: known points of the scale, not contenders."""


@dataclass(frozen=True)
class Agreement:
    """How alike a metric orders the rows with two evaluators: Kendall's tau-b of ``rows`` rows, or None."""

    metric: str
    title: str
    evaluators: tuple[str, str]
    tau: float | None
    rows: int


@dataclass(frozen=True)
class Leaderboard:
    """Rows in order, columns in order, and what was left out.

    Attributes:
        unsupported: models that declare that they are not made for such data: no rows, but told below them.
    """

    benchmark: Benchmark
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    costs: tuple[str, ...] = COST_KEYS
    unsupported: tuple[Row, ...] = ()

    @property
    def official(self) -> bool:
        """False for tables of ``--dev`` or ``--budget`` runs, which may not be published."""
        return not (self.benchmark.dev or self.benchmark.custom_budget)

    def view(self, wanted: str) -> Leaderboard:
        """The same with the columns that a person lists; see :func:`genbench.columns.choose`.

        Raises:
            SpecError: if one of them is unknown.
        """
        columns, costs = choose(self.columns, wanted)
        return replace(self, columns=columns, costs=costs)

    def shown(self) -> list[tuple[Row, Column, Cell]]:
        """The cells of the columns of this view."""
        return [
            (row, column, row.scores[column.key])
            for column in self.columns
            for row in self.rows
            if column.key in row.scores
        ]

    def agreements(self) -> list[Agreement]:
        """For each metric of two evaluators among the columns, whether they order the rows alike.

        A score that says of no evaluator, such as one of pixels, is no evaluator's order.
        """
        found = []
        for column in self.columns:
            metric = column.key.partition("@")[0]
            if not column.evaluator:
                continue
            pairs = [
                (row.scores[metric], row.scores[column.key])
                for row in self.rows
                if row.complete and metric in row.scores and column.key in row.scores
            ]
            if any(not (a.evaluator and b.evaluator) for a, b in pairs):
                continue
            means = [(a.estimate.mean, b.estimate.mean) for a, b in pairs]
            tau = kendall_tau([first for first, _ in means], [second for _, second in means])
            title = column.title.partition(" [")[0]
            evaluators = (self.benchmark.evaluator.name, column.evaluator)
            found.append(Agreement(metric, title, evaluators, tau, len(means)))
        return found

    def frame(self) -> pd.DataFrame:
        """One row a model, with the columns of :func:`as_dicts`."""
        import pandas as pd

        return pd.DataFrame(as_dicts(self))


def build(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    loaded: Loaded,
    sort: str | None = None,
    anchors: Collection[str] = (),
    plugins: Mapping[str, str] | None = None,
) -> Leaderboard:
    """The leaderboard of ``benchmark``.

    Args:
        benchmark: only records with its digest, and of its seeds, are used.
        metrics: the specs of its metrics, in its order.
        loaded: what the results folder holds.
        sort: key of the column to sort by; by default ``fid`` where there is one, else the first. Rows with
            all seeds ok come first, and among the rest those without the score last.
        anchors: names, without options, of the models that are points of reference and no contenders.
        plugins: metric to the distribution that registers it; genbench itself where nothing is said.

    Raises:
        SpecError: if ``sort`` is no column, naming the nearest.
    """
    plugins = plugins or {}

    def is_anchor(record: Record) -> bool:
        return record.model.name.partition("[")[0] in anchors

    used, left_out = select(benchmark, loaded)
    own = {metric.name: metric.group for metric in metrics if plugins.get(metric.name, OURS) == OURS}
    comparable, notes = comparable_scores(benchmark, used, own, is_anchor)
    by_model: dict[str, list[Record]] = {}
    for record in used:
        by_model.setdefault(record.model.name, []).append(record)
    for name, records in by_model.items():
        notes += _oddities(name, records, comparable)
    specs = {metric.name: metric for metric in metrics}
    rows = [
        row_of(records, comparable, benchmark.file.seeds, specs, is_anchor(records[0])) for records in by_model.values()
    ]
    columns = columns_of(benchmark, metrics, plugins, {key for row in rows for key in row.scores})
    unsupported = tuple(sorted((row for row in rows if row.unsupported), key=lambda row: row.model))
    rows = _ranked([row for row in rows if not row.unsupported], columns)
    return Leaderboard(
        benchmark, columns, _sorted(rows, columns, sort), tuple(left_out), tuple(notes), unsupported=unsupported
    )


def from_registry(benchmark: Benchmark, registry: Registry, loaded: Loaded, sort: str | None = None) -> Leaderboard:
    """:func:`build` with the metrics that the benchmark names and the anchors that are installed."""
    metrics, plugins = metrics_of(benchmark, registry)
    return build(benchmark, metrics, loaded, sort, anchors_of(registry), plugins)


def anchors_of(registry: Registry) -> list[str]:
    """The names of the models that are points of reference."""
    return [name for name, entry in registry.models.items() if entry.plugin.module == ANCHORS]


def metrics_of(benchmark: Benchmark, registry: Registry) -> tuple[list[MetricSpec], dict[str, str]]:
    """The metrics that a benchmark names, and the distribution that each comes from."""
    registered = [registry.find("metrics", name) for name in benchmark.file.metrics]
    return [entry.spec for entry in registered], {entry.spec.name: entry.plugin.distribution for entry in registered}


def as_dicts(board: Leaderboard) -> list[dict[str, Any]]:
    """The rows as flat dicts with the same keys in each, numbers unrounded, None where there is none.

    Of each score ``fid``: its mean ``fid``, ``fid_low`` and ``fid_high``, ``fid_rank``, ``fid_sd_training`` and
    ``fid_sd_sampling`` (of logarithms where ``fid_log_scale``). Of a likelihood also ``_kind``, ``_audit`` (passed, or
    unaudited) and ``_smallest_flattery``; ``_flag`` and ``_withheld`` where any row has one.
    """
    flat = []
    for row in board.rows:
        entry: dict[str, Any] = {"model": row.model, "anchor": row.anchor, "ok": row.ok, "seeds": row.seeds}
        for column in board.columns:
            entry |= _flat_cell(column, row, board.rows)
        flat.append({**entry, **{key: row.costs[key] for key in board.costs}, "problem": row.problem})
    return flat


def _flat_cell(column: Column, row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    key, cell = column.key, row.scores.get(column.key)
    estimate = cell.estimate if cell else None
    others = [other.scores[key] for other in rows if key in other.scores]
    flat: dict[str, Any] = {
        key: estimate and estimate.mean,
        f"{key}_low": estimate and estimate.low,
        f"{key}_high": estimate and estimate.high,
        f"{key}_rank": cell and cell.rank,
        f"{key}_sd_training": cell and cell.components.training,
        f"{key}_sd_sampling": cell and cell.components.sampling,
        f"{key}_log_scale": estimate and estimate.log_scale,
    }
    if column.group == "likelihood" or any(other.is_likelihood for other in others):
        flat |= {
            f"{key}_kind": cell and cell.kind,
            f"{key}_audit": cell and ("passed" if cell.audited else "unaudited"),
            f"{key}_smallest_flattery": cell and cell.smallest_flattery,
            f"{key}_effective_draws": cell and cell.effective_draws,
        }
    if any(other.flags for other in others):
        flat[f"{key}_flag"] = "; ".join(dict.fromkeys(cell.flags.values())) if cell else None
    if any(key in other.withheld for other in rows):
        flat[f"{key}_withheld"] = "; ".join(entry.reason for entry in row.withheld.get(key, ())) or None
    return flat


def _oddities(name: str, records: list[Record], comparable: Mapping[str, Scores]) -> list[str]:
    """What is odd about a row and no failure."""
    notes = []
    if (codes := len({record.model.code_sha256 for record in records})) > 1:
        notes.append(f"{name}: its seeds come from {codes} versions of its code; run it again to have one")
    kinds: dict[str, set[str]] = {}
    for record in records:
        for key, score in comparable[record.run].items():
            kinds.setdefault(key, set()).add(score.kind)
    notes += [
        f"{name}: the {key} of its seeds is of several kinds ({', '.join(sorted(of))}); only one of them is shown"
        for key, of in kinds.items()
        if len(of) > 1
    ]
    return notes


def _ranked(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """The rows with ranks in their cells: of contenders with all of at least ``MIN_SEEDS`` seeds, where there are two.

    Anchors take no part, neither as better rows nor in the family of tests; an unaudited likelihood neither.
    """
    placed: dict[tuple[str, str], int] = {}
    for column in columns:
        contenders = [row for row in rows if _may_rank(row, column)]
        if len(contenders) > 1:
            groups = [list(row.scores[column.key].values.values()) for row in contenders]
            found = ranks(groups, column.better, column.log_scale)
            placed |= {(row.model, column.key): rank for row, rank in zip(contenders, found, strict=True)}
    return [
        replace(row, scores={key: replace(cell, rank=placed.get((row.model, key))) for key, cell in row.scores.items()})
        for row in rows
    ]


def _may_rank(row: Row, column: Column) -> bool:
    cell = row.scores.get(column.key)
    return bool(
        column.ranked
        and cell
        and cell.audited
        and not row.anchor
        and row.complete
        and MIN_SEEDS <= row.seeds == len(cell.values)
    )


def _sorted(rows: Sequence[Row], columns: tuple[Column, ...], sort: str | None) -> tuple[Row, ...]:
    keys = {column.key: column for column in columns}
    if sort is not None and sort not in keys:
        raise SpecError.unknown("column to sort by", sort, keys)
    column = keys[sort] if sort else keys.get("fid", columns[0])
    sign = -1 if column.direction == "higher" else 1

    def place(row: Row) -> tuple[bool, bool, float, str]:
        cell = row.scores.get(column.key)
        return not row.complete, cell is None, sign * cell.estimate.mean if cell else 0.0, row.model

    return tuple(sorted(rows, key=place))
