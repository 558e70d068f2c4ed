"""Going on from a checkpoint: a training that was ended anywhere comes out as one that nothing disturbed."""

from __future__ import annotations

import csv
import dataclasses
import errno
import itertools
import json
import math
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import job_of

from genbench import Batch, ModelSpec
from genbench.disk import Calls, Disk
from genbench.engine import checkpoint, resume
from genbench.engine import train as training
from genbench.engine.checkpoint import save_state
from genbench.engine.contract import build
from genbench.engine.resume import Checkpoints
from genbench.engine.train import train
from genbench.errors import Diverged
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


@pytest.mark.parametrize("name", [name for name, entry in REGISTRY.models.items() if entry.spec.max_epochs != 0])
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


def test_only_the_last_complete_checkpoint_stays(tmp_path: Path) -> None:
    job = short_job(tmp_path)
    train_until(job, 13)
    assert checkpoint_files(job) == [f"checkpoint-10{suffix}" for suffix in (".json", ".manifest.json", ".safetensors")]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Callable[[Path], Job], dict[str, Any]]:
    """A training with two checkpoints, of steps 5 and 10, its second being written; and how it ends undisturbed."""
    original = tmp_path_factory.mktemp("interrupted")
    job = short_job(original, "marginals")
    with pytest.MonkeyPatch.context() as patch:
        # Killed before the one before is removed.
        patch.setattr(resume, "_remove", lambda stem: None)
        train_until(job, 13)
    assert len(checkpoint_files(job)) == 6

    def copied(folder: Path) -> Job:
        shutil.copytree(job.folder, folder / "copy")
        return dataclasses.replace(job, work=str(folder / "copy"))

    return copied, control(original, model="marginals")


