"""The page of a model on a benchmark: what it is, its scores over seeds, curves, samples, cost and audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genbench.columns import COSTS
from genbench.leaderboard import Leaderboard, is_real
from genbench.record import Audit, Record
from genbench.report import legend
from genbench.report.numbers import cost, score, significant
from genbench.report.site import commands
from genbench.report.site.context import Context
from genbench.report.site.figures import Figure
from genbench.report.site.metrics import cost_titles
from genbench.report.site.pictures import Samples
from genbench.report.site.table import bar, likelihood_kind
from genbench.rows import Cell, Row

if TYPE_CHECKING:
    from genbench.report.nearest import Nearest

ENDED = {"images": "examples", "flops": "compute", "seconds": "the clock", "max_epochs": "its own number of epochs"}
"""What ended a training, by the word for it in records; third parties may have others."""


def view(
    context: Context, row: Row, samples: Sequence[Samples], figures: Sequence[Figure], nearest: Nearest | None
) -> dict[str, Any]:
    """All that the page shows, but for the links to other benchmarks.

    Args:
        samples: of each seed that left any.
        figures: curves of every seed.
    """
    registry = context.registry
    identity = row.records[0].model
    entry = registry.models.get(row.model.partition("[")[0]) if registry else None
    return {
        "title": context.title,
        "folder": context.folder,
        "model": row.model,
        "name": legend.named(row),
        "anchor": row.anchor,
        "real": is_real(row),
        "identity": identity,
        "summary": entry.spec.summary if entry else "",
        "codes": list(dict.fromkeys(record.model.code_sha256[:12] for record in row.records)),
        "kind": likelihood_kind(row),
        "ok": row.ok,
        "seeds": row.seeds,
        "verified": row.verified,
        "problem": row.problem,
        "runs": [_run(record) for record in sorted(row.records, key=lambda record: record.seed)],
        "warnings": legend.warnings(row.records),
        "config": {key: _plain(value) for key, value in identity.config.items()},
        "scores": _scores(context, row),
        "seed_numbers": sorted(record.seed for record in row.records if record.status == "ok"),
        "figures": figures,
        "samples": samples,
        "nearest": nearest,
        "costs": _costs(context.board, row),
        "audits": _audits(row.records, context.board),
        "updated": context.updated,
        "command": commands.of_model(context, row.model),
    }


def _run(record: Record) -> dict[str, Any]:
    ended = str(record.spent.get("ended_by", ""))
    return {"seed": record.seed, "status": record.status, "reason": legend.shortened(record.reason or ""),
            "ended_by": ENDED.get(ended, ended), "finished": record.finished[:10]}  # fmt: skip


def _scores(context: Context, row: Row) -> list[dict[str, Any]]:
    found = []
    for metric, column in zip(context.metrics, context.board.columns, strict=True):
        cell = row.scores.get(column.key)
        if cell is None and column.key not in row.withheld:
            continue
        places = context.decimals[column.key]
        number = score(row, column, places)
        found.append({
            "metric": metric, "number": number, "bar": bar(cell, column, context.scales[column.key], number),
            "values": {seed: f"{value:.{places}f}" if abs(value) < 1e7 else f"{value:.2e}"
                       for seed, value in cell.values.items()} if cell else {},
            "flags": cell.flags if cell else {},
            "n": cell.n if cell else None, "kind": cell.kind if cell else "",
            "deviations": _deviations(cell) if cell else "",
            "about": "; ".join(entry.reason for entry in row.withheld.get(column.key, ())),
        })  # fmt: skip
    return found


def _deviations(cell: Cell) -> str:
    """``1.2 % and 0.8 %``: over training and over sampling."""
    parts = cell.components
    if parts.training is None or parts.sampling is None:
        return ""
    return " / ".join(legend.deviation(value, parts.log_scale) for value in (parts.training, parts.sampling))


def _costs(board: Leaderboard, row: Row) -> list[dict[str, Any]]:
    """Each cost: its mean, and that of each seed."""
    sources = {key: source for key, _, source in COSTS}
    good = [record for record in row.records if record.status == "ok"]
    return [
        {**titles, "mean": cost(row.costs[titles["key"]]),
         "values": {record.seed: cost(_number(sources[titles["key"]](record))) for record in good}}
        for titles in cost_titles(board)
    ]  # fmt: skip


def _audits(records: Sequence[Record], board: Leaderboard) -> list[dict[str, Any]]:
    """The distinct audits of the records with the seeds that they stand in: the audit is of the model."""
    found: dict[tuple[str, str], tuple[Audit, list[int]]] = {}
    for record in records:
        if record.audit is not None:
            found.setdefault((record.audit.key, record.audit.verdict), (record.audit, []))[1].append(record.seed)
    return [{**audit_view(audit, board), "of": sorted(seeds)} for audit, seeds in found.values()]


def audit_view(audit: Audit, board: Leaderboard) -> dict[str, Any]:
    """An audit as the pages show it."""
    return {
        "verdict": audit.verdict,
        "reason": audit.reason or "",
        "sees": "" if audit.smallest_flattery is None else legend.flattery(audit.smallest_flattery, board),
        "findings": [
            {"name": finding.name, "verdict": finding.verdict, "message": finding.message,
             "measured": "-" if finding.measured is None else significant(finding.measured),
             "limit": "-" if finding.limit is None else significant(finding.limit)}
            for finding in audit.findings
        ],
    }  # fmt: skip


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def others(
    model: str, pages: Mapping[str, Mapping[str, str]], titles: Mapping[str, str], folder: str
) -> list[tuple[str, str]]:
    """Where else a model stands: title of a benchmark and the address of its page there.

    Args:
        pages: by the folder of a benchmark, model to the folder of its page.
        titles: by the folder of a benchmark.
        folder: of the benchmark that is left out.
    """
    return [
        (titles[name], f"../../{name}/{of[model]}/index.html")
        for name, of in pages.items()
        if name != folder and model in of
    ]
