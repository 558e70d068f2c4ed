"""A comparison as Markdown and as plain values for JSON. Names and reasons come from records and are escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from genbench.comparison import Compared, Comparison, Side
from genbench.regression import Verdict
from genbench.report import comparison_words as words
from genbench.report import legend
from genbench.report.numbers import ARROWS, MISSING, cost, significant
from genbench.report.text import escape_markdown
from genbench.rows import FLAGGED
from genbench.statistics import Estimate

HEADER = ("Metric", "A", "B", "A - B, A / B", "p (Holm)", "P(A better)", "Verdict")
COST_HEADER = ("Cost, not tested", "A", "B", "A / B")


def markdown(comparison: Comparison, verdict: Verdict | None = None) -> str:
    """GitHub-flavoured: the gate's words if it was asked, a line a metric, the costs, what is odd, what it means."""
    lines = [*_gate(verdict, [comparison]), f"**{escape_markdown(words.heading(comparison))}**", ""]
    lines += _table(list(HEADER), [_row(entry) for entry in comparison.metrics])
    if comparison.costs:
        costs = [[escape_markdown(title), *rest] for title, *rest in cost_cells(comparison)]
        lines += ["", *_table(list(COST_HEADER), costs)]
    below = [*words.versions(comparison), *words.problems(comparison), *words.warnings(comparison)]
    below += words.notes(comparison, verdict is not None)
    return "\n".join([*lines, "", *(f"- {escape_markdown(line)}" for line in below)]) + "\n"


def markdown_of_all(comparisons: Sequence[Comparison], folders: words.Folders, verdict: Verdict | None = None) -> str:
    """Of several models: the gate's words if it was asked, a line a model, and what differs."""
    first = comparisons[0].benchmark
    lines = [*_gate(verdict, comparisons), f"**{escape_markdown(f'{first.folder}: digest {first.digest}')}**", ""]
    rows = [[escape_markdown(of.a.name), *map(str, words.tally(of))] for of in comparisons]
    lines += _table(list(words.TALLY), rows)
    below = [*folders.lines, *(line for of in comparisons for line in words.differences(of))]
    return "\n".join([*lines, "", *(f"- {escape_markdown(line)}" for line in below)]) + "\n"


def document(comparison: Comparison, verdict: Verdict | None = None) -> dict[str, Any]:
    """The comparison as plain values for JSON; with ``regression`` if the gate was asked."""
    sides = (("a", comparison.a), ("b", comparison.b))
    gate = {} if verdict is None else {"regression": _verdict(verdict)}
    return gate | {
        "benchmark": {"name": comparison.benchmark.name, "digest": comparison.benchmark.digest},
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "metrics": [
            {
                "key": entry.column.key,
                "title": entry.column.title,
                "direction": entry.column.direction,
                "ranked": entry.column.ranked,
                "a": {**asdict(entry.a), "kind": entry.kinds[0], "flags": _by_seed(entry.flags[0])},
                "b": {**asdict(entry.b), "kind": entry.kinds[1], "flags": _by_seed(entry.flags[1])},
                "difference": entry.difference and _plain(entry),
                "p": entry.difference and entry.difference.p,
                "p_adjusted": entry.p_adjusted,
                "detectable": entry.detectable,
                "improvement": entry.improvement and asdict(entry.improvement),
                "verdict": entry.verdict,
                "decided": entry.decided,
                "better": entry.winner and entry.winner.lower(),
            }
            for entry in comparison.metrics
        ],
        "not_compared": [
            {
                "key": entry.key,
                "title": entry.title,
                "reason": entry.reason,
                "lacking": [letter for letter, lacks in zip("ab", entry.lacking, strict=True) if lacks],
            }
            for entry in comparison.refused
        ],
        "costs": [{**asdict(entry), "ratio": _finite(entry.ratio)} for entry in comparison.costs],
        "ended_by_clock": {letter: legend.ended_by_clock(side.records) for letter, side in sides},
        "warnings": {
            letter: {str(record.seed): record.warnings for record in side.records if record.warnings}
            for letter, side in sides
        },
    }


