"""From a leaderboard to what its charts show: curves of milestones, and points of scores and costs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from genbench.columns import ESTIMATE, HIGHER_IS_BETTER, Column
from genbench.comparability import identity
from genbench.leaderboard import Leaderboard, is_real
from genbench.record import Record, Score
from genbench.report.legend import real_value
from genbench.report.numbers import COST_TITLES
from genbench.report.site.axes import Axis
from genbench.report.site.charts import Curve, Place
from genbench.report.site.scatter import Point
from genbench.rows import Row
from genbench.statistics import mean_interval

if TYPE_CHECKING:
    from genbench.plugins import Registry

COMPUTE = Axis("training TFLOP", log=True)
OTHERS = "others"
"""Family of models that are not installed here."""

Link = Callable[[str], str]
"""From a model to the address of its page."""


def unlinked(model: str) -> str:
    """Leads nowhere."""
    return ""


def families(board: Leaderboard, registry: Registry) -> dict[str, str]:
    """The family of each contender: the name of the plugin that registers it."""
    found = {}
    for row in board.rows:
        if row.anchor:
            continue
        entry = registry.models.get(row.model.partition("[")[0])
        found[row.model] = OTHERS if entry is None else entry.plugin.name
    return found


def axis_of(board: Leaderboard, key: str) -> Axis:
    """The axis of a column of scores or of a cost.

    Raises:
        KeyError: if the leaderboard has no such column.
    """
    if key in COST_TITLES:
        return Axis(COST_TITLES[key], log=True, better="higher" if key in HIGHER_IS_BETTER else "lower")
    column = _column(board, key)
    return Axis(column.title, column.log_scale, column.better)


def floor(board: Leaderboard, key: str) -> float | None:
    """What real data get: what the metric says of held-out data, else the mean of the training examples' row."""
    real = real_value(board, key)
    if real is not None:
        return real
    cell = next((row.scores.get(key) for row in board.rows if is_real(row)), None)
    return cell.estimate.mean if cell else None


def milestone_curves(
    board: Leaderboard, metric: str, href: Link = unlinked, groups: Mapping[str, str] | None = None
) -> list[Curve]:
    """Each model's score at its milestones and at the end, against the TFLOP that it spent on training until then.

    Means over seeds as in the table, geometric for metrics on a log scale, with Student-t intervals where no seed of
    the benchmark is missing. A likelihood that is withheld has no curve. Scores that were measured in another way than
    those of most models are left out, and so is the row of the real data, whose value :func:`floor` gives.

    Args:
        metric: key of a column.
        groups: model to family; see :func:`families`.

    Raises:
        KeyError: if the leaderboard has no such column.
    """
    column, groups = _column(board, metric), groups or {}
    rows = [row for row in board.rows if metric in row.scores and not is_real(row)]
    scores = {row.model: _at_milestones(row, column) for row in rows}
    ways = Counter(way for of in scores.values() for way in {(score.kind, identity(score)) for _, _, score in of})
    usual = dict(sorted(ways, key=lambda entry: (ways[entry], entry)))  # the commonest last
    found = []
    for row in rows:
        alike = [entry for entry in scores[row.model] if identity(entry[2]) == usual[entry[2].kind]]
        found.append(
            Curve(
                row.model,
                href(row.model),
                _places(row, column, alike),
                row.anchor,
                groups.get(row.model, ""),
                _final(row, metric),
                _mark(row, metric),
            )
        )
    return found


def points(
    board: Leaderboard, x_key: str, y_key: str, href: Link = unlinked, groups: Mapping[str, str] | None = None
) -> list[Point]:
    """Each model that has both, as a point; intervals as in the table, none of costs.

    Args:
        x_key, y_key: of columns of scores or of costs.
        groups: model to family; see :func:`families`.
    """
    found = []
    for row in board.rows:
        x, y = _value(row, x_key), _value(row, y_key)
        if x is None or y is None:
            continue
        marks = [_mark(row, key) for key in (x_key, y_key)]
        found.append(
            Point(
                row.model,
                href(row.model),
                x,
                y,
                _interval(row, x_key),
                _interval(row, y_key),
                row.anchor,
                (groups or {}).get(row.model, ""),
                *marks,
            )
        )
    return found


def seeds_at_milestones(row: Row, column: Column) -> dict[int, list[tuple[float, float]]]:
    """Of each seed its score at its milestones, against TFLOP spent."""
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record, share, score in _at_milestones(row, column):
        found[record.seed].append((_flops(record, share) * 1e-12, score.value))
    return {seed: sorted(places) for seed, places in found.items()}


def _column(board: Leaderboard, key: str) -> Column:
    for column in board.columns:
        if column.key == key:
            return column
    raise KeyError(f"the leaderboard has no column {key}")


def _at_milestones(row: Row, column: Column) -> list[tuple[Record, float, Score]]:
    """Record, share of the budget and score, of the seeds whose final score stands in the table."""
    cell = row.scores.get(column.key)
    if cell is None:
        return []
    name = column.key.removesuffix(ESTIMATE)
    return [
        (record, milestone.fraction, score)
        for record in row.records
        if record.seed in cell.values and record.status == "ok"
        for milestone in record.milestones
        if (score := milestone.scores.get(name)) is not None and score.kind == cell.kind and math.isfinite(score.value)
    ]


def _flops(record: Record, share: float) -> float:
    return next(milestone.flops for milestone in record.milestones if milestone.fraction == share)


def _places(row: Row, column: Column, scored: Iterable[tuple[Record, float, Score]]) -> tuple[Place, ...]:
    by_share: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for record, share, score in scored:
        by_share[share].append((_flops(record, share), score.value))
    places = []
    for pairs in by_share.values():
        flops = math.fsum(flops for flops, _ in pairs) / len(pairs)
        estimate = mean_interval([value for _, value in pairs], column.log_scale)
        whole = row.complete and len(pairs) == row.seeds
        low, high = (estimate.low, estimate.high) if whole else (None, None)
        places.append((flops * 1e-12, estimate.mean, low, high))
    return tuple(sorted(places))


def _final(row: Row, key: str) -> Place:
    """After the whole budget, where the table's number stands; without FLOPs in the record, at none."""
    flops = row.costs.get("train_tflop")
    estimate = row.scores[key].estimate
    return (flops or 0.0, estimate.mean, estimate.low, estimate.high)


def _value(row: Row, key: str) -> float | None:
    if key in COST_TITLES:
        return row.costs.get(key)
    cell = row.scores.get(key)
    return cell.estimate.mean if cell else None


def _mark(row: Row, key: str) -> str:
    return row.scores[key].mark.replace("<=", "≤") if key in row.scores else ""


def _interval(row: Row, key: str) -> tuple[float, float] | None:
    cell = row.scores.get(key)
    if cell is None or cell.estimate.low is None or cell.estimate.high is None:
        return None
    return cell.estimate.low, cell.estimate.high
