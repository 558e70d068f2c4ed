"""The model under check, and the small things that checks do with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from genbench.engine import blame, rng, splits
from genbench.engine.batches import Batches
from genbench.engine.checkpoint import flatten, load_state, save_state
from genbench.engine.contract import build, check_logs, check_samples
from genbench.engine.tampering import Watch
from genbench.errors import GenbenchError, InvalidOutput, SpecError
from genbench.job import Job
from genbench.model import Batch, Model


class Remark(str):
    """What a person ought to hear of a model that keeps a rule."""


Check = Callable[["Subject"], str | None]
"""Raises :class:`Broken`; returns why it does not apply to the model, or, if the model keeps the rule, None or a
:class:`Remark`."""

STEPS = 3
"""Training steps that a check takes; state is compared after twice as many."""

NOTHING_TO_TRAIN = "nothing to train (max_epochs=0)"
NOT_CONDITIONAL = "not declared conditional"
NO_LIKELIHOOD = "declares no likelihood"


CAUSES = (
    (
        "must return uint8",
        "no .to(torch.uint8) at the end; floats have to be scaled to 0 .. levels - 1, rounded and clamped before it",
    ),
    ("values must lie in", "a scale of 255 where data.levels is another, or no clamp before the conversion to uint8"),
    ("must return shape", "a missing reshape to (n, *data.shape), or a size fixed to the batch's"),
    ("0-d tensor", "a Python float, or a loss that is not yet averaged; return tensors such as loss.mean().detach()"),
    ("the key", "torch numbers its optimisers' entries; rename the keys to strings, and put no '/' into names"),
    ("a state holds", "an object was put in whole; put in its tensors and numbers, such as its own state_dict()"),
)
"""Words of :class:`~genbench.errors.InvalidOutput` and what most often brings it about."""


class Broken(GenbenchError):
    """A rule that a model breaks.

    Args:
        measured: what was found.
        cause: what most likely brings it about, and what to do.
    """

    def __init__(self, measured: str, cause: str) -> None:
        super().__init__(f"{measured}; {cause}")
        self.measured = measured
        self.cause = cause


def needs(*checks: str) -> Callable[[Check], Check]:
    """Marks a check that says nothing while others fail: it is then not asked, and the first cause stands alone."""

    def mark(check: Check) -> Check:
        vars(check)["needs"] = checks
        return check

    return mark


class Blocked(Broken):
    """A step that a check needs and the model can't take; the rule of another check, its ``owner``, is broken."""

    def __init__(self, owner: str, error: Exception | SystemExit) -> None:
        super().__init__(*explain(error))
        self.owner = owner


def explain(error: BaseException) -> tuple[str, str]:
    """What an error of a model's method says, and where in the model's code it arose."""
    if isinstance(error, Broken):
        return error.measured, error.cause
    if isinstance(error, InvalidOutput):
        found = (cause for words, cause in CAUSES if words in str(error))
        return str(error), next(found, "the method returns something else than genbench.model promises for it")
    if isinstance(error, SpecError):
        return str(error), "the ModelSpec names what is not there: is it spelt right, and its package installed?"
    place, raised = blame.place_of(error), blame.raised_at(error)
    if place is not None:
        return f"raised {blame.message_of(error)}", f"an error of the model's own code at {place}"
    where = f" at {raised}" if raised is not None else ""
    return (
        f"{blame.message_of(error)}{where}",
        "no line of the model's own raised it: what did the model return before?",
    )


