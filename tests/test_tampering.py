"""What a plugin changes of the process is put back at once and told, once a kind; no model of genbench's own does."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from jobs import job_of, one_of_each_family

from genbench import Batch, ModelSpec
from genbench.engine.checks import process
from genbench.engine.contract import prepare_torch
from genbench.engine.evaluate import evaluate
from genbench.engine.tampering import SETTINGS, Watch, setting_now
from genbench.engine.train import train
from genbench.engine.worker import run_stage
from genbench.job import JOB, Job
from genbench.plugins import discover

REGISTRY = discover()


@pytest.fixture(autouse=True)
def ready() -> Any:
    """The process as a stage has it, and as it was afterwards."""
    with process.preserved():
        prepare_torch(1, "cpu")
        yield


def handle(*_: object) -> None:
    """A signal handler."""


TAMPERING: dict[str, tuple[Callable[[], Any], str]] = {
    "dtype": (
        lambda: torch.set_default_dtype(torch.float64),
        "changed the default dtype from torch.float32 to torch.float64; put back",
    ),
    "device": (lambda: torch.set_default_device("meta"), "changed the default device from cpu to meta; put back"),
    "threads": (lambda: torch.set_num_threads(2), "changed the number of threads from 1 to 2; put back"),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(False),
        "changed deterministic algorithms from 2 to 0; put back",
    ),
    "gradients": (lambda: torch.set_grad_enabled(False), "changed gradient mode from True to False; put back"),
    "anomalies": (
        lambda: torch.autograd.set_detect_anomaly(True),
        "changed anomaly detection from False to True; put back",
    ),
    "autocast": (lambda: torch.set_autocast_enabled("cpu", True), "changed autocast from False to True; put back"),
    "benchmark": (
        lambda: setattr(torch.backends.cudnn, "benchmark", True),
        "changed cudnn.benchmark from False to True; put back",
    ),
    "tf32": (
        lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
        "changed the precision of matrix products from highest to high; put back",
    ),
    "precision of all": (
        lambda: setattr(torch.backends, "fp32_precision", "tf32"),
        "changed the precision of float32 from none to tf32; put back",
    ),
    "precision in a new way": (
        lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
        "changed the precision of matrix products from highest to a contradiction; put back",
    ),
    "bf16": (
        lambda: torch.set_float32_matmul_precision("medium"),
        "changed the precision of matrix products from highest to medium; put back",
    ),
    "tf32 of convolutions": (
        lambda: setattr(torch.backends.cudnn, "allow_tf32", True),
        "changed cudnn.allow_tf32 from False to True; put back",
    ),
    "folder": (lambda: os.chdir("/"), "changed the working folder; put back"),
    "signals": (lambda: signal.signal(signal.SIGTERM, handle), "changed the handler of SIGTERM; put back"),
    "alarm": (lambda: signal.signal(signal.SIGALRM, handle), "changed the handler of SIGALRM; put back"),
    "torch's seed": (lambda: torch.manual_seed(0), "reseeded torch's generators"),
    "torch's state": (
        lambda: torch.set_rng_state(torch.Generator().manual_seed(3).get_state()),
        "reseeded torch's generators",
    ),
    "python's seed": (lambda: random.seed(0), "reseeded Python's random"),
    "numpy's seed": (lambda: np.random.seed(0), "reseeded NumPy's global generator"),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_what_a_call_changes_is_put_back_and_told(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    tamper, told = TAMPERING[kind]
    before = {name: setting_now(setting) for name, setting in SETTINGS.items()}
    torch.manual_seed(7)  # not what a case below seeds with, whatever ran before
    with Watch() as watch:
        with watch.over("sample"):
            tamper()
        assert {name: setting_now(setting) for name, setting in SETTINGS.items()} == before
        with watch.over("sample"):
            tamper()
    assert f"sample {told}" in watch.warnings
    assert len(watch.warnings) == 1
    assert capfd.readouterr().err.count(f"genbench: sample {told}\n") == 1


@pytest.mark.parametrize("kind", TAMPERING)
def test_what_a_call_changes_and_puts_back_itself_is_its_own_affair(kind: str) -> None:
    with Watch() as watch, watch.over("sample"):
        if "seed" in kind or "state" in kind:
            with torch.random.fork_rng():
                torch.rand(3)
                torch.manual_seed(0)
        else:
            with process.preserved():
                TAMPERING[kind][0]()
    assert watch.warnings == []


def test_each_call_is_told_of_apart_and_once() -> None:
    watch = Watch()
    for step in range(3):
        with watch.over("train_step", step):
            torch.set_num_threads(2 + step)
    with watch.over("state_dict"):
        torch.set_num_threads(2)
    assert watch.warnings == [
        "state_dict changed the number of threads from 1 to 2; put back",
        "train_step changed the number of threads from 1 to 2 at step 0; put back",
    ]


def test_what_is_not_to_be_told_is_put_back_all_the_same() -> None:
    watch = Watch()
    with watch.over("load_state_dict", tell=False):
        torch.set_num_threads(2)
        torch.manual_seed(0)
    assert torch.get_num_threads() == 1
    assert watch.warnings == []


def test_a_removed_working_folder_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    os.chdir(tmp_path / "scratch")
    watch = Watch()
    with watch.over("sample"):
        (tmp_path / "scratch").rmdir()
    assert watch.warnings == ["sample changed the working folder; put back"]
    assert Path.cwd() == tmp_path / "scratch"


def test_the_folder_of_an_attempt_that_another_took_over_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "attempt/scratch").mkdir(parents=True)
    os.chdir(tmp_path / "attempt/scratch")
    watch = Watch()
    with watch.over("sample"):
        (tmp_path / "attempt").rename(tmp_path / "adopted")
    with watch.over("log_prob"):
        pass
    assert watch.warnings == ["sample changed the working folder; it could not be put back: FileNotFoundError"]
    assert not (tmp_path / "attempt").exists()
    os.chdir(tmp_path)


def test_who_seeds_is_seen_only_while_watched() -> None:
    seed = random.seed
    with Watch():
        assert random.seed is not seed
    assert random.seed == seed


def test_a_look_takes_microseconds() -> None:
    """Beside a training step of 0.1 ms or more; about 15 on an idle machine."""
    watch = Watch()
    fastest = float("inf")
    for _ in range(50):
        began = time.perf_counter()
        for step in range(20):
            with watch.over("train_step", step):
                pass
        fastest = min(fastest, (time.perf_counter() - began) / 20)
    assert fastest < 100e-6


class Meddler:
    """Changes a setting in each of its methods."""

    meddling: ClassVar[dict[str, Callable[[], Any]]] = {
        "building the model": lambda: torch.set_num_threads(2),
        "train_step": lambda: torch.manual_seed(0),
        "state_dict": lambda: torch.set_default_dtype(torch.float64),
        "load_state_dict": lambda: np.random.seed(0),
        "prepare_for_eval": lambda: torch.set_grad_enabled(False),
        "sample": lambda: torch.use_deterministic_algorithms(False),
        "log_prob": lambda: random.seed(0),
    }

    def __init__(self, config: object, data: Any, device: object) -> None:
        self.meddling["building the model"]()
        self.data, self.steps = data, 0

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        if self.steps == 3:
            self.meddling["train_step"]()
        self.steps += 1
        return {}

    def sample(self, n: int, labels: object) -> torch.Tensor:
        self.meddling["sample"]()
        return torch.randint(self.data.levels, (n, *self.data.shape), dtype=torch.uint8)

    def log_prob(self, x: torch.Tensor, labels: object) -> torch.Tensor:
        self.meddling["log_prob"]()
        return torch.full((len(x),), -100.0)

    def prepare_for_eval(self, batches: object) -> None:
        self.meddling["prepare_for_eval"]()

    def state_dict(self) -> dict[str, Any]:
        self.meddling["state_dict"]()
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.meddling["load_state_dict"]()
        self.steps = state["steps"]


@dataclasses.dataclass(frozen=True)
class Config:
    batch_size: int = 100


MEDDLER = ModelSpec("meddler", f"{__name__}:Meddler", Config, "A model that meddles", likelihood="exact")
TRAINING = [
    "building the model changed the number of threads from 1 to 2; put back",
    "state_dict changed the default dtype from torch.float32 to torch.float64; put back",
    "train_step reseeded torch's generators at step 3",
]


def test_training_and_evaluation_tell_what_each_method_changed(tmp_path: Path) -> None:
    job = job_of(REGISTRY, MEDDLER, tmp_path)
    assert run_stage("train", job.folder / JOB) == 0
    assert result(job, "train")["warnings"] == TRAINING
    assert evaluate(job)["warnings"] == [
        TRAINING[0],
        "load_state_dict reseeded NumPy's global generator",
        "log_prob reseeded Python's random",
        "prepare_for_eval changed gradient mode from True to False; put back",
        "sample changed deterministic algorithms from 2 to 0; put back",
    ]


class FixedNoise(Meddler):
    def sample(self, n: int, labels: object) -> torch.Tensor:
        noise = torch.Generator().manual_seed(0)
        return torch.randint(self.data.levels, (n, *self.data.shape), dtype=torch.uint8, generator=noise)


def test_a_sampler_that_does_not_hear_the_core_s_generators_is_told(tmp_path: Path) -> None:
    job = job_of(REGISTRY, dataclasses.replace(MEDDLER, factory=f"{__name__}:FixedNoise"), tmp_path)
    assert run_stage("train", job.folder / JOB) == 0
    told = "sample gave the same samples for two seeds: it draws from generators of its own, or not at all"
    assert told in evaluate(job)["warnings"]


def result(job: Job, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((job.folder / f"outcome-{stage}.json").read_text())["result"]
    return found


@pytest.mark.parametrize("ended_at", [2, 9])
def test_a_resumed_training_tells_the_same(ended_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = dataclasses.replace(job_of(REGISTRY, MEDDLER, tmp_path), checkpoint_seconds=0.0)
    learn = Meddler.train_step

    def train_step(self: Meddler, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        if self.steps == ended_at:
            raise KeyboardInterrupt
        return learn(self, batch, progress)

    with monkeypatch.context() as patch:
        patch.setattr(Meddler, "train_step", train_step)
        with pytest.raises(KeyboardInterrupt):
            train(job)
    trained = train(job)
    assert trained["resumed_at"] == ended_at
    assert trained["warnings"] == TRAINING


@pytest.mark.parametrize("name", [*one_of_each_family(REGISTRY), "noise"])
def test_a_model_of_genbenchs_own_changes_nothing(name: str, tmp_path: Path) -> None:
    job = job_of(REGISTRY, name, tmp_path)
    batch_size = int(job.model.config["batch_size"])
    budget = dataclasses.replace(job.budget, images=4 * batch_size, flops=None)
    samples = dataclasses.replace(job.samples, n=20, milestone_n=10, repeats=0)
    likelihood = dataclasses.replace(job.likelihood_settings, examples=10, milestone_examples=10, draws=2)
    job = dataclasses.replace(
        job, budget=budget, samples=samples, likelihood_settings=likelihood, milestones=[1.0], checkpoint_seconds=0.0
    )
    job.write()
    assert run_stage("train", job.folder / JOB) == 0
    assert result(job, "train")["warnings"] == []
    assert evaluate(job)["warnings"] == []
