"""The options of a budget that decide how its arithmetic is done: autocast to bfloat16, and torch.compile."""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import job_of
from torch import nn

from genbench import Batch, DataSpec, ModelSpec
from genbench.benchmark import Benchmark
from genbench.engine import compiler
from genbench.engine.checkpoint import load_state
from genbench.engine.evaluate import evaluate
from genbench.engine.parameters import outermost_modules
from genbench.engine.train import train
from genbench.job import Job
from genbench.plugins import discover
from genbench.selection import load_benchmark

REGISTRY = discover()
SEEN: dict[str, set[torch.dtype]] = {}
"""By the method of the model below, what a product of float32 matrices was in it."""


@dataclass(frozen=True)
class Config:
    batch_size: int = 100


class Plain:
    """A linear layer that is trained to give 1, used once more after each update, as a GAN's discriminator is."""

    def __init__(self, config: Config, data: DataSpec, device: torch.device) -> None:
        self.data, self.device = data, device
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(data.dims, 4), nn.Dropout(0.1), nn.Tanh())
        self.optimiser = torch.optim.SGD(self.net.parameters(), 0.1)

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        self._look("train_step")
        losses = []
        for _ in range(2):
            self.optimiser.zero_grad()
            loss = (self.net(batch.x.float() / 16) - 1).square().mean()
            loss.backward()
            self.optimiser.step()
            losses.append(loss.detach())
        return {"first": losses[0], "second": losses[1]}

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        self._look("prepare_for_eval")

    def sample(self, n: int, labels: torch.Tensor | None = None) -> torch.Tensor:
        self._look("sample")
        return torch.zeros(n, *self.data.shape, dtype=torch.uint8)

    def log_prob(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        self._look("log_prob")
        return torch.full((len(x),), -200.0)

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])

    def _look(self, method: str) -> None:
        SEEN.setdefault(method, set()).add((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)


SPEC = ModelSpec("plain", Plain, Config, "a linear layer", likelihood="exact")


def short(folder: Path, steps: int = 12, **changes: Any) -> Job:
    folder.mkdir(exist_ok=True)
    job = job_of(REGISTRY, SPEC, folder)
    budget = dataclasses.replace(job.budget, images=100 * steps, flops=None, seconds=3600.0, **changes)
    return dataclasses.replace(job, budget=budget, milestones=[1.0], checkpoint_seconds=1e9)


def weights(job: Job) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_state(job.folder / "state")["net"]
    return found


def trained(job: Job) -> dict[str, torch.Tensor]:
    train(job)
    return weights(job)


def curve(job: Job) -> list[list[float]]:
    lines = (job.folder / "training.csv").read_text().splitlines()
    return [[float(value) for value in line.split(",")] for line in lines[1:]]


def test_bf16_is_for_training_and_sampling_and_never_for_likelihoods(tmp_path: Path) -> None:
    from genbench.job import outcome_file, write_json

    job = short(tmp_path, steps=2, precision="bf16")
    SEEN.clear()
    write_json(outcome_file(job.folder, "train"), {"result": train(job)})
    evaluate(job)
    half, whole = {torch.bfloat16}, {torch.float32}
    assert {"train_step": half, "prepare_for_eval": whole, "sample": half, "log_prob": whole} == SEEN


def test_float32_is_the_default(tmp_path: Path) -> None:
    SEEN.clear()
    train(short(tmp_path, steps=1))
    assert {"train_step": {torch.float32}} == SEEN


def test_weights_that_a_step_has_updated_are_used_in_bf16_too(tmp_path: Path) -> None:
    # Autocast keeps its copies of weights by default, and the second pass of a step would run on those from before.
    job = short(tmp_path, steps=1, precision="bf16")
    result = train(job)
    header = (job.folder / "training.csv").read_text().splitlines()[0].split(",")
    (row,) = curve(job)
    first, second = (row[header.index(name)] for name in ("first", "second"))
    assert result["warnings"] == []
    assert second < 0.95 * first


def test_weights_trained_in_bf16_are_float32_and_near_those_trained_in_float32(tmp_path: Path) -> None:
    whole, half = trained(short(tmp_path / "f")), trained(short(tmp_path / "h", precision="bf16"))
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    for name, tensor in whole.items():
        assert not torch.equal(half[name], tensor)
        torch.testing.assert_close(half[name], tensor, rtol=0, atol=0.02)


@pytest.fixture
def eager_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The compiler up to its last part, which writes C++ and takes half a minute."""
    monkeypatch.setattr(compiler, "BACKEND", "aot_eager")
    yield
    torch._dynamo.reset()


def test_compiled_training_does_and_costs_what_it_does_and_costs_otherwise(tmp_path: Path, eager_backend: None) -> None:
    plain, job = short(tmp_path / "f", steps=40), short(tmp_path / "c", steps=40, compile=True)
    flops = train(plain)["spent"]["flops"]
    whole = weights(plain)
    counters = torch._dynamo.utils.counters
    counters.clear()
    result = train(job)
    assert counters["stats"]["unique_graphs"] == 1
    assert result["spent"]["flops"] == flops > 0
    assert result["compile_seconds"] > 0
    assert result["warnings"] == []
    compiled = weights(job)
    assert list(compiled) == list(whole)
    for name, tensor in whole.items():
        torch.testing.assert_close(compiled[name], tensor)


def test_a_compiled_run_that_was_cut_short_goes_on_to_the_same_bits(
    tmp_path: Path, eager_backend: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(short(tmp_path / "whole", steps=14, compile=True))
    torch._dynamo.reset()
    job = dataclasses.replace(short(tmp_path / "cut", steps=14, compile=True), checkpoint_seconds=0.0)
    step, calls = Plain.train_step, []

    def ending(self: Plain, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        calls.append(progress)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return step(self, batch, progress)

    monkeypatch.setattr(Plain, "train_step", ending)
    with pytest.raises(KeyboardInterrupt):
        train(job)
    torch._dynamo.reset()
    assert train(job)["resumed_at"] == 11
    for name, tensor in weights(job).items():
        assert torch.equal(tensor, whole[name])


def test_compiling_nothing_is_told(tmp_path: Path, eager_backend: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "train_step", lambda self, batch, progress: {})
    monkeypatch.setattr(compiler, "seconds", lambda: 0.0)  # of this process, whose other tests have compiled
    assert any("compiled nothing" in warning for warning in train(short(tmp_path, steps=1, compile=True))["warnings"])


def test_what_the_compiler_refuses_is_the_runs_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(graph: object, inputs: object) -> object:
        raise RuntimeError("no such machine")

    monkeypatch.setattr(compiler, "BACKEND", refusing)
    with pytest.raises(Exception, match="no such machine"):
        train(short(tmp_path, compile=True))
    torch._dynamo.reset()


@pytest.mark.skipif(
    "GENBENCH_TEST_COMPILER" not in os.environ, reason="takes a C++ compiler and 15 s; set GENBENCH_TEST_COMPILER=1"
)
def test_what_the_compiler_writes_trains_alike_and_stays_in_the_runs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # put back afterwards
    whole, job = trained(short(tmp_path / "f", steps=20)), short(tmp_path / "c", steps=20, compile=True)
    result = train(job)
    torch._dynamo.reset()
    assert list((job.folder / "scratch" / compiler.CACHE).rglob("*.cpp"))
    assert result["warnings"] == []
    for name, tensor in weights(job).items():
        torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-5)


def test_networks_are_the_outermost_modules_with_a_forward() -> None:
    class Holder:
        def __init__(self) -> None:
            self.net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
            self.parts = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))])
            self.inner = self.net[0]

    holder = Holder()
    assert set(outermost_modules(holder)) == {holder.net, *holder.parts}


def test_a_definition_without_the_options_has_the_digest_that_it_had_before_they_came() -> None:
    plain: Benchmark = load_benchmark(REGISTRY, "digits-smoke")
    written = plain.with_budget({"precision": "float32", "compile": False})
    assert written.digest == plain.digest
    assert len({plain.digest, *(plain.with_budget(change).digest for change in CHANGES)}) == 3


CHANGES: list[dict[str, Any]] = [{"precision": "bf16"}, {"compile": True}]
