"""Executors: how they are found, what they are given, devices, and work that is sent to other machines."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import factories
import pytest
from scripted import Script, context_of, planned

from genbench.benchmark import Benchmark
from genbench.calls import make_call
from genbench.engine.device import named_devices
from genbench.errors import GenbenchError, SpecError
from genbench.executors import interface, shipping
from genbench.executors.audits import Audits
from genbench.executors.devices import Device, Devices
from genbench.executors.interface import Setting, find_executor, parse_options, refuse_unknown
from genbench.executors.local import LocalExecutor
from genbench.executors.room import Room, places_in
from genbench.executors.run import give_up
from genbench.forecast import packed
from genbench.matrix import PlannedRun, choose, plan
from genbench.plugins import Plugin, Registered, Registry, discover
from genbench.record import Record, parse
from genbench.selection import load_benchmark, select_model
from genbench.specs import Budget
from genbench.store import Store

REGISTRY = discover()
GIB = 1 << 30
TWO = [Device("0", "GPU-a"), Device("1", "GPU-b")]
BUDGET = Budget(images=1, flops=None, seconds=1.0, memory=2 * GIB, parameters=1, threads=2)


class Seen:
    """An observer that takes note."""

    def __init__(self) -> None:
        self.finished_runs: list[Record | None] = []

    def started(self, run: PlannedRun) -> None: ...

    def progressed(self, *_: object) -> None: ...

    def retried(self, *_: object) -> None: ...

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        self.finished_runs.append(record)


class Alive:
    """A launcher that nothing is asked of."""

    def check_alive(self) -> None: ...


# Finding one.


def test_an_unknown_executor_is_refused_with_the_nearest_name_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(GenbenchError, match="did you mean 'ray'") as caught:
        make_call(REGISTRY, factories.benchmark(), Store(tmp_path / "r"), ["noise"], executor="rai")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "r").exists()


def test_without_ray_its_executor_says_in_one_line_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "genbench.executors.ray", raising=False)
    with pytest.raises(GenbenchError, match=r"pip install 'genbench\[ray\]'") as caught:
        find_executor(REGISTRY, "ray")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_executor_of_a_plugin_is_found_by_its_name() -> None:
    registry = Registry(REGISTRY.manager)
    registry.executors["theirs"] = Registered(f"{__name__}:Seen", Plugin("theirs", "theirs", "1", "theirs"))
    assert find_executor(registry, "theirs") is Seen


def test_an_executor_whose_code_is_not_there_is_an_error_for_people() -> None:
    registry = Registry(REGISTRY.manager)
    registry.executors["theirs"] = Registered("nowhere.at_all:make", Plugin("theirs", "theirs", "1", "theirs"))
    with pytest.raises(GenbenchError, match=r"--executor theirs: nowhere\.at_all:make"):
        find_executor(registry, "theirs")


@pytest.mark.parametrize("items", [["address"], ["=x"], ["a=1", "a=2"], ["a=\x1b"]])
def test_an_option_of_another_form_is_refused(items: list[str]) -> None:
    with pytest.raises(GenbenchError, match="--executor-option"):
        parse_options(items)


def test_an_option_that_the_executor_has_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="address"):
        refuse_unknown("ray", {"adress": "auto"}, ["address"])


@pytest.mark.parametrize("item", ["ray", ("Ray!", "a:b"), ("mine", "no target"), (1, 2), None])
def test_what_is_no_pair_of_a_name_and_a_target_is_reported_of_its_plugin(item: Any) -> None:
    from genbench.plugins import CHECKS

    with pytest.raises(SpecError, match="registers"):
        CHECKS["executors"](item)


# Devices.


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


# Room on a cluster.


@pytest.mark.parametrize(
    ("resources", "changes", "places"),
    [
        ({"CPU": 32.0, "memory": 64.0 * GIB}, {}, 16),
        ({"CPU": 32.0, "memory": 7.0 * GIB}, {}, 3),
        ({"CPU": 1.0, "memory": 64.0 * GIB}, {}, 0),
        ({"CPU": 32.0, "memory": 64.0 * GIB}, {"device": "cuda"}, 0),
        ({"CPU": 32.0, "memory": 64.0 * GIB, "GPU": 4.0}, {"device": "cuda"}, 4),
        ({"CPU": 32.0, "memory": 64.0 * GIB, "GPU": 4.0}, {"device": "cuda", "runs_per_device": 3}, 12),
        ({}, {}, 0),
    ],
)
def test_a_node_has_room_for_as_many_runs_as_its_scarcest_resource(
    resources: dict[str, float], changes: dict[str, Any], places: int
) -> None:
    need = Room.for_run(dataclasses.replace(BUDGET, **changes))
    assert places_in([Room.of_node(resources)], need) == places
    assert need.of_task()["memory"] == 2 * GIB


def test_shares_of_a_device_never_add_up_to_more_than_it() -> None:
    for runs in range(1, 65):
        need = Room.for_run(dataclasses.replace(BUDGET, device="cuda", runs_per_device=runs))
        assert round(need.devices, 4) == need.devices  # Ray counts in ten-thousandths
        assert need.devices * runs <= 1


# Work as plain data.


def setting_of(benchmark: Benchmark, root: Path) -> Setting:
    return Setting(REGISTRY, benchmark, Store(root))


def shipped(root: Path, model: str = "vae[latent=4]") -> tuple[shipping.ShippedCall, shipping.ShippedRun, PlannedRun]:
    benchmark = load_benchmark(REGISTRY, "digits-smoke", budget_overrides={"images": 64})
    (run,) = plan(Store(root), benchmark, choose(benchmark, [select_model(REGISTRY, model)]), [1])
    call = shipping.ship_call(setting_of(benchmark, root), [run], "probe-token")
    return call, shipping.ship_run(run, benchmark), run


def test_a_run_that_was_sent_is_the_same_run_where_the_same_is_installed(tmp_path: Path) -> None:
    call, sent, run = shipped(tmp_path)
    benchmark = shipping.rebuild_benchmark(shipping.received_call(dataclasses.asdict(call)), REGISTRY)
    rebuilt = shipping.rebuild_run(sent, benchmark, REGISTRY, {})
    assert (benchmark.folder, benchmark.budget) == (run.key.benchmark, benchmark.budget)
    assert rebuilt == run


def test_what_is_sent_is_plain_data(tmp_path: Path) -> None:
    import json

    call, sent, _ = shipped(tmp_path)
    for document in (dataclasses.asdict(call), dataclasses.asdict(sent)):
        assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("changes", [{"version": "0.0.1"}, {"protocol": 1}])
def test_another_genbench_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    call, _, _ = shipped(tmp_path)
    with pytest.raises(shipping.Unlike, match="install the same on all nodes"):
        shipping.received_call(dataclasses.asdict(call) | changes)


def test_another_benchmark_is_refused(tmp_path: Path) -> None:
    call, _, _ = shipped(tmp_path)
    with pytest.raises(shipping.Unlike, match="digits-smoke has the digest"):
        shipping.rebuild_benchmark(dataclasses.replace(call, digest="0" * 16), REGISTRY)


def test_other_code_of_a_model_is_refused_with_both_hashes(tmp_path: Path) -> None:
    call, sent, _ = shipped(tmp_path)
    benchmark = shipping.rebuild_benchmark(call, REGISTRY)
    other = dataclasses.replace(sent, identity="0" * 64, code_sha256="f" * 64)
    with pytest.raises(shipping.Unlike, match=f"code {'f' * 16}"):
        shipping.rebuild_run(other, benchmark, REGISTRY, {})


def test_a_node_that_does_not_see_the_results_folder_is_refused(tmp_path: Path) -> None:
    call, _, _ = shipped(tmp_path)
    with pytest.raises(shipping.Unlike, match="does not see the results folder"):
        shipping.check_shared(call, patience=0.1)


def test_a_node_that_does_not_see_the_locks_of_the_results_folder_is_refused(tmp_path: Path) -> None:
    call, _, _ = shipped(tmp_path)
    (tmp_path / ".work").mkdir()
    descriptor = shipping.write_token(tmp_path, call.token)
    shipping.check_shared(call)
    fcntl.flock(descriptor, fcntl.LOCK_UN)  # as if the lock stayed on the other machine
    with pytest.raises(shipping.Unlike, match="but not the locks"):
        shipping.check_shared(call)
    os.close(descriptor)


# What many harnesses need.


def test_a_run_that_is_done_meanwhile_is_not_claimed(tmp_path: Path, script: Script) -> None:
    store = Store(tmp_path / "results")
    context, run, seen = context_of(store), planned(), Seen()
    launcher: Any = Alive()
    executor = LocalExecutor(launcher, context, 1)
    executor.execute([run], seen)
    asked = len(script.requests)
    (store.root / ".work").rmdir()
    executor.execute([run], seen)
    assert seen.finished_runs[0] == seen.finished_runs[1]
    assert len(script.requests) == asked
    assert not (store.root / ".work").exists()


def test_a_run_whose_nodes_were_lost_has_a_record_that_says_so_and_is_done_by_the_next_call(
    tmp_path: Path, script: Script
) -> None:
    store = Store(tmp_path / "results")
    context, run, seen = context_of(store), planned(), Seen()
    record = give_up(run, context, "its node was lost")
    assert record is not None
    assert (record.status, record.reason) == ("lost", "its node was lost")
    launcher: Any = Alive()
    again = dataclasses.replace(run, state="retry", record=store.read(run.key))
    LocalExecutor(launcher, context, 1).execute([again], seen)
    assert [each and each.status for each in seen.finished_runs] == ["ok"]


def test_giving_up_leaves_a_record_that_is_there_by_now(tmp_path: Path, script: Script) -> None:
    context, run = context_of(Store(tmp_path / "results")), planned()
    launcher: Any = Alive()
    LocalExecutor(launcher, context, 1).execute([run], Seen())
    record = give_up(run, context, "its node was lost")
    assert record is not None
    assert record.status == "ok"


def test_a_sweep_lists_the_work_folder_once_however_many_runs_were_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results")
    for seed in range(5):
        with pytest.raises(InterruptedError), store.claim(planned(seed=seed).key, "identity"):
            raise InterruptedError
    listed: list[Any] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    store.sweep()
    assert len(listed) == 1
    assert len(real(store.root / ".work")) == 5


def test_waiting_runs_look_for_a_verdict_ever_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genbench.executors import audits

    pauses: list[float] = []
    monkeypatch.setattr(audits, "_wait", lambda seconds, stopped: pauses.append(seconds))
    monkeypatch.setattr(audits, "key_of", lambda job: "key")
    (tmp_path / "key.lock").touch()
    holder = os.open(tmp_path / "key.lock", os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    job, never = Any, Any
    assert Audits(tmp_path).verdict(job, lambda: len(pauses) > 30, never) is None  # type: ignore[arg-type]
    os.close(holder)
    assert pauses[0] == audits.FIRST_TRY
    assert pauses == sorted(pauses)
    assert pauses[-1] == audits.LONGEST_TRY


def test_runs_are_packed_in_their_order() -> None:
    assert packed([3.0, 1.0, 1.0, 1.0], 2) == 3.0
    assert packed([1.0, 1.0, 1.0], 8) == 1.0
    assert packed([], 4) == 0.0


def test_the_interface_names_what_comes_with_genbench() -> None:
    assert set(interface.OWN) == {"local", "ray"}
    assert {name: registered.spec for name, registered in REGISTRY.executors.items()} == interface.OWN
