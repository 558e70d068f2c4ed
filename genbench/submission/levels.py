"""The levels, one after another: what fails at one does not go on to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from genbench.plugins import Registry
from genbench.store import Store
from genbench.submission.repeat import resample, retrain
from genbench.submission.rescore import rescore
from genbench.submission.scrub import of_this_machine
from genbench.submission.verdict import Verdict
from genbench.submission.verify import Group, Target, compare_with_known, completeness, grouped, level_0
from genbench.supplies import supplied


def carry_out(
    registry: Registry,
    targets: Sequence[Target],
    level: int,
    name_or_path: str | None,
    known: Store,
    weights: Iterable[Path] = (),
    references: Iterable[Path] = (),
    jobs: int | None = None,
) -> list[Group]:
    """Take the runs of all targets through the levels up to ``level``; what is found stands in their verdicts.

    Args:
        name_or_path: of the benchmark; None for the installed one of the name in each record.
        known: the results folder whose runs scores are held against.
        weights, references: files for the benchmark's evaluators.
        jobs: runs side by side at level 3.

    Returns:
        The runs by benchmark, for those whose benchmark can be had.

    Raises:
        GenbenchError: if data or weights are missing.
    """
    groups = grouped(registry, targets, name_or_path, known)
    for group in groups:
        level_0(registry, group)
        for target in targets:
            completeness(target, group)
    for target in targets:
        if target.whole is not None:
            target.whole.checked = level
            for verdict in target.verdicts:
                _in_a_bad_bundle(verdict, target.whole)
    for group in groups:
        benchmark, specs = supplied(group.benchmark, weights, references), group.specs
        if level >= 1 and (good := _good(group, 0)):
            rescore(registry, benchmark, good, specs, group.own)
            compare_with_known(group)
        if level >= 2 and (good := _good(group, 1)):
            resample(registry, benchmark, good, specs, demanded=level == 2)
        if level >= 3 and (good := _good(group, 2)):
            retrain(registry, benchmark, good, specs, of_this_machine(known.root), jobs)
    return groups


def _good(group: Group, level: int) -> list[Verdict]:
    return [verdict for verdict in group.verdicts if verdict.good_up_to(level)]


def _in_a_bad_bundle(verdict: Verdict, whole: Verdict) -> None:
    """A run whose bundle is not in order is not, whatever it looks like by itself."""
    if whole.failures:
        first = whole.failures[0]
        promised, found = "a bundle that is in order", f"{first.check}: {first.place}".strip(": ")
        verdict.fail(0, "bundle", "", promised, found, "See what is said of the bundle.")
