"""Checkpoints on the disk: when they are due, and what damage, a full disk and a kill at any operation leave."""

from __future__ import annotations

import dataclasses
import errno
import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_kills import sweep
from trainings import EVERY, checkpoint_files, control, finish, outcome, saved_every, short_job, train_until

from genbench.disk import Disk
from genbench.engine import resume
from genbench.engine.checkpoint import save_state
from genbench.engine.resume import Checkpoints
from genbench.engine.train import train
from genbench.job import Job


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


def test_a_training_killed_at_an_operation_on_the_disk_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    """At every third one; all are gone through by checkpoint_kills.py."""
    assert sweep(tmp_path, every=3) > 50


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
