"""A leaderboard's table on its page: contenders, anchors apart, and models of which no run is ok."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from genbench.columns import GROUPS, Column
from genbench.leaderboard import Leaderboard, is_real
from genbench.report import legend
from genbench.report.numbers import Number, cost, score
from genbench.report.site.axes import Scale
from genbench.report.site.charts import interval_bar
from genbench.report.site.context import Context, ends_of
from genbench.report.site.metrics import cost_titles
from genbench.rows import Cell, Row

KINDS = {"exact": "exact", "iwae": "bound", "bound": "bound", "estimate": "estimate"}
"""What a filter calls a likelihood, by its kind."""
NO_LIKELIHOOD = "none"
FILTERS = ("exact", "bound", "estimate", NO_LIKELIHOOD)

HIDDEN_AT_FIRST = ("copying",)
"""Groups whose columns a reader has to ask for: of tests of copying only the flag counts, which stands at the model."""


def table(context: Context) -> dict[str, Any]:
    """All that the page's table shows."""
    board = context.board
    rows = [_row(context, row) for row in board.rows]
    by = _sorted_by(board)
    groups = [{"name": group, "count": count, "hidden": group in HIDDEN_AT_FIRST}
              for group in GROUPS if (count := sum(column.group == group for column in board.columns))]  # fmt: skip
    return {
        "groups": [*groups, {"name": "cost", "count": len(board.costs), "hidden": False}],
        "heads": [
            {"metric": metric, "group": _group_class(metric.group), "second": bool(column.evaluator),
             "first": "descending" if column.better == "higher" else "ascending",
             "sorted": column is by}
            for metric, column in zip(context.metrics, board.columns, strict=True)
        ],
        "costs": cost_titles(board),
        "contenders": [row for row in rows if not row["anchor"] and not row["failed"]],
        "anchors": sorted((row for row in rows if row["anchor"] and not row["failed"]), key=lambda of: not of["real"]),
        "failed": [row for row in rows if row["failed"]],
        "width": 2 + any(row["verified"] is not None for row in rows) + len(board.columns) + len(board.costs),
        "verified": sorted({row["verified"] for row in rows} - {None}),
        "kinds": [kind for kind in FILTERS if any(row["kind"] == kind for row in rows)],
        "conditional": {row["conditional"] for row in rows} == {True, False},
    }  # fmt: skip


def bar(cell: Cell | None, column: Column, scale: Scale, number: Number) -> Markup | None:
    """A cell's interval as a bar; None where it has none, or lies off the scale of the contenders."""
    if cell is None:
        return None
    estimate = cell.estimate
    inside = all(scale.low <= end <= scale.high for end in ends_of(cell))
    if not inside:
        return None
    return interval_bar(estimate.mean, estimate.low, estimate.high, scale, f"{column.title}: {interval(cell, number)}")


def interval(cell: Cell, number: Number) -> str:
    """The interval in words, for those who don't see the bar."""
    return f"{number.mean} {number.interval}" if number.interval else f"{number.mean}, no interval"


def likelihood_kind(row: Row) -> str:
    """What a filter calls the row's likelihood; :data:`NO_LIKELIHOOD` where the table shows none."""
    return next((KINDS.get(cell.kind, cell.kind) for cell in row.scores.values() if cell.is_likelihood), NO_LIKELIHOOD)


def _row(context: Context, row: Row) -> dict[str, Any]:
    board = context.board
    scores = []
    for column in board.columns:
        cell = row.scores.get(column.key)
        number = score(row, column, context.decimals[column.key])
        scores.append({
            "number": number, "group": _group_class(column.group),
            "sort": cell.estimate.mean if cell else None,
            "about": _about(row, column, cell),
            "bar": bar(cell, column, context.scales[column.key], number),
        })  # fmt: skip
    identity = row.records[0].model
    return {
        "model": row.model, "name": legend.named(row), "href": context.address(row),
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
