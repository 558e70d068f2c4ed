"""Broken models for the conformance kit: each names the check that must catch it, and explains any other that does."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from genbench import Batch, DataSpec, ModelSpec


@dataclass(frozen=True)
class Config:
    batch_size: int = 8


class Honest:
    """Independent pixels with learnt logits, class by class; conditional, so that every check applies."""

    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        self.data = data
        self.logits = torch.nn.Parameter(0.1 * torch.randn(data.classes or 1, data.dims, data.levels))
        self.optimizer = torch.optim.SGD([self.logits], lr=50.0, momentum=0.9)
        self.steps = 0

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.steps += 1
        loss = -self.given(batch.x, batch.labels).mean() + 0.01 * torch.randn((), dtype=torch.float32)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def given(self, x: Tensor, labels: Tensor | None) -> Tensor:
        assert labels is not None
        logs = self.logits.log_softmax(-1)[labels]  # [B, D, levels]
        return logs.gather(-1, x.flatten(1).long()[..., None])[..., 0].sum(1)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        drawn = torch.distributions.Categorical(logits=self.logits[labels]).sample()  # [n, D]
        return drawn.to(torch.uint8).reshape(n, *self.data.shape)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.given(x, labels).detach()

    def state_dict(self) -> dict[str, Any]:
        momentum = self.optimizer.state[self.logits].get("momentum_buffer")
        return {"logits": self.logits.detach(), "momentum": momentum, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        if state["momentum"] is not None:
            self.optimizer.state[self.logits]["momentum_buffer"] = state["momentum"].clone()
        self.steps = state["steps"]


class HonestWithDraws(Honest):
    """Its log_prob draws: the mass of a uniform share of P(x), of mean 1."""

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels) + torch.rand(len(x)).mul(2).log()


class HonestWithFit(Honest):
    """Fits a temperature of its samples to the training data before it is evaluated."""

    temperature: Tensor | None = None

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        with torch.no_grad():
            self.temperature = torch.stack([self.given(batch.x, batch.labels).mean() for batch in batches]).mean()

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        assert self.temperature is not None
        scale = 1 + self.temperature.abs() / 1e4
        drawn = torch.distributions.Categorical(logits=self.logits[labels] / scale).sample()
        return drawn.to(torch.uint8).reshape(n, *self.data.shape)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"temperature": self.temperature}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.temperature = state["temperature"]


class HonestByCounting:
    """Learns without gradients and without logs: unconditional pixel counts."""

    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        self.data = data
        self.counts = torch.ones(data.dims, data.levels)

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        x = batch.x.flatten(1).long()
        self.counts.scatter_add_(1, x.T, torch.ones(x.T.shape))
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.counts.multinomial(n, replacement=True).T.reshape(n, *self.data.shape).to(torch.uint8)

    def state_dict(self) -> dict[str, Any]:
        return {"counts": self.counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.counts.copy_(state["counts"])


@dataclass(frozen=True)
class Mutant:
    """A broken model.

    Attributes:
        spec: how it is declared.
        caught_by: the check whose business its fault is.
        also: other checks that fail, and why they do.
    """

    spec: ModelSpec
    caught_by: str
    also: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.spec.factory.__name__  # type: ignore[union-attr]


def spec_of(model: type, **changes: Any) -> ModelSpec:
    declared: dict[str, Any] = {"likelihood": "exact", "conditional": True, "config": Config, **changes}
    return ModelSpec(model.__name__.lower(), model, summary="for tests", **declared)


HONEST = (
    spec_of(Honest),
    spec_of(HonestWithDraws, likelihood="importance"),
    spec_of(HonestWithFit),
    spec_of(HonestByCounting, likelihood=None, conditional=False),
)

MUTANTS: list[Mutant] = []

Kind = TypeVar("Kind", bound=type)


def caught_by(check: str, also: Mapping[str, str] | None = None, **changes: Any) -> Callable[[Kind], Kind]:
    def declare(model: Kind) -> Kind:
        MUTANTS.append(Mutant(spec_of(model, **changes), check, also or {}))
        return model

    return declare


# ---- construction


@caught_by("is_built_from_config_data_and_device")
class WantsTheDataWhenBuilt(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device, examples: Tensor) -> None:
        super().__init__(config, data, device)


@caught_by("has_every_method", also={"samples_have_the_promised_form": "there is no sample to call"})
class Incomplete(Honest):
    sample = None  # type: ignore[assignment]


@caught_by(
    "methods_take_what_the_core_gives", also={"samples_have_the_promised_form": "the core's call raises TypeError"}
)
class SampleTakesNoLabels(Honest):
    def sample(self, n: int) -> Tensor:  # type: ignore[override]
        return super().sample(n, torch.zeros(n, dtype=torch.int64))


@caught_by("declared_likelihood_and_log_prob_agree", likelihood=None)
class HidesItsLikelihood(Honest):
    pass


@caught_by(
    "declared_likelihood_and_log_prob_agree",
    also={"log_probs_have_the_promised_form": "there is no log_prob to call"},
)
class DeclaresALikelihoodItHasNot(Honest):
    log_prob = None  # type: ignore[assignment]


@dataclass
class Mutable:
    batch_size: int = 8


@caught_by("config_is_frozen_and_plain", config=Mutable)
class MutableConfig(Honest):
    pass


@dataclass(frozen=True)
class Shifting:
    batch_size: int = 8
    width: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", self.width * 2)


@caught_by("config_is_frozen_and_plain", config=Shifting)
class ConfigDoublesWhenBuilt(Honest):
    pass


@caught_by(
    "is_built_the_same_twice",
)
class BuiltFromTheClock(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.logits.data += torch.from_numpy(np.random.default_rng().normal(size=self.logits.shape)).float()


@caught_by("generators_are_never_seeded")
class SeedsWhenBuilt(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        torch.manual_seed(42)
        super().__init__(config, data, device)


@caught_by("generators_are_never_seeded")
class SeedsNumpyWhenItTrains(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        np.random.seed(0)
        return super().train_step(batch, progress)


@caught_by("fits_the_parameter_budget")
class Oversized(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.ballast = torch.nn.Parameter(torch.zeros(3_000_000))


@caught_by("parameters_that_learn_are_counted")
class HidesItsParameters(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.logits = self.logits.detach().requires_grad_()  # type: ignore[assignment]
        self.optimizer = torch.optim.SGD([self.logits], lr=50.0, momentum=0.9)


# ---- training


@caught_by("training_logs_are_finite_scalars")
class LogsFloats(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        return {"loss": super().train_step(batch, progress)["loss"].item()}  # type: ignore[dict-item]


@caught_by(
    "training_logs_are_finite_scalars",
    also={"training_works_at_every_progress": "the infinity stands at each progress"},
)
class LogsInfinity(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        return {**super().train_step(batch, progress), "log_zero": torch.zeros(()).log()}


@caught_by("training_logs_hold_no_graph")
class LogsItsGraph(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        super().train_step(batch, progress)
        return {"loss": -self.given(batch.x, batch.labels).mean()}


@caught_by("training_works_at_every_progress")
class ScheduleEndsTooEarly(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.optimizer.param_groups[0]["lr"] = [50.0, 40.0, 30.0][round(3 * progress)]
        return super().train_step(batch, progress)


@caught_by("training_changes_the_state")
class Forgetful(Honest):
    def state_dict(self) -> dict[str, Any]:
        return {"dims": self.data.dims}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


@caught_by("training_keeps_the_state_finite")
class HoldsANaN(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.best = torch.tensor(float("nan"))

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"best": self.best}


@caught_by("training_learns_from_its_batch")
class LearnsFromDataOfItsOwn(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        x = torch.randint(self.data.levels, batch.x.shape, dtype=torch.uint8)
        return super().train_step(Batch(x, torch.arange(len(x)) % 10), progress)


@caught_by("batches_are_left_as_they_are")
class WritesIntoItsBatch(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        batch.x.clamp_(max=3)
        return logs


@caught_by("batches_are_left_as_they_are")
class WritesIntoItsLabels(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        assert batch.labels is not None
        batch.labels.zero_()
        return logs


@caught_by("training_depends_on_the_core_seed_alone")
class TrainsOnItsOwnDice(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.logits.data += torch.from_numpy(np.random.default_rng().normal(size=self.logits.shape)).float()
        return super().train_step(batch, progress)


@caught_by(
    "global_settings_are_left_alone",
    also={
        "training_depends_on_the_core_seed_alone": "the second model is built, and so drawn, in another dtype",
        "state_survives_the_disk": "the model that loads is built in another dtype than the one that saved",
    },
)
class ChangesTheDefaultDtype(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        torch.set_default_dtype(torch.float64)
        return logs


@caught_by("global_settings_are_left_alone")
class TakesMoreThreads(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        torch.set_num_threads(torch.get_num_threads() + 1)


@caught_by("no_files_are_left_behind")
class WritesALog(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        if Path.cwd().name.startswith("genbench-"):  # spares the folder in which the tests run
            with Path("training.log").open("a") as file:
                file.write(f"{progress}\n")
        return logs


# ---- sampling


@caught_by("samples_have_the_promised_form")
class SamplesFloats(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels).float()


@caught_by("samples_have_the_promised_form")
class SamplesBeyondTheLevels(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels) * 15


@caught_by("any_number_of_samples_can_be_drawn")
class SamplesPairs(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return super().sample(n + n % 2, torch.cat([labels, labels[: n % 2]]))


@caught_by("samples_repeat_from_their_stream")
class SamplesOnItsOwnDice(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        dice = torch.Generator()
        dice.seed()
        noise = torch.randint(2, (n, *self.data.shape), generator=dice, dtype=torch.uint8)
        return (super().sample(n, labels) + noise).clamp(max=self.data.levels - 1)


@caught_by("samples_differ_between_positions")
class SamplesFromAFixedNoise(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return super().sample(n, labels)


@caught_by("samples_are_a_copy")
class SamplesAView(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        kept = self.__dict__.setdefault("kept", {})
        key = (n, torch.initial_seed(), str(labels))
        if key not in kept:
            kept[key] = super().sample(n, labels)
        return kept[key]


@caught_by("sampling_leaves_the_state")
class SamplingCounts(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        self.steps += 1
        return super().sample(n, labels)


@caught_by("sampling_leaves_training_alone")
class StaysInEvalMode(Honest):
    training = True

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        self.training = False
        return super().sample(n, labels)

    def given(self, x: Tensor, labels: Tensor | None) -> Tensor:
        found = super().given(x, labels)
        return found * (0.9 if self.training and found.requires_grad else 1.0)


@caught_by("a_reloaded_model_samples_the_same")
class KeepsItsMeanToItself(Honest):
    secret = 0

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.secret = 16
        return super().train_step(batch, progress)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels).clamp(min=self.secret)


@caught_by("labels_are_heard")
class DeafToLabels(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, torch.zeros(n, dtype=torch.int64))


@caught_by("labels_are_answered_in_order")
class SortsItsLabels(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return super().sample(n, labels.sort().values)


# ---- likelihood


@caught_by("log_probs_have_the_promised_form")
class GivesTheMeanOfTheBatch(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels).mean()


@caught_by("unseen_examples_have_a_probability")
class KnowsOnlyWhatItSaw(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.seen = torch.zeros(data.dims, data.levels)

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.seen.scatter_(1, batch.x.flatten(1).long().T, 1.0)
        return super().train_step(batch, progress)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        known = self.seen.gather(1, x.flatten(1).long().T).amin(0)  # [B], 1 where every value has been seen
        return super().log_prob(x, labels) + known.log()

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.seen = state["seen"].clone()


@caught_by("exact_log_probs_are_at_most_zero")
class GivesTheLossForTheLikelihood(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return -super().log_prob(x, labels)


@caught_by("any_number_of_examples_can_be_scored", likelihood="importance")
class SqueezesOneExample(HonestWithDraws):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels).squeeze()


@caught_by("exact_log_probs_repeat")
class DrawsForAnExactLikelihood(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels) + 0.1 * torch.randn(len(x))


@caught_by("exact_log_probs_do_not_depend_on_the_batch")
class LeaksBetweenExamples(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        found = super().log_prob(x, labels)
        return found + 0.1 * (found.mean() - found)


@caught_by("drawn_log_probs_repeat_from_their_stream", likelihood="importance")
class DrawsFromItsOwnDice(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        dice = torch.Generator()
        dice.seed()
        return super().log_prob(x, labels) + torch.rand(len(x), generator=dice).log()


@caught_by("log_prob_leaves_the_state")
class CountsWhatItScores(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        self.steps += len(x)
        return super().log_prob(x, labels)


@caught_by("log_prob_leaves_its_examples")
class WritesIntoItsExamples(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        found = super().log_prob(x, labels)
        x.zero_()
        return found


@caught_by("log_prob_hears_its_labels")
class LikelihoodDeafToLabels(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, torch.zeros(len(x), dtype=torch.int64))


@caught_by("likelihood_passes_its_audit")
class CountsInDecimals(Honest):
    """Takes the logarithm to base 10, so that its numbers are too near 0."""

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels) / math.log(10)


# ---- state


@caught_by("state_can_be_written")
class SavesWhatCannotCross(Honest):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"optimizer": self.optimizer}


@caught_by("state_can_be_written")
class NamesATensorByNumber(Honest):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {0: self.logits.detach()}  # type: ignore[dict-item]


@caught_by("state_survives_the_disk")
class LoadsHalf(Honest):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "steps": 0})


@caught_by("resumed_training_equals_uninterrupted")
class LosesItsMomentum(Honest):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"momentum": None}


@caught_by(
    "reading_the_state_changes_nothing",
    also=dict.fromkeys(
        ("sampling_leaves_the_state", "log_prob_leaves_the_state", "state_survives_the_disk"),
        "it compares the state before and after, and reading it the first time changes it",
    ),
)
class ReadingResetsTheMomentum(Honest):
    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        self.optimizer.state[self.logits].clear()
        return state


@caught_by("loading_makes_a_copy")
class LoadsByReference(Honest):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.logits.data = state["logits"]


@caught_by("a_foreign_state_is_refused")
class TakesAnyState(Honest):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.get("logits") is not None and state["logits"].shape == self.logits.shape:
            super().load_state_dict(state)


@caught_by("preparing_leaves_training_alone")
class PreparingTrainsOn(HonestWithFit):
    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        super().prepare_for_eval(batches)
        self.logits.data *= 0.9


# ---- cost


@caught_by("state_does_not_grow")
class SavesItsLosses(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.losses: list[float] = []

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        self.losses.append(float(logs["loss"]))
        return logs

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"losses": list(self.losses)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.losses = list(state["losses"])


@caught_by("tensors_do_not_accumulate")
class KeepsItsGraphs(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.__dict__.setdefault("losses", []).append(self.given(batch.x, batch.labels).mean())
        return super().train_step(batch, progress)


@caught_by("python_memory_does_not_grow")
class KeepsItsBatchesAsArrays(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.__dict__.setdefault("batches", []).append(np.asarray(batch.x.tolist()))
        return super().train_step(batch, progress)


@caught_by("work_of_a_step_does_not_grow")
class WorksThroughEveryStepAgain(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        for _ in range(10 * self.steps):
            logs["loss"].mul_(1.0)
        return logs


@caught_by("time_of_a_step_does_not_grow")
class SlowsDown(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        end = time.thread_time() + 1e-3 * self.steps
        while time.thread_time() < end:
            os.getpid()
        return super().train_step(batch, progress)
