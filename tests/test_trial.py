"""An evaluator shows on a few images that it is as declared, before anything is trained."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trial_evaluators
from commands import inside, shared_launcher
from factories import toml

import genbench.plugins
from genbench import paths
from genbench.benchmark import Benchmark
from genbench.engine.scoring.reference import source_of
from genbench.engine.scoring.trial import try_evaluator
from genbench.errors import DataError
from genbench.executors import prepare
from genbench.executors.launcher import Launcher
from genbench.plugins import Plugin, Registered, Registry, discover
from genbench.selection import load_benchmark
from genbench.specs import EvaluatorSpec

TESTS = str(Path(trial_evaluators.__file__).parent)


@pytest.fixture
def data_folder(tmp_path: Path) -> str:
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}.x.npy", np.arange(6 * 64, dtype=np.uint8).reshape(6, 1, 8, 8) % 17)
    return str(tmp_path)


@pytest.fixture
def registry() -> Registry:
    """The installed plugins, for a test to add to."""
    return discover()


def declared(factory: str, folder: Path) -> EvaluatorSpec:
    weights = folder / "weights.bin"
    weights.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    return EvaluatorSpec(
        "theirs-v1", f"trial_evaluators:{factory}", str(weights), sha256, "features", None, trial_evaluators.DIMS,
        (1, 8, 8), 17,
    )  # fmt: skip


def with_theirs(registry: Registry, factory: str, folder: Path, **changes: Any) -> Benchmark:
    """A benchmark on digits with the evaluator, which ``registry`` then has from a plugin of somebody else."""
    plugin = Plugin("theirs", "genbench-theirs", "1.2", "trial_evaluators", root=TESTS)
    registry.evaluators["theirs-v1"] = Registered(declared(factory, folder), plugin)
    raw = tomllib.loads(Path(registry.benchmarks["digits-smoke"].spec).read_text())
    del raw["second_evaluator"]
    raw |= {"name": "mine", "description": "", "evaluator": "theirs-v1", "metrics": ["fid"], **changes}
    (folder / "mine.toml").write_text(toml(raw))
    return load_benchmark(registry, str(folder / "mine.toml"))


def launcher() -> Launcher:
    """The one that all tests share, when it has started: the time of a trial is not that of a fork server."""
    launcher = shared_launcher(1, ())
    launcher.call("supervised:answer", {}, [TESTS])
    return launcher


def tried(spec: EvaluatorSpec, data_folder: str, cache: str | None = None) -> None:
    try_evaluator(asdict(spec), "d" * 64, data_folder, False, 1, cache)


@pytest.fixture
def unprepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch as the other tests of this process have it."""
    monkeypatch.setattr("genbench.engine.scoring.trial.prepare_torch", lambda threads, device: None)


def test_an_evaluator_that_is_as_declared_passes(data_folder: str, tmp_path: Path, unprepared: None) -> None:
    tried(declared("Honest", tmp_path), data_folder)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("Raises", r"must give float32 features \[2, 3\] of images of the data set, and raises ValueError: sixteen "
                   r"channels are needed at trial_evaluators.py:\d+"),
        ("Exits", r"and raises SystemExit: 0 at trial_evaluators.py:\d+"),
        ("TooFewFeatures", r"layer 'features' must be float32 \(2, 3\), not torch.float32 \(2, 2\)"),
        ("OneImageForAll", r"layer 'features' must be float32 \(2, 3\), not torch.float32 \(1, 3\)"),
        ("DoublePrecision", r"must be float32 \(2, 3\), not torch.float64"),
        ("BareTensor", r"forward must return a tuple of 1 tensor, the layers features, not Tensor"),
        ("NotFiniteOnBlankImages", r"has values that are not finite \(shown blank images\)"),
        ("CannotBeBuilt", r"trial_evaluators:CannotBeBuilt cannot load it: KeyError: 'mean' at trial_evaluators.py:\d"),
    ],
)  # fmt: skip
def test_what_an_evaluator_does_other_than_declared_is_told_with_the_place(
    data_folder: str, tmp_path: Path, unprepared: None, factory: str, said: str
) -> None:
    with pytest.raises(DataError, match=f"evaluator 'theirs-v1': .*{said}"):
        tried(declared(factory, tmp_path), data_folder)


