"""The conformance kit in a process of its own: whatever ends that, the verdicts before it stand."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import job_of
from mutants import Config

from genbench import ModelSpec
from genbench.engine.checks import RULES
from genbench.executors.checking import Course, carry_out_checks
from genbench.executors.launcher import Launcher
from genbench.executors.task import Task
from genbench.plugins import discover

ENDING = """\
import ctypes
import os

import torch


class Model:
    def __init__(self, config, data, device):
        self.weight = torch.zeros(data.dims)

    def sample(self, n, labels):
        return None

    def state_dict(self):
        return {"weight": self.weight}

    def load_state_dict(self, state):
        self.weight.copy_(state["weight"])


class Vanishes(Model):
    def train_step(self, batch, progress):
        print("no licence", flush=True)
        os._exit(0)


class Hangs(Model):
    def train_step(self, batch, progress):
        ctypes.PyDLL(None).sleep(3600)


class Hoards(Model):
    def train_step(self, batch, progress):
        hoard = []
        while True:
            hoard.append(torch.ones(4_000_000))


class Crashes(Model):
    def train_step(self, batch, progress):
        ctypes.string_at(0)
"""


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        yield launcher


def checked(launcher: Launcher, model: str, folder: Path, seconds: float = 60.0) -> Course:
    """How far the checks of a model come."""
    (folder / "ending.py").write_text(ENDING)
    job = job_of(discover(), ModelSpec("ending", f"ending:{model}", Config, "for tests"), folder)
    paths = [str(folder), str(Path(__file__).parent)]
    job = dataclasses.replace(job, sys_path=paths, budget=dataclasses.replace(job.budget, memory=900 << 20))
    job.write()
    return carry_out_checks(Task(job, launcher), seconds, lambda group: None)


@pytest.mark.parametrize(
    ("model", "seconds", "measured", "cause"),
    [
        ("Vanishes", 60, "the process exited with 0 before it was done", "its last words: no licence"),
        ("Hangs", 4, "did not come to an end within 4 s", "it stood at ending.py:29: "),
        ("Hoards", 60, "(limit 900 MiB, peak ", "kept from step to step"),
        ("Crashes", 60, "the process was ended by SIGSEGV", "it stood at ending.py:41: "),
    ],
)
def test_the_check_in_which_a_model_ends_the_process_has_failed(
    model: str, seconds: float, measured: str, cause: str, launcher: Launcher, tmp_path: Path
) -> None:
    course = checked(launcher, model, tmp_path, seconds)
    *before, last = course.results
    assert course.checks == len(RULES) > len(course.results)
    assert [result["name"] for result in before] == [rule.name for rule in RULES[: len(before)]]
    assert {result["verdict"] for result in before} == {"passed"}
    assert (last["name"], last["verdict"]) == ("training_logs_are_finite_scalars", "failed")
    assert measured in last["measured"]
    assert cause in last["cause"]
    json.dumps(course.results, allow_nan=False)
