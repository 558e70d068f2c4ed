"""Metrics that third parties bring: in the record beside the core's, and unable to harm them."""

import os
from pathlib import Path

import pytest
from commands import ZOO, genbench

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
    done = genbench("run", "marginals", "-b", benchmark, "--results", folder / "results", python_path=(ZOO,))
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
