"""What interrupted attempts have left is seen without claiming anything, and told before the runs go on."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import factories
import pytest

from genbench.cli import main
from genbench.cli.options import say
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
