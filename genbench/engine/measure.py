"""The measuring process: a third party's metrics on what the scoring process has seen, apart from the core's scores."""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine.bench import bench_of, load_log_probs
from genbench.engine.checkpoint import whole_file
from genbench.engine.contract import prepare_torch
from genbench.engine.scoring import material_of, score
from genbench.engine.scoring.material import Material
from genbench.errors import clean
from genbench.job import MEASURED, SEEN, Job, write_json
from genbench.record import Score


def keep_seen(folder: Path, material: Material) -> None:
    """Write down what the evaluators saw, so that nobody has to look again."""
    arrays = {"features": material.features, "logits": material.logits}
    if material.second is not None:
        arrays |= {"second_features": material.second.features, "second_logits": material.second.logits}
    with whole_file(folder / SEEN) as draft:
        np.savez(draft, allow_pickle=False, **arrays)


def measure(job: Job, part: int) -> dict[str, Any]:
    """Take one third party's metrics, one after another, each written down before the next is begun.

    What they give stands in ``measured.json``: one that takes the process down takes no other's score with it.

    Args:
        part: which of the job's ``foreign_metrics``.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    found: dict[str, Any] = {"scores": {}, "failed": {}, "done": [], "running": None}
    material = _material(job)
    for spec in job.foreign_metrics[part].metrics:
        write_json(job.folder / MEASURED, {**found, "running": spec.name})
        try:
            found["scores"] |= {name: _plain(entry) for name, entry in score(material, [spec]).items()}
            found["done"].append(spec.name)
        except Exception as error:
            traceback.print_exc()
            found["failed"][spec.name] = clean(f"{type(error).__name__}: {error}")
    write_json(job.folder / MEASURED, found)
    return {}


def _material(job: Job) -> Material:
    bench = bench_of(job)
    log_probs = load_log_probs(job.folder / "nats.npz")
    with np.load(job.folder / SEEN) as seen, np.load(job.folder / "samples.npz") as drawn:
        samples, labels = drawn["samples"], drawn.get("labels")
        second = (seen["second_features"], seen["second_logits"]) if "second_features" in seen else None
        return material_of(samples, labels, log_probs, (seen["features"], seen["logits"]), second, bench)


def _plain(entry: Score) -> dict[str, Any]:
    """A score as plain values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(entry), allow_nan=False))
    return plain
