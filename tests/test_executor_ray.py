"""The ray executor's course of runs, against a stand-in for Ray; tests/ray_cluster.py tries it on a real cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import factories
import pytest
from scripted import planned

from genbench.errors import DataError, GenbenchError
from genbench.executors.interface import Setting
from genbench.executors.supervision import Killed
from genbench.matrix import PlannedRun
from genbench.record import Record, Status
from genbench.store import Store

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'genbench[ray]'")
from genbench.executors import ray as executor_module  # noqa: E402 - they can't be imported without Ray
from genbench.executors import ray_connection as connection_module  # noqa: E402
from genbench.executors import ray_node as node_module  # noqa: E402

ASKED = "GENBENCH_RAY_CLUSTER"
Answer = dict[str, Any] | BaseException


class Told:
    """An observer that takes note of everything, in words."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, run: PlannedRun) -> None:
        self.lines.append(f"{run.key.seed} started")

    def progressed(self, run: PlannedRun, stage: str, progress: float) -> None:
        self.lines.append(f"{run.key.seed} {stage} {progress}")

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        self.lines.append(f"{run.key.seed} {status} {tries}/{most}")

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        self.lines.append(f"{run.key.seed} {None if record is None else record.status}")


class StandIn:
    """For the module ``ray``: each task ends as ``answer`` says, of the run's number and how often it was sent."""

    def __init__(self, answer: Callable[[int, int], Answer]) -> None:
        self.answer = answer
        self.sent: list[int] = []
        self.most = 0
        self.open: set[tuple[int, int]] = set()
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.stops: list[str] = []

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 64.0 * 2**30}}, {"Alive": False, "Resources": {}}]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)

    def put(self, found: Any) -> Any:
        return found

    def kill(self, *_: Any) -> None: ...

    def cancel(self, reference: Any, force: bool = False) -> None: ...

    def remote(self, target: Any) -> Any:
        made = SimpleNamespace(remote=self._desk if target is executor_module.Desk else self._send)
        return SimpleNamespace(options=lambda **_: made)

    def _desk(self) -> Any:
        def drain(pace: float) -> Any:
            events, self.events = self.events, []
            return events

        return SimpleNamespace(
            drain=SimpleNamespace(remote=drain),
            stop=SimpleNamespace(remote=self.stops.append),
        )

    def _send(self, call: Any, number: int, run: Any, desk: Any) -> Any:
        reference = (number, self.sent.count(number))
        self.sent.append(number)
        self.open.add(reference)
        self.most = max(self.most, len(self.open))
        return reference

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Any) -> Any:
        if not isinstance(reference, tuple):
            return reference  # what the desk has answered
        self.open.discard(reference)
        answer = self.answer(*reference)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def well(number: int) -> Answer:
    return {"node": "n", "record": factories.record(seed=number).to_json()}


def follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[[int, int], Answer], runs: int = 1, **options: Any
) -> tuple[Told, StandIn, Any]:
    """An executor on a stand-in, with what it is to be told when it is done."""
    stand_in, told = StandIn(answer), Told()
    monkeypatch.setattr(executor_module, "ray", stand_in)
    monkeypatch.setattr(executor_module, "HELD_SECONDS", 0.0)
    registry = factories.registry()
    setting = Setting(registry, factories.benchmark(), Store(tmp_path / "results"), **options)
    executor = executor_module.RayExecutor(setting, "probe-token")
    return told, stand_in, lambda: executor.execute([planned(seed=seed) for seed in range(runs)], told)


def lost() -> BaseException:
    return executor_module.WorkerCrashedError()


def test_no_more_tasks_are_with_ray_than_there_is_room_for_and_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, stand_in, go = follow(tmp_path, monkeypatch, lambda number, _: well(number), runs=12)
    go()
    assert stand_in.most == 3  # two CPUs
    assert sorted(line for line in told.lines if line.endswith("ok")) == sorted(f"{seed} ok" for seed in range(12))


def test_jobs_bound_the_tasks_that_are_with_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, stand_in, go = follow(tmp_path, monkeypatch, lambda number, _: well(number), runs=5, jobs=1)
    go()
    assert stand_in.most == 1


def test_a_run_whose_node_is_lost_is_sent_again_and_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, stand_in, go = follow(tmp_path, monkeypatch, lambda number, sent: well(number) if sent else lost())
    go()
    assert stand_in.sent == [0, 0]
    assert told.lines == ["0 started", "0 lost 1/3", "0 ok"]


