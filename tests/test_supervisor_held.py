"""Time for which nobody could look, and what takes longer than anybody's patience, end no run."""

import contextlib
import dataclasses
import errno
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import supervised
from supervising import TESTS, Run, alive, victim_of, wait_for

from genbench.executors.connection import Connection
from genbench.executors.launcher import Launcher
from genbench.executors.protocol import Supervision
from genbench.executors.supervisor import HarnessGone, Supervisor


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher(threads=1) as launcher:
        launcher.call("supervised:answer", {}, [TESTS])
        yield launcher


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second stands for six and a half minutes."""
    monkeypatch.setattr("genbench.executors.supervision.MARGIN_SECONDS", 0.25)
    monkeypatch.setattr("genbench.executors.supervision.START_SECONDS", 0.25)


@pytest.mark.usefixtures("impatient")
def test_a_stage_longer_than_the_patience_with_its_supervisor_ends_well(launcher: Launcher, run: Run) -> None:
    run.add(supervised.sleep, "train", ready="").add(supervised.sleep, "evaluate", ready="")
    for stage in run.stages:
        stage.work["arguments"] = {"seconds": 0.8}
    run.go(launcher)
    assert [(end.name, end.status) for end in run.ends] == [("train", "ok"), ("evaluate", "ok")]


@pytest.mark.usefixtures("impatient")
def test_a_supervisor_that_falls_silent_loses_the_run(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.sleep, ready=str(ready), seconds=0.5)
    held: list[int] = []

    def hold() -> None:
        if not held and ready.exists() and ready.read_text():
            held.append(victim_of("supervisor", os.getpid()))
            os.kill(held[0], signal.SIGSTOP)

    end = run.go(launcher, hold)
    assert (end.status, end.reason) == ("lost", "train: its supervisor has not answered for too long")
    assert not alive(wait_for(ready))


@pytest.mark.usefixtures("impatient")
def test_processes_that_were_held_together_go_on_as_if_nothing_had_been(launcher: Launcher, run: Run) -> None:
    ready = run.folder / "ready"
    run.add(supervised.sleep, ready=str(ready), seconds=1.5)
    run.stages[0].work["arguments"]["seconds"] = 1.0
    held: list[int] = []

    def hold() -> None:
        """Supervisor, stage and harness, for longer than the deadline and all patience."""
        if not held and ready.exists() and ready.read_text():
            held.extend([victim_of("supervisor", os.getpid()), *wait_for(ready)])
            for pid in held:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(2.4)
            threading.Timer(0.2, lambda: [os.kill(pid, signal.SIGCONT) for pid in held]).start()

    end = run.go(launcher, hold)
    assert (end.status, end.reason) == ("ok", None)
    (warning,) = end.warnings
    assert warning.startswith("train was watched by nobody for 2.")


@pytest.fixture
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize("word", ["cancel\n", ""])
def test_a_scratch_folder_that_takes_long_to_remove_keeps_nobody_from_ending_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    (run.folder / "scratch").mkdir()
    run.add(supervised.answer)
    supervision = Supervision(run.stages, str(run.log), threads=1, claims=str(run.folder / "claims"))
    removing, released = threading.Event(), threading.Event()

    def remove(*_: object) -> None:
        removing.set()
        released.wait(60)

    monkeypatch.setattr("genbench.executors.supervisor._remove_tree", remove)
    monkeypatch.setattr("genbench.executors.supervisor.LAST_SECONDS", 0.0)
    ours, theirs = socket.socketpair()
    (heard, says), (hears, told) = os.pipe(), os.pipe()
    os.write(says, json.dumps(dataclasses.asdict(supervision)).encode() + b"\n")

    def say() -> None:
        removing.wait(60)
        os.write(says, word.encode())
        if not word:
            os.close(says)

    threading.Thread(target=say).start()
    with ours, Connection(theirs) as connection, contextlib.ExitStack() as closing:
        for descriptor in (heard, hears, told, *([says] if word else [])):
            closing.callback(os.close, descriptor)
        closing.callback(released.set)
        began = time.monotonic()
        with contextlib.nullcontext() if word else pytest.raises(HarnessGone):
            Supervisor(connection, heard, told).run()
        assert time.monotonic() - began < 10
        said = os.read(hears, 1 << 16).splitlines()
    if word:
        assert json.loads(said[-1])["ended"]["status"] == "cancelled"


@pytest.mark.usefixtures("signals_restored")
def test_an_error_while_a_stage_is_watched_is_not_told_as_one_of_its_start(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.add(supervised.answer)
    supervision = Supervision(run.stages, str(run.log), threads=1, claims=str(run.folder / "claims"))

    def refuse() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("genbench.executors.supervisor.output_pipe", refuse)
    ours, theirs = socket.socketpair()
    (heard, says), (hears, told) = os.pipe(), os.pipe()
    os.write(says, json.dumps(dataclasses.asdict(supervision)).encode() + b"\n")
    with ours, Connection(theirs) as connection, contextlib.ExitStack() as closing:
        for descriptor in (heard, says, hears, told):
            closing.callback(os.close, descriptor)
        Supervisor(connection, heard, told).run()
        ended = json.loads(os.read(hears, 1 << 16).splitlines()[-1])["ended"]
    assert (ended["status"], ended["disk"]) == ("harness_error", False)
    assert ended["reason"] == "train could not be watched: Too many open files"
