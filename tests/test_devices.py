"""Devices: who has which, what a run sees of them, and how many runs may share one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import factories
import pytest
from scripted import Alive, Script, Seen, context_of, planned

from genbench.engine.device import named_devices
from genbench.errors import GenbenchError
from genbench.executors.devices import Device, Devices
from genbench.executors.launcher import HarnessError
from genbench.executors.local import LocalExecutor
from genbench.executors.protocol import StageRequest, Supervision
from genbench.executors.supervision import Killed, supervise
from genbench.plugins import discover
from genbench.record import parse
from genbench.selection import load_benchmark
from genbench.store import Store

REGISTRY = discover()
TWO = [Device("0", "GPU-a"), Device("1", "GPU-b")]


def test_a_run_has_a_device_to_itself_and_the_next_waits(tmp_path: Path) -> None:
    devices = Devices(TWO[:1], folder=str(tmp_path))
    entered: list[Device | None] = []

    def second() -> None:
        with Devices(TWO[:1], folder=str(tmp_path)).one(lambda: False) as device:
            entered.append(device)

    with devices.one(lambda: False) as first:
        assert first == TWO[0]
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        assert entered == []
    thread.join(5)
    assert entered == [TWO[0]]


def test_who_is_told_to_stop_waits_for_no_device(tmp_path: Path) -> None:
    devices = Devices(TWO[:1], folder=str(tmp_path))
    with devices.one(lambda: False), devices.one(lambda: True) as none:
        assert none is None


def test_runs_that_share_devices_fill_each_before_the_next_place(tmp_path: Path) -> None:
    devices = Devices(TWO, 2, str(tmp_path))
    assert devices.places == 4
    go = lambda: False  # noqa: E731
    with devices.one(go) as a, devices.one(go) as b, devices.one(go) as c, devices.one(go) as d:
        assert [each and each.name for each in (a, b, c, d)] == ["0", "1", "0", "1"]
        with devices.one(lambda: True) as none:
            assert none is None


def test_a_run_that_wants_a_device_alone_and_those_that_share_it_keep_each_other_out(tmp_path: Path) -> None:
    alone, shared = Devices(TWO[:1], 1, str(tmp_path)), Devices(TWO[:1], 2, str(tmp_path))
    with alone.one(lambda: False), shared.one(lambda: True) as none:
        assert none is None
    with shared.one(lambda: False), alone.one(lambda: True) as none:
        assert none is None


def test_a_claim_of_a_device_ends_with_its_process_even_by_sigkill(tmp_path: Path) -> None:
    code = f"""
from genbench.executors.devices import Device, Devices
with Devices([Device("0", "GPU-a")], folder={str(tmp_path)!r}).one(lambda: False):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with Devices(TWO[:1], folder=str(tmp_path)).one(lambda: True) as none:
            assert none is None
        process.kill()
    with Devices(TWO[:1], folder=str(tmp_path)).one(lambda: True) as device:
        assert device == TWO[0]


