"""Executors: how they are found, what they are given, devices, and work that is sent to other machines."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import sys
from pathlib import Path
from typing import Any

import factories
import pytest
from scripted import Alive, Script, Seen, context_of, planned

from genbench.benchmark import Benchmark
from genbench.calls import make_call
from genbench.errors import GenbenchError, SpecError
from genbench.executors import interface, shipping
from genbench.executors.audits import Audits
from genbench.executors.interface import Setting, find_executor, parse_options, refuse_unknown
from genbench.executors.local import LocalExecutor
from genbench.executors.room import Room, places_in
from genbench.executors.run import give_up
from genbench.matrix import PlannedRun, choose, plan
from genbench.plugins import Plugin, Registered, Registry, discover
from genbench.selection import load_benchmark, select_model
from genbench.specs import Budget
from genbench.store import Store

REGISTRY = discover()
GIB = 1 << 30
BUDGET = Budget(images=1, flops=None, seconds=1.0, memory=2 * GIB, parameters=1, threads=2)


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


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    found = Script()
    monkeypatch.setattr("genbench.executors.stages.supervise", found.supervise)
    return found


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


def test_folders_that_variables_name_are_sent_as_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENBENCH_CACHE", "cache")
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    monkeypatch.delenv("GENBENCH_DATA", raising=False)
    call, _, _ = shipped(tmp_path)
    assert call.environment == {"GENBENCH_CACHE": str(tmp_path / "cache"), "GENBENCH_OFFLINE": "1"}


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


def interrupted(folder: Path, runs: int) -> Store:
    """A results folder in which as many runs were interrupted."""
    store = Store(folder / "results")
    for seed in range(runs):
        with pytest.raises(InterruptedError), store.claim(planned(seed=seed).key, "identity"):
            raise InterruptedError
    return store


def test_a_sweep_lists_the_work_folder_once_however_many_runs_were_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = interrupted(tmp_path, 5)
    work, listed = store.root / ".work", []
    for name in ("listdir", "scandir"):  # pathlib takes the one or the other, by Python's version
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real: listed.append(Path(path)) or real(path))
    store.sweep()
    assert listed.count(work) == 1
    assert len(list(work.iterdir())) == 5


def test_a_sweep_takes_no_lock_that_a_harness_may_want_which_goes_on_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genbench.claims import Work

    store = interrupted(tmp_path, 2)
    ledgers = sorted((store.root / ".work").glob("*/run.json"))
    ledgers[1].unlink()  # nobody can go on with that one
    tried: list[str] = []
    real = Work.held
    monkeypatch.setattr(Work, "held", lambda work: tried.append(work.name) or real(work))
    store.sweep()
    assert tried == ["tiny--toy--seed-1"]
    assert [path.parent for path in (store.root / ".work").glob("*/run.json")] == [ledgers[0].parent]


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


def test_the_interface_names_what_comes_with_genbench() -> None:
    assert set(interface.OWN) == {"local", "ray"}
    assert {name: registered.spec for name, registered in REGISTRY.executors.items()} == interface.OWN
