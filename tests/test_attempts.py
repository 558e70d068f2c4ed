"""Attempts at a run, as their harness sees them: what is done again, what is kept, what ends more than the run.

The stages are told, not carried out: :func:`supervise` is replaced by a script.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import factories
import pytest
from click.testing import CliRunner
from faulty_disk import Death, Dying
from scripted import KEY, SPEC, THIRD_PARTY, Script, Tell, context_of, do, ended, left, planned, well

from genbench import calls
from genbench.cli import run as cli_run
from genbench.code_hash import code_sha256
from genbench.disk import Disk
from genbench.errors import StoreError
from genbench.executors import stages
from genbench.executors.ends import ENDS, read_ends
from genbench.executors.local import LocalExecutor
from genbench.executors.protocol import StageEnd, StageRequest
from genbench.executors.run import OTHER_CODE
from genbench.matrix import PlannedRun, State
from genbench.plugins import Plugin
from genbench.record import Record
from genbench.single_file import UNPACKAGED
from genbench.store import Store, place_of


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    played = Script()
    monkeypatch.setattr(stages, "supervise", played.supervise)
    return played


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


# Code.


@pytest.mark.parametrize(("changed", "warnings"), [(False, []), (True, [OTHER_CODE])])
def test_a_run_whose_code_was_changed_under_way_says_so(
    store: Store, script: Script, tmp_path: Path, changed: bool, warnings: list[str]
) -> None:
    source = tmp_path / "toy_under_way.py"
    source.write_text("WIDTH = 1\n")
    plugin = Plugin("toys", source.name, UNPACKAGED, source.stem, root=str(tmp_path))
    spec = replace(SPEC, factory="toy_under_way:Toy")
    run = planned()
    identity = replace(run.entry.identity, code_sha256=code_sha256(spec, plugin))
    run = replace(run, entry=replace(run.entry, spec=spec, plugin=plugin, identity=identity))

    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if changed and request.name == "train":
            source.write_text("WIDTH = 2\n")
        return well(request)

    script.tell = tell
    record = do(store, run=run)
    assert record is not None
    assert (record.status, record.warnings) == ("ok", warnings)


# Disks.


def test_a_full_disk_ends_the_call_without_another_attempt_and_the_next_call_goes_on(
    store: Store, script: Script
) -> None:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if request.name != "train":
            return well(request)
        (folder / "checkpoint").write_text("the last good state")
        reason = f"train: No space left on device: {folder}/checkpoint"
        return ended(request, "harness_error", reason, disk=True)

    script.tell = tell
    with pytest.raises(StoreError) as caught:
        do(store)
    assert caught.value.exit_code == 4
    told = str(caught.value)
    assert told.startswith(f"{store.root.resolve()}: ")
    assert "No space left on device: checkpoint" in told
    assert "goes on from the last checkpoint" in told
    assert script.names == ["train"]
    assert store.read(KEY) is None
    assert [(folder / "checkpoint").read_text() for folder in left(store)] == ["the last good state"]

    def again(request: StageRequest, folder: Path) -> StageEnd:
        assert (folder / "checkpoint").exists()
        return well(request)

    script.tell = again
    assert [attempt.status for attempt in do(store).attempts] == ["lost", "ok"]


def test_a_full_disk_ends_the_call_where_a_metric_meets_it_too(store: Store, script: Script) -> None:
    script.tell = lambda request, folder: (
        ended(request, "harness_error", disk=True) if "measure" in request.name else well(request)
    )
    with pytest.raises(StoreError):
        do(store, THIRD_PARTY)
    assert script.names.count("measure-0") == 1


def test_no_reason_in_a_record_names_the_folder_of_an_attempt(store: Store, script: Script) -> None:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        return ended(request, "lost", f"train: OSError: {folder}/state: gone", warnings=[f"{folder}: odd"])

    script.tell = tell
    record = do(store)
    assert [attempt.reason for attempt in record.attempts] == ["train: OSError: state: gone"] * 3
    assert record.warnings == ["the run's folder: odd"]
    assert ".work" not in record.to_json()


# What stands in the place of a run by the time that it is claimed.


def spoil(store: Store) -> None:
    path = store.root / KEY.path / "record.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")


@pytest.mark.parametrize("state", ["new", "retry"])
def test_a_record_that_becomes_unreadable_after_it_was_planned_is_quarantined(
    store: Store, script: Script, state: State
) -> None:
    record = None
    if state == "retry":
        record = factories.record(status="lost")
        factories.commit(store, record)
    spoil(store)
    assert do(store, run=planned(state, record)).status == "ok"
    assert [path.read_text() for path in store.root.glob(".quarantine/**/record.json")] == ["{"]
    assert store.read(KEY).status == "ok"


def test_a_record_that_a_newer_genbench_puts_there_meanwhile_is_left_alone(store: Store, script: Script) -> None:
    spoil(store)
    path = store.root / KEY.path / "record.json"
    path.write_text('{"schema": 99}')
    assert do(store) is None
    assert script.names == []
    assert path.read_text() == '{"schema": 99}'


def test_a_record_that_was_mended_after_it_was_planned_as_unreadable_is_kept(store: Store, script: Script) -> None:
    mended = factories.record()
    factories.commit(store, mended)
    assert do(store, run=planned("unreadable")) == mended
    assert script.names == []


def test_a_run_whose_record_was_removed_after_it_was_planned_is_done(store: Store, script: Script) -> None:
    assert do(store, run=planned("retry", factories.record(status="lost"))).status == "ok"


def cut_short(store: Store, status: Any) -> Record:
    """A commit of a run that goes on, whose process died just before the rename into its place."""
    final = store.root.resolve() / KEY.path
    calls = Dying(when=lambda name, arguments: name == "rename" and arguments[1] == final)
    dying, run = Store(store.root, Disk(calls)), planned()
    record = None
    with suppress(Death), dying.claim(KEY, run.identity(factories.benchmark())) as claim:
        attempts = [replace(factories.record(status=status).attempts[0], token=claim.token)]
        record = replace(factories.record(status=status), attempts=attempts)
        (claim.folder / "checkpoint").write_text("")
        dying.commit(claim, record, park=True)
    assert record is not None
    return record


def test_a_commit_cut_short_of_a_run_that_is_not_over_is_gone_on_with(store: Store, script: Script) -> None:
    cancelled = cut_short(store, "cancelled")

    def tell(request: StageRequest, folder: Path) -> StageEnd:
        assert (folder / "checkpoint").exists()
        return well(request)

    script.tell = tell
    record = do(store)
    assert [attempt.status for attempt in record.attempts] == ["cancelled", "ok"]
    assert store.read(KEY) == record
    assert len(list(store.root.glob(".superseded/**/record.json"))) == 1
    assert record.attempts[0] == cancelled.attempts[0]


def test_a_commit_cut_short_of_a_run_that_is_over_is_its_result(store: Store, script: Script) -> None:
    failed = cut_short(store, "diverged")
    assert do(store) == failed
    assert script.names == []


def test_after_the_runs_a_record_that_cannot_be_read_is_told_and_the_exit_code_is_that_of_the_signal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.root / "digits-smoke" / "noise" / "seed-0" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    common = ["noise", "-b", "digits-smoke", "--seeds", "0", "--results", str(store.root), "--json"]
    for came, expected in (([signal.SIGINT], 130), ([], 1)):
        monkeypatch.setattr(calls, "execute", lambda *given, came=came: given[-1].received.extend(came))
        done = CliRunner().invoke(cli_run.command, common, standalone_mode=False)
        assert (done.exception, done.return_value) == (None, expected)
        assert "digits-smoke/noise/seed-0: its record is unreadable" in done.stderr
        assert json.loads(done.stdout) == []


# What attempts cost.


def test_what_earlier_attempts_cost_is_in_the_sums_of_the_record(store: Store, script: Script) -> None:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if script.names.count("train") < 3 and request.name == "train":
            return ended(request, "lost", seconds=10.0, cpu_seconds=20.0, peak_memory=1000)
        return well(request)

    script.tell = tell
    record = do(store)
    assert record.cost["stage_seconds"] == {"train": 21.0, "evaluate": 1.0, "score": 1.0}
    assert record.spent["cpu_seconds"] == 46.0
    assert record.cost["peak_memory"] == 1000


def test_what_attempts_of_earlier_calls_cost_is_in_the_sums_too(store: Store, script: Script) -> None:
    script.tell = lambda request, folder: ended(request, "cancelled", seconds=10.0, cpu_seconds=20.0)
    cancelled = do(store)
    assert cancelled.spent["cpu_seconds"] == 20.0
    script.tell = Script().tell
    record = do(store, run=planned("retry", cancelled))
    assert record.cost["stage_seconds"]["train"] == 11.0
    assert record.spent["cpu_seconds"] == 26.0


@pytest.mark.parametrize(
    "broken",
    [
        '{"name": "train", "seconds": 1.0, "cpu_sec',
        '{"name": "train", "seconds": NaN, "cpu_seconds": 1.0, "peak_memory": 1}',
        '{"name": "train", "seconds": -1.0, "cpu_seconds": 1.0, "peak_memory": 1}',
        '{"name": "train", "seconds": 1e999, "cpu_seconds": 1.0, "peak_memory": 1}',
        '{"name": "train", "seconds": true, "cpu_seconds": 1.0, "peak_memory": 1}',
        '{"name": "train", "seconds": 1.0, "cpu_seconds": 1.0}',
        '{"name": "else", "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory": 1}',
        '{"name": 5, "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory": 1}',
        "[]",
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_line_about_an_earlier_stage_that_cannot_be_read_is_passed_over(tmp_path: Path, broken: str) -> None:
    good = '{"name": "train", "seconds": 1.5, "cpu_seconds": 2.5, "peak_memory": 3}'
    (tmp_path / ENDS).write_bytes(f"{good}\n{broken}\n{good}".encode("utf-8", "surrogateescape"))
    assert [(cost.seconds, cost.cpu_seconds, cost.peak_memory) for cost in read_ends(tmp_path)] == [(1.5, 2.5, 3)] * 2


@pytest.mark.parametrize("harm", ["none", "large", "pipe", "link"])
def test_a_file_of_ends_that_is_none_counts_as_none(tmp_path: Path, harm: str) -> None:
    path = tmp_path / ENDS
    if harm == "large":
        path.write_bytes(b'{"name": "train", "seconds": 1.5, "cpu_seconds": 2.5, "peak_memory": 3}\n' + bytes(1 << 20))
    elif harm == "pipe":
        os.mkfifo(path)
    elif harm == "link":
        path.symlink_to("/dev/zero")
    assert read_ends(tmp_path) == []


# Other harnesses, and people.


def remove_work(store: Store) -> Tell:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if "seed-0" in folder.name:
            shutil.rmtree(store.root / ".work")
            return ended(request, "harness_error")
        return well(request)

    return tell


def take_folder(store: Store) -> Tell:
    """Another harness, on a file system that has forgotten the lock, renames the folder and works there."""

    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if "seed-0" in folder.name:
            folder.rename(folder.with_name(f"{folder.name.rpartition('.')[0]}.{'0' * 16}"))
        return well(request)

    return tell


@pytest.mark.parametrize("harm", [remove_work, take_folder])
def test_a_run_that_was_taken_over_is_skipped_and_the_others_go_on(
    store: Store, script: Script, harm: Callable[[Store], Tell]
) -> None:
    class Observer:
        seen: dict[int, Record | None] = {}  # noqa: RUF012

        def started(self, run: PlannedRun) -> None: ...

        def progressed(self, *_: object) -> None: ...

        def retried(self, *_: object) -> None: ...

        def finished(self, run: PlannedRun, record: Record | None) -> None:
            self.seen[run.key.seed] = record

    class Alive:
        def check_alive(self) -> None: ...

    script.tell = harm(store)
    launcher: Any = Alive()
    observer = Observer()
    LocalExecutor(launcher, context_of(store), 1).execute([planned(seed=0), planned(seed=1)], observer)
    assert observer.seen[0] is None
    assert observer.seen[1].status == "ok"
    assert [place_of(record) for record in store.load().records] == [("toy", "seed-1")]


def test_a_person_who_stops_after_a_lost_attempt_has_no_other_one_begun(store: Store, script: Script) -> None:
    asked: list[Literal["cancel"]] = []

    def tell(request: StageRequest, folder: Path) -> StageEnd:
        asked.append("cancel")
        return ended(request, "lost")

    script.tell = tell
    record = do(store, stop=lambda: asked[0] if asked else None)
    assert script.names == ["train"]
    assert (record.status, [attempt.status for attempt in record.attempts]) == ("cancelled", ["cancelled"])
    assert "a reason" in record.reason
    assert len(left(store)) == 1
