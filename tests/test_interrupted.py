"""What interrupted attempts have left is seen without claiming anything, and told before the runs go on."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest

import genbench
from genbench.calls import Call, records_of
from genbench.cli import main
from genbench.cli.options import say
from genbench.errors import GenbenchError
from genbench.interrupted import attempts_left, going_on
from genbench.matrix import PlannedRun, choose, plan
from genbench.newer import newer_schema
from genbench.record import SCHEMA
from genbench.selection import select_model
from genbench.signals import Signals
from genbench.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def planned(store: Store) -> list[PlannedRun]:
    of, registry = factories.benchmark(), factories.registry()
    return plan(store, of, choose(of, [select_model(registry, "toy")]), [0, 1, 2])


def interrupt(store: Store, run: PlannedRun, identity: str | None = None) -> None:
    """Leave an attempt at a run as a harness does that is killed."""
    with suppress(KeyboardInterrupt), store.claim(run.key, identity or run.identity(factories.benchmark())) as claim:
        assert claim is not None
        raise KeyboardInterrupt


def tree(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_a_run_goes_on_where_an_attempt_at_the_same_run_was_interrupted(store: Store) -> None:
    runs = planned(store)
    assert going_on(store.root, runs, factories.benchmark()) == set()
    interrupt(store, runs[0])
    interrupt(store, runs[1], "of other code")
    before = tree(store.root)
    assert going_on(store.root, runs, factories.benchmark()) == {runs[0].key}
    assert len(attempts_left(store.root)) == 2
    assert tree(store.root) == before


def test_what_has_ended_in_a_record_or_can_not_be_read_is_not_gone_on_with(store: Store) -> None:
    runs = planned(store)
    for run in runs:
        interrupt(store, run)
    ledgers = sorted(store.root.glob(".work/*/run.json"))
    token = json.loads(ledgers[0].read_text())["token"]
    over = factories.record(status="failed")
    over = replace(over, attempts=[replace(over.attempts[0], token=token)])
    ledgers[1].write_text("{")
    again = [replace(runs[0], record=over, state="retry"), runs[1], replace(runs[2], state="done")]
    assert going_on(store.root, again, factories.benchmark()) == set()
    lost = replace(over, status="lost", attempts=over.attempts)
    assert going_on(store.root, [replace(again[0], record=lost)], factories.benchmark()) == {runs[0].key}


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return status, output.out, output.err


def test_a_dry_run_and_doctor_tell_of_interrupted_attempts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr("genbench.plugins.discover", lambda found=None: registry)
    monkeypatch.setattr("genbench.cli.doctor._devices", lambda: iter(()))
    ask = ("run", "toy", "-b", "tiny", "--dry-run", "--results", store.root)
    from genbench.selection import load_benchmark

    of = load_benchmark(registry, "tiny")
    run = plan(store, of, choose(of, [select_model(registry, "toy")]), [1])[0]
    interrupt(store, run, run.identity(of))
    _, out, _ = call(capsys, *ask)
    assert ["interrupted; goes on" in line for line in out.splitlines()[2:5]] == [False, True, False]
    _, out, _ = call(capsys, *ask, "--json")
    assert [entry["goes_on"] for entry in json.loads(out)["runs"]] == [False, True, False, False, False]
    _, out, _ = call(capsys, "doctor", "--json", "--results", store.root)
    assert any(entry["found"].startswith("1 interrupted attempt,") for entry in json.loads(out))


class Executor:
    """Takes note of how it was asked to stop."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def cancel(self) -> None:
        self.asked.append("cancel")

    def kill(self) -> None:
        self.asked.append("kill")


