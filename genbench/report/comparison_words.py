"""The words around a comparison: who is compared, what is odd about it, what its numbers mean, what the gate says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genbench.comparison import Compared, Comparison, Side
from genbench.power import POWER
from genbench.regression import UNTESTED, Finding, Verdict
from genbench.report import legend
from genbench.report.numbers import MISSING, significant
from genbench.rows import FLAGGED
from genbench.statistics import ALPHA
from genbench.superseded import described

TALLY = ("Model", "A better", "B better", "Not distinguishable", "No verdict", "Not compared")
"""What is counted of each model where there are several."""

PERCENT = "{:.0f} %"


@dataclass(frozen=True)
class Folders:
    """Two results folders that are compared.

    Attributes:
        a, b: their paths.
        only_a, only_b: models that have results in one of them alone.
        unreadable: records of both that were passed over.
    """

    a: str
    b: str
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    unreadable: int = 0

    @property
    def lines(self) -> list[str]:
        """What there is to say of them beside the comparisons."""
        lines = [f"A = {self.a}, B = {self.b}. p-values are corrected over the tests of all models."]
        for letter, names in (("A", self.only_a), ("B", self.only_b)):
            lines += [f"Only in {letter}: {', '.join(names)}."] if names else []
        more = f"{self.unreadable} records could not be read; `genbench doctor --results` names them."
        return lines + [more] * bool(self.unreadable)


def named(side: Side) -> str:
    """A side's name with its marks."""
    return legend.shortened(side.name) + f" {legend.ANCHOR}" * side.anchor + legend.run_marks(side.records)


def heading(comparison: Comparison) -> str:
    """Who is compared on what, in a line."""
    names = f"A = {named(comparison.a)}, B = {named(comparison.b)}"
    return f"{names} on {comparison.benchmark.folder}: digest {comparison.benchmark.digest}"


def versions(comparison: Comparison, of_whom: str = "") -> list[str]:
    """The versions of both, where they are of one model or a side is of several."""
    sides = (comparison.a, comparison.b)
    models = {record.model.name for side in sides for record in side.records}
    codes = [described(side.records) for side in sides]
    if len(models) > 1 and all(len(of) <= 1 for of in codes):
        return []
    lines = [f"{of_whom}{letter}: version {'; '.join(of)}." for letter, of in zip("AB", codes, strict=True) if of]
    mixed = [side.name for side, of in zip(sides, codes, strict=True) if len(of) > 1]
    return lines + [f"{FLAGGED} the seeds of {name} come from several versions of its code." for name in mixed]


def problems(comparison: Comparison) -> list[str]:
    """Seeds that are not ok, records that were left out, scores that are not compared."""
    lines = [line for side in (comparison.a, comparison.b) for line in _problems(side)]
    return lines + [
        f"Not compared: {legend.shortened(f'{refused.title}: {refused.reason}')}" for refused in comparison.refused
    ]


def warnings(comparison: Comparison) -> list[str]:
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
        lines.append(f"{legend.ANCHOR} anchor: a known point of the scale, not a contender.")
    sides = (comparison.a, comparison.b)
    lines += legend.clock_words(
        {side.name: (len(legend.ended_by_clock(side.records)), len(side.records)) for side in sides}
    )
    for side in sides:
        lines += legend.warning_words(side.name, side.records)
    return lines


def notes(comparison: Comparison, judged: bool) -> list[str]:
    """Why some scores have no verdict, and what the numbers mean.

    Args:
        judged: whether the gate's words stand beside, which have the detectable differences.
    """
    return [*_undecided(comparison), *([] if judged else _unseen(comparison)), *_explanations(comparison)]


def verdict(of: Verdict, comparisons: Sequence[Comparison]) -> tuple[str, list[str]]:
    """What the gate says: a headline, and a line for each thing behind it.

    A model is named where there are several, or its seeds are at issue.
    """
    measured = {(each.b.name, entry.column.key): entry for each in comparisons for entry in each.metrics}

    def line(found: Finding) -> str:
        text = difference(measured[found.model, found.key]) if found.kind == "worse" else legend.shortened(found.text)
        return f"{found.model}: {text}" if len(comparisons) > 1 or not found.key else text

    tests = f"{of.tested} test{'s' * (of.tested != 1)} at {PERCENT.format(100 * ALPHA)} over all of them"
    untested = list(map(line, of.untested))
    if of.regressions:
        count = len(of.regressions)
        head = f"Regression: B is worse than A in {count} respect{'s' * (count > 1)} ({tests})"
        return head, [*map(line, of.regressions), *(f"not tested: {text}" for text in untested)]
    if of.exit_code == UNTESTED:
        return "Not tested: whether B is worse than A cannot be told", untested or ["no score could be tested"]
    return f"No regression found in {tests}", _seen_if_worse(comparisons)


