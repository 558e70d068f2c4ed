"""Climbing the ladder: every rung's sample sets, seen once by each evaluator and scored by all metrics."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.bench import bench_of
from genbench.engine.calibration.corruptions import REPLAYED, Corruption, Source, corruptions, near_copies, replayed
from genbench.engine.data import Examples
from genbench.engine.rng import generator
from genbench.engine.scoring import Bench, look_at, score
from genbench.engine.scoring.reference import Reference, reference_from
from genbench.errors import DataError
from genbench.job import Job
from genbench.rungs import ANY, HALVES, PROGRESS, RUNGS
from genbench.specs import MetricSpec

NULL = "null_"
"""Begins the details that hold a percentile of a null distribution."""
FEWEST = 40
"""Examples in a set; below, an evaluator's features have hardly a covariance."""


@dataclasses.dataclass
class Measured:
    """What the metrics made of the rungs.

    Attributes:
        values: by metric (``fid@<evaluator>`` for the second evaluator's) and rung, one a draw.
        flags: by metric and rung, in how many draws the score came with a warning; under :data:`~genbench.rungs.ANY`,
            in how many one copying metric or more had one.
        nulls: by metric that flags copies, percentiles of its null distribution, one a draw and rung.
        problems: by metric, why it has no values, or fewer: third parties' metrics may raise anything.
    """

    values: dict[str, dict[str, list[float]]]
    flags: dict[str, dict[str, int]]
    nulls: dict[str, dict[str, list[float]]]
    problems: dict[str, str]


def climb(job: Job, draws: int, alarms: int = 0, only_halves: bool = False) -> dict[str, Any]:
    """Score ``draws`` independent sample sets of every rung that the data allow.

    Sets of the rungs in :data:`genbench.rungs.WHOLE` hold n examples, the benchmark's n or half of the training split
    if that is fewer: so draws differ, and classes can be unbalanced without repeats. They are scored against all
    held-out data. Those of :data:`genbench.rungs.HALVES` hold half of the held-out data and are scored against the
    other half, parted anew in each draw. Every set is a function of its rung and draw alone.

    Args:
        job: of any model; names the data, the evaluators and the metrics.
        draws: 2 or more.
        alarms: further partings of the held-out data, whose honest half is looked at for copies alone: how often does
            the copying flag cry wolf?
        only_halves: leave out the rungs of whole sets, which say nothing of copying.

    Returns:
        ``n``, ``half``, ``draws``, ``alarms``; ``values``, ``flags``, ``nulls`` and ``problems`` as in
        :class:`Measured`; ``false_alarms``, flags of the honest half over ``draws + alarms`` partings, by metric.

    Raises:
        DataError: if there are too few examples.
    """
    bench = _in_memory(bench_of(job))
    source = _source(bench, job.samples.n)
    made = {} if only_halves else corruptions(job.data)
    half = len(bench.held_out()[0]) // 2
    for what, size in (("training", source.n), ("held-out", half)):
        if size < FEWEST:
            raise DataError(
                f"{job.benchmark.name}: too few {what} examples for the calibration ladder, which takes half of them "
                f"for a set of {FEWEST} or more"
            )
    found = Measured(_two_levels(list), _two_levels(int), _two_levels(list), {})
    metrics = _metrics(job)
    of_quality = [metric for metric in metrics if metric.group != "copying"]
    of_copies = [metric for metric in metrics if metric.group == "copying"]
    alarms = alarms if of_copies else 0
    progress, total = job.folder / PROGRESS, draws * (len(made) + len(HALVES)) + alarms
    done = 0
    for draw in range(draws):
        for rung, samples, beside in _sets(draw, source, made, bench):
            _score(rung, samples, beside, of_quality if beside is bench else metrics, found)
            done += 1
            progress.write_text(f"{done / total:.4f}")
    honest = Measured(_two_levels(list), _two_levels(int), _two_levels(list), found.problems)
    for draw in range(draws, draws + alarms):
        _score("held-out", *parted(bench, "held-out", draw), of_copies, honest)
        done += 1
        progress.write_text(f"{done / total:.4f}")
    return {
        "n": source.n,
        "half": half,
        "draws": draws,
        "alarms": alarms,
        "false_alarms": {
            name: rungs.get("held-out", 0) + honest.flags[name]["held-out"] for name, rungs in found.flags.items()
        },
        **_plain(found),
    }


