"""Two models side by side, in a terminal and as JSON."""

from __future__ import annotations

import math
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genbench.comparison import Compared, Comparison, Side
from genbench.report import legend
from genbench.report.console import plain
from genbench.report.numbers import ARROWS, MISSING, significant
from genbench.report.text import ANCHOR
from genbench.rows import FLAGGED
from genbench.statistics import ALPHA, Estimate


@dataclass(frozen=True)
class Layout:
    """One way to fit the table: intervals beside or below their numbers, and what of it is left out."""

    below: bool
    p: bool = True
    intervals: bool = True
    improvement_interval: bool = True


LAYOUTS = (
    Layout(below=False),
    Layout(below=True),
    Layout(below=True, p=False),
    Layout(below=True, p=False, intervals=False),
    Layout(below=True, p=False, intervals=False, improvement_interval=False),
)
VERDICT_WIDTH = 19


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a line a metric, what its columns mean, and what is not compared and why.

    Where the terminal is too narrow, intervals move below their numbers; then uncorrected p-values, the intervals of
    the means and that of the probability go. The difference keeps its interval.
    """
    a, b, benchmark = comparison.a, comparison.b, comparison.benchmark
    unbounded = console.options.update(width=10_000)
    for layout in LAYOUTS:
        table = _table(comparison, layout)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    names = f"A = {_named(a)}, B = {_named(b)}"
    console.print(plain(f"{names} on {benchmark.folder}: digest {benchmark.digest}", "bold"))
    console.print(table)
    for side in (a, b):
        for line in _problems(side):
            console.print(plain(line, "red"))
    for refused in comparison.refused:
        console.print(plain(f"Not compared: {legend.shortened(f'{refused.title}: {refused.reason}')}", "red"))
    for line in _warnings(comparison):
        console.print(plain(line, "yellow"))
    for line in [*_undecided(comparison), *_explanations(comparison), *_left_away(layout)]:
        console.print(plain(line, "dim"))


def _table(comparison: Comparison, layout: Layout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False,
                  padding=(0, 1 if layout.below else 2, 0, 0))  # fmt: skip
    table.add_column("Metric", overflow="fold")
    difference = "A - B,\nA / B" if layout.below else "A - B, A / B"
    better = "P(A\nbetter)" if layout.below else "P(A better)"
    corrected = "p\n(Holm)" if layout.below else "p (Holm)"
    for title in ("A", "B", difference, *["p"] * layout.p, corrected, better):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Verdict", overflow="fold")
    for entry in comparison.metrics:
        title = f"{entry.column.title} {ARROWS[entry.column.better]}".rstrip()
        certain = entry.p_adjusted is not None and entry.p_adjusted <= ALPHA
        table.add_row(
            plain(title.replace(" [", "\n[") if layout.below else title),
            _mean(entry.marks[0], entry.a, FLAGGED * bool(entry.flags[0]), layout),
            _mean(entry.marks[1], entry.b, FLAGGED * bool(entry.flags[1]), layout),
            _difference(entry, layout),
            *[_p(entry.difference.p if entry.difference else None)] * layout.p,
            _p(entry.p_adjusted),
            _improvement(entry, layout),
            Text(_verdict(entry, layout), style="bold" if certain else "dim"),
        )
    return table


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values for JSON."""
    sides = (("a", comparison.a), ("b", comparison.b))
    return {
        "benchmark": {"name": comparison.benchmark.name, "digest": comparison.benchmark.digest},
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "metrics": [
            {
                "key": entry.column.key,
                "title": entry.column.title,
                "direction": entry.column.direction,
                "a": {**asdict(entry.a), "kind": entry.kinds[0], "flags": _by_seed(entry.flags[0])},
                "b": {**asdict(entry.b), "kind": entry.kinds[1], "flags": _by_seed(entry.flags[1])},
                "difference": entry.difference and _plain(entry),
                "p": entry.difference and entry.difference.p,
                "p_adjusted": entry.p_adjusted,
                "improvement": entry.improvement and asdict(entry.improvement),
                "verdict": entry.verdict,
                "decided": entry.decided,
            }
            for entry in comparison.metrics
        ],
        "not_compared": [asdict(entry) for entry in comparison.refused],
        "ended_by_clock": {letter: legend.ended_by_clock(side.records) for letter, side in sides},
        "warnings": {
            letter: {str(record.seed): record.warnings for record in side.records if record.warnings}
            for letter, side in sides
        },
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "model": side.name,
        "anchor": side.anchor,
        "ok": len(side.good),
        "seeds": side.seeds,
        "left_out": [asdict(entry) for entry in side.left_out],
    }


def _plain(entry: Compared) -> dict[str, Any]:
    assert entry.difference is not None
    of = asdict(entry.difference)
    return {
        "of": "ratio" if of.pop("log_scale") else "difference",
        "value": of["value"] if math.isfinite(of["value"]) else None,
        **{key: of[key] for key in ("low", "high")},
    }


