"""A training's end and account, and stages that may be ended anywhere and begun again."""

from __future__ import annotations

import csv
import dataclasses
import errno
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import factories
import pytest
import torch
from jobs import job_of

from genbench import Batch, ModelSpec
from genbench.engine.environment import describe
from genbench.engine.train import train
from genbench.engine.worker import run_stage
from genbench.errors import InvalidOutput
from genbench.executors.mark import UNWRITTEN_DISK
from genbench.job import JOB, STAGES, Job, finished, outcome_file
from genbench.plugins import discover
from genbench.reading import sha256_of
from genbench.specs import Budget
from genbench.stable import stable
from genbench.versions import versions

REGISTRY = discover()
NEVER = 1e9


class Idle:
    """A model without a single FLOP."""

    log = torch.tensor(1.0)

    def __init__(self, *_: object) -> None: ...

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        return {"loss": self.log}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Complex(Idle):
    log = torch.tensor(1j)


ZOO = torch.library.Library("genbench_tests", "DEF")  # held as long as the tests need it
ZOO.define("work(Tensor x) -> Tensor")
ZOO.impl("work", torch.clone, "CPU")


class Opaque(Idle):
    """Works with an operation of its own."""

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        return {"loss": torch.ops.genbench_tests.work(torch.ones(()))}


@dataclasses.dataclass(frozen=True)
class Config:
    batch_size: int = 30


def idle(kind: type = Idle) -> ModelSpec:
    return ModelSpec("idle", f"{__name__}:{kind.__name__}", Config, "A model that does nothing")


@pytest.mark.parametrize("flops", [None, 1.0])
def test_a_model_that_counts_no_flops_ends_by_images(flops: float | None, tmp_path: Path) -> None:
    job = job_of(REGISTRY, idle(), tmp_path)
    job = dataclasses.replace(job, budget=dataclasses.replace(job.budget, images=100, flops=flops))
    spent = train(job)["spent"]
    assert (spent["ended_by"], spent["steps"], spent["flops"]) == ("images", 4, 0.0)


def test_a_training_accounts_for_every_limit_of_the_budget(tmp_path: Path) -> None:
    job = job_of(REGISTRY, "vae", tmp_path)
    spent = train(job)["spent"]
    others = {"grace", "device", "device_memory", "precision", "compile", "runs_per_device"}
    limits = dataclasses.asdict(job.budget).keys() - others
    assert limits <= spent.keys()
    assert spent["parameters"] == 326_692
    assert spent["threads"] == job.budget.threads
    assert spent["ended_by"] == "flops"


def test_operations_without_a_formula_are_told(tmp_path: Path) -> None:
    (warning,) = train(job_of(REGISTRY, idle(Opaque), tmp_path))["warnings"]
    assert warning.startswith("the FLOPs of genbench_tests")
    assert warning.endswith(" were not counted, for want of a formula")


def test_a_complex_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOutput, match="'loss' must be a real number, not"):
        train(job_of(REGISTRY, idle(Complex), tmp_path))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A run of all stages, each with its mark, and a metric of a third party's to be measured."""
    folder = tmp_path_factory.mktemp("done")
    job = job_of(REGISTRY, "marginals", folder)
    job = dataclasses.replace(
        job,
        samples=dataclasses.replace(job.samples, n=100, milestone_n=50),
        budget=dataclasses.replace(job.budget, images=400),
        metrics=[metric for metric in job.metrics if metric.name in ("fid", "bits_per_dim")],
    )
    job.write()
    for stage in STAGES:
        assert run_stage(stage, job.folder / JOB) == 0
    return job


def redo(job: Job) -> None:
    """Do the stages that are not finished, as a new attempt does."""
    for stage in STAGES:
        assert finished(job.folder, stage) or run_stage(stage, job.folder / JOB) == 0


def copied(job: Job, folder: Path) -> Job:
    shutil.copytree(job.folder, folder / "copy")
    job = dataclasses.replace(job, work=str(folder / "copy"))
    job.write()
    return job


def contents(job: Job) -> dict[str, Any]:
    """What stands in a working folder, without times: the hash of each file, and the curve and marks themselves."""
    found: dict[str, Any] = {}
    for path in sorted(job.folder.iterdir()):
        if path.suffix == ".csv":
            with path.open(newline="") as stream:
                found[path.name] = [{**row, "seconds": None} for row in csv.DictReader(stream)]
        elif path.name.startswith("outcome-"):
            found[path.name] = sorted(json.loads(path.read_text())["files"])
        elif path.name != JOB:
            found[path.name] = sha256_of(path)
    return found


