"""The scoring process: files in, scores out. No plugin's model code runs here."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine import splits
from genbench.engine.contract import SCORE_COLUMN, prepare_torch
from genbench.engine.grid import GRID_CHANNELS, write_grid
from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import score as score_samples
from genbench.engine.scoring.reference import reference_for
from genbench.errors import GenbenchError
from genbench.job import Job, outcome_file
from genbench.record import Score

GRID = 64


def score(job: Job) -> dict[str, Any]:
    """Score a run's milestones and last state, draw its sample grid, and complete its curve.

    Returns:
        The scores of the last state and those of each milestone, as plain values.

    Raises:
        GenbenchError: if none of the benchmark's metrics applies to the model.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    trained = json.loads(outcome_file(job.folder, "train").read_text())["result"]
    reference = reference_of(job)
    milestones = []
    for index, position in enumerate(trained["milestones"]):
        scores = _score_state(job, f"-{index}", reference)
        milestones.append({**position, "scores": {name: asdict(entry) for name, entry in scores.items()}})
    scores = _score_state(job, "", reference)
    if not scores:
        names = ", ".join(metric.name for metric in job.metrics)
        raise GenbenchError(f"none of the benchmark's metrics ({names}) applies to the model, so there is no score")
    with np.load(job.folder / "samples.npz") as arrays:
        if job.data.is_image and job.data.shape[0] in GRID_CHANNELS:
            write_grid(arrays["samples"][:GRID], job.data, job.folder / "samples.png")
    _append_scores(job.folder / "curve.csv", milestones, trained["spent"], scores)
    return {"scores": {name: asdict(entry) for name, entry in scores.items()}, "milestones": milestones}


def reference_of(job: Job) -> Any:
    """What the job's evaluator says of the held-out examples, from the cache where it stands there."""
    return reference_for(
        job.evaluator,
        job.data_sha256,
        splits.held_out_name(job.dev),
        lambda: splits.held_out(Path(job.data_folder), job.dev),
        Path(job.cache),
    )


def load_log_probs(path: Path) -> LogProbs | None:
    """The nats that the evaluation process left, or None where the model has no likelihood."""
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return LogProbs(arrays["nats"], str(arrays["kind"]), int(arrays["draws"]), int(arrays["dims"]))  # type: ignore[arg-type]


def _score_state(job: Job, suffix: str, reference: Any) -> dict[str, Score]:
    with np.load(job.folder / f"samples{suffix}.npz") as arrays:
        samples = arrays["samples"]
    nats = load_log_probs(job.folder / f"nats{suffix}.npz")
    return score_samples(samples, nats, job.evaluator, job.metrics, reference)


def _append_scores(
    path: Path, milestones: list[dict[str, Any]], spent: dict[str, Any], scores: dict[str, Score]
) -> None:
    """Add the scores at milestones and at the end to ``curve.csv``, as rows of their own.

    A score's column is ``score:<metric>``, which no figure of a model can be called.
    """
    with path.open(newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
        names = list(reader.fieldnames or [])
    ends = [
        *milestones,
        {"step": spent["steps"], **spent, "scores": {k: {"value": v.value, "n": v.n} for k, v in scores.items()}},
    ]
    for end in ends:
        if not end["scores"]:
            continue  # a metric may apply to the last state only
        row = {name: end[name] for name in ("step", "images", "flops", "seconds")}
        rows.append(
            row
            | {SCORE_COLUMN + name: entry["value"] for name, entry in end["scores"].items()}
            | {"n": max(entry["n"] for entry in end["scores"].values())}
        )
    columns = list(dict.fromkeys([*names, *(name for row in rows for name in row)]))
    rows.sort(key=lambda row: int(row["step"]))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
