"""The calibration ladder as text for a terminal and as Markdown for the documentation: the same tables in both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from genbench.calibration import Calibration, Held
from genbench.report.numbers import ARROWS
from genbench.rungs import ANY, HALVES, RUNGS, Verdict, steps

COLUMNS_MOST = 6
"""Of a table; more are put into further tables below."""
MARKS = {True: "verified", False: "NOT VERIFIED", None: "not measured"}
FAR = 99.5
"""Beyond it z is written as > 99: nobody needs its digits."""


@dataclass(frozen=True)
class Section:
    """A heading, the words below it, and a table whose first column is text."""

    title: str
    words: str
    header: list[str]
    rows: list[list[str]]


def sections(calibration: Calibration, columns: int = COLUMNS_MOST) -> list[Section]:
    """All of the ladder, from the claims to the flags; so many scores to a table."""
    found = [_rungs(calibration), _claims(calibration)]
    for names in _blocks(calibration, columns):
        found.append(_orders(calibration, names))
    for names in _blocks(calibration, columns):
        found.append(_values(calibration, names))
    if calibration.agreements():
        found.append(_agreement(calibration))
    if calibration.measured["nulls"]:
        found.append(_flags(calibration))
    return [section for section in found if section.rows]


def markdown(calibration: Calibration) -> str:
    """GitHub-flavoured Markdown, headings of the third level."""
    lines = []
    for section in sections(calibration):
        lines += [f"### {section.title}", "", section.words, ""] if section.title else [""]
        lines.append("| " + " | ".join(section.header) + " |")
        lines.append("|---|" + "---|" * (len(section.header) - 1))
        lines += ["| " + " | ".join(row) + " |" for row in section.rows]
        lines.append("")
    return "\n".join(lines)


def plain(text: str) -> str:
    """A cell or a sentence without Markdown: backquotes go, bold becomes an asterisk."""
    return text.replace("`", "").replace("**", "*")


def _rungs(calibration: Calibration) -> Section:
    rows = [[f"`{rung}`", RUNGS[rung]] for rung in calibration.rungs]
    measured = calibration.measured
    words = (
        f"Sets of {measured['n']} training examples against all held-out data of `{calibration.benchmark}`; from "
        f"`held-out` on, sets of {measured['half']} against one half of the held-out data. {measured['draws']} draws "
        "of each."
    )
    return Section("Rungs", words, ["rung", "set"], rows)


def _claims(calibration: Calibration) -> Section:
    rows = []
    for held in calibration.held():
        z = "-" if held.verdict is None else _z(held.verdict.z)
        rows.append([f"`{held.metric}`", f"`{held.claim}`", z, MARKS[held.verified]])
    words = (
        "`a>b`: the metric tells the set b from the better set a. `a=b`: it does not see the difference. `a<b`: it "
        "takes b for the better one."
    )
    return Section("Claims", words, ["metric", "claim", "z", "verdict"], rows)


def _orders(calibration: Calibration, names: Sequence[str]) -> Section:
    names = [name for name in names if calibration.spec(name).direction != "none"]
    verdicts = {name: calibration.verdicts(name) for name in names}
    claimed = {(held.metric, held.claim.better, held.claim.worse): held for held in calibration.held()}
    rows = []
    for pair in steps():
        cells = [_order(verdicts[name].get(pair), claimed.get((name, *pair))) for name in names]
        if any(cells):
            rows.append([f"`{pair[0]}`, `{pair[1]}`", *cells])
    first = names[:1] == list(calibration.values)[:1]
    words = (
        "For each pair, the better set first, how the metric orders them, and by how many standard errors. In bold: "
        "claimed by the metric."
    )
    header = ["better, worse", *(_title(calibration, name) for name in names)]
    return Section("What each metric tells apart" if first else "", words, header, rows)


def _values(calibration: Calibration, names: Sequence[str]) -> Section:
    rows = []
    for rung in calibration.rungs:
        cells = [_value(calibration.values[name].get(rung)) for name in names]
        if any(cells):
            rows.append([f"`{rung}`", *cells])
    first = names[0] == next(iter(calibration.values))
    words = "Mean over draws, and in parentheses the standard deviation between them."
    header = ["rung", *(_title(calibration, name) for name in names)]
    return Section("Values" if first else "", words, header, rows)


def _agreement(calibration: Calibration) -> Section:
    rows = [[f"`{a.metric}`", f"`{a.second}`", f"{a.tau:.2f}", str(a.rungs)] for a in calibration.agreements()]
    words = "Kendall's tau between the ranks that two evaluators give the rungs of whole sets."
    return Section("Agreement of the evaluators", words, ["first", "second", "tau", "rungs"], rows)


def _flags(calibration: Calibration) -> Section:
    measured = calibration.measured
    names, draws = list(measured["nulls"]), measured["draws"]
    honest = draws + measured["alarms"]
    percentiles = list(measured["nulls"][names[0]])
    rows = []
    for name in [*names, ANY]:
        counts = measured["flags"].get(name, {})
        null = [f"{measured['nulls'][name][at]:.3g}" if name in measured["nulls"] else "" for at in percentiles]
        shares = [f"{100 * counts.get(rung, 0) / draws:.0f} %" for rung in HALVES if rung != "held-out"]
        false = 100 * measured["false_alarms"].get(name, 0) / honest
        rows.append([f"`{name}`" if name != ANY else name, *null, f"{false:.1f} %", *shares])
    words = (
        f"The share of sets that were flagged as copies: honest ones in {honest} random partings of the held-out data, "
        f"the others in {draws}. Before them, percentiles of the null distribution, which is that of held-out data in "
        "the samples' place; a score below its first percentile is flagged."
    )
    header = ["score", *(f"null {at}" for at in percentiles), *(f"`{rung}`" for rung in HALVES)]
    return Section("The copying flag", words, header, rows)


def _blocks(calibration: Calibration, columns: int) -> list[list[str]]:
    """The scores, few enough at a time for a table, copying apart."""
    found = []
    for copying in (False, True):
        names = [name for name in calibration.values if (calibration.spec(name).group == "copying") is copying]
        found += [names[start : start + columns] for start in range(0, len(names), columns)]
    return found


def _title(calibration: Calibration, score: str) -> str:
    return f"`{score}` {ARROWS[calibration.spec(score).direction]}".strip()


def _order(verdict: Verdict | None, held: Held | None) -> str:
    if verdict is None:
        return ""
    text = f"{verdict.found} {_z(verdict.z)}"
    return text if held is None else f"**{text}**"


def _z(z: float) -> str:
    if math.isinf(z) or abs(z) > FAR:
        return "over 99" if z > 0 else "below -99"
    return f"{z:.1f}"


def _value(values: Sequence[float] | None) -> str:
    if values is None:
        return ""
    return f"{statistics.fmean(values):.3g} ({statistics.stdev(values):.2g})"
