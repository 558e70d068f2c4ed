"""Nothing is left of a stage, whoever dies, and a run whose watchers died is lost."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import supervised
from supervising import TESTS, Run, alive, below, runs, victim_of, wait_for

from genbench.executors import tree
from genbench.executors.launcher import Launcher
from genbench.executors.supervision import Killed


@pytest.fixture(scope="module")
def launcher(others: set[int]) -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        launcher.call("supervised:answer", {}, [TESTS])
        yield launcher


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture(scope="module")
def others() -> set[int]:
    """What other tests of this process keep below it, such as the server that all calls inside it share."""
    return set(below(os.getpid()))


def test_supervising_leaves_no_descriptor_and_no_process(launcher: Launcher, run: Run, others: set[int]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        run.add(supervised.answer).go(launcher)
        run.stages.clear()
    assert len(os.listdir("/proc/self/fd")) == before
    end = time.monotonic() + 2
    while set(below(os.getpid())) - others != {launcher.server_pid} and time.monotonic() < end:
        time.sleep(0.01)
    assert set(below(os.getpid())) - others == {launcher.server_pid}


def test_a_daemon_ends_with_the_stage_that_started_it(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.daemonise, ready=str(run.folder / "ready")).go(launcher)
    assert end.status == "ok"
    assert end.result is not None
    assert len(end.result["pids"]) == 2
    assert not [pid for pid in end.result["pids"] if psutil.pid_exists(pid)]


def test_forked_children_end_with_the_stage_that_forked_them(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.fork_many, count=20).go(launcher)
    assert end.result is not None
    assert len(end.result["pids"]) == 20
    assert not [pid for pid in end.result["pids"] if psutil.pid_exists(pid)]


def test_a_stage_is_cancelled_with_all_that_it_started(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.daemonise, ready=str(ready), then=600.0).add(supervised.answer, "evaluate")
    end = run.go(launcher, lambda: "cancel" if ready.exists() else None)
    assert (end.status, end.reason) == ("cancelled", "the harness was asked to stop")
    assert [end.name for end in run.ends] == ["train"]
    assert not [pid for pid in wait_for(ready) if psutil.pid_exists(pid)]


def test_a_run_that_is_cancelled_before_it_begins_starts_no_process(run: Run) -> None:
    with Launcher(threads=1) as launcher:
        launcher.close()  # so that nothing could be started
        end = run.add(supervised.answer).go(launcher, lambda: "cancel")
        assert (end.name, end.status, end.reason) == ("train", "cancelled", "the harness was asked to stop")


def test_a_run_is_killed_at_once_when_the_harness_says_so(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.daemonise, ready=str(ready), then=600.0)
    with pytest.raises(Killed):
        run.go(launcher, lambda: "kill" if ready.exists() else None)
    assert not alive(wait_for(ready))


def test_a_stage_that_holds_up_the_server_of_its_processes_is_ended_all_the_same(
    launcher: Launcher, run: Run, others: set[int]
) -> None:
    end = run.add(supervised.signal_parent, number=signal.SIGSTOP, seconds=0.5).go(launcher)
    assert end.status == "timeout"
    time.sleep(0.2)
    assert alive([pid for pid in below(os.getpid()) if pid not in others | {launcher.server_pid}]) == []


def test_sigint_to_a_supervisor_is_nothing_and_sigterm_which_nobody_of_ours_sends_loses_the_run(
    launcher: Launcher, run: Run
) -> None:
    ready = run.folder / "ready"
    run.add(supervised.sleep, ready=str(ready))
    thread = threading.Thread(target=run.go, args=(launcher,))
    thread.start()
    pids = wait_for(ready)
    os.kill(victim_of("supervisor", os.getpid()), signal.SIGINT)
    time.sleep(0.3)
    assert thread.is_alive()
    os.kill(victim_of("supervisor", os.getpid()), signal.SIGTERM)
    thread.join(timeout=10)
    assert (run.ends[-1].status, run.ends[-1].reason) == ("lost", "its supervisor was told to end by SIGTERM")
    assert not alive(pids)


def test_a_harness_that_is_held_does_not_keep_limits_from_being_enforced(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.sleep, ready=str(ready), seconds=0.5)
    ended: list[bool] = []

    def hold() -> None:
        if ready.exists() and ready.read_text() and not ended:
            time.sleep(2.0)
            ended.append(not runs(int(ready.read_text())))

    assert run.go(launcher, hold).status == "timeout"
    assert ended == [True]


@pytest.mark.parametrize("who", ["supervisor", "run server"])
def test_the_death_of_who_watches_a_stage_leaves_nothing_of_it_and_the_run_is_lost(
    launcher: Launcher, run: Run, who: str
) -> None:
    ready = run.folder / "ready"
    run.add(supervised.daemonise, ready=str(ready), then=600.0)
    thread = threading.Thread(target=run.go, args=(launcher,))
    thread.start()
    pids = wait_for(ready)
    os.kill(victim_of(who, os.getpid()), signal.SIGKILL)
    thread.join(timeout=10)
    assert run.ends[-1].status == "lost"
    assert not alive(pids)


def test_the_death_of_the_fork_server_loses_a_run_and_the_next_has_another(run: Run) -> None:
    with Launcher(threads=1) as launcher:
        ready = run.folder / "ready"
        run.add(supervised.daemonise, ready=str(ready), then=600.0)
        thread = threading.Thread(target=run.go, args=(launcher,))
        thread.start()
        pids = wait_for(ready)
        os.kill(launcher.server_pid, signal.SIGKILL)
        thread.join(timeout=10)
        assert run.ends[-1].status == "lost"
        assert not alive(pids)
        launcher.check_alive()
        assert launcher.call("supervised:answer", {}, [TESTS])["value"] == 42


HARNESS = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import supervised
from supervising import Run
from genbench.executors.launcher import Launcher
if __name__ == "__main__":
    with Launcher(threads=1) as launcher:
        run = Run(Path({folder!r}))
        run.ends_file = {folder!r} + "/ends.jsonl"
        run.add(supervised.daemonise, ready={ready!r}, then=600.0).go(launcher)
"""


def test_the_death_of_the_harness_leaves_nothing(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = HARNESS.format(tests=TESTS, folder=str(tmp_path), ready=str(ready))
    harness = subprocess.Popen([sys.executable, "-c", code])
    try:
        pids = [*wait_for(ready), *below(harness.pid)]
        assert len(pids) >= 6  # two of the daemon, stage, run server, fork server, supervisor
    finally:
        harness.kill()
        harness.wait()
    assert not alive(pids)
    # What the stage has cost is told to the next harness.
    (line,) = (tmp_path / "ends.jsonl").read_text().splitlines()
    end = json.loads(line)
    assert (end["name"], end["status"], end["reason"]) == ("train", "lost", "the harness has gone")
    assert end["seconds"] > 0
    assert end["peak_memory"] > 10 << 20


# The tree.


def test_descendants_are_found_again_when_their_parents_have_ended() -> None:
    code = "import os, time; os.fork() or os.fork(); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        found = tree.ProcessTree(os.getpid())
        end = time.monotonic() + 10
        while len(found.refresh()) < 3 and time.monotonic() < end:
            time.sleep(0.02)
        expected = {child.pid for child in psutil.Process().children(recursive=True)}
        assert set(found.members) == expected
    finally:
        tree.send(tree.descendants(process.pid), signal.SIGKILL)
        process.kill()
        process.wait()