@pytest.mark.parametrize(
    "answer",
    [
        {"node": "n", "not_begun": True},  # of a worker that takes its driver for dead
        {"node": "n", "killed": True},
        executor_module.TaskCancelledError(),  # of a worker that got a Ctrl-C in the terminal of its node
        executor_module.ObjectLostError("0" * 56, None, ""),  # of a node that died with the answer
    ],
)
def test_a_run_that_came_to_nothing_unasked_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    told, _, go = follow(tmp_path, monkeypatch, lambda number, sent: well(number) if sent else answer)
    go()
    assert told.lines == ["0 started", "0 lost 1/3", "0 ok"]


def test_a_run_that_loses_three_nodes_has_a_record_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, stand_in, go = follow(tmp_path, monkeypatch, lambda number, sent: lost())
    go()
    assert stand_in.sent == [0, 0, 0]
    assert told.lines == ["0 started", "0 lost 1/3", "0 lost 2/3", "0 lost"]
    (record,) = Store(tmp_path / "results").load().records
    assert record.reason is not None
    assert record.reason.startswith("its node was lost: WorkerCrashedError")


def test_a_run_that_is_held_still_after_its_node_was_lost_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [lost(), {"node": "n", "record": None}, {"node": "n", "record": None}, well(0)]
    told, _, go = follow(tmp_path, monkeypatch, lambda number, sent: answers[sent])
    go()
    assert told.lines[-1] == "0 ok"


def test_a_run_that_another_harness_holds_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, stand_in, go = follow(tmp_path, monkeypatch, lambda number, sent: {"node": "n", "record": None})
    go()
    assert (stand_in.sent, told.lines) == ([0], ["0 started", "0 None"])


def test_what_a_node_refuses_ends_the_call_in_order_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"node": "n7", "refused": "has genbench 0.0.1", "exit_code": 2}
    told, stand_in, go = follow(
        tmp_path, monkeypatch, lambda number, _: refusal if number == 0 else well(number), runs=9
    )
    with pytest.raises(GenbenchError, match=r"node n7: has genbench 0\.0\.1") as caught:
        go()
    assert caught.value.exit_code == 2
    assert stand_in.stops == ["cancel"]
    assert len(stand_in.sent) < 9
    assert "1 ok" in told.lines  # what was under way has ended


@pytest.mark.parametrize(("how", "error"), [("cancel", None), ("kill", Killed)])
def test_a_person_who_stops_is_passed_on_to_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, error: type[BaseException] | None
) -> None:
    stand_in, told = StandIn(lambda number, _: {"node": "n", "not_begun": True}), Told()
    monkeypatch.setattr(executor_module, "ray", stand_in)
    setting = Setting(factories.registry(), factories.benchmark(), Store(tmp_path / "results"))
    executor = executor_module.RayExecutor(setting, "probe-token")
    told.started = lambda run: getattr(executor, how)()  # type: ignore[method-assign]
    stand_in.events.append((0, {"started": "n"}))
    runs = [planned(seed=seed) for seed in range(9)]
    if error is None:
        executor.execute(runs, told)
    else:
        with pytest.raises(error):
            executor.execute(runs, told)
    assert stand_in.stops == [how]
    assert len(stand_in.sent) <= 3
    assert told.lines == []


def test_progress_comes_to_the_observer_and_none_after_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, stand_in, go = follow(tmp_path, monkeypatch, lambda number, _: well(number))
    stand_in.events += [(0, {"stage": "train", "progress": 0.5}), (8, {"stage": "train", "progress": 0.5})]
    go()
    assert told.lines == ["0 started", "0 train 0.5", "0 ok"]


def test_a_cluster_without_room_for_a_run_is_refused_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "ray", StandIn(lambda number, _: well(number)))
    setting = Setting(factories.registry(), factories.benchmark(budget__threads=4), Store(tmp_path))
    with pytest.raises(GenbenchError, match=r"needs 4 CPU, 1,024 MiB; the nodes have: 2 CPU, 65,536 MiB"):
        executor_module.RayExecutor(setting, "probe-token")


def test_the_window_of_tasks_follows_the_nodes_within_the_jobs_and_a_cluster_without_room_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    _, stand_in, _ = follow(tmp_path, monkeypatch, lambda number, _: well(number))
    setting = Setting(factories.registry(), factories.benchmark(), Store(tmp_path), jobs=40, say=said.append)
    executor = executor_module.RayExecutor(setting, "probe-token")
    windows = []
    for cpus in (2, 20, 39, 80, 0, 0, 4):
        monkeypatch.setattr(
            stand_in, "nodes", lambda cpus=cpus: [{"Alive": True, "Resources": {"CPU": cpus, "memory": 2**40}}]
        )
        windows.append(executor.window())
    assert windows == [3, 22, 40, 40, 1, 1, 5]
    assert [line.partition(";")[0] for line in said] == ["No node of the Ray cluster has room for a run any more"]


