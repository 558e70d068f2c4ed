"""Leaderboard: a pure view of the records with one digest, one row a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from genbench.columns import COST_KEYS, HIGHER_IS_BETTER, OURS, Column, choose, columns_of
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
    from genbench.results import Loaded
    from genbench.specs import MetricSpec

ANCHORS = "genbench_baselines"
"""The plugin module whose models are anchors: known points of the scale, not contenders."""

REAL = "train-copy"
"""The anchor that hands out training examples: the floor that real data set."""

BETWEEN_NAMES = re.compile(r",(?![^\[]*\])")
"""A comma that is none between options."""


@dataclass(frozen=True)
class Agreement:
    """How alike a metric orders the rows with two evaluators: Kendall's tau-b of ``rows`` rows, or None."""

    metric: str
    title: str
    evaluators: tuple[str, str]
    tau: float | None
    rows: int


@dataclass(frozen=True)
class Section:
    """Rows that stand together under a title, which the first have none of."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Leaderboard:
    """Rows in order, columns in order, and what was left out.

    Attributes:
        rows: section by section, see :meth:`sections`.
        unsupported: models that declare that they are not made for such data: no rows, but told below them.
        hidden: rows that a person did not ask for. Ranks and the family of tests behind them are of all rows.
        sort: the column that a person wants the rows sorted by, if any.
    """

    benchmark: Benchmark
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    costs: tuple[str, ...] = COST_KEYS
    unsupported: tuple[Row, ...] = ()
    hidden: tuple[Row, ...] = ()
    sort: str | None = None

    @property
    def every(self) -> tuple[Row, ...]:
        """The rows, hidden ones among them."""
        return (*self.rows, *self.hidden)

    @property
    def has_verified(self) -> bool:
        """Whether any row has been verified, so that the table has a column for it."""
        return any(row.verified is not None for row in self.rows)

    def sections(self) -> list[Section]:
        """The rows as they stand in every table: complete contenders, anchors, contenders that lack seeds."""
        parts: dict[str, list[Row]] = {"": [], "Anchors": [], "Incomplete": []}
        for row in self.rows:
            parts["Anchors" if row.anchor else "" if row.complete else "Incomplete"].append(row)
        return [Section(title, tuple(rows)) for title, rows in parts.items() if rows]

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

    def only(self, models: str | None = None, verified: int | None = None) -> Leaderboard:
        """The same with some of its contenders, and all anchors. Nobody's rank changes.

        Args:
            models: names with options, or shell patterns in which only ``*`` and ``?`` are special, between commas.
            verified: the least level of verification.

        Raises:
            SpecError: if no contender or anchor has one of the names, naming the nearest, or fits one of the patterns.
        """
        kept = self.rows
        if models is not None:
            wanted = _matching(models, [row.model for row in self.rows])
            kept = tuple(row for row in kept if row.anchor or row.model in wanted)
        if verified is not None:
            kept = tuple(row for row in kept if row.anchor or (row.verified is not None and row.verified >= verified))
        hidden = tuple(row for row in self.rows if not any(row is other for other in kept))
        if not hidden:
            return self
        return replace(self, rows=kept, hidden=(*self.hidden, *hidden))

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
                for row in self.every
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
        """One row a model, with the columns of :func:`genbench.flat.of_rows`."""
        import pandas as pd

        from genbench.flat import of_rows

        return pd.DataFrame(of_rows(self))

    def __repr__(self) -> str:
        name, digest = self.benchmark.folder, self.benchmark.digest
        return f"<Leaderboard of {name} (digest {digest}): {len(self.rows)} rows, {len(self.columns)} columns>"

    def __str__(self) -> str:
        from genbench.report.console import printed
        from genbench.report.terminal import print_leaderboard

        return printed(lambda console: print_leaderboard(self, console))

    def _repr_html_(self) -> str:
        from genbench.report.html import leaderboard_html

        return leaderboard_html(self)


def build(
    benchmark: Benchmark,
    metrics: Sequence[MetricSpec],
    loaded: Loaded,
    sort: str | None = None,
    anchors: Collection[str] = (),
    plugins: Mapping[str, str] | None = None,
    scale: Loaded | None = None,
) -> Leaderboard:
    """The leaderboard of ``benchmark``.

    Args:
        benchmark: only records with its digest, of its division and of its seeds, are used.
        metrics: the specs of its metrics, in its order.
        loaded: what the results folder holds.
        sort: key of the column of scores or costs to sort by; by default ``fid`` where there is one, else the first.
            Rows without it stand last in their section.
        anchors: names, without options, of the models that are points of reference and no contenders.
        plugins: metric to the distribution that registers it; genbench itself where nothing is said.
        scale: for the open division, the results of the closed one, of which the anchors are taken: nobody's samples
            from outside are an anchor, whatever their name.

    Raises:
        SpecError: if ``sort`` is no column, naming the nearest.
    """
    plugins = plugins or {}

    def is_anchor(record: Record) -> bool:
        return record.division == "closed" and record.model.name.partition("[")[0] in anchors

    used, left_out = select(benchmark, loaded)
    if scale is not None:
        used += [record for record in select(replace(benchmark, division="closed"), scale)[0] if is_anchor(record)]
    own = {metric.name: metric.group for metric in metrics if plugins.get(metric.name, OURS) == OURS}
    comparable, notes = comparable_scores(benchmark, used, own, is_anchor)
    by_model: dict[tuple[str, str], list[Record]] = {}
    for record in used:
        by_model.setdefault((record.model.name, record.division), []).append(record)
    for (name, _), records in by_model.items():
        notes += _oddities(name, records, comparable)
    specs = {metric.name: metric for metric in metrics}
    rows = [
        row_of(records, comparable, benchmark.file.seeds, specs, is_anchor(records[0]), loaded.verifications)
        for records in by_model.values()
    ]
    columns = columns_of(benchmark, metrics, plugins, {key for row in rows for key in row.scores})
    unsupported = tuple(sorted((row for row in rows if row.unsupported), key=lambda row: row.model))
    rows = _ranked([row for row in rows if not row.unsupported], columns)
    placed = _sorted(rows, columns, sort)
    return Leaderboard(benchmark, columns, placed, tuple(left_out), tuple(notes), unsupported=unsupported, sort=sort)


def from_registry(
    benchmark: Benchmark, registry: Registry, loaded: Loaded, sort: str | None = None, scale: Loaded | None = None
) -> Leaderboard:
    """:func:`build` with the metrics that the benchmark names and the anchors that are installed."""
    metrics, plugins = metrics_of(benchmark, registry)
    return build(benchmark, metrics, loaded, sort, anchors_of(registry), plugins, scale)


def is_real(row: Row) -> bool:
    """Whether a row's samples are real data."""
    return row.anchor and row.model == REAL


