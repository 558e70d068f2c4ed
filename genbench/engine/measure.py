"""The measuring process: a third party's metrics on what the scoring process has seen, apart from the core's scores."""

from __future__ import annotations

import json
import math
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine.bench import bench_of, load_log_probs
from genbench.engine.contract import prepare_torch
from genbench.engine.scoring import material_of, score
from genbench.engine.scoring.material import Material
from genbench.errors import GenbenchError
from genbench.job import Job
from genbench.record import Score

SEEN = "seen.npz"
"""Features and logits of the last state's samples, kept in the working folder while third parties measure."""


def keep_seen(folder: Path, material: Material) -> None:
    """Write down what the evaluators saw, so that nobody has to look again."""
    arrays = {"features": material.features, "logits": material.logits}
    if material.second is not None:
        arrays |= {"second_features": material.second.features, "second_logits": material.second.logits}
    np.savez(folder / SEEN, allow_pickle=False, **arrays)


def measure(job: Job, part: int) -> dict[str, Any]:
    """The scores of one third party's metrics, and why some have none; as plain values.

    Args:
        part: which of the job's ``foreign_metrics``.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    foreign = job.foreign_metrics[part]
    signed = {"plugin": foreign.plugin, "version": foreign.version}
    material = _material(job)
    scores: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    for spec in foreign.metrics:
        try:
            for name, entry in score(material, [spec]).items():
                scores[name] = _checked(replace(entry, fingerprint={**entry.fingerprint, **signed}))
        except Exception as error:
            traceback.print_exc()
            failed[spec.name] = f"{type(error).__name__}: {error}"
    return {"scores": scores, "failed": failed}


def _material(job: Job) -> Material:
    bench = bench_of(job)
    log_probs = load_log_probs(job.folder / "nats.npz")
    with np.load(job.folder / SEEN) as seen, np.load(job.folder / "samples.npz") as drawn:
        samples, labels = drawn["samples"], drawn.get("labels")
        second = (seen["second_features"], seen["second_logits"]) if "second_features" in seen else None
        return material_of(samples, labels, log_probs, (seen["features"], seen["logits"]), second, bench)


def _checked(entry: Score) -> dict[str, Any]:
    """A score that any record can hold, as plain values."""
    if isinstance(entry.value, bool) or not isinstance(entry.value, int | float) or not math.isfinite(entry.value):
        raise GenbenchError(f"its value must be a finite number, not {entry.value!r}")
    if isinstance(entry.n, bool) or not isinstance(entry.n, int) or entry.n < 1:
        raise GenbenchError(f"its n must be a whole number of 1 or more, not {entry.n!r}")
    plain: dict[str, Any] = json.loads(json.dumps(asdict(entry), allow_nan=False))
    return plain
