"""Regressions: what a candidate is worse in than its baseline, as a gate of continuous integration asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from genbench.record import Record

if TYPE_CHECKING:
    from genbench.comparison import Compared, Comparison, NotCompared, Side

FOUND, PASSED, UNTESTED = 3, 0, 5
"""Exit statuses: a check that found a fault, ok, nothing that could be looked at."""

Kind = Literal["worse", "seeds", "missing", "flagged", "untested"]


@dataclass(frozen=True)
class Finding:
    """What of the candidate is worse than of the baseline, or can't be told to be no worse.

    Attributes:
        model: the candidate's name.
        kind: ``worse`` by its test; ``seeds`` that are not ok; a score that is ``missing``, since it was withheld, not
            made, or made in a way that nothing may be compared with; ``flagged``, as for copying; ``untested``.
        key: of the score; empty for seeds.
        text: in a line.
    """

    model: str
    kind: Kind
    key: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """Of the gate.

    Attributes:
        regressions: what is worse.
        untested: ranked scores of the baseline of which nothing can be said.
        tested: how many tests were made.
    """

    regressions: tuple[Finding, ...]
    untested: tuple[Finding, ...]
    tested: int

    @property
    def exit_code(self) -> int:
        """3 where a regression was found; 5 where something could not be tested, or nothing was; else 0."""
        if self.regressions:
            return FOUND
        return UNTESTED if self.untested or not self.tested else PASSED


def judged(comparisons: Sequence[Comparison]) -> Verdict:
    """Whether the B of each comparison is worse than its A, the baseline.

    A regression is: a ranked score in which B is significantly worse, at 5 % over all tests of all comparisons; a seed
    that is ok of A and not of B; a score that A has and B has not, or not in a form that may be compared; a score with
    a warning in B and none in A. A ranked score of A that both have and that has no verdict is untested.
    """
    regressions: list[Finding] = []
    untested: list[Finding] = []
    tested = 0
    for of in comparisons:
        seeds = _seeds(of.a, of.b)
        regressions += [Finding(of.b.name, "seeds", "", text) for text in seeds]
        for entry in of.metrics:
            tested += entry.p_adjusted is not None and entry.decided
            regressions += _of_score(of, entry)
            if entry.column.ranked and not entry.decided and not seeds:
                untested.append(_finding(of.b, "untested", entry, entry.verdict.removeprefix("none: ")))
        for refused in of.refused:
            if refused.lacking == (False, True) and of.b.good:
                regressions.append(_finding(of.b, "missing", refused, refused.reason))
            elif refused.lacking == (False, False) and refused.column.ranked:
                untested.append(_finding(of.b, "untested", refused, refused.reason))
    return Verdict(tuple(regressions), tuple(untested), tested)


def _seeds(a: Side, b: Side) -> list[str]:
    """A line for the seeds that are ok of A alone, by what became of them."""
    ok_a, ok_b = ({record.seed for record in side.good} for side in (a, b))
    ended: dict[int, Record] = {record.seed: record for record in b.records}
    groups: dict[str, list[int]] = {}
    for seed in sorted(ok_a - ok_b):
        record = ended.get(seed)
        groups.setdefault("not run" if record is None else f"{record.status}: {record.reason}", []).append(seed)
    return [
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}, ok of {a.name}: {what}"
        for what, seeds in groups.items()
    ]


def _of_score(of: Comparison, entry: Compared) -> list[Finding]:
    found: list[Finding] = []
    if entry.winner == "A":
        found.append(_finding(of.b, "worse", entry, entry.verdict))
    if entry.b.n < min(entry.a.n, len(of.b.good)):
        found.append(_finding(of.b, "missing", entry, f"{entry.b.n} of {len(of.b.good)} seeds that are ok have it"))
    if entry.flags[1] and not entry.flags[0]:
        seeds = ", ".join(map(str, sorted(entry.flags[1])))
        found.append(_finding(of.b, "flagged", entry, f"seed {seeds}: {next(iter(entry.flags[1].values()))}"))
    return found


def _finding(side: Side, kind: Kind, of: Compared | NotCompared, text: str) -> Finding:
    return Finding(side.name, kind, of.column.key, f"{of.column.title}: {text}")