def test_a_supervisor_holds_the_device_of_its_run_when_the_harness_has_ended(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()  # the run server that never answers
    request = StageRequest("train", {}, str(tmp_path / "mark"), str(tmp_path), False, 60.0, "a while", 1 << 40)
    devices, others = Devices(TWO[:1], folder=str(tmp_path)), Devices(TWO[:1], folder=str(tmp_path))
    said: list[str] = []

    def free() -> bool:
        with others.one(lambda: True) as device:
            return device is not None

    def stop() -> Literal["kill"] | None:
        if not said:
            return None
        for descriptor in claim:  # as the end of the harness would
            os.close(descriptor)
        assert not free()
        return "kill"

    launcher: Any = SimpleNamespace(connect=lambda: theirs)
    with ours, ExitStack() as held:
        device = devices._take(held)
        assert device is not None
        claim = device.claim
        held.pop_all()
        supervision = Supervision([request], str(tmp_path / "log"), 1, held=claim)
        with pytest.raises(Killed):
            supervise(supervision, launcher, stop, lambda name, share: said.append(name))
    assert free()


def test_the_device_of_a_run_that_was_killed_is_free_when_nothing_of_it_is_left(tmp_path: Path) -> None:
    devices, others = Devices(TWO[:1], folder=str(tmp_path)), Devices(TWO[:1], folder=str(tmp_path))
    with pytest.raises(Killed), devices.one(lambda: False):
        raise Killed
    with others.one(lambda: True) as none:
        assert none is None
    devices.close()
    with others.one(lambda: True) as device:
        assert device == TWO[0]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, [("GPU-a", "GPU-a"), ("GPU-b", "GPU-b")]),
        ("2,3", [("2", "GPU-a"), ("3", "GPU-b")]),
        ("GPU-a,GPU-b", [("GPU-a", "GPU-a"), ("GPU-b", "GPU-b")]),
        ("MIG-1,MIG-2", [("MIG-1", "MIG-1"), ("MIG-2", "MIG-2")]),
        ("2,3,-1,4", [("2", "GPU-a"), ("3", "GPU-b")]),
    ],
)
def test_devices_have_the_names_of_the_environment_and_keys_of_their_own(
    chosen: str | None, expected: list[tuple[str, str]]
) -> None:
    environment = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    found = named_devices(["GPU-a", "GPU-b"], environment)
    assert [(each["name"], each["key"]) for each in found] == expected


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    found = Script()
    monkeypatch.setattr("genbench.executors.stages.supervise", found.supervise)
    return found


def test_each_run_on_a_device_sees_that_one_alone(tmp_path: Path, script: Script) -> None:
    context = context_of(Store(tmp_path / "results"))
    launcher: Any = Alive()
    executor = LocalExecutor(launcher, context, 8, Devices(TWO, folder=str(tmp_path)))
    executor.execute([planned(seed=seed) for seed in range(3)], Seen())
    assert executor.jobs == 2
    assert {request.work["visible_devices"] for request in script.requests} <= {"0", "1"}
    assert len(script.requests) == 3 * 3


def test_a_stages_process_sees_the_device_that_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genbench.engine import worker

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    seen: list[str] = []
    monkeypatch.setattr(worker, "run_stage", lambda *_: seen.append(os.environ["CUDA_VISIBLE_DEVICES"]) or 0)
    worker.main({"stage": "train", "job": "job.json", "visible_devices": "GPU-b"})
    worker.main({"stage": "train", "job": "job.json", "visible_devices": None})
    assert seen == ["GPU-b", "GPU-b"]  # without a choice it is left as it was


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget__runs_per_device": 2, "budget__device": "cuda"}, "needs device_memory_mib"),
        ({"budget__runs_per_device": 2, "budget__device_memory_mib": 9}, "has a meaning on a device only"),
        ({"budget__runs_per_device": 0}, "runs_per_device"),
    ],
)
def test_several_runs_a_device_are_refused_where_they_make_no_sense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(GenbenchError, match=words):
        factories.benchmark(**changes)


def test_one_run_a_device_is_the_definition_that_it_was_before_there_was_such_a_key() -> None:
    results = Path(__file__).parent.parent / "results"
    published = {path.name: path for path in results.iterdir() if path.is_dir() and path.name in REGISTRY.benchmarks}
    assert published
    for name, folder in published.items():
        record = parse(next(folder.glob("*/seed-*/record.json")).read_text())
        assert record.benchmark.digest == load_benchmark(REGISTRY, name).digest


def test_results_of_a_cpu_and_of_a_device_never_share_a_table() -> None:
    plain = factories.benchmark()
    other = factories.benchmark(budget__device="cuda")
    assert plain.digest != other.digest
    overridden = plain.with_budget({"device": "cuda"})
    assert (overridden.digest != plain.digest, overridden.folder != plain.folder) == (True, True)


def test_locks_that_cannot_be_had_are_an_error_for_people(tmp_path: Path) -> None:
    with (
        pytest.raises(HarnessError, match="no device can be claimed"),
        Devices(TWO, folder=str(tmp_path / "no")).one(lambda: False),
    ):
        pytest.fail("there is nothing to hold")
