"""The first page of a site: its benchmarks, who leads on each, and which model stands where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genbench.columns import Column
from genbench.report import legend
from genbench.report.numbers import score
from genbench.report.site.context import Context
from genbench.report.site.templates import render
from genbench.rows import Row

MOST_LEADERS = 4


@dataclass(frozen=True)
class Place:
    """A model's cell in the matrix of models and benchmarks.

    Attributes:
        href: of its page.
        text: its score of quality, or why there is none.
        sort: the number in it, or None.
        best: whether no contender is significantly better.
        anchor: whether it is a point of reference.
    """

    href: str
    text: str
    sort: float | None
    best: bool
    anchor: bool


@dataclass(frozen=True)
class Summary:
    """A benchmark as the first page shows it.

    Attributes:
        folder: of its pages.
        quality: title of the score in the matrix, with its arrow.
        leaders: title of a score to the contenders that none beats; each a name, an address and a number.
        places: model to its cell.
    """

    folder: str
    title: str
    facts: Mapping[str, str]
    division: str
    models: int
    anchors: int
    runs: int
    quality: str
    leaders: Mapping[str, Sequence[Mapping[str, str]]]
    places: Mapping[str, Place]


def summary_of(context: Context) -> Summary:
    """What the first page says of a benchmark."""
    board, benchmark = context.board, context.board.benchmark
    quality, likelihood = context.quality, context.likelihood
    budget = benchmark.budget
    spend = f"{budget.images:,} examples" + (f" or {budget.flops / 1e12:g} TFLOP" if budget.flops else "")
    evaluators = [entry.name for entry in (benchmark.evaluator, benchmark.second_evaluator) if entry]
    return Summary(
        context.folder,
        context.title,
        {
            "Data": benchmark.dataset.name,
            "Budget": spend if benchmark.division == "closed" else "open: trained outside genbench",
            "Evaluator": ", ".join(evaluators),
        },
        benchmark.division,
        sum(not row.anchor for row in board.rows),
        sum(row.anchor for row in board.rows),
        sum(len(row.records) for row in context.own),
        quality.title if quality else "",
        {column.title: leaders(context, column) for column in (quality, likelihood) if column},
        {row.model: _place(context, row, quality) for row in context.own},
    )


def leaders(context: Context, column: Column) -> list[dict[str, str]]:
    """The contenders of rank 1, best mean first; without ranks the one with the best mean."""
    rows = [row for row in context.board.rows if not row.anchor and row.complete and column.key in row.scores]
    sign = -1 if column.better == "higher" else 1
    rows.sort(key=lambda row: (sign * row.scores[column.key].estimate.mean, row.model))
    first = [row for row in rows if row.scores[column.key].rank == 1] or rows[:1]
    decimals = context.decimals[column.key]
    shown = [(row, score(row, column, decimals)) for row in first[:MOST_LEADERS]]
    found = [
        {"name": legend.named(row), "href": f"{context.folder}/{context.address(row)}",
         "number": f"{number.mark}{number.mean}"}
        for row, number in shown
    ]  # fmt: skip
    if len(first) > MOST_LEADERS:
        found.append({"name": f"and {len(first) - MOST_LEADERS} more", "href": "", "number": ""})
    return found


def page(summaries: Sequence[Summary], updated: str) -> str:
    """The text of the page.

    Args:
        updated: day of the newest run.
    """
    return render(
        "index.html",
        root="",
        script=True,
        benchmarks=summaries,
        models=_matrix(summaries),
        updated=updated,
    )


def _matrix(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """A row a model, contenders first, by name; a cell a benchmark, None where it does not stand."""
    anchors: dict[str, bool] = {}
    for summary in summaries:
        for model, place in summary.places.items():
            anchors[model] = anchors.get(model, False) or place.anchor
    return [
        {"model": model, "name": legend.shortened(model, legend.NAME_WIDTH), "anchor": anchors[model],
         "cells": [summary.places.get(model) for summary in summaries]}
        for model in sorted(anchors, key=lambda name: (anchors[name], name))
    ]  # fmt: skip


def _place(context: Context, row: Row, column: Column | None) -> Place:
    href = f"{context.folder}/{context.address(row)}"
    number = score(row, column, context.decimals[column.key]) if column else None
    if not row.ok:
        text = row.failures[0].status if row.failures else "not run"
    else:
        text = f"{number.mark}{number.mean}" if number else f"{row.ok}/{row.seeds}"
    cell = row.scores.get(column.key) if column else None
    return Place(href, text, cell.estimate.mean if cell else None, cell is not None and cell.rank == 1, row.anchor)
