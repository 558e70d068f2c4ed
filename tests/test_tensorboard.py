"""The TensorBoard observer: what it writes is read back with TensorBoard's own reader and held to the record."""

from __future__ import annotations

import sys
from pathlib import Path

import factories
import pytest

from genbench.matrix import choose
from genbench.plugins import discover
from genbench.record import Record
from genbench.report.live import View
from genbench.selection import load_benchmark, select_model
from genbench.store import RunKey
from genbench_tensorboard import VARIABLE, TensorBoardObserver, observer

MODEL = "toy[width=64]"
CURVE = """step,images,flops,seconds,loss,score:fid,n
16,512,5e11,1.5,0.75,,
16,512,5e11,1.5,,4.0,100
31,992,9.5e11,3.25,0.5,,
"""


def finished_run(root: Path, **changes: object) -> tuple[Record, Path]:
    """A record and its folder with a curve and a grid of samples."""
    record = factories.record(MODEL, **changes)
    folder = root / RunKey("tiny", MODEL, 0).path
    folder.mkdir(parents=True)
    (folder / "curve.csv").write_text(CURVE)
    (folder / "samples.png").write_bytes(factories.png(6, 4))
    return record, folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    """A run's record and what a reader finds of it on the board."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs genbench[tensorboard]"
    )
    root = tmp_path_factory.mktemp("board")
    record, folder = finished_run(tmp_path_factory.mktemp("results"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(root))
        watching = TensorBoardObserver()
        for _ in range(2):  # an attempt that was lost, and the one that made the record
            watching.run_started("tiny", MODEL, 0)
            watching.run_progressed("tiny", MODEL, 0, "train", 0.25)
        watching.run_finished(record, folder)
    (board,) = {path.parent for path in root.rglob("events.*")}
    assert board == root / RunKey("tiny", MODEL, 0).path
    found = reader.EventAccumulator(str(board))
    found.Reload()
    return record, found


def points(found, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_the_final_scores_are_those_of_the_record(written):
    record, found = written
    scores = {tag.removeprefix("scores/"): points(found, tag) for tag in found.Tags()["scalars"] if "scores/" in tag}
    # TensorBoard's scalars are float32.
    assert scores == {name: [(992, pytest.approx(each.value, rel=1e-6))] for name, each in record.scores.items()}


def test_milestones_stand_against_images_and_against_operations(written):
    _, found = written
    assert points(found, "milestones by images/fid") == [(512, 4.0)]
    assert points(found, "milestones by MFLOP/fid") == [(500_000, 4.0)]


def test_the_training_curve_has_what_the_model_logged_and_nothing_else(written):
    _, found = written
    assert points(found, "training by images/loss") == [(512, 0.75), (992, 0.5)]
    assert points(found, "training by MFLOP/loss") == [(500_000, 0.75), (950_000, 0.5)]
    assert {tag for tag in found.Tags()["scalars"] if tag.startswith("training by images/")} == {
        "training by images/loss"
    }


def test_progress_is_told_of_the_last_attempt_alone(written):
    _, found = written
    assert [value for _, value in points(found, "progress/train")] == [0.25]


def test_the_grid_of_samples_is_an_image(written):
    _, found = written
    (image,) = found.Images("samples")
    assert (image.width, image.height, image.encoded_image_string) == (6, 4, factories.png(6, 4))


def test_status_and_configuration_are_told(written):
    _, found = written
    assert found.Tensors("status")[0].tensor_proto.string_val == [b"ok"]
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = HParamsPluginData.FromString(found.PluginTagToContent("hparams")["_hparams_/session_start_info"])
    told = data.session_start_info.hparams
    assert {key: told[key].number_value for key in ("batch_size", "width", "seed")} == {
        "batch_size": 32,
        "width": 64,
        "seed": 0,
    }
    assert told["model"].string_value == MODEL


def test_a_run_that_failed_early_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs genbench[tensorboard]"
    )
    monkeypatch.setenv(VARIABLE, str(tmp_path / "board"))
    record = factories.record(MODEL, status="failed", reason="no such module", scores={}, milestones=[], spent={})
    folder = tmp_path / RunKey("tiny", MODEL, 0).path
    TensorBoardObserver().run_finished(record, folder)
    found = reader.EventAccumulator(str(tmp_path / "board" / RunKey("tiny", MODEL, 0).path))
    found.Reload()
    assert found.Tensors("status")[0].tensor_proto.string_val == [b"failed: no such module"]


def test_without_the_variable_nothing_is_written_or_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "genbench_tensorboard.board", None)  # importing it would raise
    record, folder = finished_run(tmp_path)
    watching = TensorBoardObserver()
    watching.run_started("tiny", MODEL, 0)
    watching.run_finished(record, folder)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"curve.csv", "samples.png"}


def test_a_missing_tensorboard_is_told_once_and_the_runs_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setitem(sys.modules, "genbench_tensorboard.board", None)
    monkeypatch.setattr(observer, "_given_up", False)
    lines = lines_of_a_call(tmp_path)
    (told,) = [line for line in lines if "tensorboard" in line]
    assert told.startswith("observer genbench:tensorboard failed in run_started: ")
    assert "pip install 'genbench[tensorboard]'" in told
    assert sum("toy seed" in line or "/toy/" in line for line in lines) == 2


def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tensorboard", reason="needs genbench[tensorboard]")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    monkeypatch.setattr(observer, "_given_up", False)
    (told,) = [line for line in lines_of_a_call(tmp_path) if "failed in" in line]
    assert "name another folder" in told


def test_an_observer_that_ends_its_process_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def leave(*arguments: object) -> None:
        sys.exit(3)

    monkeypatch.setattr("genbench_tensorboard.TensorBoardObserver._board", leave)
    lines = lines_of_a_call(tmp_path)
    assert sum(line == "observer genbench:tensorboard failed in run_progressed: SystemExit: 3" for line in lines) == 2
    assert sum("/toy/" in line or "toy seed" in line for line in lines) == 2


def lines_of_a_call(root: Path) -> list[str]:
    """What a call of two runs tells, each begun, moved on and finished under the installed observers."""
    from genbench.matrix import PlannedRun

    registry = discover()
    benchmark = load_benchmark(registry, "digits-smoke")
    (entry,) = choose(benchmark, [select_model(registry, "marginals")])
    runs = [PlannedRun(RunKey("tiny", "toy", seed), entry, "new", None) for seed in (0, 1)]
    lines: list[str] = []
    view = View(registry, runs, 0, 1, root, lines.append)
    for run in runs:
        view.started(run)
        view.progressed(run, "train", 0.5)
        view.finished(run, factories.record("toy", run.key.seed))
    return lines
