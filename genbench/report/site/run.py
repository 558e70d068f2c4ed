"""The page of a run: its record in readable form, with all that its numbers came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from genbench.columns import COSTS
from genbench.record import Record, Score
from genbench.report import legend
from genbench.report.artifacts import PICTURE
from genbench.report.numbers import cost, significant
from genbench.report.site import commands
from genbench.report.site.context import Context
from genbench.report.site.metrics import Metric
from genbench.report.site.model import audit_view
from genbench.report.site.templates import render
from genbench.rows import FLAGGED, MARKS, UNAUDITED, Row
from genbench.verification import LEVELS, Verification

BUDGETED = (("images", "Training examples", 1.0), ("flops", "Training TFLOP", 1e-12),
            ("seconds", "Training seconds", 1.0), ("memory", "Memory, MiB", 2**-20),
            ("device_memory", "Device memory, MiB", 2**-20), ("parameters", "Parameters", 1.0))  # fmt: skip
"""Keys of a budget that a run spends of, their titles, and the factor to the title's unit."""


def page(
    context: Context, row: Row, record: Record, files: Mapping[str, str], verification: Verification | None
) -> str:
    """The text of the page.

    Args:
        row: of the model, whose other seeds are linked.
        files: artifact to the file beside the page that it was copied to; ``record.json`` among them.
    """
    seeds = sorted(entry.seed for entry in row.records)
    place = seeds.index(record.seed)
    return render(
        "run.html",
        root="../../",
        script=False,
        title=context.title,
        folder=context.folder,
        record=record,
        name=legend.shortened(record.model.name, legend.NAME_WIDTH),
        before=seeds[place - 1] if place else None,
        after=seeds[place + 1] if place + 1 < len(seeds) else None,
        scores=_scores(record, context.metrics),
        withheld=legend.withheld(record),
        spent=_spent(record),
        costs=_costs(record),
        milestones=_milestones(record, context.metrics),
        audit=audit_view(record.audit, context.board) if record.audit else None,
        attempts=_attempts(record),
        environment=_flat(record.environment),
        artifacts=[{"name": name, "hash": value, "file": files.get(name, "")} for name, value in
                   record.artifacts.items()],
        record_file=files["record.json"],
        samples=files.get(PICTURE, ""),
        verification=verification,
        levels=LEVELS,
        commands=commands.of_run(context, record),
        updated=context.updated,
    )  # fmt: skip


def _scores(record: Record, metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """Every score, those of the table's columns first."""
    explained = {metric.key: metric for metric in metrics}
    names = sorted(record.scores, key=lambda name: list(explained).index(name) if name in explained else len(explained))
    withheld = legend.withheld(record)
    found = []
    for name in names:
        score, metric = record.scores[name], explained.get(name)
        found.append({
            "key": name, "title": metric.title if metric else name, "id": metric.id if metric else "",
            "meaning": metric.meaning if metric else "",
            "arrow": metric.arrow if metric else "",
            "value": "withheld" if name in withheld else _value(score, record),
            "exact": repr(score.value),
            "stderr": "" if score.stderr is None else significant(score.stderr, 2),
            "repeats": ", ".join(significant(value, 5) for value in score.repeats),
            "kind": score.kind, "n": score.n, "unit": score.unit, "flag": score.flag or "",
            "evaluator": str(score.fingerprint.get("evaluator", "")),
            "fingerprint": _pairs({k: v for k, v in score.fingerprint.items() if k not in ("evaluator", "n")}),
            "details": _pairs(score.details),
        })  # fmt: skip
    return found


def _value(score: Score, record: Record) -> str:
    unaudited = score.kind != "metric" and record.audit is None
    return MARKS.get(score.kind, "") + significant(score.value, 5) + FLAGGED * bool(score.flag) + UNAUDITED * unaudited


def _spent(record: Record) -> list[dict[str, Any]]:
    """What the run was allowed and what it spent, as numbers of one unit."""
    found = []
    for key, title, factor in BUDGETED:
        allowed, spent = _number(record.budget.get(key)), _number(record.spent.get(key))
        if spent is None and allowed is None:
            continue
        found.append({
            "title": title,
            "spent": "-" if spent is None else _amount(spent * factor),
            "allowed": "-" if allowed is None else _amount(allowed * factor),
            "share": min(1.0, spent / allowed) if spent is not None and allowed else None,
            "ends": record.spent.get("ended_by") == key,
        })  # fmt: skip
    return found


def _costs(record: Record) -> dict[str, str]:
    """The costs of the tables, in their units, and the seconds of each stage; parameters stand under the budget."""
    found = {title: _number(source(record)) for key, title, source in COSTS if key != "parameters"}
    stages = record.cost.get("stage_seconds", {})
    return {title: cost(value) for title, value in found.items() if value is not None} | _flat({"Seconds": stages})


def _milestones(record: Record, metrics: Sequence[Metric]) -> dict[str, Any]:
    """Scores at the milestones: a row a quantity, a column a milestone."""
    marks = record.milestones
    titles = {metric.key: metric.title for metric in metrics}
    names = dict.fromkeys(name for milestone in marks for name in milestone.scores)
    rows: list[list[str]] = [
        ["Examples", *(f"{m.images:,}" for m in marks)],
        ["TFLOP", *(significant(m.flops * 1e-12) for m in marks)],
        ["Seconds", *(significant(m.seconds) for m in marks)],
    ]
    for name in names:
        scores = [milestone.scores.get(name) for milestone in marks]
        rows.append([titles.get(name, name), *("-" if score is None else _value(score, record) for score in scores)])
    return {"heads": [f"{m.fraction:g}" for m in marks], "rows": rows}


def _attempts(record: Record) -> list[dict[str, Any]]:
    return [
        {"status": attempt.status, "reason": attempt.reason or "", "started": attempt.started,
         "seconds": _seconds_between(attempt.started, attempt.finished),
         "resumed_at": "" if attempt.resumed_at is None else f"{attempt.resumed_at:,}"}
        for attempt in record.attempts
    ]  # fmt: skip


def _seconds_between(started: str, finished: str) -> str:
    """Whole seconds between two times of a record, which may hold any text."""
    try:
        return f"{(datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds():,.0f}"
    except (ValueError, TypeError):  # no times, or one with and one without a zone
        return "-"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as one level of texts."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        title = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            flat |= _flat(value, f"{title}: ")
        else:
            flat[title] = _amount(value) if isinstance(value, float) else str(value)
    return flat


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_brief(value)}" for key, value in values.items())


def _brief(value: Any) -> str:
    if isinstance(value, float):
        return significant(value)
    return value if isinstance(value, str) else json.dumps(value)


def _amount(value: float) -> str:
    """A quantity without more digits than are read."""
    return f"{value:,.0f}" if abs(value) >= 1000 and value < 1e15 else significant(value)


def _number(value: Any) -> float | None:
    """A quantity; a whole number that is too large for a float is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e300:
        return None
    return float(value)