def anchors_of(registry: Registry) -> list[str]:
    """The names of the models that are points of reference."""
    return [name for name, entry in registry.models.items() if entry.plugin.module == ANCHORS]


def metrics_of(benchmark: Benchmark, registry: Registry) -> tuple[list[MetricSpec], dict[str, str]]:
    """The metrics that a benchmark names, and the distribution that each comes from."""
    registered = [registry.find("metrics", name) for name in benchmark.file.metrics]
    return [entry.spec for entry in registered], {entry.spec.name: entry.plugin.distribution for entry in registered}


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
    placed: list[dict[str, int]] = [{} for _ in rows]
    for column in columns:
        contenders = [index for index, row in enumerate(rows) if _may_rank(row, column)]
        if len(contenders) > 1:
            groups = [list(rows[index].scores[column.key].values.values()) for index in contenders]
            for index, rank in zip(contenders, ranks(groups, column.better, column.log_scale), strict=True):
                placed[index][column.key] = rank
    return [
        replace(
            row, scores={key: replace(cell, rank=of[key]) if key in of else cell for key, cell in row.scores.items()}
        )
        for row, of in zip(rows, placed, strict=True)
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
    """The rows section by section, each by a score or a cost; the real data first among the anchors."""
    keys = {column.key: column for column in columns}
    if sort is not None and sort not in keys and sort not in COST_KEYS:
        raise SpecError.unknown("column to sort by", sort, [*keys, *COST_KEYS])
    by = sort or ("fid" if "fid" in keys else columns[0].key)
    falling = keys[by].direction == "higher" if by in keys else by in HIGHER_IS_BETTER

    def place(row: Row) -> tuple[int, bool, bool, float, str]:
        value = row.costs[by] if by not in keys else row.scores[by].estimate.mean if by in row.scores else None
        section = 1 if row.anchor else 0 if row.complete else 2
        return (
            section,
            not is_real(row),
            value is None,
            0.0 if value is None else -value if falling else value,
            row.model,
        )

    return tuple(sorted(rows, key=place))


def _matching(wanted: str, names: Sequence[str]) -> set[str]:
    """The names that a person lists, or fits the patterns of."""
    found: set[str] = set()
    parts = [part.strip() for part in BETWEEN_NAMES.split(wanted) if part.strip()]
    if not parts:
        raise SpecError("--models: no model is named; such as --models vae,'*gan'")
    for part in parts:
        fits = [name for name in names if name == part or fnmatchcase(name, part.replace("[", "[[]"))]
        if not fits:
            raise SpecError.unknown("model of the table", part, names)
        found.update(fits)
    return found
