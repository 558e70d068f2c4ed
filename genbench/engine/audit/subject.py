"""The model under audit: built, trained a little, crossed over to its state, and scored, all as in a run."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import numpy as np
import torch

from genbench.engine import rng
from genbench.engine.batches import Batches
from genbench.engine.checkpoint import load_state, save_state
from genbench.engine.contract import build, check_logs
from genbench.engine.flops import FlopCounter
from genbench.engine.likelihood import log_probs
from genbench.errors import Diverged
from genbench.job import Job
from genbench.model import Model
from genbench.specs import DataSpec, LikelihoodKind

FIT_FLOPS = 1.5e10
FIT_IMAGES = 8192
FIT_STEPS = 64
"""A fit ends at ``FIT_FLOPS`` or after ``FIT_IMAGES`` images, but not before ``FIT_STEPS`` steps: deterministic, and
seconds for small images."""

FIT_CEILING = 2e11
FIT_BATCH = 4
"""Where ``FIT_STEPS`` steps would cost more than ``FIT_CEILING`` FLOPs, batches are made smaller, down to ``FIT_BATCH``
examples: the synthetic pixels are alike, so that a batch of few large images says as much of them as one of many small
images."""

EXAMPLES = 8192
"""Synthetic training examples."""

CHUNK = 128

IMPOSSIBLE = -1e30
"""Nats that a probability of 0 counts as: its square is still finite, and no average hides it."""

RULED_OUT = -1e12
"""Nats below which an example counts as impossible."""


class Subject:
    """Builds, trains and scores the model of a job on synthetic data.

    Args:
        job: of the model; its data are not used.
        seed: of every stream.
    """

    def __init__(self, job: Job, seed: int) -> None:
        assert job.likelihood is not None
        self.job = dataclasses.replace(job, seed=seed)
        self.kind: LikelihoodKind = job.likelihood
        self.seed = seed
        self.device = torch.device(job.budget.device)
        self._smaller: dict[DataSpec, int] = {}
        """Batch size by data, where the configured one is too dear."""

    @property
    def data(self) -> DataSpec:
        return self.job.data

    def generator(self, *position: int | str) -> np.random.Generator:
        """Random numbers of the audit's own."""
        return rng.generator(self.seed, "data", "audit", *position)

    def fit(self, x: np.ndarray, labels: np.ndarray | None, data: DataSpec, steps: int | None = None) -> Model:
        """A fresh model trained on examples, uint8 ``[N, *shape]``, and restored from its state as evaluation does.

        Args:
            data: the spec that the model is built with.
            steps: how many to take; by default as many as the audit's budget pays for.

        Raises:
            Diverged: if a loss or a tensor of the state is not finite. Anything else is the plugin's own.
        """
        job = self._affordable(data)
        batch_size = int(job.model.config["batch_size"])
        batches = Batches(x, labels, batch_size, self.seed, self.device)
        most = FIT_IMAGES // batch_size if steps is None else steps
        most = max(most, FIT_STEPS)
        if job.max_epochs is not None:
            most = min(most, job.max_epochs * len(x) // batch_size)
        model = build(job)
        step = 0
        while step < most:
            batch = batches.at(step)
            rng.seed_globals(self.seed, "train", step)
            if step == 0:
                with FlopCounter() as counter:
                    logs = model.train_step(batch, 0.0)
                if FIT_STEPS * counter.flops > FIT_CEILING and batch_size > FIT_BATCH and data not in self._smaller:
                    paid_for = int(batch_size * FIT_CEILING / (FIT_STEPS * counter.flops))
                    self._smaller[data] = max(FIT_BATCH, paid_for)
                    return self.fit(x, labels, data, steps)
                if counter.flops:
                    most = min(most, max(FIT_STEPS, int(FIT_FLOPS / counter.flops)))
            else:
                logs = model.train_step(batch, step / most)
            step += 1
            if not all(bool(torch.isfinite(value)) for value in check_logs(logs).values()):
                raise Diverged(f"training on the audit's synthetic data gave NaN or infinity at step {step}")
        return self._restored(model, job, batches)

    def nats(
        self,
        model: Model,
        x: np.ndarray,
        prior: np.ndarray,
        draws: int = 1,
        chunk: int = CHUNK,
        position: int | str = 0,
    ) -> np.ndarray:
        """What the core makes of ``log_prob``, float64 ``[N]``: conditional models are marginalised over ``prior``.

        A probability of 0 is no fault here: a model may rule out what is not of its data's form, as a word with
        letters after its end. Such examples get less than ``RULED_OUT``.

        Args:
            x: uint8 ``[N, *shape]``.
            prior: p(y), float64 ``[classes]``; of no matter to unconditional models.
            position: chooses the random numbers.

        Raises:
            InvalidOutput: if ``log_prob`` returns anything but a float below infinity an example.
        """
        log_prior = [math.log(share) if share > 0 else -math.inf for share in prior] if self.job.conditional else None
        seed = rng.stable_seed(self.seed, "likelihood", "audit", position)
        examples = torch.from_numpy(x).to(self.device)
        with torch.no_grad():
            found = log_probs(model, self.kind, examples, log_prior, draws, chunk, seed, impossible=IMPOSSIBLE)
        assert found is not None, "a conditional estimate is not audited"
        return found.nats

    def _affordable(self, data: DataSpec) -> Job:
        """The job on some data, with the batch size that an earlier step on them showed to be paid for."""
        job = dataclasses.replace(self.job, data=data)
        if data not in self._smaller:
            return job
        config = {**job.model.config, "batch_size": self._smaller[data]}
        return dataclasses.replace(job, model=dataclasses.replace(job.model, config=config))

    def _restored(self, trained: Model, job: Job, batches: Batches) -> Model:
        """A fresh model with the trained one's state, by way of the disk, prepared for evaluation."""
        with tempfile.TemporaryDirectory(prefix="audit-", dir=job.folder) as folder:
            save_state(trained.state_dict(), Path(folder) / "state")
            state = load_state(Path(folder) / "state")
        model = build(job)
        model.load_state_dict(state)
        prepare = getattr(model, "prepare_for_eval", None)
        if prepare is not None:
            rng.seed_globals(self.seed, "prepare", 0)
            prepare(batches.first(min(len(batches), FIT_IMAGES)))
        return model
