"""One-off calls on the fork server, and what becomes of it."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import supervised

from genbench.errors import GenbenchError
from genbench.executors.connection import Connection
from genbench.executors.launcher import MOST_STARTS, HarnessError, Launcher

TESTS = str(Path(supervised.__file__).parent)


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        yield launcher


def test_a_call_gives_what_the_function_returned(launcher: Launcher) -> None:
    assert launcher.call("supervised:answer", {"value": [1, "two"]}, [TESTS])["value"] == [1, "two"]


def test_calls_from_several_threads_run_side_by_side(launcher: Launcher) -> None:
    found: list[int] = []

    def call(value: int) -> None:
        found.append(launcher.call("supervised:answer", {"value": value}, [TESTS])["value"])

    threads = [threading.Thread(target=call, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2, 3]


def test_what_a_function_refuses_keeps_its_message_and_exit_code(launcher: Launcher) -> None:
    with pytest.raises(GenbenchError, match="nothing of that name") as caught:
        launcher.call("supervised:refuse", {"reason": "nothing of that name"}, [TESTS])
    assert caught.value.exit_code == 2
    assert not isinstance(caught.value, HarnessError)


def test_an_error_comes_with_its_traceback(launcher: Launcher) -> None:
    with pytest.raises(HarnessError, match="Traceback"):
        launcher.call("supervised:answer", {"no such": 1}, [TESTS])


def test_an_end_without_an_outcome_is_told(launcher: Launcher) -> None:
    with pytest.raises(HarnessError, match="ended with 3"):
        launcher.call("supervised:exit_at_once", {"code": 3}, [TESTS])
    with pytest.raises(HarnessError, match="ended by SIGABRT"):
        launcher.call("supervised:end_by", {"number": signal.SIGABRT}, [TESTS])


def test_a_call_that_takes_too_long_is_ended_with_all_that_it_started(launcher: Launcher, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with pytest.raises(HarnessError, match=r"still running after 0\.5 s"):
        launcher.call("supervised:daemonise", {"ready": str(ready), "then": 600.0}, [TESTS], seconds=0.5)
    assert not [pid for pid in map(int, ready.read_text().split()) if psutil.pid_exists(pid)]


def test_a_call_may_print_any_amount(launcher: Launcher) -> None:
    assert launcher.call("supervised:print_much", {"size": 50 << 20}, [TESTS]) == {}


def test_no_descriptor_and_no_process_stays_behind_a_call(launcher: Launcher) -> None:
    launcher.call("supervised:answer", {}, [TESTS])
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        launcher.call("supervised:answer", {}, [TESTS])
    assert len(os.listdir("/proc/self/fd")) == descriptors
    end = time.monotonic() + 5
    while psutil.Process(launcher.server_pid).children() and time.monotonic() < end:
        time.sleep(0.01)
    assert psutil.Process(launcher.server_pid).children() == []
    assert len(os.listdir(f"/proc/{launcher.server_pid}/fd")) < 12


def test_a_closed_connection_ends_what_was_started_on_it(launcher: Launcher, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with Connection(launcher.connect()) as connection, (tmp_path / "log").open("wb") as log:
        request = {"task": "supervised:sleep", "arguments": {"ready": str(ready)}, "outcome": str(tmp_path / "outcome"),
                   "sys_path": [TESTS]}  # fmt: skip
        connection.start(request, str(tmp_path), log.fileno())
        while not ready.exists() or not ready.read_text():
            time.sleep(0.01)
        pid = int(ready.read_text())
        assert psutil.pid_exists(pid)
    end = time.monotonic() + 2
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.01)
    assert not psutil.pid_exists(pid)


def test_a_fork_server_that_keeps_ending_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")  # so that no Python starts
    with Launcher(threads=1) as launcher:
        starts = set()
        for _ in range(MOST_STARTS + 2):
            starts.add(launcher.server_pid)
            with pytest.raises(HarnessError, match="the fork server has ended"):
                launcher.call("supervised:answer", {}, [TESTS])
        assert len(starts) == MOST_STARTS
        with pytest.raises(HarnessError, match="encodings"):
            launcher.check_alive()


def test_a_fork_server_that_ends_now_and_then_is_started_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    monkeypatch.setattr("genbench.executors.launcher.STARTS_SECONDS", 0.0)
    with Launcher(threads=1) as launcher:
        starts = set()
        for _ in range(MOST_STARTS + 2):
            starts.add(launcher.server_pid)
            with pytest.raises(HarnessError):
                launcher.call("supervised:answer", {}, [TESTS])
            launcher.check_alive()
        assert len(starts) > MOST_STARTS


def test_giving_a_fork_server_up_says_how_often_and_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genbench.executors.launcher.MOST_STARTS", 1)
    with Launcher(threads=1) as launcher:
        os.kill(launcher.server_pid, signal.SIGKILL)
        os.waitid(os.P_PID, launcher.server_pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(HarnessError, match="has ended 1 times within 10 minutes, the last time by SIGKILL"):
            launcher.connect()


@pytest.mark.parametrize(
    ("function", "number", "words"),
    [("send_fds", errno.EMFILE, "Too many open files"), ("send_fds", errno.ENOBUFS, "No buffer space"),
     ("socketpair", errno.EMFILE, "Too many open files")],
)  # fmt: skip
def test_a_socket_that_the_system_refuses_does_not_cost_the_fork_server(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch, function: str, number: int, words: str
) -> None:
    before = launcher.server_pid, len(os.listdir("/proc/self/fd"))

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(f"genbench.executors.launcher.socket.{function}", refuse)
        with pytest.raises(HarnessError, match=words):
            launcher.connect()
    assert (launcher.server_pid, len(os.listdir("/proc/self/fd"))) == before
    launcher.connect().close()