def document_of_all(
    comparisons: Sequence[Comparison], folders: words.Folders, verdict: Verdict | None = None
) -> dict[str, Any]:
    """Several models' comparisons, tested in one family."""
    gate = {} if verdict is None else {"regression": _verdict(verdict)}
    tests = sum(entry.p_adjusted is not None for of in comparisons for entry in of.metrics)
    return gate | {"folders": asdict(folders), "tests": tests, "comparisons": [document(of) for of in comparisons]}


def _gate(verdict: Verdict | None, comparisons: Sequence[Comparison]) -> list[str]:
    if verdict is None:
        return []
    head, lines = words.verdict(verdict, comparisons)
    return [f"**{escape_markdown(head)}**", "", *(f"- {escape_markdown(line)}" for line in lines), ""]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    ruler = "|---|" + "---:|" * (len(header) - 1)
    return ["| " + " | ".join(header) + " |", ruler, *("| " + " | ".join(row) + " |" for row in rows)]


def cells(entry: Compared) -> list[str]:
    """A metric's row below :data:`HEADER`, as plain text."""
    difference, better = entry.difference, entry.improvement
    found = MISSING
    if difference is not None:
        sign = "x " if difference.log_scale else ("+" if difference.value > 0 else "")
        found = f"{sign}{significant(difference.value)}{_interval(difference.low, difference.high, 3)}"
    return [
        f"{entry.column.title} {ARROWS[entry.column.better]}".rstrip(),
        *(_mean(entry.marks[i], (entry.a, entry.b)[i], bool(entry.flags[i])) for i in (0, 1)),
        found,
        words.p_value(entry.p_adjusted),
        MISSING if better is None else f"{better.value:.2f} [{better.low:.2f}, {better.high:.2f}]",
        entry.verdict if entry.decided else MISSING,
    ]


def cost_cells(comparison: Comparison) -> list[list[str]]:
    """The rows below :data:`COST_HEADER`, as plain text."""
    return [[entry.title, cost(entry.a), cost(entry.b), _ratio(entry.ratio)] for entry in comparison.costs]


def _row(entry: Compared) -> list[str]:
    title, *numbers, said = cells(entry)
    return [escape_markdown(title), *numbers, f"**{said}**" if entry.winner else said]


def _mean(mark: str, estimate: Estimate, flagged: bool) -> str:
    value = f"{mark}{significant(estimate.mean, 4)}{FLAGGED * flagged}"
    return value + _interval(estimate.low, estimate.high, 4)


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f" [{significant(low, digits)}, {significant(high, digits)}]"


def _ratio(value: float | None) -> str:
    return MISSING if value is None else f"x {significant(value)}"


def _side(side: Side) -> dict[str, Any]:
    versions = {(record.model.version, record.model.code_sha256) for record in side.records}
    return {
        "model": side.name,
        "versions": [{"version": version, "code_sha256": code} for version, code in sorted(versions)],
        "anchor": side.anchor,
        "ok": len(side.good),
        "seeds": side.seeds,
        "not_ok": [
            {"seed": record.seed, "status": record.status, "reason": record.reason}
            for record in side.records
            if record.status != "ok"
        ],
        "left_out": [asdict(entry) for entry in side.left_out],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "found": bool(verdict.regressions),
        "tests": verdict.tested,
        "exit_code": verdict.exit_code,
        "regressions": [asdict(entry) for entry in verdict.regressions],
        "untested": [asdict(entry) for entry in verdict.untested],
    }


def _plain(entry: Compared) -> dict[str, Any]:
    assert entry.difference is not None
    of = asdict(entry.difference)
    return {
        "of": "ratio" if of.pop("log_scale") else "difference",
        "value": _finite(of["value"]),
        **{key: of[key] for key in ("low", "high")},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _by_seed(flags: Mapping[int, str]) -> dict[str, str]:
    return {str(seed): text for seed, text in flags.items()}