def test_the_first_interrupt_says_that_work_is_kept_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    executor = Executor()
    signals = Signals((signal.SIGINT, signal.SIGTERM), say)
    with signals.stopping(executor):
        signal.raise_signal(signal.SIGINT)
        assert "the same command goes on from the last checkpoints" in capsys.readouterr().err
        signal.raise_signal(signal.SIGTERM)
    assert signals.received == [signal.SIGINT, signal.SIGTERM]
    assert executor.asked == ["cancel", "kill"]


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1"])
def test_checkpoints_are_made_after_a_number_of_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = call(capsys, "run", "noise", "--checkpoint", seconds)
    assert status == 2
    assert "--checkpoint" in err


def test_a_record_of_a_newer_genbench_is_not_set_aside_unasked(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = store.root / "digits-smoke/noise/seed-1/record.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"schema": SCHEMA + 1}))
    assert newer_schema(place) == SCHEMA + 1
    status, out, err = call(capsys, "run", "noise", "-b", "digits-smoke", "--results", store.root)
    assert (status, out) == (4, "")
    assert "digits-smoke/noise/seed-1: its record was written by a newer genbench (schema" in err
    assert "--rerun failed" in err
    assert json.loads(place.read_text()) == {"schema": SCHEMA + 1}
    place.write_text("{")
    assert newer_schema(place) is None
    place.write_text(json.dumps({"schema": SCHEMA}))
    assert newer_schema(place) is None


def test_a_record_from_before_is_none_of_a_call_that_was_to_do_its_run_again(store: Store) -> None:
    of = factories.benchmark()
    for seed in range(3):
        factories.commit(store, factories.record("toy", seed))
    redone, kept, undone = [replace(run, record=store.read(run.key)) for run in planned(store)]
    call = Call(
        of, (replace(redone, state="retry"), replace(kept, state="done"), replace(undone, state="stale")), store
    )
    again = factories.record("toy", 0, fid=7.0)
    (store.root / redone.key.path / "record.json").write_text(again.to_json())
    told: list[str] = []
    records = records_of(call, told.append)
    assert [record.seed for record in records] == [0, 1]
    assert records[0] == again
    assert told == ["1 run was not done again; its record from before stands, and is not shown here"]
    assert not call.is_good(records)


def test_in_a_thread_that_is_not_the_main_one_the_command_line_leaves_signals_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    found: list[int] = []

    def work() -> None:
        with Signals((signal.SIGINT,), say).stopping(Executor()):
            found.append(main(["list", "benchmarks"]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]
    assert "digits-smoke" in capsys.readouterr().out
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_command_line_puts_back_a_handler_that_was_not_set_from_python(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[object] = []
    # As signal.signal answers where a program that Python is a part of has a handler of its own.
    monkeypatch.setattr("genbench.signals.signal.signal", lambda number, handler: put.append(handler))
    assert main(["list", "benchmarks"]) == 0
    assert put[1:] == [signal.SIG_DFL]


NINES = "9" * 5000


@pytest.mark.parametrize(
    ("option", "value"),
    [("--seeds", NINES), ("--seeds", f"0-{NINES}"), ("--seeds", f"{NINES}-{NINES}"), ("--budget", f"images={NINES}"),
     ("--jobs", NINES), ("--checkpoint", NINES)],
)  # fmt: skip
def test_a_number_of_thousands_of_digits_is_refused_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, "run", "noise", "-b", "digits-smoke", option, value, "--dry-run")
    assert (status, out) == (2, "")
    assert option in err or "a number of 5000 digits" in err


@pytest.mark.parametrize(
    "arguments", [{"seeds": [10**5000]}, {"seeds": 10**5000}, {"jobs": 10**5000}, {"checkpoint": 10**5000},
                  {"budget": {"images": 10**5000}}, {"jobs": -(10**5000)}],
    ids=["seeds", "no sequence", "jobs", "checkpoint", "budget", "negative"],
)  # fmt: skip
def test_such_a_number_is_refused_in_python_too(arguments: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(GenbenchError, match="a number of thousands of digits"):
        genbench.run("noise", "digits-smoke", results=tmp_path, **arguments)
