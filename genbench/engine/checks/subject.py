"""The model under check, and the small things that checks do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genbench.engine import rng, splits
from genbench.engine.batches import Batches
from genbench.engine.checkpoint import load_state, save_state
from genbench.engine.contract import build, check_logs, check_samples
from genbench.errors import GenbenchError
from genbench.job import Job
from genbench.model import Model


class Broken(GenbenchError):
    """A rule that a model breaks: what was measured, and the likely cause."""


Check = Callable[["Subject"], str | None]
"""Raises :class:`Broken`; returns why it does not apply to the model, or None if the model keeps the rule."""

STEPS = 3
"""Training steps that a check takes; state is compared after twice as many."""


class Subject:
    """A model and its data, as a run would see them.

    Args:
        job: of the model on a benchmark; its working folder may be written to.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.data = job.data
        self.device = torch.device(job.budget.device)
        x, labels = splits.training(Path(job.data_folder), job.dev)
        self.batch_size = int(job.model.config["batch_size"])
        self.batches = Batches(x, labels, self.batch_size, job.seed, self.device)
        self.trains = job.max_epochs != 0

    def fresh(self) -> Model:
        """A model as the training process builds it."""
        return build(self.job)

    def train(self, model: Model, first: int = 0, steps: int = STEPS) -> list[dict[str, torch.Tensor]]:
        """Take training steps ``first .. first + steps - 1``; returns their logs."""
        logs = []
        for step in range(first, first + steps if self.trains else first):
            rng.seed_globals(self.job.seed, "train", step)
            logs.append(dict(check_logs(model.train_step(self.batches.at(step), step / 100))))
        return logs

    def trained(self, steps: int = STEPS) -> Model:
        """A model after some steps, crossed over to another process's state and prepared for evaluation."""
        model = self.fresh()
        self.train(model, steps=steps)
        return self.reload(model)

    def reload(self, model: Model) -> Model:
        """A fresh model with the state of another, by way of the disk, prepared for evaluation."""
        copy = self.through_disk(model)
        prepare = getattr(copy, "prepare_for_eval", None)
        if prepare is not None:
            rng.seed_globals(self.job.seed, "prepare", 0)
            prepare(self.batches.first(len(self.batches)))
        return copy

    def through_disk(self, model: Model) -> Model:
        """A fresh model with the state of another, by way of safetensors and JSON."""
        stem = self.job.folder / "checked-state"
        save_state(model.state_dict(), stem)
        copy = self.fresh()
        copy.load_state_dict(load_state(stem))
        return copy

    def labels(self, n: int) -> torch.Tensor | None:
        """Labels 0, 1, 2, ... for a conditional model, int64 ``[n]``."""
        if not self.job.conditional:
            return None
        assert self.data.classes is not None
        return torch.arange(n, device=self.device) % self.data.classes

    def sample(self, model: Model, n: int, position: int = 0) -> torch.Tensor:
        """Checked samples of a position of the stream ``sample``."""
        rng.seed_globals(self.job.seed, "sample", position)
        with torch.no_grad():
            return check_samples(model.sample(n, self.labels(n)), n, self.data)

    def log_prob(self, model: Model, x: torch.Tensor, position: int = 0) -> torch.Tensor:
        """Log probabilities of examples, float64 ``[B]``, at a position of the stream ``likelihood``."""
        rng.seed_globals(self.job.seed, "likelihood", position)
        with torch.no_grad():
            found: Any = model.log_prob(x, self.labels(len(x)))
        if not isinstance(found, torch.Tensor) or not found.dtype.is_floating_point or found.shape != (len(x),):
            what = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise Broken(f"log_prob returned {what} for {len(x)} examples, not floats of shape ({len(x)},)")
        return found.detach().to("cpu", torch.float64)


def flat_state(model: Model) -> dict[str, np.ndarray | object]:
    """A state as path to value, for comparison."""
    from genbench.engine.checkpoint import flatten

    tensors, tree = flatten(model.state_dict())
    flat: dict[str, np.ndarray | object] = {path: tensor.numpy() for path, tensor in tensors.items()}
    flat["$tree"] = tree
    return flat


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Paths at which two flat states differ in a bit."""
    paths = sorted(first.keys() | second.keys())

    def same(path: str) -> bool:
        one, other = first.get(path), second.get(path)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
        return bool(one == other) if not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray) else False

    return [path for path in paths if not same(path)]
