"""Trainings for tests that end them somewhere and go on, and what two of them must have in common."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import job_of

from genbench import Batch, ModelSpec
from genbench.engine import train as training
from genbench.engine.contract import build
from genbench.engine.resume import Checkpoints
from genbench.engine.train import train
from genbench.job import Job
from genbench.model import Model
from genbench.plugins import discover

REGISTRY = discover()
STEPS = 24
EVERY = 5
NEVER = 1e9


class Killed(BaseException):
    """Stands for a signal."""


def short_job(folder: Path, model: str | ModelSpec = "vae", steps: int = STEPS, **changes: Any) -> Job:
    """A job of so many steps, with a checkpoint after every one that ``saved_every`` lets through."""
    job = job_of(REGISTRY, model, folder)
    images = steps * int(job.model.config["batch_size"])
    budget = dataclasses.replace(job.budget, images=images, flops=None, seconds=3600.0)
    changes = {"budget": budget, "milestones": [0.3, 0.6, 1.0], "checkpoint_seconds": 0.0, **changes}
    return dataclasses.replace(job, **changes)


@contextmanager
def saved_every(steps: int) -> Iterator[None]:
    save = Checkpoints.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Checkpoints,
            "save",
            lambda self, model, state: save(self, model, state) if state.spending.steps % steps == 0 else None,
        )
        yield


def train_until(job: Job, step: int) -> None:
    """Train a job up to the middle of a step, and no further: the model has learnt from it, the trainer not seen it."""

    def killing(*arguments: Any) -> Model:
        model = build(*arguments)
        learn = model.train_step

        def train_step(batch: Batch, progress: float) -> Mapping[str, torch.Tensor]:
            logs = learn(batch, progress)
            if taken(progress, batch, job) == step:
                raise Killed
            return logs

        model.train_step = train_step  # type: ignore[method-assign]
        return model

    with pytest.MonkeyPatch.context() as patch, saved_every(EVERY):
        patch.setattr(training, "build", killing)
        with pytest.raises(Killed):
            train(job)


def finish(job: Job) -> dict[str, Any]:
    """Train a job to its end, with no further checkpoint."""
    return train(dataclasses.replace(job, checkpoint_seconds=NEVER))


def taken(progress: float, batch: Batch, job: Job) -> int:
    """Steps taken before, where training ends by its images."""
    return round(progress * job.budget.images / len(batch.x))


def outcome(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """All that two trainings of a job must have in common."""
    spent = {name: value for name, value in result["spent"].items() if name not in ("seconds", "memory")}
    milestones = [{**milestone, "seconds": None} for milestone in result["milestones"]]
    with (job.folder / "training.csv").open(newline="") as stream:
        rows = [{**row, "seconds": None} for row in csv.DictReader(stream)]
    states = {name: digest for name, digest in result["files"].items() if name.startswith("state")}
    kept = {name: result[name] for name in ("parameters", "warnings", "environment")}
    return {"spent": spent, "milestones": milestones, "curve": rows, "states": states, **kept}


def control(folder: Path, **named: Any) -> dict[str, Any]:
    """The outcome of an undisturbed training without checkpoints."""
    job = short_job(folder / "control", **named)
    return outcome(job, finish(job))


def checkpoint_files(job: Job) -> list[str]:
    return sorted(path.name for path in job.folder.iterdir() if "checkpoint" in path.name)