def _by_seed(flags: dict[int, str]) -> dict[str, str]:
    return {str(seed): text for seed, text in flags.items()}


def _named(side: Side) -> str:
    return legend.shortened(side.name) + f" {ANCHOR}" * side.anchor + legend.run_marks(side.records)


def _warnings(comparison: Comparison) -> list[str]:
    """What the marks behind the numbers stand for, and that an anchor is one."""
    lines = []
    for index, side in enumerate((comparison.a, comparison.b)):
        for entry in comparison.metrics:
            if flags := entry.flags[index]:
                what = "may be copying" if entry.column.group == "copying" else "warning"
                text = legend.shortened(next(iter(flags.values())))
                lines.append(
                    f"{FLAGGED} {what}: {entry.column.title} of {side.name} "
                    f"({len(flags)}/{len(side.good)} seeds): {text}"
                )
    if comparison.a.anchor or comparison.b.anchor:
        lines.append(f"{ANCHOR} anchor: a known point of the scale, not a contender.")
    sides = (comparison.a, comparison.b)
    lines += legend.clock_words(
        {side.name: (len(legend.ended_by_clock(side.records)), len(side.records)) for side in sides}
    )
    for side in sides:
        lines += legend.warning_words(side.name, side.records)
    return lines


def _undecided(comparison: Comparison) -> list[str]:
    """Each reason for which there is no verdict, once."""
    reasons: dict[str, list[str]] = {}
    for entry in comparison.metrics:
        if not entry.decided:
            reasons.setdefault(entry.verdict, []).append(entry.column.title)
    every = len(comparison.metrics)
    return [
        f"No verdict ({MISSING}){'' if len(titles) == every else ' on ' + ', '.join(titles)}: "
        f"{reason.removeprefix('none: ')}."
        for reason, titles in reasons.items()
    ]


def _mean(mark: str, estimate: Estimate, warning: str, layout: Layout) -> str:
    value = f"{mark}{significant(estimate.mean, 4)}{warning}"
    return _with_interval(value, estimate.low, estimate.high, layout, 4) if layout.intervals else value


def _difference(entry: Compared, layout: Layout) -> str:
    difference = entry.difference
    if difference is None:
        return MISSING
    sign = "x " if difference.log_scale else ("+" if difference.value > 0 else "")
    return _with_interval(f"{sign}{significant(difference.value)}", difference.low, difference.high, layout)


def _improvement(entry: Compared, layout: Layout) -> str:
    found = entry.improvement
    if found is None:
        return MISSING
    gap = "\n" if layout.below else " "
    return f"{found.value:.2f}" + f"{gap}[{found.low:.2f}, {found.high:.2f}]" * layout.improvement_interval


def _with_interval(value: str, low: float | None, high: float | None, layout: Layout, digits: int = 3) -> str:
    if low is None or high is None:
        return value
    return f"{value}{chr(10) if layout.below else ' '}[{significant(low, digits)}, {significant(high, digits)}]"


def _verdict(entry: Compared, layout: Layout) -> str:
    if not entry.decided:
        return MISSING
    return "\n".join(textwrap.wrap(entry.verdict, VERDICT_WIDTH)) if layout.below else entry.verdict


def _left_away(layout: Layout) -> list[str]:
    names = ["uncorrected p-values"] * (not layout.p) + ["intervals of the means"] * (not layout.intervals)
    names += ["intervals of P(A better)"] * (not layout.improvement_interval)
    return [f"Not shown for want of width: {', '.join(names)}. All is in --json."] if names else []


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _problems(side: Side) -> list[str]:
    failed = [record for record in side.records if record.status != "ok"]
    lines = [
        f"{side.name}: seed {record.seed} {record.status}: {legend.shortened(record.reason or '')}" for record in failed
    ]
    missing = side.seeds - len(side.records)
    lines += [f"{side.name}: {missing} of {side.seeds} seeds not run"] if missing else []
    return lines + [f"Left out: {legend.shortened(f'{entry.run}: {entry.reason}')}" for entry in side.left_out]


def _explanations(comparison: Comparison) -> list[str]:
    seeds = comparison.a.seeds
    tested = sum(entry.p_adjusted is not None for entry in comparison.metrics)
    lines = []
    if tested:
        lines.append(
            f"Means over {seeds} seeds and their difference with 95 % intervals of Student's t and Welch's test; of "
            "logarithms, with geometric means and their ratio (x), for scores on a log scale. p (Holm) is corrected "
            f"over the {tested} test{'s' * (tested > 1)} made."
        )
        lines.append(
            "P(A better): the share of pairs of seeds in which A is better, ties half; 95 % interval of Newcombe."
        )
    bounds = [entry for entry in comparison.metrics if {"iwae", "bound"} & set(entry.kinds)]
    if bounds:
        units = " or ".join(dict.fromkeys(entry.column.unit for entry in bounds))
        lines.append(
            f"<= upper bound on {units}. A bound that is lower is better for sure; a value lower than the other's "
            "bound says nothing of what lies under that bound."
        )
    return lines
