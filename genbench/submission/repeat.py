"""Levels 2 and 3: the state sampled again, and the run done again, with the installed plugin of the same code.

On a machine of the class that the run was made on both come out identical. Elsewhere the scores of the repetition are
those of another draw, and each has to fall into a prediction interval of the seeds that were submitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.benchmark import Benchmark
from genbench.errors import GenbenchError
from genbench.plugins import Registry
from genbench.record import Record, Score
from genbench.replay import differences, plan_again, why_not_repeatable
from genbench.single_file import UNPACKAGED
from genbench.submission.bundle import STATE
from genbench.submission.contents import read_samples
from genbench.submission.interval import prediction, shared_level
from genbench.submission.machine import why_other_class
from genbench.submission.rescore import UNCHECKED, tolerance, why_different
from genbench.submission.scrub import Scrubber, scrubbed
from genbench.submission.verdict import Verdict
from genbench.verification import Finding

if TYPE_CHECKING:
    from genbench.executors.again import Resampled
    from genbench.matrix import PlannedRun
    from genbench.specs import MetricSpec

SAME_VERSION = "Submit what the plugin's published version gives, or ask for that version."


def resample(
    registry: Registry,
    benchmark: Benchmark,
    verdicts: Sequence[Verdict],
    specs: Mapping[str, MetricSpec],
    demanded: bool,
) -> None:
    """Take runs of one benchmark through level 2, and note in their verdicts what was found.

    Args:
        demanded: whether a run without its state fails; else it is told, for level 3 to do more than this one would.

    Raises:
        GenbenchError: if data or weights are missing.
    """
    from genbench.executors.again import sample_again

    planned: list[tuple[Verdict, PlannedRun, Record]] = []
    for verdict, run, record in _planned(registry, benchmark, verdicts, 2):
        missing = [name for name in STATE if not (verdict.folder / name).is_file()]
        if record.status != "ok":
            continue  # nothing was sampled
        if missing:
            advice = "Submit it with genbench submit --state."
            note = verdict.fail if demanded else verdict.warn
            note(2, "missing file", missing[0], "the state, to sample from", "no file", advice)
        else:
            planned.append((verdict, run, record))
    siblings = _seeds(verdicts)

    def tell(index: int, found: Resampled) -> None:
        verdict, _, record = planned[index]
        verdict.add(_of_state(benchmark, verdict, record, found, siblings, specs))

    if planned:
        sample_again(registry, benchmark, [(run, record, verdict.folder) for verdict, run, record in planned], tell)


def retrain(
    registry: Registry,
    benchmark: Benchmark,
    verdicts: Sequence[Verdict],
    specs: Mapping[str, MetricSpec],
    scrubber: Scrubber,
    jobs: int | None,
) -> None:
    """Take runs of one benchmark through level 3, and note in their verdicts what was found.

    Args:
        scrubber: of this machine; it makes the repetition's texts those of a submission.
        jobs: runs side by side.

    Raises:
        GenbenchError: if data are missing, or the machine refuses.
    """
    from genbench.executors.again import run_again
    from genbench.store import RunKey

    copies: dict[RunKey, list[tuple[Verdict, PlannedRun, Record]]] = {}
    for verdict, run, record in _planned(registry, benchmark, verdicts, 3):
        if why := why_not_repeatable(record):
            verdict.fail(
                3, "repetition", "spent.ended_by", "a run that can be done again", why, "Run it on a free machine."
            )
        else:
            copies.setdefault(run.key, []).append((verdict, run, record))
    siblings, done = _seeds(verdicts), set()

    def tell(key: RunKey, again: Record) -> None:
        done.add(key)
        for verdict, _, record in copies[key]:
            verdict.add(_of_repetition(verdict, record, again, siblings, specs, scrubber))

    if copies:
        run_again(registry, benchmark, [runs[0][1] for runs in copies.values()], jobs, tell)
    for verdict in (verdict for key, runs in copies.items() if key not in done for verdict, _, _ in runs):
        verdict.fail(3, "repetition", "", "a repetition that ends", "it did not come to an end", "Verify again.")


def _planned(
    registry: Registry, benchmark: Benchmark, verdicts: Sequence[Verdict], level: int
) -> Iterator[tuple[Verdict, PlannedRun, Record]]:
    """The runs that can be repeated; the others' verdicts say why not."""
    for verdict in verdicts:
        verdict.checked = level
        record = verdict.record
        if record is None:
            continue
        if record.division == "open":
            promised, found = "a state or a model to ask again", "samples from outside"
            verdict.fail(level, "open division", "", promised, found, "The open division reaches level 1.")
            continue
        try:
            run = plan_again(registry, benchmark, record)
        except GenbenchError as error:
            found = str(error).removeprefix(f"{record.run}: ")
            in_file = record.model.version == UNPACKAGED
            promised = "its file of the same code" if in_file else "the installed plugin of the same code"
            advice = "Ask its author for it, and look at it before it runs." if in_file else "Install that version."
            verdict.fail(level, "code", "model", promised, found, advice)
        else:
            yield verdict, run, record


