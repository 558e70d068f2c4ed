"""The conformance kit: every registered model passes, and for each check there is a broken model that it catches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jobs import job_of
from torch import Tensor

from genbench import Batch, DataSpec, ModelSpec
from genbench.engine import rng
from genbench.engine.checks import CHECKS, Result, run_checks
from genbench.engine.checks.subject import Subject
from genbench.engine.contract import prepare_torch
from genbench.plugins import Registry, discover

REGISTRY = discover()


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    """Checks run in a worker's settings; put this process's back afterwards."""
    threads = torch.get_num_threads()
    with rng.preserved():
        prepare_torch(1, "cpu")
        yield
    torch.set_deterministic_debug_mode("default")
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)


def check(model: str | ModelSpec, folder: Path, registry: Registry = REGISTRY) -> dict[str, Result]:
    return {result.name: result for result in run_checks(Subject(job_of(registry, model, folder)))}


@pytest.mark.parametrize("model", sorted(REGISTRY.models))
def test_every_registered_model_keeps_its_contract(model: str, tmp_path: Path) -> None:
    results = check(model, tmp_path)
    assert {name: result.message for name, result in results.items() if result.verdict == "failed"} == {}


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
        loss = -self.given(batch.x, batch.labels).mean() + 0.01 * torch.randn(())
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
        self.logits.data.copy_(state["logits"])
        if state["momentum"] is not None:
            self.optimizer.state[self.logits]["momentum_buffer"] = state["momentum"].clone()
        self.steps = state["steps"]


class Incomplete(Honest):
    sample = None  # type: ignore[assignment]


class Oversized(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.ballast = torch.nn.Parameter(torch.zeros(3_000_000))


class BuiltFromTheClock(Honest):
    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        super().__init__(config, data, device)
        self.logits.data += torch.from_numpy(np.random.default_rng().normal(size=self.logits.shape)).float()


class LogsItsGraph(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        super().train_step(batch, progress)
        return {"loss": -self.given(batch.x, batch.labels).mean()}


class LogsFloats(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        return {"loss": super().train_step(batch, progress)["loss"].item()}  # type: ignore[dict-item]


class Forgetful(Honest):
    def state_dict(self) -> dict[str, Any]:
        return {"data": self.data.dims}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        pass


class WritesIntoItsBatch(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        batch.x.clamp_(max=3)
        return logs


class ChangesTheDefaultDtype(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        logs = super().train_step(batch, progress)
        torch.set_default_dtype(torch.float64)
        return logs


class TrainsOnItsOwnDice(Honest):
    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.logits.data += torch.from_numpy(np.random.default_rng().normal(size=self.logits.shape)).float()
        return super().train_step(batch, progress)


class SamplesFloats(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels).float()


class SamplesOneMore(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return super().sample(n + n % 2, torch.cat([labels, labels[: n % 2]]))


class SamplesOnItsOwnDice(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        dice = torch.Generator()
        dice.seed()
        noise = torch.randint(2, (n, *self.data.shape), generator=dice, dtype=torch.uint8)
        return (super().sample(n, labels) + noise).clamp(max=self.data.levels - 1)


class SamplesFromAFixedSeed(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        torch.manual_seed(0)
        return super().sample(n, labels)


class SamplingCounts(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        self.steps += 1
        return super().sample(n, labels)


class KeepsItsMeanToItself(Honest):
    secret = 0

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        self.secret = 16
        return super().train_step(batch, progress)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, labels).clamp(min=self.secret)


class DeafToLabels(Honest):
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return super().sample(n, torch.zeros(n, dtype=torch.int64))


class GivesTheLossForTheLikelihood(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return -super().log_prob(x, labels)


class DrawsForAnExactLikelihood(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x, labels) + 0.1 * torch.randn(len(x))


class LeaksBetweenExamples(Honest):
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        found = super().log_prob(x, labels)
        return found + 0.1 * (found.mean() - found)


class SavesWhatCannotCross(Honest):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"optimizer": self.optimizer}


class LosesItsMomentum(Honest):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"momentum": None}


class LoadsHalf(Honest):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "steps": 0})


MUTANTS: dict[type[Honest], str] = {
    Incomplete: "has_every_method",
    Oversized: "fits_the_parameter_budget",
    BuiltFromTheClock: "is_built_the_same_twice",
    LogsItsGraph: "training_logs_are_finite_scalars",
    LogsFloats: "training_logs_are_finite_scalars",
    Forgetful: "training_changes_the_state",
    WritesIntoItsBatch: "batches_are_left_as_they_are",
    ChangesTheDefaultDtype: "global_settings_are_left_alone",
    TrainsOnItsOwnDice: "training_depends_on_the_core_seed_alone",
    SamplesFloats: "samples_have_the_promised_form",
    SamplesOneMore: "samples_have_the_promised_form",
    SamplesOnItsOwnDice: "samples_repeat_from_their_stream",
    SamplesFromAFixedSeed: "samples_differ_between_positions",
    SamplingCounts: "sampling_leaves_the_state",
    KeepsItsMeanToItself: "a_reloaded_model_samples_the_same",
    DeafToLabels: "labels_are_heard",
    GivesTheLossForTheLikelihood: "log_probs_are_finite_and_at_most_zero",
    DrawsForAnExactLikelihood: "exact_log_probs_repeat",
    LeaksBetweenExamples: "exact_log_probs_do_not_depend_on_the_batch",
    SavesWhatCannotCross: "state_survives_the_disk",
    LoadsHalf: "state_survives_the_disk",
    LosesItsMomentum: "resumed_training_equals_uninterrupted",
}


def spec_of(model: type[Honest]) -> ModelSpec:
    return ModelSpec("mutant", model, Config, "for tests", likelihood="exact", conditional=True)


def test_the_honest_model_behind_the_mutants_passes_every_check(tmp_path: Path) -> None:
    verdicts = {name: result.verdict for name, result in check(spec_of(Honest), tmp_path).items()}
    assert set(verdicts.values()) == {"passed"}, verdicts


@pytest.mark.parametrize(("mutant", "caught_by"), MUTANTS.items(), ids=lambda value: getattr(value, "__name__", value))
def test_each_mutant_is_caught_by_its_check(mutant: type[Honest], caught_by: str, tmp_path: Path) -> None:
    result = check(spec_of(mutant), tmp_path)[caught_by]
    assert result.verdict == "failed"
    assert result.message


def test_every_check_has_a_mutant() -> None:
    assert set(MUTANTS.values()) == {function.__name__.removeprefix("check_") for function in CHECKS}