Interrupted = tuple[Callable[[Path], Job], dict[str, Any]]


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped", "missing"])
@pytest.mark.parametrize("suffix", [".json", ".manifest.json", ".safetensors"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    suffix: str, damage: str, interrupted: Interrupted, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copied, wanted = interrupted
    job = copied(tmp_path)
    spoil(job.folder / f"checkpoint-10{suffix}", damage)
    result = finish(job)
    assert result["resumed_at"] == 5
    assert outcome(job, result) == wanted
    untold = (suffix, damage) == (".manifest.json", "missing")  # then it was never complete
    assert ("genbench: the checkpoint of step 10 is not used" in capfd.readouterr().err) != untold


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(content[: len(content) // 2])
        case "emptied":
            path.write_bytes(b"")
        case "flipped":
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "missing":
            path.unlink()


def test_without_a_checkpoint_that_can_be_used_training_begins_anew(interrupted: Interrupted, tmp_path: Path) -> None:
    copied, wanted = interrupted
    job = copied(tmp_path)
    for path in job.folder.glob("checkpoint-*.safetensors"):
        spoil(path, "flipped")
    result = finish(job)
    assert result["resumed_at"] is None
    assert outcome(job, result) == wanted


def test_a_checkpoint_is_not_used_without_the_milestones_that_it_counts(tmp_path: Path) -> None:
    job = short_job(tmp_path, "marginals")
    train_until(job, 18)
    spoil(job.folder / "state-0.safetensors", "truncated")
    result = finish(job)
    assert result["resumed_at"] is None
    assert outcome(job, result) == control(tmp_path, model="marginals")


def test_a_checkpoint_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = short_job(tmp_path, "marginals")
    train_until(job, 13)
    monkeypatch.setattr("genbench.engine.environment.__version__", "999")
    assert finish(job)["resumed_at"] is None


def test_a_training_resumed_on_another_machine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = short_job(tmp_path, "marginals")
    train_until(job, 13)
    monkeypatch.setattr("genbench.engine.environment._cpu_name", lambda: "another processor")
    result = finish(job)
    assert result["resumed_at"] == 10
    assert any("up to step 10, elsewhere: cpu" in warning for warning in result["warnings"])


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    job = short_job(tmp_path, "marginals")
    for name in (".checkpoint-7.draft.safetensors", "checkpoint-7.safetensors", "checkpoint-7.json"):
        (job.folder / name).write_bytes(b"half")
    finish(job)
    assert checkpoint_files(job) == []


def dying(job: Job, at: int | None) -> int:
    """Train a job for 12 steps, dying at one of the operations on the disk as by SIGKILL; returns their number so far.

    Without ``at`` it comes to its end. What dies is a copy of this process, so that nothing is tidied up.
    """
    child = os.fork()
    if child == 0:
        count = itertools.count()

        def counted(operation: Callable[..., Any]) -> Callable[..., Any]:
            def operate(*arguments: Any) -> Any:
                if next(count) == at:
                    os._exit(0)
                return operation(*arguments)

            return operate

        for name in ("create", "write", "sync", "sync_folder", "rename", "unlink"):
            setattr(Calls, name, counted(getattr(Calls, name)))
        checkpoint.save_file = counted(checkpoint.save_file)
        with saved_every(EVERY):
            train(job)
        os._exit(next(count))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_training_killed_at_any_operation_on_the_disk_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    def fresh(number: int) -> Job:
        return short_job(tmp_path / str(number), "marginals", steps=12)

    wanted = control(tmp_path, model="marginals", steps=12)
    operations = dying(fresh(-1), None)
    assert operations > 50
    resumed = []
    for at in range(operations):
        job = fresh(at)
        dying(job, at)
        result = finish(job)
        assert outcome(job, result) == wanted, f"killed at operation {at}"
        resumed.append(result["resumed_at"])
    assert set(resumed) == {None, 5, 10}
    assert resumed == sorted(resumed, key=lambda step: step or 0), "a later end never costs more"


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("place", ["save_file", "write_whole"])
def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job = short_job(tmp_path, "marginals")
    train_until(job, 13)
    with monkeypatch.context() as patch, saved_every(EVERY):
        write_whole = Disk.write_whole

        def refuse(self: Disk, path: Path, content: bytes) -> None:
            (no_space if path.name.startswith("checkpoint") else write_whole)(self, path, content)  # type: ignore[operator]

        if place == "save_file":
            save = resume.save_state
            patch.setattr(resume, "save_state", lambda state, stem: (save(state, stem), no_space()))
        else:
            patch.setattr(Disk, "write_whole", refuse)
        result = train(job)
    assert checkpoint_files(job) == [f"checkpoint-10{suffix}" for suffix in (".json", ".manifest.json", ".safetensors")]
    told = "a checkpoint could not be written: No space left on device; training went on without it"
    assert result["warnings"] == [told]
    assert capfd.readouterr().err.count(told) == 1
    assert outcome(job, {**result, "warnings": []}) == control(tmp_path, model="marginals")


def test_a_file_that_the_system_refuses_is_an_error_of_the_system(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_state({"weight": torch.zeros(10_000)}, tmp_path / "state")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_training_without_its_folder_ends(tmp_path: Path) -> None:
    job = short_job(tmp_path, "marginals")
    train_until(job, 13)
    job.folder.rename(tmp_path / "adopted")
    with pytest.raises(FileNotFoundError):
        train(job)
    assert not job.folder.exists()


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


def test_when_logs_are_read_does_not_change_the_curve(tmp_path: Path) -> None:
    job = short_job(tmp_path, HARMLESS, steps=800)  # 4 steps a row
    with saved_every(51):
        assert outcome(job, train(job)) == control(tmp_path, model=HARMLESS, steps=800)


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


def test_a_checkpoint_is_due_when_the_last_one_has_paid_for_itself(tmp_path: Path) -> None:
    checkpoints = Checkpoints(short_job(tmp_path, "marginals", checkpoint_seconds=10.0))
    assert not checkpoints.due(9.9)
    assert checkpoints.due(10.0)
    checkpoints.took(0.05)
    checkpoints.restart(10.0)
    assert not checkpoints.due(19.9)
    assert checkpoints.due(20.0)
    checkpoints.took(3.0)
    checkpoints.restart(20.0)
    assert not checkpoints.due(319.0)
    assert checkpoints.due(320.0)


def test_writing_checkpoints_stands_off_the_training_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    save = Checkpoints.save

    def slow(self: Checkpoints, *arguments: Any) -> None:
        save(self, *arguments)
        now[0] += 100.0

    monkeypatch.setattr(Checkpoints, "save", slow)
    assert train(short_job(tmp_path, "marginals", steps=8))["spent"]["seconds"] == 0.0


def test_a_checkpoint_holds_the_clock_and_the_position(tmp_path: Path) -> None:
    job = short_job(tmp_path, "vae")
    train_until(job, 18)
    position = json.loads((job.folder / "checkpoint-15.manifest.json").read_text())["position"]
    assert position["step"] == 15
    assert position["seconds"] > 0
    assert [milestone["fraction"] for milestone in position["milestones"]] == [0.3, 0.6]
    assert position["flops"] > 0