class Subject:
    """A model and its data, as a run would see them.

    Each step that a model can fail at belongs to one check, which reports it; the other checks that need the step
    are then not asked (:class:`Blocked`).

    Args:
        job: of the model on a benchmark; its working folder may be written to.

    Attributes:
        verdicts: what is known so far, check's name to verdict.
        begin: told the name of the check whose business it is that what comes next ends.
        folder: a temporary folder to be kept as long as the subject, or None.
        watch: over what building the model changes of global state, which is put back at once; or None.
    """

    folder: TemporaryDirectory[str] | None = None
    watch: Watch | None = None

    def __init__(self, job: Job, begin: Callable[[str], None] = lambda name: None) -> None:
        self.job = job
        self.begin = begin
        self._asked = ""
        self._managed: set[str] = set()
        self.data = job.data
        self.device = torch.device(job.budget.device)
        self.batch_size = int(job.model.config["batch_size"])
        self.trains = job.max_epochs != 0
        self.verdicts: dict[str, str] = {}

    def ask(self, check: str) -> None:
        """Say that a check is about to be asked, which may be while another one is."""
        self._asked = check
        self.begin(check)

    @contextmanager
    def owned_by(self, check: str) -> Iterator[None]:
        """Errors inside are the business of that check; so is, the first time, that it does not come to an end."""
        first = check not in self._managed
        if first:
            self.begin(check)
        try:
            yield
        except Blocked:
            raise
        except (Exception, SystemExit) as error:
            raise Blocked(check, error) from error
        finally:
            if first:
                self._managed.add(check)
                self.begin(self._asked)

    @cached_property
    def batches(self) -> Batches:
        """Training batches in the core's order."""
        x, labels = splits.training(Path(self.job.data_folder), self.job.dev)
        return Batches(x, labels, self.batch_size, self.job.seed, self.device)

    @property
    def useful_steps(self) -> int | None:
        """Steps that a model with ``max_epochs`` takes at most; None without limit."""
        if self.job.max_epochs is None:
            return None
        return self.job.max_epochs * len(self.batches) // self.batch_size

    def seed(self, stream: rng.Stream, *position: int | str) -> None:
        """Seed the global generators as the core does before each call."""
        rng.seed_globals(self.job.seed, stream, *position)

    def fresh(self) -> Model:
        """A model as the training process builds it."""
        with self.owned_by("is_built_from_config_data_and_device"):
            return build(self.job, self.watch)

    def step(self, model: Model, step: int, batch: Batch | None = None, progress: float | None = None) -> Any:
        """One training step as the core takes it; returns the logs."""
        with self.owned_by("training_logs_are_finite_scalars"):
            self.seed("train", step)
            logs = model.train_step(
                self.batches.at(step) if batch is None else batch, step / 1000 if progress is None else progress
            )
            return dict(check_logs(logs))

    def train(self, model: Model, first: int = 0, steps: int = STEPS) -> list[dict[str, torch.Tensor]]:
        """Take training steps ``first .. first + steps - 1``; returns their logs."""
        return [self.step(model, step) for step in range(first, first + steps if self.trains else first)]

    @cached_property
    def uninterrupted(self) -> dict[str, Any]:
        """The flat state after ``2 * STEPS`` steps without a break, which other ways to get there are held against."""
        whole = self.fresh()
        self.train(whole, steps=2 * STEPS)
        return self.state(whole)

    def trained(self, steps: int = STEPS) -> Model:
        """A model after some steps, crossed over to another process's state and prepared for evaluation."""
        return self.prepare(self.load(self._trained_state(steps)))

    def _trained_state(self, steps: int) -> Path:
        stem = self.job.folder / f"checked-after-{steps}"
        if not stem.with_name(f"{stem.name}.json").exists():
            model = self.fresh()
            self.train(model, steps=steps)
            self.save(model, stem)
        return stem

    def reload(self, model: Model) -> Model:
        """A fresh model with the state of another, by way of the disk, prepared for evaluation."""
        return self.prepare(self.through_disk(model))

    def prepare(self, model: Model) -> Model:
        """The same model, after its ``prepare_for_eval`` if it has one."""
        prepare = getattr(model, "prepare_for_eval", None)
        if prepare is not None:
            with self.owned_by("preparing_leaves_training_alone"):
                self.seed("prepare", 0)
                prepare(self.batches.first(len(self.batches)))
        return model

    def save(self, model: Model, stem: Path) -> None:
        """Write the state as safetensors and JSON."""
        with self.owned_by("state_can_be_written"):
            save_state(model.state_dict(), stem)

    def load(self, stem: Path) -> Model:
        """A fresh model with the state saved at ``stem``."""
        copy = self.fresh()
        with self.owned_by("state_survives_the_disk"):
            copy.load_state_dict(load_state(stem))
        return copy

    def through_disk(self, model: Model) -> Model:
        """A fresh model with the state of another, by way of safetensors and JSON."""
        stem = self.job.folder / "checked-state"
        self.save(model, stem)
        return self.load(stem)

    def state(self, model: Model) -> dict[str, Any]:
        """A state as path to value, tensors as arrays and the rest under ``$tree``, for comparison."""
        tensors, tree = self.flat(model)
        flat: dict[str, Any] = {path: tensor.numpy() for path, tensor in tensors.items()}
        flat["$tree"] = tree
        return flat

    def flat(self, model: Model) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """A copy of the state's tensors by path, and the rest, as :func:`~genbench.engine.checkpoint.flatten` does."""
        with self.owned_by("state_can_be_written"):
            return flatten(model.state_dict())

    def labels(self, n: int) -> torch.Tensor | None:
        """Labels 0, 1, 2, ... for a conditional model, int64 ``[n]``."""
        if not self.job.conditional:
            return None
        assert self.data.classes is not None
        return torch.arange(n, device=self.device) % self.data.classes

    def sample(self, model: Model, n: int, position: int = 0, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Samples of a position of the stream ``sample``, uint8 ``[n, *shape]``, held to their form."""
        with self.owned_by("samples_have_the_promised_form"):
            self.seed("sample", position)
            with torch.no_grad():
                found = model.sample(n, self.labels(n) if labels is None else labels)
            # A copy: what the model does to its own memory afterwards is another check's business.
            return check_samples(found, n, self.data).clone()

    def log_prob(
        self, model: Model, x: torch.Tensor, position: int = 0, labels: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Log probabilities of examples, float64 ``[B]``, at a position of the stream ``likelihood``."""
        with self.owned_by("log_probs_have_the_promised_form"):
            self.seed("likelihood", position)
            with torch.no_grad():
                # A copy, since writing into it is another check's business.
                found: Any = model.log_prob(x.clone(), self.labels(len(x)) if labels is None else labels)
            if not isinstance(found, torch.Tensor) or not found.dtype.is_floating_point or found.shape != (len(x),):
                tensor = isinstance(found, torch.Tensor)
                what = f"{found.dtype} {tuple(found.shape)}" if tensor else type(found).__name__
                raise Broken(
                    f"log_prob returned {what} for {len(x)} examples",
                    f"it owes one number of nats an example, summed over dimensions: floats of shape ({len(x)},)",
                )
            return found.detach().to("cpu", torch.float64)

    def examples(self, n: int, skip: int = 0) -> torch.Tensor:
        """``n`` training examples after the first ``skip`` batches, uint8 ``[n, *shape]``."""
        batches = [self.batches.at(skip + step).x for step in range(-(-n // self.batch_size))]
        return torch.cat(batches)[:n].clone()


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Paths at which two flat states differ in a bit."""

    def same(path: str) -> bool:
        one, other = first.get(path), second.get(path)
        if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
            return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
        return bool(one == other) if not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray) else False

    return [path for path in sorted(first.keys() | second.keys()) if not same(path)]


def named(paths: list[str]) -> str:
    """Paths of a state for a person: the first few, and how many more."""
    shown = ", ".join("its numbers and strings" if path == "$tree" else repr(path) for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
