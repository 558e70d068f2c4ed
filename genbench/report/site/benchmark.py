"""The page of a benchmark: its table, charts, samples, what its columns mean, and how to get the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genbench.leaderboard import Leaderboard, is_real
from genbench.report import legend
from genbench.report.numbers import score
from genbench.report.site import commands
from genbench.report.site.context import Context
from genbench.report.site.figures import Figure
from genbench.report.site.metrics import cost_titles
from genbench.report.site.pictures import Samples
from genbench.report.site.table import table
from genbench.report.site.templates import render

if TYPE_CHECKING:
    from genbench.report.nearest import Nearest

DOWNLOADS = (("leaderboard.csv", "CSV"), ("leaderboard.md", "Markdown"), ("leaderboard.tex", "LaTeX"),
             ("leaderboard.json", "JSON, with the value of each seed"))  # fmt: skip


def page(
    context: Context, gallery: Mapping[str, Samples], nearest: Mapping[str, Nearest], figures: Sequence[Figure]
) -> str:
    """The text of the page.

    Args:
        gallery: folder of a model's pages to its first samples, of the models that have any.
        nearest: model to its nearest training examples.
    """
    board = context.board
    benchmark = board.benchmark
    return render(
        "benchmark.html",
        root="../",
        script=True,
        benchmark=benchmark,
        file=benchmark.file,
        budget=benchmark.budget,
        dataset=benchmark.dataset,
        evaluators=[entry for entry in (benchmark.evaluator, benchmark.second_evaluator) if entry],
        table=table(context),
        metrics=context.metrics,
        costs=cost_titles(board),
        problems=legend.problems(board),
        explanations=_explanations(board),
        omissions=legend.omissions(board),
        figures=figures,
        gallery=_gallery(context, gallery),
        nearest=_nearest(context, nearest),
        environments=_environments(board),
        commands=commands.of_board(context),
        definition=context.definition,
        downloads=DOWNLOADS,
        runs=sum(len(row.records) for row in context.own),
        updated=context.updated,
    )


def _explanations(board: Leaderboard) -> list[str]:
    """The table's legend; how much each score varies stands where the score is explained."""
    told = legend.variance(board)
    return [line for line in legend.explanations(board) if line not in told]


def _gallery(context: Context, gallery: Mapping[str, Samples]) -> list[dict[str, Any]]:
    """A grid of each model, of its first seed that is ok, real data first."""
    rows = sorted(
        (row for row in context.board.rows if context.place(row) in gallery), key=lambda row: not is_real(row)
    )
    quality = context.quality
    decimals = context.decimals[quality.key] if quality else 0
    return [
        {"name": legend.named(row), "model": row.model, "href": context.address(row), "real": is_real(row),
         "anchor": row.anchor, "samples": gallery[context.place(row)],
         "quality": f"{quality.title} {score(row, quality, decimals).mean}" if quality else "",
         "picture": f"{context.place(row)}/{gallery[context.place(row)].file}"}
        for row in rows
    ]  # fmt: skip


def _nearest(context: Context, nearest: Mapping[str, Nearest]) -> list[dict[str, Any]]:
    rows = sorted((row for row in context.own if row.model in nearest), key=lambda row: not is_real(row))
    return [
        {"name": legend.named(row), "model": row.model, "href": context.address(row), "anchor": row.anchor,
         "nearest": nearest[row.model], "folder": f"{context.place(row)}/"}
        for row in rows
    ]  # fmt: skip


def _environments(board: Leaderboard) -> list[dict[str, Any]]:
    """The distinct environments of the records, with how many runs took place in each; commonest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in board.rows:
        for record in row.records:
            if record.status != "ok":
                continue
            values = {key: str(value) for key, value in record.environment.items()}
            entry = found.setdefault(json.dumps(values, sort_keys=True), {"runs": 0, "values": values})
            entry["runs"] += 1
    return sorted(found.values(), key=lambda entry: -int(entry["runs"]))
