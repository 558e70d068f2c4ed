"""A leaderboard's table on its page: contenders, anchors apart, and models of which no run is ok."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from genbench.columns import GROUPS, Column
from genbench.leaderboard import Leaderboard
from genbench.report import legend
from genbench.report.numbers import Number, cost, decimals_of, score
from genbench.report.site.axes import Scale
from genbench.report.site.charts import interval_bar
from genbench.report.site.metrics import Metric, cost_titles, is_real
from genbench.rows import Cell, Row

KINDS = {"exact": "exact", "iwae": "bound", "bound": "bound", "estimate": "estimate"}
"""What a filter calls a likelihood, by its kind."""
NO_LIKELIHOOD = "none"

HIDDEN_AT_FIRST = ("copying",)
"""Groups whose columns a reader has to ask for: of tests of copying only the flag counts, which stands at the model."""


def table(board: Leaderboard, metrics: Sequence[Metric], links: Mapping[str, str]) -> dict[str, Any]:
    """All that the page's table shows.

    Args:
        metrics: the leaderboard's, explained.
        links: model to the address of its page.
    """
    decimals, scales = decimals_of(board), scales_of(board)
    rows = [_row(board, row, decimals, scales, links[row.model]) for row in board.rows]
    by = _sorted_by(board)
    groups = [{"name": group, "count": count, "hidden": group in HIDDEN_AT_FIRST}
              for group in GROUPS if (count := sum(column.group == group for column in board.columns))]  # fmt: skip
    return {
        "groups": [*groups, {"name": "cost", "count": len(board.costs), "hidden": False}],
        "heads": [
            {"metric": metric, "group": _group_class(metric.group), "second": bool(column.evaluator),
             "first": "descending" if column.better == "higher" else "ascending",
             "sorted": column is by}
            for metric, column in zip(metrics, board.columns, strict=True)
        ],
        "costs": cost_titles(board),
        "contenders": [row for row in rows if not row["anchor"] and not row["failed"]],
        "anchors": sorted((row for row in rows if row["anchor"] and not row["failed"]), key=lambda row: not row["real"]),
        "failed": [row for row in rows if row["failed"]],
        "width": 2 + any(row["verified"] is not None for row in rows) + len(board.columns) + len(board.costs),
        "verified": sorted({row["verified"] for row in rows} - {None}),
        "kinds": [kind for kind in ("exact", "bound", "estimate", NO_LIKELIHOOD) if any(r["kind"] == kind for r in rows)],
        "conditional": {row["conditional"] for row in rows} == {True, False},
    }  # fmt: skip


def scales_of(board: Leaderboard) -> dict[str, Scale]:
    """The scale of each column's bars: that of the contenders, since some anchors are orders of magnitude off."""
    scales = {}
    for column in board.columns:
        rows = [row for row in board.rows if not row.anchor] or list(board.rows)
        ends = list(_ends(row.scores[column.key] for row in rows if column.key in row.scores))
        scales[column.key] = Scale.around(ends, column.log_scale and all(end > 0 for end in ends))
    return scales


def bar(cell: Cell | None, column: Column, scale: Scale, number: Number) -> Markup | None:
    """A cell's interval as a bar; None where it has none, or lies off the scale of the contenders."""
    if cell is None:
        return None
    estimate = cell.estimate
    inside = all(scale.low <= end <= scale.high for end in _ends([cell]))
    if not inside:
        return None
    return interval_bar(estimate.mean, estimate.low, estimate.high, scale, f"{column.title}: {interval(cell, number)}")


def interval(cell: Cell, number: Number) -> str:
    """The interval in words, for those who don't see the bar."""
    return f"{number.mean} {number.interval}" if number.interval else f"{number.mean}, no interval"


def likelihood_kind(row: Row) -> str:
    """What a filter calls the row's likelihood; :data:`NO_LIKELIHOOD` where the table shows none."""
    return next((KINDS.get(cell.kind, cell.kind) for cell in row.scores.values() if cell.is_likelihood), NO_LIKELIHOOD)


def _row(
    board: Leaderboard, row: Row, decimals: Mapping[str, int], scales: Mapping[str, Scale], href: str
) -> dict[str, Any]:
    scores = []
    for column in board.columns:
        cell = row.scores.get(column.key)
        number = score(row, column, decimals[column.key])
        scores.append({
            "number": number, "group": _group_class(column.group),
            "sort": cell.estimate.mean if cell else None,
            "about": _about(row, column, cell),
            "bar": bar(cell, column, scales[column.key], number),
        })  # fmt: skip
    identity = row.records[0].model
    return {
        "model": row.model, "name": legend.named(row), "href": href,
        "anchor": row.anchor, "real": is_real(row), "complete": row.complete, "ok": row.ok, "seeds": row.seeds,
        "failed": legend.shortened(row.problem) if not row.ok else "",
        "timed": bool(legend.ended_by_clock(row.records)), "warned": bool(legend.warnings(row.records)),
        "copying": _copying(board, row), "verified": row.verified,
        "kind": likelihood_kind(row), "conditional": identity.conditional,
        "scores": scores, "costs": [{"text": cost(row.costs[key]), "sort": row.costs[key]} for key in board.costs],
    }  # fmt: skip


def _about(row: Row, column: Column, cell: Cell | None) -> str:
    """What a mark on a cell says; each seed's value is on the model's page."""
    if cell is None:
        return "; ".join(entry.reason for entry in row.withheld.get(column.key, ()))
    parts = [f"seed {seed}: {text}" for seed, text in cell.flags.items()]
    return "; ".join(parts if cell.audited else [*parts, "unaudited"])


def _copying(board: Leaderboard, row: Row) -> str:
    """Which tests of copying flag the row, and in how many seeds."""
    return ", ".join(
        f"{column.title} in {len(cell.flags)} of {len(cell.values)} seeds"
        for column in board.columns
        if column.group == "copying" and (cell := row.scores.get(column.key)) is not None and cell.flags
    )


def _sorted_by(board: Leaderboard) -> Column:
    """The column that the rows come sorted by."""
    return next((column for column in board.columns if column.key == "fid"), board.columns[0])


def _group_class(group: str) -> str:
    return f"g-{group}"


def _ends(cells: Iterable[Cell]) -> Iterable[float]:
    for cell in cells:
        estimate = cell.estimate
        yield from (end for end in (estimate.mean, estimate.low, estimate.high) if end is not None)
