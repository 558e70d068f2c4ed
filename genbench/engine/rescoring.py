"""Scoring what others submitted: from their samples and nats alone, with nothing of theirs imported."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine import splits
from genbench.engine.bench import bench_of
from genbench.engine.contract import prepare_torch
from genbench.engine.data import stratified_choice
from genbench.engine.environment import describe
from genbench.engine.evaluate import sample_labels
from genbench.engine.likelihood import LogProbs
from genbench.engine.nats import load_nats
from genbench.engine.samples import load_labels, load_samples
from genbench.engine.score import show_samples
from genbench.engine.scoring import Bench, look_at, score
from genbench.engine.scoring.copying import distances
from genbench.engine.scoring.material import Space
from genbench.errors import GenbenchError, clean
from genbench.job import Job, read_job

RARELY = 1.0
"""Percentile of held-out examples' distances to the training data below which a sample counts as near to it."""
SEED = 1009


def rescore(job: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Score runs again from the files in their folders.

    Args:
        job: path of a job of their benchmark; its model and seed do not matter.
        runs: ``{"folder", "seed", "conditional", "closed"}`` each; ``closed`` for what genbench is said to have
            sampled, with the labels that it would have asked for.

    Returns:
        ``{"environment", "runs"}``: where it was done, and of each run either ``{"problem"}``, why it could not be
        scored, or ``{"scores", "labels", "examples", "likeness"}``: its scores; whether its labels and the held-out
        examples of its nats are those that genbench takes, None without any; and a :class:`Likeness` as a dict.
    """
    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    bench, nearness = bench_of(read), Nearness()
    return {"environment": describe(read.budget), "runs": [_run(read, bench, run, nearness) for run in runs]}


def _run(job: Job, bench: Bench, run: Mapping[str, Any], nearness: Nearness) -> dict[str, Any]:
    folder = Path(run["folder"])
    of_run = replace(job, seed=run["seed"], model=replace(job.model, conditional=run["conditional"]))
    try:
        samples = load_samples(folder / "samples.npz", job.data)
        labels = load_labels(folder / "samples.npz", len(samples), job.data)
        nats = load_nats(folder / "nats.npz") if (folder / "nats.npz").is_file() else None
        material = look_at(samples, labels, None if nats is None else LogProbs(**nats.fields()), bench)
        scores = score(material, job.metrics)
        assert material.space is not None  # the first evaluator's material has one
        likeness = likeness_of(samples, material.space(), bench, nearness)
    except (GenbenchError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        return {"problem": clean(f"{type(error).__name__}: {error}")}
    asked = sample_labels(of_run, len(samples), ()) if run["closed"] else None
    return {
        "scores": {name: asdict(entry) for name, entry in scores.items()},
        "labels": None if asked is None or labels is None else bool(np.array_equal(asked, labels)),
        "examples": None if nats is None else bool(np.array_equal(nats.examples, _scored_examples(job))),
        "likeness": asdict(likeness),
    }


@dataclass(frozen=True)
class Likeness:
    """How like the samples are to data that they should not repeat, and to each other; shares in [0, 1].

    Attributes:
        training_copies, held_out_copies: samples that equal a training or held-out example in every value.
        near_training: samples nearer to their nearest training example than all but the nearest ``RARELY`` per cent of
            held-out examples are; about 0.01 for held-out data themselves.
        toward_held_out: samples nearer to the held-out data than to as many training examples, ties counting half;
            half for what was made without either, less for what was trained on the latter.
        repeated: samples that equal an earlier one.
    """

    training_copies: float
    held_out_copies: float
    near_training: float
    toward_held_out: float
    repeated: float


class Nearness:
    """The distance to the training data that few held-out examples are within: worked out once for all runs."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], float] = {}

    def of(self, space: Space) -> float:
        """In the unit of ``space``, whose training and held-out examples hang on their numbers alone."""
        key = len(space.training), len(space.held_out)
        if key not in self._known:
            nearest = distances(space.held_out, space.training).min(1)
            self._known[key] = float(np.percentile(nearest, RARELY))
        return self._known[key]


def likeness_of(samples: NDArray[np.uint8], space: Space, bench: Bench, nearness: Nearness) -> Likeness:
    """The likeness of uint8 samples ``[N, *shape]``; distances are those of ``space``, of some of each kind."""
    training, held_out = ({_digest(x) for x in examples()[0]} for examples in (bench.training, bench.held_out))
    digests = [_digest(sample) for sample in samples]
    count = min(len(space.training), len(space.held_out))
    chosen = np.random.default_rng(SEED).permutation(len(space.training))[:count]
    to_training = distances(space.samples, space.training).min(1)
    to_some, to_held_out = (
        distances(space.samples, side[:count]).min(1) for side in (space.training[np.sort(chosen)], space.held_out)
    )
    return Likeness(
        training_copies=sum(digest in training for digest in digests) / len(digests),
        held_out_copies=sum(digest in held_out for digest in digests) / len(digests),
        near_training=float((to_training < nearness.of(space)).mean()),
        toward_held_out=float((to_held_out < to_some).mean() + (to_held_out == to_some).mean() / 2),
        repeated=1 - len(set(digests)) / len(digests),
    )


def _scored_examples(job: Job) -> NDArray[np.int64]:
    """Which held-out examples genbench takes the likelihood of, int64 ``[N]``, rising."""
    held_out, labels = splits.held_out(Path(job.data_folder), job.dev)
    wanted = min(job.likelihood_settings.examples, len(held_out))
    return np.flatnonzero(stratified_choice(held_out, labels, wanted, "likelihood"))


def _digest(example: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(example).data, digest_size=16).digest()


def take_in(job: str, files: list[list[str]]) -> dict[str, Any]:
    """Score samples made by anything, and keep them as those of runs.

    Args:
        job: path of a job of the benchmark; its model and seed do not matter.
        files: of each, the path of the samples and an empty folder, which takes ``samples.npz`` and what shows them.

    Returns:
        ``{"environment", "runs"}``: where it was done, and ``{"scores", "conditional"}`` of each.

    Raises:
        GenbenchError: if samples or their labels are not of the benchmark's form, or too few.
    """
    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    bench = bench_of(read)
    return {"environment": describe(read.budget), "runs": [_taken(read, bench, *map(Path, each)) for each in files]}


def _taken(job: Job, bench: Bench, path: Path, folder: Path) -> dict[str, Any]:
    samples = load_samples(path, job.data)
    labels = load_labels(path, len(samples), job.data)
    wanted = job.samples.n
    if len(samples) < wanted:
        raise GenbenchError(
            f"{path}: holds {len(samples)} samples; {job.benchmark.name} scores {wanted}, since scores of another "
            "number can't be compared"
        )
    samples, labels = samples[:wanted], None if labels is None else labels[:wanted]
    arrays = {"samples": samples} if labels is None else {"samples": samples, "labels": labels}
    np.savez_compressed(folder / "samples.npz", allow_pickle=False, **arrays)
    show_samples(folder, job, samples, labels)
    scores = score(look_at(samples, labels, None, bench), job.metrics)
    return {"scores": {name: asdict(entry) for name, entry in scores.items()}, "conditional": labels is not None}
