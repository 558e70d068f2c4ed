"""`genbench verify`: files that are not those of their record, and repetitions that come out otherwise, are found."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from commands import genbench, inside

from genbench.plugins import discover
from genbench.record import parse
from genbench.replay import Difference, benchmark_of, differences, file_differences, plan_again
from genbench.store import Store

RUNS = ("marginals", "vae")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("verify") / "results"
    run = inside("run", *RUNS, "-b", "digits-smoke", "--seeds", "1", "--results", results)
    assert run.returncode == 0, run.stderr
    return results


@pytest.fixture
def results(done: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(done, tmp_path / "results"))


def edit(results: Path, model: str, **changes: object) -> None:
    path = results / "digits-smoke" / model / "seed-1" / "record.json"
    record = json.loads(path.read_text())
    for place, value in changes.items():
        *outer, last = place.split("__")
        holder = record
        for key in outer:
            holder = holder[key]
        holder[last] = value
    path.write_text(json.dumps(record))


def test_untouched_runs_are_verified(done: Path) -> None:
    found = inside("verify", "digits-smoke", "--results", done)
    assert found.returncode == 0, found.stdout
    assert "2 of 2 runs verified" in found.stdout


def test_runs_come_out_identical_when_trained_again(done: Path) -> None:
    found = genbench("verify", "digits-smoke", "--retrain", "--json", "--results", done)
    assert found.returncode == 0, found.stdout
    verdicts = json.loads(found.stdout)
    assert [entry["verified"] for entry in verdicts] == [True, True]
    assert {entry["checked"] for entry in verdicts} == {"files and retraining"}


def test_a_changed_file_is_named(results: Path) -> None:
    path = results / "digits-smoke" / "vae" / "seed-1" / "samples.npz"
    path.write_bytes(path.read_bytes() + b" ")
    found = inside("verify", "digits-smoke/vae/seed-1", "digits-smoke/marginals", "--results", results)
    assert found.returncode == 3
    assert "digits-smoke/vae/seed-1: NOT verified" in found.stdout
    assert "samples.npz: recorded sha256:" in found.stdout
    assert "digits-smoke/marginals/seed-1: verified" in found.stdout


def test_a_missing_file_is_named(results: Path) -> None:
    (results / "digits-smoke" / "vae" / "seed-1" / "state.safetensors").unlink()
    found = inside("verify", "digits-smoke/vae", "--results", results)
    assert found.returncode == 3
    assert "state.safetensors: recorded sha256:" in found.stdout
    assert "found nothing" in found.stdout


def test_a_hand_edited_score_does_not_survive_retraining(results: Path) -> None:
    edit(results, "marginals", scores__fid__value=0.001)
    found = inside("verify", "digits-smoke/marginals", "--retrain", "--results", results)
    assert found.returncode == 3
    assert "scores.fid.value: recorded 0.001, found " in found.stdout


def test_a_run_of_other_code_is_not_trained_again_and_says_why(results: Path) -> None:
    edit(results, "marginals", model__code_sha256="0" * 64, model__version="0.0.9")
    found = inside("verify", "digits-smoke/marginals", "--retrain", "--results", results)
    assert found.returncode == 3
    assert "is not that of the run (genbench 0.0.9); install that version" in found.stdout


def test_a_run_of_other_options_cannot_pass_for_the_default(results: Path) -> None:
    edit(results, "marginals", model__config={"batch_size": 7})
    found = inside("verify", "digits-smoke/marginals", "--retrain", "--results", results)
    assert found.returncode == 3
    assert "its configuration is not that of marginals" in found.stdout


def test_a_record_in_anothers_place_is_told(results: Path) -> None:
    moved = shutil.move(results / "digits-smoke" / "marginals" / "seed-1", results / "digits-smoke" / "vae" / "seed-0")
    found = inside("verify", moved, "--results", results)
    assert found.returncode == 3
    assert "its folder vae/seed-0 is not that of the run, marginals/seed-1" in found.stdout


def test_copies_of_a_run_are_verified_by_one_repetition(results: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(results / "digits-smoke" / "marginals", tmp_path / "copy" / "marginals") / "seed-1"
    found = inside("verify", "digits-smoke/marginals", copy, "--retrain", "--results", results)
    assert found.returncode == 0, found.stdout
    assert "2 of 2 runs verified" in found.stdout


def test_an_unreadable_record_is_not_verified(results: Path) -> None:
    (results / "digits-smoke" / "marginals" / "seed-1" / "record.json").write_text("{")
    found = inside("verify", "digits-smoke/marginals", "--results", results)
    assert found.returncode == 3
    assert "digits-smoke/marginals/seed-1: NOT verified" in found.stdout
    assert "its record is unreadable: not JSON" in found.stdout


def test_an_unknown_run_is_refused_with_the_nearest(done: Path) -> None:
    found = inside("verify", "digits-smoke/marginal", "--results", done)
    assert found.returncode == 2
    assert "digits-smoke/marginals/seed-1" in found.stderr


def test_a_record_cannot_lead_out_of_its_folder(results: Path) -> None:
    folder = results / "digits-smoke" / "marginals" / "seed-1"
    outside = results / "outside"
    outside.write_text("secret")
    record = parse((folder / "record.json").read_text())
    hostile = replace(record, artifacts={"../../../outside": "sha256:0"})
    assert file_differences(folder, hostile) == [Difference("../../../outside", "sha256:0", "nothing")]


def test_training_that_the_clock_ended_cannot_be_repeated(done: Path) -> None:
    registry = discover()
    (record,) = (entry for entry in Store(done).load().records if entry.model.name == "vae")
    timed = replace(record, spent={**record.spent, "ended_by": "seconds"})
    with pytest.raises(Exception, match="ended by the clock"):
        plan_again(registry, benchmark_of(registry, timed, None), timed)


def test_two_records_differ_in_what_is_not_volatile_alone(done: Path) -> None:
    (record,) = (entry for entry in Store(done).load().records if entry.model.name == "vae")
    later = replace(record, finished="2030-01-01T00:00:00+00:00", environment={})
    assert differences(record, later) == []
    other = replace(record, spent={**record.spent, "steps": 3})
    assert [entry.field for entry in differences(record, other)] == ["spent.steps"]
