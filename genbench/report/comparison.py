"""Two models side by side, or several pairs of them, in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from genbench.comparison import Compared, Comparison
from genbench.regression import PASSED, Verdict
from genbench.report import comparison_words as words
from genbench.report.console import plain
from genbench.report.numbers import ARROWS, MISSING, cost, significant
from genbench.rows import FLAGGED
from genbench.statistics import ALPHA, Estimate

if TYPE_CHECKING:
    from genbench.comparing import ComparisonReport


@dataclass(frozen=True)
class Layout:
    """One way to fit the table: intervals beside or below their numbers, and what of it is left out."""

    below: bool
    p: bool = True
    intervals: bool = True
    improvement_interval: bool = True
    improvement: bool = True


LAYOUTS = (
    Layout(below=False),
    Layout(below=True),
    Layout(below=True, p=False),
    Layout(below=True, p=False, intervals=False),
    Layout(below=True, p=False, intervals=False, improvement_interval=False),
    Layout(below=True, p=False, intervals=False, improvement_interval=False, improvement=False),
)
VERDICT_WIDTH = 15
"""Where intervals stand below their numbers, so that `not distinguishable` takes two lines."""


def print_report(report: ComparisonReport, console: Console) -> None:
    """Print one comparison, or those of all models of two results folders."""
    if report.folders:
        print_all(report.comparisons, report.folders, console, report.verdict)
    else:
        print_comparison(report.comparisons[0], console, report.verdict)


def print_comparison(comparison: Comparison, console: Console, verdict: Verdict | None = None) -> None:
    """Print what the gate says if it was asked, a line a metric, what its columns mean, what is not compared and why.

    Where the terminal is too narrow, intervals move below their numbers; then uncorrected p-values, the intervals of
    the means, that of the probability and the probability go. The difference keeps its interval.
    """
    unbounded = console.options.update(width=10_000)
    for layout in LAYOUTS:
        table = _table(comparison, layout)
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
    if verdict is not None:
        print_verdict(verdict, [comparison], console)
    console.print(plain(words.heading(comparison), "bold"))
    console.print(table)
    if comparison.costs:
        console.print(_costs(comparison))
    for style, lines in (
        ("", words.versions(comparison)),
        ("red", words.problems(comparison)),
        ("yellow", words.warnings(comparison)),
        ("dim", [*words.notes(comparison, verdict is not None), *_left_away(layout)]),
    ):
        for line in lines:
            console.print(plain(line, style))


def print_all(
    comparisons: Sequence[Comparison], folders: words.Folders, console: Console, verdict: Verdict | None = None
) -> None:
    """Print what the gate says if it was asked, a line a model, and what differs."""
    if verdict is not None:
        print_verdict(verdict, comparisons, console)
    first = comparisons[0].benchmark
    console.print(plain(f"A and B on {first.folder}: digest {first.digest}", "bold"))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(words.TALLY[0], overflow="fold")
    for title in words.TALLY[1:]:
        table.add_column(title, justify="right")
    for of in comparisons:
        table.add_row(plain(of.a.name), *map(str, words.tally(of)))
    console.print(table)
    for line in [*folders.lines, *(line for of in comparisons for line in words.differences(of))]:
        console.print(plain(line))


def print_verdict(verdict: Verdict, comparisons: Sequence[Comparison], console: Console) -> None:
    """Print what the gate says, with a line for each reason."""
    head, lines = words.verdict(verdict, comparisons)
    console.print(plain(head, "bold green" if verdict.exit_code == PASSED else "bold red"))
    for line in lines:
        console.print(Padding(plain(line), (0, 0, 0, 2)))


def _costs(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Cost, not tested", overflow="fold")
    for title in ("A", "B", "A / B"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in comparison.costs:
        ratio = MISSING if entry.ratio is None else f"x {significant(entry.ratio)}"
        table.add_row(plain(entry.title), cost(entry.a), cost(entry.b), ratio)
    return table


def _table(comparison: Comparison, layout: Layout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False,
                  padding=(0, 1 if layout.below else 2, 0, 0))  # fmt: skip
    table.add_column("Metric", overflow="fold")
    difference = "A - B,\nA / B" if layout.below else "A - B, A / B"
    better = "P(A\nbetter)" if layout.below else "P(A better)"
    corrected = "p\n(Holm)" if layout.below else "p (Holm)"
    for title in ("A", "B", difference, *["p"] * layout.p, corrected, *[better] * layout.improvement):
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
            *[words.p_value(entry.difference.p if entry.difference else None)] * layout.p,
            words.p_value(entry.p_adjusted),
            *[_improvement(entry, layout)] * layout.improvement,
            Text(_verdict(entry, layout), style="bold" if certain else "dim"),
        )
    return table


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
    names += ["intervals of P(A better)"] * (layout.improvement and not layout.improvement_interval)
    names += ["P(A better)"] * (not layout.improvement)
    return [f"Not shown for want of width: {', '.join(names)}. All is in --json."] if names else []
