"""A supervised stage, whatever it does, ends in time with the right status, and nothing of it is left."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
import supervised
from supervised import MEBIBYTE

from genbench.executors import tree
from genbench.executors.launcher import Launcher
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import Killed, supervise

TESTS = str(Path(__file__).parent)
PLENTY = 4096 * MEBIBYTE


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        launcher.call("supervised:answer", {}, [TESTS])
        yield launcher


class Run:
    """A folder with stages to be supervised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.told: list[tuple[str, float]] = []
        self.stages: list[StageRequest] = []

    def add(self, function: Callable[..., Any], name: str = "train", **options: Any) -> "Run":
        limits = {key: options.pop(key) for key in ("seconds", "memory", "over_memory") if key in options}
        mark = self.folder / f"outcome-{name}.json"
        work = {
            "task": f"supervised:{function.__name__}",
            "arguments": options,
            "outcome": str(mark),
            "sys_path": [TESTS],
        }
        request = StageRequest(
            **{"seconds": 60.0, "memory": PLENTY, **limits},
            name=name,
            work=work,
            mark=str(mark),
            cwd=str(self.folder / "scratch"),
            progress=str(self.folder / "progress"),
            allowed="a while",
        )
        self.stages.append(request)
        return self

    def go(self, launcher: Launcher, stop: Callable[[], Literal["cancel", "kill"] | None] = lambda: None) -> StageEnd:
        """Supervise, and return how the last stage ended."""
        supervision = Supervision(self.stages, str(self.log), threads=1)
        self.ends = supervise(supervision, launcher, stop, lambda name, share: self.told.append((name, share)))
        return self.ends[-1]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def alive(pids: list[int]) -> list[int]:
    """Those of some processes that still run, a moment being allowed for the last of them to be noticed."""
    end = time.monotonic() + 2.0
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    return left


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_for(path: Path) -> list[int]:
    """Process ids that a stage has left in a file."""
    end = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return [int(word) for word in path.read_text().split()]


def below(process: int) -> list[int]:
    return [child.pid for child in psutil.Process(process).children(recursive=True)]


# How a stage ends.


def test_a_stage_that_ends_well_gives_its_result_its_time_and_its_memory(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.answer).go(launcher)
    assert (end.status, end.reason, end.result and end.result["value"]) == ("ok", None, 42)
    assert 0 < end.seconds < 10
    assert end.cpu_seconds > 0
    assert end.peak_memory > 10 * MEBIBYTE


def test_stages_follow_one_another_up_to_the_first_that_fails(launcher: Launcher, run: Run) -> None:
    run.add(supervised.answer, "train").add(supervised.exit_at_once, "evaluate", code=0).add(supervised.answer, "score")
    run.go(launcher)
    assert [(end.name, end.status) for end in run.ends] == [("train", "ok"), ("evaluate", "failed")]


@pytest.mark.parametrize(
    ("function", "arguments", "status", "words"),
    [
        (supervised.exit_at_once, {"code": 0}, "failed", "train exited with 0 before it was done; see log.txt"),
        (supervised.exit_at_once, {"code": 3}, "failed", "train exited with 3 before it was done; see log.txt"),
        (supervised.end_by, {"number": signal.SIGSEGV}, "crashed", "train was ended by SIGSEGV; see log.txt"),
        (supervised.end_by, {"number": signal.SIGABRT}, "crashed", "SIGABRT"),
        (supervised.end_by, {"number": signal.SIGKILL}, "lost", "SIGKILL"),
        (supervised.end_by, {"number": signal.SIGTERM}, "lost", "SIGTERM"),
        (supervised.kill_parent, {}, "lost", "server"),
    ],
)
def test_an_end_without_a_mark_is_told_by_its_exit_code(
    launcher: Launcher, run: Run, function: Callable[..., Any], arguments: dict[str, Any], status: str, words: str
) -> None:
    end = run.add(function, **arguments).go(launcher)
    assert end.status == status
    assert words in (end.reason or "")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"ok"', "null", '{"status": "ok"}', '{"status": "perfect", "result": {}}', '{"status": "failed"}',
     '{"status": "ok", "result": {"loss": NaN}}', '{"status": ["ok"], "result": {}}', "[" * 100_000],
)  # fmt: skip
def test_a_mark_that_is_none_is_a_failure(launcher: Launcher, run: Run, text: str) -> None:
    path = str(run.folder / "outcome-train.json")
    end = run.add(supervised.leave, path=path, text=text).go(launcher)
    assert end.status == "failed"
    assert "completion mark" in (end.reason or "")


