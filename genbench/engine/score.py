"""The scoring process: files in, scores out. No plugin's model code runs here."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.bench import bench_of, look_at_files
from genbench.engine.checkpoint import whole_file
from genbench.engine.contract import SCORE_COLUMN, prepare_torch
from genbench.engine.curve import write_csv
from genbench.engine.environment import changes, describe
from genbench.engine.grid import GRID, GRID_CHANNELS, write_grid
from genbench.engine.measure import keep_seen
from genbench.engine.scoring import Bench
from genbench.engine.scoring import score as score_material
from genbench.engine.spelling import write_spelled
from genbench.job import SEEN, TRAINING_CURVE, Job, outcome_file
from genbench.reading import sha256_of
from genbench.record import Score


def score(job: Job) -> dict[str, Any]:
    """Score a run's milestones and last state, show its first samples, and complete its curve.

    Returns:
        The scores of the last state and those of each milestone, as plain values; none if no metric applies. Whether
        the samples were drawn elsewhere (``warnings``), and the hashes of the files that it left (``files``).
    """
    prepare_torch(job.budget.threads, job.budget.device)
    trained, evaluated = (
        json.loads(outcome_file(job.folder, stage).read_text())["result"] for stage in ("train", "evaluate")
    )
    moved = changes(evaluated["environment"], describe(job.budget))
    bench = bench_of(job)
    along_the_way = [metric for metric in job.metrics if metric.group != "copying"]
    milestones = []
    for index, position in enumerate(trained["milestones"]):
        scores = score_material(look_at_files(job, f"samples-{index}.npz", f"nats-{index}.npz", bench), along_the_way)
        milestones.append({**position, "scores": {name: asdict(entry) for name, entry in scores.items()}})
    material = look_at_files(job, "samples.npz", "nats.npz", bench)
    scores = _with_repeats(job, score_material(material, job.metrics), bench)
    left = ["curve.csv"]
    if job.foreign_metrics:
        keep_seen(job.folder, material)
        left.append(SEEN)
    left += show_samples(job.folder, job, material.samples, material.labels)
    _write_curve(job.folder, milestones, trained["spent"], scores)
    return {
        "scores": {name: asdict(entry) for name, entry in scores.items()},
        "milestones": milestones,
        "warnings": [f"the evaluation was done elsewhere than the scoring: {moved}"] if moved else [],
        "files": {name: sha256_of(job.folder / name) for name in left},
    }


def show_samples(folder: Path, job: Job, samples: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> list[str]:
    """Write the first samples for people into a folder: a grid, a text, or both; returns the files' names."""
    left = []
    if job.data.is_image and job.data.shape[0] in GRID_CHANNELS:
        with whole_file(folder / "samples.png") as draft:
            write_grid(samples[:GRID], job.data, draft)
        left.append("samples.png")
    if job.alphabet:
        with whole_file(folder / "samples.txt") as draft:
            first = None if labels is None else labels[:GRID]
            write_spelled(samples[:GRID], first, job.alphabet, job.class_names, draft)
        left.append("samples.txt")
    return left


def _with_repeats(job: Job, scores: dict[str, Score], bench: Bench) -> dict[str, Score]:
    """The scores, each with those of the further sets of samples; likelihoods and copying have none."""
    metrics = [metric for metric in job.metrics if metric.group in ("quality", "control")]
    for repeat in range(1, job.samples.repeats + 1):
        again = score_material(look_at_files(job, f"repeat-{repeat}.npz", "", bench), metrics)
        for name, entry in again.items():
            scores[name] = replace(scores[name], repeats=[*scores[name].repeats, entry.value])
    return scores


def _write_curve(
    folder: Path, milestones: list[dict[str, Any]], spent: dict[str, Any], scores: dict[str, Score]
) -> None:
    """Write ``curve.csv``: training's rows, and the scores at milestones and at the end as rows of their own.

    A score's column is ``score:<metric>``, which no figure of a model can be called.
    """
    with (folder / TRAINING_CURVE).open(newline="") as stream:
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
    write_csv(folder / "curve.csv", columns, rows)
