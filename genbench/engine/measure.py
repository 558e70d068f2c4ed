"""The measuring process: a third party's metrics on what the scoring process has seen, apart from the core's scores."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine.bench import bench_of, load_log_probs
from genbench.engine.contract import prepare_torch
from genbench.engine.scoring import material_of, score
from genbench.engine.scoring.material import Material
from genbench.job import Job

SEEN = "seen.npz"
"""Features and logits of the last state's samples, kept in the working folder while third parties measure."""


def keep_seen(folder: Path, material: Material) -> None:
    """Write down what the evaluators saw, so that nobody has to look again."""
    arrays = {"features": material.features, "logits": material.logits}
    if material.second is not None:
        arrays |= {"second_features": material.second.features, "second_logits": material.second.logits}
    np.savez(folder / SEEN, allow_pickle=False, **arrays)


def measure(job: Job, part: int) -> dict[str, Any]:
    """The scores of one third party's metrics, as plain values.

    Args:
        part: which of the job's ``foreign_metrics``.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    foreign, bench = job.foreign_metrics[part], bench_of(job)
    with np.load(job.folder / SEEN) as seen, np.load(job.folder / "samples.npz") as drawn:
        samples, labels = drawn["samples"], drawn["labels"] if "labels" in drawn else None
        second = None
        if bench.second_reference is not None:
            second = Material(samples, labels, seen["second_features"], seen["second_logits"], bench.second_reference)
        log_probs = load_log_probs(job.folder / "nats.npz")
        material = material_of(samples, labels, log_probs, (seen["features"], seen["logits"]), second, bench)
    signed = {"plugin": foreign.plugin, "version": foreign.version}
    scores = score(material, foreign.metrics)
    return {"scores": {name: asdict(_signed(entry, signed)) for name, entry in scores.items()}}


def _signed(entry: Any, signed: dict[str, str]) -> Any:
    return replace(entry, fingerprint={**entry.fingerprint, **signed})
