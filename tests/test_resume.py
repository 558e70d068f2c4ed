"""Going on from a checkpoint: a training that was ended anywhere comes out as one that nothing disturbed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import job_of, one_of_each_family
from trainings import REGISTRY, Killed, control, finish, outcome, saved_every, short_job, train_until

from genbench import Batch, ModelSpec
from genbench.engine import train as training
from genbench.engine.train import train
from genbench.errors import Diverged, InvalidOutput
from genbench.job import Job


@pytest.mark.parametrize("name", one_of_each_family(REGISTRY))
def test_a_training_killed_twice_ends_as_an_undisturbed_one(name: str, tmp_path: Path) -> None:
    name += "[batch_size=8]"
    job = short_job(tmp_path, name)
    train_until(job, 8)
    train_until(job, 18)
    result = finish(job)
    assert result["resumed_at"] == 15
    assert outcome(job, result) == control(tmp_path, model=name)


def test_a_model_with_nothing_to_train_is_trained_again(tmp_path: Path) -> None:
    job = short_job(tmp_path, "noise")
    first = train(job)
    assert outcome(job, train(job)) == outcome(job, first)


@pytest.mark.parametrize(
    ("name", "ended_by", "steps"), [("marginals[batch_size=64]", "max_epochs", 18), ("vae", "flops", None)]
)
def test_what_ends_a_training_ends_a_resumed_one(name: str, ended_by: str, steps: int | None, tmp_path: Path) -> None:
    def of(folder: Path) -> Job:
        job = job_of(REGISTRY, name, folder)
        return dataclasses.replace(job, checkpoint_seconds=0.0)

    undisturbed, job = of(tmp_path / "control"), of(tmp_path)
    wanted = outcome(undisturbed, train(undisturbed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Progress", lambda *_: Stop(after=4))
        with pytest.raises(Killed):
            train(job)
    result = train(job)
    assert result["resumed_at"] == 3
    assert result["spent"]["ended_by"] == ended_by
    assert steps in (None, result["spent"]["steps"])
    assert outcome(job, result) == wanted


class Stop:
    """In place of the progress report: ends training at the end of a step, before its checkpoint."""

    def __init__(self, after: int) -> None:
        self.left = after

    def report(self, _: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def test_a_checkpoint_of_every_step_changes_nothing(tmp_path: Path) -> None:
    job = short_job(tmp_path, "dcgan", steps=12)
    assert outcome(job, train(job)) == control(tmp_path, model="dcgan", steps=12)


class Harmless:
    """Logs a buffer that it writes to."""

    diverges_at = math.inf

    loadable = True

    def __init__(self, *_: object) -> None:
        self.loss, self.steps = torch.zeros(()), 0

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        self.loss += torch.rand(()) if self.steps < self.diverges_at else math.nan
        self.steps += 1
        return {"loss": self.loss, "a/b": self.loss}

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if not self.loadable:
            raise KeyError("loss")
        self.loss, self.steps = state["loss"].clone(), state["steps"]


@dataclasses.dataclass(frozen=True)
class Config:
    batch_size: int = 4


class Diverging(Harmless):
    diverges_at = 33


HARMLESS = ModelSpec("harmless", f"{__name__}:Harmless", Config, "A model that does little")
DIVERGING = ModelSpec("diverging", f"{__name__}:Diverging", Config, "A model that diverges")


@pytest.mark.parametrize("killed_at", [None, 13, 31])
def test_a_resumed_training_diverges_at_the_same_step(killed_at: int | None, tmp_path: Path) -> None:
    job = short_job(tmp_path, DIVERGING, steps=40)
    if killed_at is not None:
        train_until(job, killed_at)
    with pytest.raises(Diverged, match="loss became nan at step 33"):
        finish(job)


class Raising(Harmless):
    """Ends itself a step after its loss became NaN, as models do whose distributions refuse NaN."""

    diverges_at = 9
    error: BaseException = ValueError("parameters are NaN")
    refused: Mapping[str, Any] | None = None

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        logs = super().train_step(batch, progress)
        if self.steps < 11:
            return logs
        if self.refused is None:
            raise self.error
        return dict(self.refused)


@pytest.mark.parametrize("every", [1, 1000])
@pytest.mark.parametrize("changes", [{}, {"error": SystemExit(1)}, {"refused": {"loss": "text"}}], ids=str)
def test_divergence_wins_over_the_error_that_it_led_to_whenever_a_checkpoint_was_due(
    changes: dict[str, Any], every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(Raising, name, value)
    raising = ModelSpec("raising", f"{__name__}:Raising", Config, "A model that raises")
    with saved_every(every), pytest.raises(Diverged, match="loss became nan at step 9") as caught:
        train(short_job(tmp_path, raising, steps=800))  # 4 steps a row, at whose end logs are read
    if every > 1:
        cause = InvalidOutput if "refused" in changes else type(Raising.error)
        assert isinstance(caught.value.__cause__, cause)


def test_an_error_without_divergence_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Raising, "diverges_at", math.inf)
    raising = ModelSpec("raising", f"{__name__}:Raising", Config, "A model that raises")
    with pytest.raises(ValueError, match="parameters are NaN"):
        train(short_job(tmp_path, raising, steps=20))


def test_when_logs_are_read_does_not_change_the_curve(tmp_path: Path) -> None:
    job = short_job(tmp_path, HARMLESS, steps=800)  # 4 steps a row
    with saved_every(51):
        assert outcome(job, train(job)) == control(tmp_path, model=HARMLESS, steps=800)


def test_a_training_killed_within_a_row_of_the_curve_has_the_same_row(tmp_path: Path) -> None:
    job = short_job(tmp_path, HARMLESS, steps=800)
    train_until(job, 53)
    result = finish(job)
    assert result["resumed_at"] == 50  # of the row of steps 48 to 51
    assert outcome(job, result) == control(tmp_path, model=HARMLESS, steps=800)


def test_a_model_that_does_not_take_up_its_own_state_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job = short_job(tmp_path, HARMLESS, steps=30)
    train_until(job, 13)
    monkeypatch.setattr(Harmless, "loadable", False)
    result = finish(job)
    assert result["resumed_at"] is None
    assert "does not take up its own state" in capfd.readouterr().err
    assert outcome(job, result) == control(tmp_path, model=HARMLESS, steps=30)