# A node's side.


class Gone:
    """For the module ``ray`` where the driver has gone: nothing that the desk was asked comes back."""

    def wait(self, *_: Any, **__: Any) -> Any:
        raise executor_module.RayActorError


def desk_of(name: str) -> Any:
    return SimpleNamespace(name=name, stop_after=SimpleNamespace(remote=lambda known: None))


def test_a_worker_that_lost_its_driver_stops_what_it_does_and_is_linked_again_by_the_next_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_module, "ray", Gone())
    desk, call = desk_of("driver"), SimpleNamespace(plugin_files=[])
    first = node_module._Link(desk)
    end = time.monotonic() + 5
    while not first.lost and time.monotonic() < end:
        time.sleep(0.001)
    assert (first.stop, first.lost) == ("kill", True)
    monkeypatch.setattr(node_module, "_Link", lambda desk: SimpleNamespace(desk=desk, stop=None, lost=False))
    worker: Any = SimpleNamespace(link=first, registry=None)
    node_module._Worker.keep_up(worker, call, desk)  # type: ignore[arg-type]
    second = worker.link
    assert (second.desk, second.stop) == (desk, None)
    node_module._Worker.keep_up(worker, call, desk)  # type: ignore[arg-type]
    assert worker.link is second
    node_module._Worker.keep_up(worker, call, desk_of("another course"))  # type: ignore[arg-type]
    assert worker.link.desk.name == "another course"


def test_a_worker_that_refuses_a_call_leaves_no_fork_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[Any] = []

    class Server:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.closed = False
            launched.append(self)

        def close(self) -> None:
            self.closed = True

    def refuse(*_: Any) -> None:
        raise DataError("no such data")

    nothing = lambda *_: None  # noqa: E731
    for name, stand_in in {
        "check_shared": nothing,
        "discover": nothing,
        "add_plugin_files": nothing,
        "rebuild_benchmark": lambda *_: factories.benchmark(),
        "Launcher": Server,
        "make_context": refuse,
    }.items():
        monkeypatch.setattr(node_module, name, stand_in)
    call: Any = SimpleNamespace(environment={}, root=str(tmp_path), checkpoint_seconds=None)
    with pytest.raises(DataError):
        node_module._Worker(call, None)
    assert [server.closed for server in launched] == [True]


def test_versions_that_do_not_match_are_told_where_the_cluster_can_not_be_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.1\n    Python: 3.9\nThis one")

    monkeypatch.setattr(connection_module.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connection_module.ray, "init", refuse)
    setting = Setting(factories.registry(), factories.benchmark(), Store(tmp_path), options={"address": "auto"})
    with (
        pytest.raises(GenbenchError, match=r"no Ray cluster at 'auto': .*Ray: 2\.1 Python: 3\.9"),
        connection_module.connected(setting),
    ):
        pytest.fail("there is no cluster")


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("ray://head:10001", None, "call genbench on a node of the cluster"),
        ("head", ConnectionError("Failed to connect"), "Failed to connect.*set RAY_AUTH_MODE=token"),
    ],
)
def test_a_cluster_that_can_not_be_joined_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, error: Exception | None, words: str
) -> None:
    def refuse(**_: Any) -> None:
        assert error is not None, "Ray is asked"
        raise error

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(connection_module.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connection_module.ray, "init", refuse)
    setting = Setting(factories.registry(), factories.benchmark(), Store(tmp_path), options={"address": address})
    with pytest.raises(GenbenchError, match=words), connection_module.connected(setting):
        pytest.fail("there is no cluster")


@pytest.mark.parametrize("port", [0, 10**6])
def test_an_address_at_which_nothing_answers_is_told_before_ray_tries_for_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setattr(connection_module.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(connection_module.ray, "init", lambda **_: pytest.fail("Ray is asked"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        address = f"127.0.0.1:{port or taken.getsockname()[1]}"
        setting = Setting(factories.registry(), factories.benchmark(), Store(tmp_path), options={"address": address})
        with (
            pytest.raises(GenbenchError, match=f"no Ray cluster at '{address}': nothing answers"),
            connection_module.connected(setting),
        ):
            pytest.fail("there is no cluster")


@pytest.mark.skipif(
    ASKED not in os.environ, reason=f"takes minutes and processes by the dozen: set {ASKED}=1 to run it"
)
@pytest.mark.timeout(1800)
def test_the_promises_hold_on_a_real_cluster(tmp_path: Path) -> None:
    script = Path(__file__).with_name("ray_cluster.py")
    done = subprocess.run([sys.executable, script, "--folder", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
