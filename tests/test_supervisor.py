"""A supervised stage, whatever it does, ends in time and with the right status."""

import dataclasses
import errno
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import supervised
from supervised import MEBIBYTE
from supervising import TESTS, Run

from genbench.engine.worker import STAGES, run_stage
from genbench.executors.launcher import Launcher
from genbench.executors.mark import UNWRITTEN, UNWRITTEN_DISK, judge


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        launcher.call("supervised:answer", {}, [TESTS])
        yield launcher


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


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
        (supervised.signal_parent, {"number": signal.SIGKILL}, "lost", "server"),
        (supervised.signal_parent, {"number": signal.SIGTERM}, "lost", "server"),
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


def test_a_stage_does_not_begin_with_what_an_earlier_attempt_left_in_its_folder(launcher: Launcher, run: Run) -> None:
    left = run.folder / "scratch" / "inner"
    left.mkdir(parents=True)
    (left / "other").write_text("x")
    end = run.add(supervised.litter).go(launcher)
    assert (end.status, end.reason) == ("ok", None)
    assert not (run.folder / "scratch").exists()


def test_the_folder_of_the_mark_is_kept_as_it_is(launcher: Launcher, run: Run) -> None:
    (run.folder / "given").write_text("x")
    run.add(supervised.litter)
    run.stages[0] = dataclasses.replace(run.stages[0], cwd=str(run.folder))
    assert run.go(launcher).status == "ok"
    assert (run.folder / "given").exists()
    assert (run.folder / "inner" / "file").exists()


def test_even_a_folder_that_is_hard_to_remove_goes(launcher: Launcher, run: Run) -> None:
    end = run.add(supervised.litter_deeply, levels=200).go(launcher)
    assert end.status == "ok"
    assert not (run.folder / "scratch").exists()


def test_progress_is_passed_on_as_it_is_made(launcher: Launcher, run: Run) -> None:
    run.add(supervised.progress).go(launcher)
    assert run.told == [("train", share) for share in (0.0, 0.25, 0.5, 0.75)]


def test_what_each_stage_has_cost_is_noted_in_a_file(launcher: Launcher, run: Run) -> None:
    run.ends_file = str(run.folder / "ends.jsonl")
    run.add(supervised.answer).add(supervised.exit_at_once, "evaluate", code=3).go(launcher)
    noted = [json.loads(line) for line in Path(run.ends_file).read_text().splitlines()]
    assert noted == [dataclasses.asdict(end) | {"result": None} for end in run.ends]


def test_costs_that_cannot_be_noted_are_a_warning(launcher: Launcher, run: Run) -> None:
    run.ends_file = str(run.folder)
    end = run.add(supervised.answer).go(launcher)
    assert end.status == "ok"
    assert end.warnings == ["what train has cost could not be noted: Is a directory"]


# The disk.


@pytest.mark.parametrize(
    ("text", "code", "disk"),
    [
        ('{"status": "harness_error", "reason": "full", "errno": 28}', 1, True),
        ('{"status": "harness_error", "reason": "broken", "errno": 5}', 1, False),
        ('{"status": "failed", "reason": "said so itself", "errno": 28}', 1, False),
        (None, UNWRITTEN_DISK, True),
        (None, UNWRITTEN, False),
        (None, os.EX_IOERR, False),
    ],
)
def test_a_refusal_of_the_disk_is_told_apart(
    launcher: Launcher, run: Run, text: str | None, code: int, disk: bool
) -> None:
    if text is None:
        end = run.add(supervised.exit_at_once, code=code).go(launcher)
        assert end.status == ("failed" if code == os.EX_IOERR else "harness_error")
    else:
        path = str(run.folder / "outcome-train.json")
        end = run.add(supervised.leave, path=path, text=text, code=code).go(launcher)
        assert end.status == json.loads(text)["status"]
    assert end.disk is disk


@pytest.mark.parametrize(
    ("number", "path", "told"),
    [
        (errno.ENOSPC, "", True),
        (errno.EDQUOT, "{folder}/state", True),
        (errno.EROFS, "{folder}/state", True),
        (errno.EROFS, "/proc/state", False),
        (errno.EIO, "{folder}/state", False),
    ],
)
def test_a_stage_tells_of_the_disk_that_holds_its_run_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, path: str, told: bool
) -> None:
    job = {"errno": number, "path": path.format(folder=tmp_path)}
    monkeypatch.setattr("genbench.engine.worker.read_job", lambda _: job)
    monkeypatch.setitem(STAGES, "train", "supervised:find_the_disk_refusing")
    assert run_stage("train", tmp_path / "job.json") == 1
    assert judge("train", str(tmp_path / "outcome-train.json"), "log.txt", 1, oom_killed=False).disk is told


def test_a_mark_that_the_system_cannot_read_is_not_the_models_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "outcome-train.json"
    mark.write_text("{}")

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr("genbench.executors.mark.os.open", broken)
        found = judge("train", str(mark), "log.txt", 0, oom_killed=False)
    assert found[:2] == ("harness_error", "train: its completion mark could not be read: Input/output error")
    mark.unlink()
    mark.symlink_to("elsewhere")
    assert judge("train", str(mark), "log.txt", 0, oom_killed=False).status == "failed"


# Limits.


@pytest.mark.parametrize(
    "function", [supervised.sleep, supervised.hold_the_gil, supervised.ignore_sigterm, supervised.print_for_ever]
)
def test_a_stage_that_does_not_end_is_dead_within_two_seconds_of_its_deadline(
    launcher: Launcher, run: Run, function: Callable[..., Any]
) -> None:
    end = run.add(function, seconds=0.5).go(launcher)
    assert end.status == "timeout"
    assert end.reason == "train was still running after 0.5 s, where the benchmark allows a while; the log shows where"
    assert end.seconds < 0.5 + 2.0


@pytest.mark.parametrize("name", ["train", "score"])
def test_a_stage_that_allocates_without_end_is_stopped_within_a_quarter_over_its_cap(
    launcher: Launcher, run: Run, name: str
) -> None:
    cap = 700 * MEBIBYTE
    status = "harness_error" if name == "score" else "oom_host"
    end = run.add(supervised.allocate, name, memory=cap, over_memory=status).go(launcher)
    assert end.status == status
    peak = end.peak_memory // MEBIBYTE
    figures = f"(limit 700 MiB, peak {peak} MiB)"
    assert end.reason == f"{name} held more memory than the benchmark allows {figures}"
    assert cap < end.peak_memory < 1.25 * cap


def test_a_shortage_of_memory_that_a_stage_tells_of_itself_comes_with_limit_and_peak(
    launcher: Launcher, run: Run
) -> None:
    path = str(run.folder / "outcome-train.json")
    end = run.add(supervised.leave, path=path, text='{"status": "oom_host", "reason": "MemoryError"}').go(launcher)
    peak = end.peak_memory // MEBIBYTE
    assert end.reason == f"train: MemoryError (limit 4,096 MiB, peak {peak} MiB)"


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
