"""What a model returns, how large it is, and what the process is made ready with."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from jobs import job_of
from torch import nn

from genbench.engine import tasks
from genbench.engine.contract import build, check_logs, prepare_torch, require_device
from genbench.engine.environment import describe
from genbench.engine.parameters import count_parameters
from genbench.engine.score import score
from genbench.engine.train import train
from genbench.errors import GenbenchError, InvalidOutput, OverBudget
from genbench.job import TRAINING_CURVE, outcome_file
from genbench.plugins import discover
from genbench.record import Score
from genbench.specs import DataSpec


@pytest.mark.parametrize("name", ["step", "images", "flops", "seconds", "n", "score:fid"])
def test_names_of_the_curves_own_columns_are_refused(name: str) -> None:
    with pytest.raises(InvalidOutput, match=f"{name!r} is a column"):
        check_logs({"loss": torch.tensor(0.0), name: torch.tensor(1.0)})


def test_a_figure_may_be_called_like_a_metric() -> None:
    assert set(check_logs({"fid": torch.tensor(0.0), "steps": torch.tensor(1.0)})) == {"fid", "steps"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="refused only where there is no CUDA device")
def test_a_device_that_is_not_there_is_told_before_anything_is_done() -> None:
    for refused in (
        lambda: require_device("cuda"),
        lambda: prepare_torch(1, "cuda"),
        lambda: tasks.materialise({}, "nowhere", "cuda"),
    ):
        with pytest.raises(GenbenchError, match="needs a CUDA device"):
            refused()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_stream_init_seeds_a_device_that_nothing_has_used_yet(tmp_path: Path) -> None:
    from genbench.engine import rng

    drawn = []
    for _ in range(2):
        prepare_torch(1, "cuda")
        rng.seed_globals(3, "init")
        drawn.append(torch.rand(4, device="cuda").tolist())
    assert drawn[0] == drawn[1]


@dataclass
class Holder:
    network: nn.Module


class Slotted:
    __slots__ = ("network",)


class Model:
    """Holds networks in all the ways that are looked through; 6 parameters each."""

    def __init__(self) -> None:
        def network() -> nn.Module:
            return nn.Linear(2, 2)

        self.direct = network()
        self.same = self.direct
        self.held = Holder(network())
        self.listed = [{"deep": (network(),)}]
        self.held_set = {network()}
        self.method = network().forward
        self.optimiser = torch.optim.SGD(network().parameters(), lr=0.1)
        self.frozen = network().requires_grad_(False)
        self.itself = self
        chain: Any = None
        for _ in range(5000):
            chain = [chain]
        self.chain = chain


def test_parameters_are_found_wherever_a_model_holds_them() -> None:
    assert count_parameters(Model()) == 6 * 6
    assert count_parameters(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))) == 6


def test_a_model_that_grows_while_it_trains_is_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([5, 10**9])
    monkeypatch.setattr("genbench.engine.train.count_parameters", lambda model: next(counts))
    with pytest.raises(OverBudget, match="1,000,000,000 parameters"):
        train(job_of(discover(), "marginals", tmp_path))


def test_a_batch_of_more_than_the_budget_is_refused(tmp_path: Path) -> None:
    job = job_of(discover(), "vae[batch_size=1000000]", tmp_path)
    with pytest.raises(OverBudget, match="one batch of 1,000,000 images is more than the budget"):
        train(job)


def test_a_plugins_folder_does_not_stand_before_installed_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    job = job_of(discover(), "marginals", tmp_path)
    job.sys_path.append(str(tmp_path))
    build(job)
    assert sys.path[-1] == str(tmp_path)


def scored(job: Any, monkeypatch: pytest.MonkeyPatch, *scores: dict[str, Score]) -> dict[str, Any]:
    """What the scoring stage returns where the states' scores are ``scores``, the last state's last."""
    given = iter(scores)
    job = dataclasses.replace(job, samples=dataclasses.replace(job.samples, repeats=0))
    material = SimpleNamespace(samples=np.zeros((4, *job.data.shape), np.uint8), labels=None)
    monkeypatch.setattr("genbench.engine.score.score_material", lambda *_: next(given))
    monkeypatch.setattr("genbench.engine.score.look_at_files", lambda *_: material)
    monkeypatch.setattr("genbench.engine.score.bench_of", lambda _: None)
    position = {"fraction": 0.5, "step": 3, "images": 24, "flops": 1.0, "seconds": 1.0}
    trained = {
        "milestones": [position] * (len(scores) - 1),
        "spent": {"images": 48, "flops": 2.0, "seconds": 2.0, "steps": 6},
    }
    for stage, result in (("train", trained), ("evaluate", {"environment": describe(job.budget)})):
        outcome_file(job.folder, stage).write_text(json.dumps({"result": result}))
    (job.folder / TRAINING_CURVE).write_text("step,loss,fid\r\n2,0.5,7.0\r\n")
    return score(job)


def test_scores_have_columns_of_their_own_in_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(discover(), "marginals", tmp_path)
    fid = Score(3.5, 64, "lower")
    scored(job, monkeypatch, {}, {"fid": fid}, {"fid": fid})
    with (job.folder / "curve.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["step"], row["fid"], row["score:fid"], row["n"]) for row in rows] == [
        ("2", "7.0", "", ""),
        ("3", "", "3.5", "64"),
        ("6", "", "3.5", "64"),
    ]


def test_a_model_that_no_metric_applies_to_has_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scored(job_of(discover(), "marginals", tmp_path), monkeypatch, {})["scores"] == {}


def test_images_that_no_grid_can_show_are_scored_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_of(discover(), "marginals", tmp_path)
    job = dataclasses.replace(job, data=DataSpec((2, 8, 8), 17))
    assert scored(job, monkeypatch, {"fid": Score(3.5, 64, "lower")})["scores"]["fid"]["value"] == 3.5
    assert not (job.folder / "samples.png").exists()
