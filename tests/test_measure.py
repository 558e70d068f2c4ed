"""Metrics that third parties bring: in the record beside the core's, and unable to harm them."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import ZOO, inside
from scripted import THIRD_PARTY, Script, Tell, context_of, do, ended, planned, well

from genbench.disk import Disk
from genbench.errors import StoreError
from genbench.executors import stages
from genbench.executors.context import make_job
from genbench.executors.foreign import job_for
from genbench.executors.launcher import HarnessError
from genbench.executors.protocol import StageEnd, StageRequest
from genbench.job import MEASURED, Job
from genbench.record import Record
from genbench.store import Store, sha256_of

BENCHMARK = """
name = "{name}"
dataset = "digits"
evaluator = "digits-cnn-v1"
metrics = [{metrics}]
seeds = [0]
milestones = [1.0]
budget = {{images = 800, seconds = 2.0, grace = 3.0, memory_mib = 1200, parameters = 1000000}}
samples = {{n = 64, milestone_n = 32, chunk = 64}}
likelihood = {{examples = 20, milestone_examples = 10, draws = 2, milestone_draws = 1, chunk = 20}}
"""


def run(folder: Path, name: str, *metrics: str) -> Record:
    """The record of `marginals` on a benchmark with the given metrics."""
    benchmark = folder / f"{name}.toml"
    benchmark.write_text(BENCHMARK.format(name=name, metrics=", ".join(f'"{metric}"' for metric in metrics)))
    done = inside("run", "marginals", "-b", benchmark, "--results", folder / "results", python_path=(ZOO,))
    assert done.returncode in (0, 1), done.stderr
    (record,) = Store(folder / "results").load(name).records
    return record


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    zoo = [
        "zoo_brightness",
        "zoo_process",
        "zoo_raising",
        "zoo_not_finite",
        "zoo_not_json",
        "zoo_boundless",
        "zoo_unprintable",
        "zoo_shapeless",
        "zoo_tampering",
    ]
    return run(tmp_path_factory.mktemp("measure"), "mixed", "fid", *zoo)


def test_a_third_partys_score_carries_its_plugins_name(record: Record) -> None:
    assert record.status == "ok"
    found = record.scores["zoo_brightness"]
    assert (found.fingerprint["plugin"], found.fingerprint["version"]) == ("genbench-zoo", "0.1")
    assert 0 < found.value < 16


def test_it_runs_in_a_process_of_its_own(record: Record) -> None:
    assert record.scores["zoo_process"].value != os.getpid()
    assert set(record.cost["stage_seconds"]) >= {"train", "evaluate", "score", "measure-0"}


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("zoo_raising", "genbench-zoo: RuntimeError: a deliberate fault in a metric"),
        ("zoo_not_finite", "genbench-zoo: GenbenchError: metric 'zoo_not_finite': gives nan"),
        ("zoo_not_json", "genbench-zoo: TypeError: Object of type ndarray is not JSON serializable"),
        ("zoo_boundless", "genbench-zoo: what it gave is no score: "),
        ("zoo_unprintable", "genbench-zoo: RuntimeError: ?xxx"),
        ("zoo_shapeless", "genbench-zoo: what it gave is no score: "),
    ],
)
def test_one_that_breaks_is_withheld_with_its_reason_and_harms_no_other(record: Record, metric: str, why: str) -> None:
    assert metric not in record.scores
    assert record.withheld[metric].startswith(why)
    assert len(record.withheld[metric]) < 600
    assert "zoo_brightness" in record.scores


def test_one_that_changes_what_it_was_handed_does_not_change_the_cores_scores(record: Record, tmp_path: Path) -> None:
    assert record.scores["zoo_tampering"].value == 0
    alone = run(tmp_path, "alone", "fid")
    assert record.scores["fid"].value == alone.scores["fid"].value > 0


def test_one_that_hangs_is_ended_and_the_run_is_ok(tmp_path: Path) -> None:
    found = run(tmp_path, "hanging", "fid", "zoo_hanging")
    assert found.status == "ok"
    assert set(found.scores) == {"fid"}
    assert "measure was still running" in found.withheld["zoo_hanging"]


def test_one_that_takes_its_process_down_takes_no_earlier_score_with_it(tmp_path: Path) -> None:
    found = run(tmp_path, "vanishing", "fid", "zoo_brightness", "zoo_vanishing", "zoo_process")
    assert set(found.scores) == {"fid", "zoo_brightness"}
    assert "measure exited with 7" in found.withheld["zoo_vanishing"]
    assert "not measured, since zoo_vanishing ended the process" in found.withheld["zoo_process"]


def test_one_cannot_put_a_score_under_another_ones_name_nor_change_the_runs_files(tmp_path: Path) -> None:
    found = run(tmp_path, "overriding", "fid", "zoo_overriding")
    assert found.scores["fid"].value > 0
    assert found.scores["zoo_overriding"].fingerprint["plugin"] == "genbench-zoo"
    folder = tmp_path / "results" / "overriding" / "marginals" / "seed-0"
    assert sha256_of(folder / "samples.npz") == found.artifacts["samples.npz"]
    assert (folder / "samples.npz").stat().st_size > 0


def test_a_run_without_any_score_left_is_not_ok(tmp_path: Path) -> None:
    found = run(tmp_path, "nothing", "zoo_raising")
    assert (found.status, found.scores) == ("invalid_output", {})
    assert "a deliberate fault in a metric" in (found.reason or "")


# However their process ends; here the stages are told, not carried out.


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    played = Script()
    monkeypatch.setattr(stages, "supervise", played.supervise)
    return played


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.mark.parametrize("status", ["lost", "harness_error", "oom_host", "timeout", "failed"])
def test_however_a_metrics_process_ends_the_run_keeps_its_own_scores(store: Store, script: Script, status: str) -> None:
    script.tell = lambda request, folder: ended(request, status) if "measure" in request.name else well(request)
    record = do(store, THIRD_PARTY)
    assert (record.status, set(record.scores), len(record.attempts)) == ("ok", {"fid"}, 1)
    assert record.withheld == {"odd": "theirs: a reason"}


def test_a_metric_that_something_else_ended_is_begun_again_and_nothing_else_is(store: Store, script: Script) -> None:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if request.name != "measure-0" or script.names.count("measure-0") < 2:
            return ended(request, "lost") if request.name == "measure-0" else well(request)
        score = {"value": 3.0, "n": 4, "direction": "lower"}
        measured = {"scores": {"odd": score}, "failed": {}, "done": ["odd"], "running": None}
        (folder / "measure-0" / MEASURED).write_text(json.dumps(measured))
        return well(request)

    script.tell = tell
    record = do(store, THIRD_PARTY)
    assert script.names == ["train", "evaluate", "score", "measure-0", "measure-0"]
    assert record.scores["odd"].value == 3.0


def test_a_fork_server_that_has_gone_withholds_what_was_not_measured_yet(store: Store, script: Script) -> None:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if request.name == "measure-0":
            raise HarnessError("the fork server has ended")
        return well(request)

    script.tell = tell
    record = do(store, THIRD_PARTY)
    assert (record.status, record.withheld) == ("ok", {"odd": "theirs: the fork server has ended"})


def test_memory_over_the_cap_is_the_metrics_own_doing_and_not_the_harnesss(store: Store, script: Script) -> None:
    do(store, THIRD_PARTY)
    over = {request.name: request.over_memory for request in script.requests}
    assert over == {"train": "oom_host", "evaluate": "oom_host", "score": "harness_error", "measure-0": "oom_host"}


def test_a_person_who_stops_while_a_metric_measures_has_the_run_cancelled(store: Store, script: Script) -> None:
    script.tell = lambda request, folder: ended(request, "cancelled") if "measure" in request.name else well(request)
    assert do(store, THIRD_PARTY).status == "cancelled"


def measured(scores: dict[str, Any]) -> Tell:
    def tell(request: StageRequest, folder: Path) -> StageEnd:
        if request.name == "measure-0":
            found = {"scores": scores, "failed": {}, "done": list(scores), "running": None}
            (folder / "measure-0" / MEASURED).write_text(json.dumps(found))
        return well(request)

    return tell


def test_scores_that_are_too_much_for_a_record_only_together_are_withheld(store: Store, script: Script) -> None:
    details = {"numbers": [1] * 21_000}
    metrics = [replace(THIRD_PARTY.metrics[0], name=f"odd{number}") for number in range(5)]
    given = {metric.name: {"value": 1.0, "n": 1, "direction": "lower", "details": details} for metric in metrics}
    script.tell = measured(given)
    record = do(store, replace(THIRD_PARTY, metrics=metrics))
    assert (record.status, set(record.scores)) == ("ok", {"fid"})
    assert "more than 100000 values" in record.withheld["odd0"]


@pytest.mark.parametrize("details", [json.loads('{"a":' * 62 + "1" + "}" * 62), {"a": 10**80}], ids=["deep", "long"])
def test_a_score_that_no_record_could_hold_is_withheld_alone(store: Store, script: Script, details: Any) -> None:
    metrics = [*THIRD_PARTY.metrics, replace(THIRD_PARTY.metrics[0], name="good")]
    good = {"value": 1.0, "n": 1, "direction": "lower"}
    script.tell = measured({"odd": {**good, "details": details}, "good": good})
    record = do(store, replace(THIRD_PARTY, metrics=metrics))
    assert (set(record.scores), set(record.withheld)) == ({"fid", "good"}, {"odd"})


def job_in(store: Store) -> Job:
    folder = store.root / ".work" / "toy"
    folder.mkdir(parents=True)
    return make_job(planned(), context_of(store, THIRD_PARTY), folder)


def test_a_full_disk_is_told_as_one_where_a_metrics_folder_is_made(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    job = job_in(store)
    (job.folder / "samples.npz").write_bytes(b"samples")
    monkeypatch.setattr(Disk, "adopt", full)
    with pytest.raises(StoreError, match="No space left"):
        job_for(job, 0)


def test_a_link_in_the_place_of_samples_is_not_handed_to_metrics(store: Store) -> None:
    job = job_in(store)
    (job.folder / "samples.npz").symlink_to("/etc/hostname")
    (job.folder / "nats.npz").write_bytes(b"nats")
    folder = job_for(job, 0).folder
    assert {path.name for path in folder.iterdir()} == {"nats.npz", "job.json"}