def test_stages_leave_marks_that_name_what_they_left(done: Job) -> None:
    assert all(finished(done.folder, stage) for stage in STAGES)
    named = {name for stage in STAGES for name in json.loads(outcome_file(done.folder, stage).read_text())["files"]}
    left = {path.name for path in done.folder.iterdir()} - {JOB}
    assert named == {name for name in left if not name.startswith("outcome-")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_finished_stage_done_again_leaves_the_same(stage: Any, done: Job, tmp_path: Path) -> None:
    job = copied(done, tmp_path)
    assert run_stage(stage, job.folder / JOB) == 0
    redo(job)
    assert contents(job) == contents(done)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_done_over_what_a_killed_one_left_leave_the_same(stage: Any, done: Job, tmp_path: Path) -> None:
    """Half of every file that the stage and later ones write, its drafts, and no marks."""
    job = copied(done, tmp_path)
    to_do = STAGES[STAGES.index(stage) :]
    for name in to_do:
        files = json.loads(outcome_file(job.folder, name).read_text())["files"]
        for path in (job.folder / file for file in files):
            content = path.read_bytes()[: path.stat().st_size // 2]
            path.write_bytes(content)
            if path.suffix in (".safetensors", ".npz", ".png"):
                path.with_name(f".{path.stem}.draft{path.suffix}").write_bytes(content)
        outcome_file(job.folder, name).unlink()
    redo(job)
    assert contents(job) == contents(done)


def test_nats_of_an_attempt_whose_likelihood_was_scored_are_not_left(done: Job, tmp_path: Path) -> None:
    job = dataclasses.replace(copied(done, tmp_path), likelihood=None)
    job.write()
    for stage in ("evaluate", "score"):
        assert run_stage(stage, job.folder / JOB) == 0
    assert not list(job.folder.glob("nats*"))
    scores = json.loads(outcome_file(job.folder, "score").read_text())["result"]["scores"]
    assert set(scores) == {"fid", "fid@digits-random-v1"}


def test_the_next_stage_removes_the_checkpoints(done: Job, tmp_path: Path) -> None:
    job = dataclasses.replace(copied(done, tmp_path), checkpoint_seconds=0.0)
    job.write()
    for stage, left in (("train", 3), ("evaluate", 0)):
        assert run_stage(stage, job.folder / JOB) == 0
        assert len(list(job.folder.glob("checkpoint-*"))) == left


def test_a_mark_of_an_earlier_attempt_is_not_left_to_stand_for_this_one(
    done: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = copied(done, tmp_path)

    def killed(_: Job) -> dict[str, Any]:
        assert not outcome_file(job.folder, "evaluate").exists()
        raise RuntimeError("as if by a signal")

    monkeypatch.setattr("genbench.engine.evaluate.evaluate", killed)
    assert run_stage("evaluate", job.folder / JOB) == 1
    assert not finished(job.folder, "evaluate")


def test_a_stage_whose_outcome_cannot_be_written_tells_by_its_exit_code(
    done: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = copied(done, tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("genbench.engine.worker.write_json", refuse)
    assert run_stage("score", job.folder / JOB) == UNWRITTEN_DISK
    assert not finished(job.folder, "score")


SPOILT = {
    "no mark": lambda folder: outcome_file(folder, "train").unlink(),
    "half a mark": lambda folder: outcome_file(folder, "train").write_bytes(b'{"status": "ok", '),
    "a mark too deep to read": lambda folder: outcome_file(folder, "train").write_bytes(b"[" * 100_000),
    "another document": lambda folder: outcome_file(folder, "train").write_bytes(b"[1]"),
    "a failure's mark": lambda folder: rewrite(folder, status="failed"),
    "a mark without a result": lambda folder: rewrite(folder, result=None),
    "a mark without files": lambda folder: rewrite(folder, files=None),
    "a mark of no known version": lambda folder: rewrite(folder, versions=None),
    "a name that leads elsewhere": lambda folder: rewrite(folder, files={"../x": "sha256:0"}),
    "a file of another content": lambda folder: (folder / "state.json").write_bytes(b"{}"),
    "a file too few": lambda folder: (folder / "state.safetensors").unlink(),
    "a link": lambda folder: relink(folder / "state.json"),
}


def rewrite(folder: Path, **changes: Any) -> None:
    mark = outcome_file(folder, "train")
    mark.write_text(json.dumps({**json.loads(mark.read_text()), **changes}))


def relink(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("what", SPOILT)
def test_a_stage_is_not_finished_with(what: str, done: Job, tmp_path: Path) -> None:
    job = copied(done, tmp_path)
    SPOILT[what](job.folder)
    assert not finished(job.folder, "train")


def test_a_mark_larger_than_any_is_not_read(done: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = copied(done, tmp_path)
    monkeypatch.setattr("genbench.job.MAX_MARK_BYTES", 100)
    assert not finished(job.folder, "train")


@pytest.mark.parametrize("name", ["genbench", "python", "torch", "numpy"])
def test_what_another_version_finished_is_done_again(name: str, done: Job, tmp_path: Path) -> None:
    job = copied(done, tmp_path)
    mark = json.loads(outcome_file(job.folder, "train").read_text())
    rewrite(job.folder, versions={**mark["versions"], name: "999"})
    assert not finished(job.folder, "train")
    redo(job)
    assert json.loads(outcome_file(job.folder, "train").read_text())["versions"] == mark["versions"]
    assert contents(job) == contents(done)


def test_versions_are_those_that_the_packages_tell_of_themselves() -> None:
    environment = describe(Budget(images=1, flops=None, seconds=1.0, memory=1, parameters=1))
    # Builds for CUDA tell more of themselves, such as +cu130, than their metadata.
    assert {name: told.partition("+")[0] for name, told in versions().items()} == {
        name: environment[name].partition("+")[0] for name in versions()
    }


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("evaluate", "training was done elsewhere than the evaluation: cpu "),
        ("score", "the evaluation was done elsewhere than the scoring: cpu "),
    ],
)
def test_a_stage_gone_on_with_on_another_machine_says_so(
    stage: str, told: str, done: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = copied(done, tmp_path)
    monkeypatch.setattr("genbench.engine.environment._cpu_name", lambda: "another processor")
    assert run_stage(stage, job.folder / JOB) == 0
    (warning,) = json.loads(outcome_file(job.folder, stage).read_text())["result"]["warnings"]
    assert warning.startswith(told)
    assert warning.endswith(" instead of 'another processor'")


def test_what_memory_of_a_device_was_held_is_no_difference_between_two_runs() -> None:
    runs = [factories.record(spent={**factories.record().spent, "device_memory": peak}) for peak in (1, 2)]
    assert stable(runs[0]) == stable(runs[1])
