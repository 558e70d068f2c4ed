"""What a job's samples are scored with, and the files that the evaluation process left, as the metrics take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genbench.engine import splits
from genbench.engine.data import Examples
from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import Bench, look_at
from genbench.engine.scoring.material import Material
from genbench.engine.scoring.reference import Reference, reference_for
from genbench.job import Job


def bench_of(job: Job) -> Bench:
    """What the job's samples are scored with; references come from the cache where they stand there."""
    data, cache = Path(job.data_folder), Path(job.cache)
    held_out_name, training_name = splits.held_out_name(job.dev), splits.training_name(job.dev)

    def held_out() -> Examples:
        return splits.held_out(data, job.dev)

    def training() -> Examples:
        return splits.training(data, job.dev)

    def second_training() -> Reference:
        assert job.second_evaluator is not None
        return reference_for(job.second_evaluator, job.data_sha256, training_name, training, cache)

    second_reference = None
    if job.second_evaluator is not None:
        second_reference = reference_for(job.second_evaluator, job.data_sha256, held_out_name, held_out, cache)
    return Bench(
        data=job.data,
        evaluator=job.evaluator,
        reference=reference_for(job.evaluator, job.data_sha256, held_out_name, held_out, cache),
        second=job.second_evaluator,
        second_reference=second_reference,
        second_training=second_training,
        training=training,
        held_out=held_out,
        cache=cache,
    )


def load_log_probs(path: Path) -> LogProbs | None:
    """The nats that the evaluation process left, or None where the model has no likelihood."""
    if not path.is_file():
        return None
    with np.load(path) as arrays:
        return LogProbs(
            nats=arrays["nats"],
            kind=str(arrays["kind"]),  # type: ignore[arg-type]
            draws=int(arrays["draws"]),
            dims=int(arrays["dims"]),
            effective_draws=arrays.get("effective_draws"),
            examples=arrays["examples"],
        )


def look_at_files(job: Job, samples: str, nats: str, bench: Bench) -> Material:
    """The material of samples and nats in files of the working folder."""
    with np.load(job.folder / samples) as arrays:
        return look_at(arrays["samples"], arrays.get("labels"), load_log_probs(job.folder / nats), bench)