def _sets(
    draw: int, source: Source, made: dict[str, Corruption], bench: Bench
) -> Iterator[tuple[str, Examples, Bench]]:
    """The rungs of a draw, in the order of the table: name, sample set, what it is scored against."""
    for rung in RUNGS:
        rng = generator(0, "sample", rung, draw)
        if rung in made:
            yield rung, made[rung](source, rng), bench
        elif rung in HALVES:
            honest, rest = parted(bench, rung, draw)
            x, labels = replayed(honest, source, REPLAYED.get(rung, 1.0), rng)
            yield rung, (near_copies(x, source.data, rng) if rung == "near-copies" else x, labels), rest


def parted(bench: Bench, rung: str, draw: int) -> tuple[Examples, Bench]:
    """One half of the held-out data as samples, and a bench that has the other half as held-out data."""
    first, second = halves_of(len(bench.held_out()[0]), rung, draw)
    return _at(bench.held_out(), first), against(bench, second)


def halves_of(count: int, rung: str, draw: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of two random halves of equal size.

    Each rung and draw has a parting of its own, so that sets are independent given the data.
    """
    order = generator(0, "sample", "halves", rung, draw).permutation(count)
    return order[: count // 2], order[count // 2 : 2 * (count // 2)]


def against(bench: Bench, rest: NDArray[np.int64]) -> Bench:
    """The bench whose held-out data are those at positions ``rest``."""
    second = bench.second_reference
    return dataclasses.replace(
        bench,
        reference=_part(bench.reference, rest),
        second_reference=None if second is None else _part(second, rest),
        held_out=lambda: _at(bench.held_out(), rest),
    )


def _in_memory(bench: Bench) -> Bench:
    """The same, its examples read once instead of at every call."""
    return dataclasses.replace(
        bench,
        second_training=functools.cache(bench.second_training),
        training=functools.cache(bench.training),
        held_out=functools.cache(bench.held_out),
    )


def _part(reference: Reference, index: NDArray[np.int64]) -> Reference:
    arrays = reference.arrays
    labels = arrays.labels[index] if len(arrays.labels) else None
    source = dataclasses.replace(reference.source, split=f"half of {reference.source.split}")
    return reference_from(source, arrays.features[index], arrays.logits[index], labels)


def _source(bench: Bench, n: int) -> Source:
    x, labels = bench.training()
    return Source(x, labels, bench.data, min(n, len(x) // 2))


def _at(examples: Examples, index: NDArray[np.int64]) -> Examples:
    x, labels = examples
    return x[index], None if labels is None else labels[index]


def _metrics(job: Job) -> list[MetricSpec]:
    """All of the benchmark's but likelihoods, which say nothing of samples. Third parties' metrics may run here: this
    process writes no record."""
    for foreign in job.foreign_metrics:
        sys.path += [folder for folder in foreign.sys_path if folder not in sys.path]
    everyone = [*job.metrics, *(metric for foreign in job.foreign_metrics for metric in foreign.metrics)]
    return [metric for metric in everyone if metric.group != "likelihood"]


def _score(rung: str, samples: Examples, bench: Bench, metrics: Sequence[MetricSpec], found: Measured) -> None:
    """Add what the metrics make of a set; one that fails is left out of the rest and its reason kept."""
    material, flagged = look_at(*samples, None, bench), False
    for metric in metrics:
        if metric.name in found.problems:
            continue
        try:
            scores = score(material, [metric])
        except Exception as error:
            found.problems[metric.name] = f"at {rung}: {type(error).__name__}: {error}"
            continue
        for name, entry in scores.items():
            found.values[name][rung].append(float(entry.value))
            found.flags[name][rung] += entry.flag is not None
            flagged |= entry.flag is not None and metric.group == "copying"
            for percentile, value in entry.details.items():
                if percentile.startswith(NULL):
                    found.nulls[name][percentile.removeprefix(NULL)].append(value)
    if rung in HALVES:
        found.flags[ANY][rung] += flagged


def _two_levels(inner: Callable[[], Any]) -> Any:
    return defaultdict(lambda: defaultdict(inner))


def _plain(found: Measured) -> dict[str, Any]:
    """As JSON can hold it. A value that is no finite number takes its metric out, with the reason."""
    for name, rungs in found.values.items():
        for rung, values in rungs.items():
            if not np.isfinite(values).all():
                found.problems.setdefault(name.partition("@")[0], f"at {rung}: gives {values}")
    kept = {name: rungs for name, rungs in found.values.items() if name.partition("@")[0] not in found.problems}
    return {
        "values": {name: dict(rungs) for name, rungs in kept.items()},
        "flags": {name: dict(found.flags[name]) for name in (*kept, ANY) if any(found.flags[name].values())},
        "nulls": {
            name: {percentile: float(np.mean(values)) for percentile, values in found.nulls[name].items()}
            for name in kept
            if name in found.nulls
        },
        "problems": found.problems,
    }