def test_a_mark_of_an_earlier_attempt_does_not_count(launcher: Launcher, run: Run) -> None:
    (run.folder / "outcome-train.json").write_text('{"status": "ok", "reason": null, "result": {}}')
    assert run.add(supervised.exit_at_once, code=0).go(launcher).status == "failed"


def test_a_stage_that_removes_its_runs_folder_has_failed(launcher: Launcher, run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    end = run.add(supervised.remove, folder=str(run.folder)).go(launcher)
    assert end.status == "failed"
    assert "folder was removed" in (end.reason or "")


def test_the_folder_that_a_stage_starts_in_is_made_for_it_and_goes_with_it(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.litter).go(launcher)
    assert end.result == {"cwd": str(run.folder / "scratch")}
    assert not (run.folder / "scratch").exists()


def test_progress_is_passed_on_as_it_is_made(launcher: Launcher, run: Run) -> None:
    run.add(supervised.progress, path=str(run.folder / "progress")).go(launcher)
    assert run.told == [("train", share) for share in (0.0, 0.25, 0.5, 0.75)]


# Limits.


@pytest.mark.parametrize(
    "function", [supervised.sleep, supervised.hold_the_gil, supervised.ignore_sigterm, supervised.print_for_ever]
)
def test_a_stage_that_does_not_end_is_dead_within_two_seconds_of_its_deadline(
    launcher: Launcher, run: Run, function: Callable[..., Any]
) -> None:
    end = run.add(function, seconds=0.5).go(launcher)
    assert end.status == "timeout"
    assert end.reason == "train was still running after 0.5 s, where the benchmark allows a while"
    assert end.seconds < 0.5 + 2.0


@pytest.mark.parametrize("name", ["train", "score"])
def test_a_stage_that_allocates_without_end_is_stopped_within_a_quarter_over_its_cap(
    launcher: Launcher, run: Run, name: str
) -> None:
    cap = 700 * MEBIBYTE
    status = "harness_error" if name == "score" else "oom_host"
    end = run.add(supervised.allocate, name, memory=cap, over_memory=status).go(launcher)
    assert end.status == status
    assert "where the benchmark allows 700 MiB" in (end.reason or "")
    assert cap < end.peak_memory < 1.25 * cap


def test_the_memory_of_all_processes_counts_together_and_shared_pages_once(launcher: Launcher, run: Run) -> None:
    # Each shares some 200 MiB of torch: as plain sums both would be over.
    one = psutil.Process().memory_info().rss
    few, cap = 5, 1000 * MEBIBYTE
    assert (
        run.add(supervised.allocate_in_children, children=few, each=20 * MEBIBYTE, memory=cap, seconds=1.5)
        .go(launcher)
        .status
        == "timeout"
    ), one
    again = Run(run.folder / "again")
    again.folder.mkdir()
    end = again.add(supervised.allocate_in_children, children=few, each=250 * MEBIBYTE, memory=cap).go(launcher)
    assert end.status == "oom_host"


def test_the_peak_of_a_short_lived_allocation_is_seen(launcher: Launcher, run: Run) -> None:
    base = run.add(supervised.answer).go(launcher).peak_memory
    again = Run(run.folder / "again")
    again.folder.mkdir()
    peak = again.add(supervised.allocate_briefly, size=200 * MEBIBYTE).go(launcher).peak_memory
    assert 195 * MEBIBYTE < peak - base < 260 * MEBIBYTE


def test_a_stage_does_not_inherit_the_peak_of_one_before_it(launcher: Launcher, run: Run) -> None:
    run.add(supervised.allocate_briefly, "train", size=300 * MEBIBYTE).add(supervised.sleep, "evaluate", seconds=60.0)
    run.stages[1].work["arguments"] = {"seconds": 0.3}
    run.go(launcher)
    assert run.ends[0].peak_memory - run.ends[1].peak_memory > 250 * MEBIBYTE


def test_cpu_seconds_are_those_of_all_processes(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.spin, burn=0.25, processes=3).go(launcher)
    assert 0.75 <= end.cpu_seconds < 2.0


def test_a_stage_may_print_any_amount_and_its_log_stays_small(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.print_much, size=250 * MEBIBYTE).go(launcher)
    assert end.status == "ok"
    assert end.seconds < 20
    text = run.log.read_bytes()
    assert len(text) < 600 << 10
    assert text.startswith(b"red xxx")
    assert text.endswith(b"the end\n")
    assert text.count(b"bytes left out here") == 1
    assert b"\x1b" not in text
    assert b"\r" not in text


def test_a_log_that_cannot_be_written_is_told_and_fails_no_run(launcher: Launcher, run: Run) -> None:
    run.log = Path("/dev/full")
    end = run.add(supervised.print_much, size=10_000).go(launcher)
    assert end.status == "ok"
    assert end.warnings == ["full could not be written in whole: No space left on device"]


def test_a_log_that_cannot_be_opened_is_the_harnesss_own_failure(launcher: Launcher, run: Run) -> None:
    run.log = run.folder / "missing" / "log.txt"
    end = run.add(supervised.answer).go(launcher)
    assert end.status == "harness_error"
    assert str(run.log) in (end.reason or "")


def test_supervising_leaves_no_descriptor_and_no_process(launcher: Launcher, run: Run) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        run.add(supervised.answer).go(launcher)
        run.stages.clear()
    assert len(os.listdir("/proc/self/fd")) == before
    end = time.monotonic() + 2
    while below(os.getpid()) != [launcher.server_pid] and time.monotonic() < end:
        time.sleep(0.01)
    assert below(os.getpid()) == [launcher.server_pid]


def test_two_supervisors_do_not_share_cores(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    runs = [Run(tmp_path / name) for name in ("a", "b", "c")]
    for run in runs:
        run.folder.mkdir()
        run.add(supervised.affinity)
    threads = [threading.Thread(target=run.go, args=(launcher,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    available = os.sched_getaffinity(0)
    claimed = [core for run in runs for core in run.ends[0].cores]
    assert len(claimed) == len(set(claimed)) == min(3, len(available))
    for run in runs:
        end = run.ends[0]
        assert end.result is not None
        assert set(end.result["cores"]) == (set(end.cores) or available)


# Nothing is left.


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


def test_a_run_is_killed_at_once_when_the_harness_says_so(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.daemonise, ready=str(ready), then=600.0)
    with pytest.raises(Killed):
        run.go(launcher, lambda: "kill" if ready.exists() else None)
    assert not alive(wait_for(ready))


def victim_of(who: str, harness: int) -> int:
    """The process id of a supervisor or a run server below a harness."""
    found = [process for process in psutil.Process(harness).children(recursive=True) if _is(process, who)]
    assert found, who
    return found[0].pid


def _is(process: psutil.Process, who: str) -> bool:
    if who == "run server":
        return process.name() == "genbench-run"
    return "genbench.executors.supervisor" in " ".join(process.cmdline())


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
from test_supervisor import Run, supervised
from genbench.executors.launcher import Launcher
if __name__ == "__main__":
    with Launcher(threads=1) as launcher:
        run = Run(Path({folder!r}))
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