def tally(comparison: Comparison) -> tuple[int, ...]:
    """How many scores there are of each sort of :data:`TALLY`."""
    winners = [entry.winner for entry in comparison.metrics if entry.decided]
    return (
        winners.count("A"),
        winners.count("B"),
        winners.count(None),
        len(comparison.metrics) - len(winners),
        len(comparison.refused),
    )


def differences(comparison: Comparison) -> list[str]:
    """A line for each score in which one side is better, for what else tells the two apart, and for problems."""
    name = comparison.a.name
    lines = [f"{name}: {difference(entry)}" for entry in comparison.metrics if entry.winner]
    if len({tuple(described(side.records)) for side in (comparison.a, comparison.b)}) > 1:
        lines += versions(comparison, f"{name}, ")
    for entry in comparison.metrics:
        flagged = [letter for letter, flags in zip("AB", entry.flags, strict=True) if flags]
        if len(flagged) == 1:
            text = next(iter(entry.flags["AB".index(flagged[0])].values()))
            lines.append(f"{name}: {FLAGGED} {entry.column.title} of {flagged[0]} alone: {legend.shortened(text)}")
    return lines + problems(comparison)


def difference(entry: Compared) -> str:
    """Who is better in what, and by how much: ``FID: A is better: A / B x 0.5 [0.48, 0.52], p (Holm) 0.0001``."""
    of = entry.difference
    if of is None or entry.p_adjusted is None:
        return f"{entry.column.title}: {entry.verdict}"
    interval = "" if of.low is None or of.high is None else f" [{significant(of.low)}, {significant(of.high)}]"
    value = f"A / B x {significant(of.value)}" if of.log_scale else f"A - B {significant(of.value)}"
    return f"{entry.column.title}: {entry.verdict}: {value}{interval}, p (Holm) {p_value(entry.p_adjusted)}"


def p_value(value: float | None) -> str:
    """With four decimals."""
    if value is None:
        return MISSING
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _seen_if_worse(comparisons: Sequence[Comparison]) -> list[str]:
    """What change for the worse would have been found; of several pairs, from the least to the largest."""
    sizes: dict[str, list[str]] = {}
    least: dict[str, list[float]] = {}
    for entry in (entry for of in comparisons for entry in of.metrics):
        if entry.detectable is not None and entry.difference is not None:
            sign = "x " if entry.difference.log_scale else ""
            sizes.setdefault(entry.column.title, []).append(f"{sign}{significant(entry.detectable)}")
            least.setdefault(entry.column.title, []).append(entry.detectable)
    parts = []
    for title, found in least.items():
        ends = [sizes[title][found.index(end)] for end in (min(found), max(found))]
        parts.append(f"{title} {' to '.join(dict.fromkeys(ends))}")
    by_model = ", least and largest of the models" * (len(comparisons) > 1)
    return [f"a change for the worse {_found_from(', '.join(parts))}{by_model}"] if parts else []


def _unseen(comparison: Comparison) -> list[str]:
    alike = [entry for entry in comparison.metrics if entry.decided and entry.winner is None]
    found = _detectable(alike)
    return [f"Not distinguishable is not equal: a difference {_found_from(found)}."] if found else []


def _found_from(sizes: str) -> str:
    return f"would have been found with {PERCENT.format(100 * POWER)} probability from these sizes on: {sizes}"


def _detectable(entries: Sequence[Compared]) -> str:
    """The least differences that would have been found: ``FID x 1.21, KID 0.0012``."""
    parts = []
    for entry in entries:
        if entry.detectable is not None and entry.difference is not None:
            sign = "x " if entry.difference.log_scale else ""
            parts.append(f"{entry.column.title} {sign}{significant(entry.detectable)}")
    return ", ".join(parts)


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