def test_an_evaluator_that_has_described_the_data_before_is_not_loaded(data_folder: str, tmp_path: Path) -> None:
    spec = declared("CannotBeBuilt", tmp_path)
    (tmp_path / f"{source_of(spec, 'd' * 64, 'test').key}-avx2-1.safetensors").touch()
    tried(spec, data_folder, cache=str(tmp_path))


def test_before_dev_runs_no_test_image_is_looked_at(data_folder: str, tmp_path: Path, unprepared: None) -> None:
    Path(data_folder, "test.x.npy").unlink()
    try_evaluator(asdict(declared("Honest", tmp_path)), "d" * 64, data_folder, True, 1, None)


def test_an_evaluator_that_hangs_is_ended_and_told_with_the_place_where_it_stood(
    registry: Registry, data_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = with_theirs(registry, "Hangs", tmp_path)
    monkeypatch.setattr(prepare, "TRIAL_SECONDS", 2.0)
    said = r"images within 2 s, and the process that tried it was still running after 2 s; it stood at trial_eval.*:\d+"
    with pytest.raises(DataError, match=said):
        prepare.ready_evaluators(registry, benchmark, launcher(), data_folder)


def test_an_evaluator_that_takes_its_process_down_is_told_with_the_place_where_it_stood(
    registry: Registry, data_folder: str, tmp_path: Path
) -> None:
    benchmark = with_theirs(registry, "Aborts", tmp_path)
    said = r"and the process that tried it ended by SIGABRT; it stood at trial_evaluators.py:\d+"
    with pytest.raises(DataError, match=said):
        prepare.ready_evaluators(registry, benchmark, launcher(), data_folder)


def test_their_evaluator_is_tried_although_its_statistics_are_in_the_cache(
    registry: Registry, data_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = with_theirs(registry, "Raises", tmp_path)
    monkeypatch.setattr(paths, "reference_cache", lambda: tmp_path)
    source = source_of(benchmark.evaluator, benchmark.dataset.sha256, "test")
    (tmp_path / f"{source.key}-avx2-1.safetensors").touch()
    with pytest.raises(DataError, match="sixteen channels"):
        prepare.ready_evaluators(registry, benchmark, launcher(), data_folder)


def test_of_genbenchs_own_only_those_whose_weights_do_not_ship_are_tried(
    registry: Registry, data_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Told:
        def call(self, target: str, *_: object) -> str:
            asked.append(target.partition(":")[2])
            return str(tmp_path / "weights.bin")

    own = with_theirs(registry, "Honest", tmp_path, evaluator="digits-cnn-v1")
    prepare.ready_evaluators(registry, own, Told(), data_folder)  # type: ignore[arg-type]
    assert asked == []
    inception = replace(own, evaluator=registry.evaluators["inception-v3-compat"].spec)
    prepare.ready_evaluators(registry, inception, Told(), data_folder)  # type: ignore[arg-type]
    assert asked == ["ready_weights", "try_evaluator"]


def test_a_run_that_could_not_be_scored_is_not_begun(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_theirs(registry, "Raises", tmp_path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    done = inside("run", "noise", "-b", tmp_path / "mine.toml", "--results", tmp_path / "results")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    told = lines.index(next(line for line in lines if "sixteen channels" in line))
    assert "no run of mine could be scored, so none is begun" in lines[told + 1]
    assert "to do: mend trial_evaluators:Raises (genbench-theirs 1.2)" in lines[told + 2]
    assert not list((tmp_path / "results").glob("mine/*"))
    assert not list((tmp_path / "results").glob(".work/*"))