def _of_state(
    benchmark: Benchmark,
    verdict: Verdict,
    record: Record,
    found: Resampled,
    siblings: Mapping[str, list[Record]],
    specs: Mapping[str, MetricSpec],
) -> Iterator[Finding]:
    """What a state gave otherwise; in the verdict, its scores where the samples are those submitted."""
    if found.problem is not None:
        yield _failure(2, "resampling", "state.safetensors", "a state that can be sampled", found.problem, SAME_VERSION)
        return
    other = why_other_class(record.environment, found.environment)
    if other is not None:
        outside = list(_within_intervals(2, record, found.scores, siblings, specs))
        yield from outside
        if not outside:
            verdict.settle(UNCHECKED)
        return
    advice = "Submit the state that gave the samples."
    same = True
    for name in ("samples.npz", "nats.npz"):
        if not _same_arrays(benchmark, verdict.folder, found.folder, name):
            same = False
            yield _failure(2, "resampled", name, "what its state gives with this seed", "something else", advice)
    if same:
        for name in sorted({*record.scores, *found.scores}):
            one, two = record.scores.get(name), found.scores.get(name)
            repeats = [] if one is None or two is None or not one.repeats else two.repeats
            if one is None or two is None or one.repeats != repeats or why_different(name, one, two, exact=True):
                yield _failure(2, "resampled", f"scores.{name}", _shown(one), _shown(two), advice)
        verdict.recomputed = {**verdict.recomputed, **found.scores}
        verdict.repeatable.add("repeats")
        verdict.settle(UNCHECKED)


def _same_arrays(benchmark: Benchmark, submitted: Path, found: Path, name: str) -> bool:
    """Whether two files hold the same values, whatever packed them; both may be missing."""
    from genbench.engine.nats import load_nats

    if not (submitted / name).is_file() or not (found / name).is_file():
        return (submitted / name).is_file() == (found / name).is_file()
    if name == "nats.npz":
        one, two = load_nats(submitted / name), load_nats(found / name)
        return one.same_as(two)
    one_drawn, two_drawn = read_samples(submitted, benchmark), read_samples(found, benchmark)
    labels = [None if each.labels is None else each.labels.tobytes() for each in (one_drawn, two_drawn)]
    return one_drawn.samples.tobytes() == two_drawn.samples.tobytes() and labels[0] == labels[1]


def _of_repetition(
    verdict: Verdict,
    record: Record,
    again: Record,
    siblings: Mapping[str, list[Record]],
    specs: Mapping[str, MetricSpec],
    scrubber: Scrubber,
) -> Iterator[Finding]:
    """In what a repetition came out otherwise."""
    if again.status != record.status:
        found = f"{again.status}: {again.reason}" if again.reason else again.status
        yield _failure(3, "retrained", "status", record.status, found, SAME_VERSION)
        return
    verdict.environment = again.environment
    other = why_other_class(record.environment, again.environment)
    verdict.same_machine = other is None
    if other is not None:
        if verdict.thin:
            advice = "Verify where its samples are."
            yield _failure(3, "missing file", "samples.npz", "samples, or the same class of machine", other, advice)
        yield from _within_intervals(3, record, again.scores, siblings, specs)
        return
    found_again = scrubbed(again, scrubber)
    kept = {name: found_again.artifacts.get(name, "nothing") for name in record.artifacts}
    found_again = replace(
        found_again,
        artifacts=kept,
        milestones=found_again.milestones if record.milestones else [],
        scores={name: _like(score, record.scores.get(name)) for name, score in found_again.scores.items()},
    )
    differing = differences(scrubbed(record, scrubber), found_again)
    for entry in differing:
        yield _failure(3, "retrained", entry.field, entry.recorded[:200], entry.found[:200], SAME_VERSION)
    if not differing:
        verdict.repeatable |= {"repeats", "milestones"}
        verdict.settle(UNCHECKED)


def _like(found: Score, recorded: Score | None) -> Score:
    """A repetition's score without repeats where none were recorded, as of a record that was accepted before."""
    return replace(found, repeats=[]) if recorded is not None and not recorded.repeats else found


def _within_intervals(
    level: int,
    record: Record,
    found: Mapping[str, Score],
    siblings: Mapping[str, list[Record]],
    specs: Mapping[str, MetricSpec],
) -> Iterator[Finding]:
    """Scores of a repetition on another class of machine that another seed would hardly have given."""
    runs = siblings[record.model.name]
    share = shared_level(len(runs) * len(record.scores))
    for name, recorded in record.scores.items():
        place, score = f"scores.{name}", found.get(name)
        if score is None:
            yield _failure(level, "repeated", place, f"{recorded.value!r}", "no such score", SAME_VERSION)
            continue
        spec = specs[name.partition("@")[0]]
        values = [run.scores[name].value for run in runs if name in run.scores]
        interval = prediction(values, spec.log_scale, share)
        if interval is None:
            promised = "two seeds or more, to say where another would fall"
            yield _failure(level, "repeated", place, promised, f"{len(values)}", "Submit all seeds.")
            continue
        nearest = min(max(score.value, interval.low), interval.high)
        if abs(score.value - nearest) > tolerance(name, recorded):
            yield _failure(level, "repeated", place, str(interval), f"{score.value!r}", SAME_VERSION)


def _seeds(verdicts: Sequence[Verdict]) -> dict[str, list[Record]]:
    """The runs of each model that ended ``ok``."""
    found: dict[str, list[Record]] = {}
    for verdict in verdicts:
        if verdict.record is not None and verdict.record.status == "ok":
            found.setdefault(verdict.record.model.name, []).append(verdict.record)
    return found


def _shown(score: Score | None) -> str:
    return "no such score" if score is None else f"{score.value!r}, repeats {score.repeats}"


def _failure(level: int, check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(level, "failure", check, place, promised, found, advice)
