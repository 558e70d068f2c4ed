"""Scoring whole sets of samples with a benchmark's own metrics, also the sets that arithmetic may trip over."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from feature_sets import gaussian

from genbench.engine import splits
from genbench.engine.data import materialise
from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import Bench, look_at, score
from genbench.engine.scoring.material import Material, Measured
from genbench.engine.scoring.reference import Source, reference_for, reference_from
from genbench.errors import DataError, GenbenchError
from genbench.plugins import discover
from genbench.record import Score
from genbench.selection import load_benchmark
from genbench.specs import MetricSpec


@pytest.fixture(scope="module")
def of_black_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[set[str], dict[str, Score]]:
    """The names of digits-smoke's metrics, and what they make of 200 samples of nothing but black."""
    registry, cache = discover(), tmp_path_factory.mktemp("cache")
    benchmark = load_benchmark(registry, "digits-smoke")
    folder = Path(materialise(benchmark.dataset, cache))
    assert benchmark.second_evaluator is not None
    evaluators = (benchmark.evaluator, benchmark.second_evaluator)

    def training():
        return splits.training(folder, False)

    def held_out():
        return splits.held_out(folder, False)

    sha256 = benchmark.dataset.sha256
    first, second = (reference_for(spec, sha256, "test", held_out, cache) for spec in evaluators)
    bench = Bench(
        data=benchmark.dataset.data,
        evaluator=evaluators[0],
        reference=first,
        second=evaluators[1],
        second_reference=second,
        second_training=lambda: reference_for(evaluators[1], sha256, "train", training, cache),
        training=training,
        held_out=held_out,
        cache=cache,
    )
    black = np.zeros((200, 1, 8, 8), np.uint8)
    log_probs = LogProbs(np.full(40, -100.0), "exact", 1, 64)
    material = look_at(black, np.arange(200) % 10, log_probs, bench)
    names = benchmark.file.metrics
    return set(names), score(material, [registry.metrics[name].spec for name in names])


def test_a_generator_that_gives_one_image_has_every_score(of_black_images: tuple[set[str], dict[str, Score]]) -> None:
    names, scores = of_black_images
    assert {name.partition("@")[0] for name in scores} == names


def test_the_scores_of_a_generator_that_gives_one_image_are_numbers_that_a_record_can_hold(
    of_black_images: tuple[set[str], dict[str, Score]],
) -> None:
    for entry in of_black_images[1].values():
        json.dumps(asdict(entry), allow_nan=False)
        assert "not_finite" not in entry.details


def material(**changes: object) -> Material:
    x = gaussian(30, 4, 1)
    reference = reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, x)
    return Material(np.zeros((30, 1, 1, 1), np.uint8), None, x, x, reference, **changes)  # type: ignore[arg-type]


def with_odd_details(of: Material) -> Measured:
    return Measured(1.0, 3, details={"of_class": {"0": float("nan")}, "stderr": float("inf"), "size": 3})


def without_a_value(of: Material) -> Measured:
    return Measured(float("nan"), 3)


def test_details_that_are_not_finite_are_left_out_and_named() -> None:
    spec = MetricSpec("odd", "Odd", "test_scoring:with_odd_details", "lower")
    assert score(material(), [spec])["odd"].details == {"size": 3, "not_finite": ["of_class", "stderr"]}


def test_a_value_that_is_not_finite_is_refused_with_the_metrics_name() -> None:
    with pytest.raises(GenbenchError, match="metric 'odd': gives nan"):
        score(material(), [MetricSpec("odd", "Odd", "test_scoring:without_a_value", "lower")])


def test_references_of_other_numbers_of_threads_are_kept_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = load_benchmark(discover(), "digits-smoke").evaluator
    images = np.random.default_rng(0).integers(0, 17, (20, 1, 8, 8)).astype(np.uint8)
    for threads in (1, 2):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        reference_for(spec, "d" * 64, "test", lambda: (images, None), tmp_path)
    assert sorted(path.stem[-9:] for path in tmp_path.iterdir()) == ["threads-1", "threads-2"]


def asked_for(metric: str) -> MetricSpec:
    return discover().metrics[metric].spec


def test_intra_kids_of_seeds_that_lack_a_class_have_one_fingerprint() -> None:
    labels = np.arange(30) % 3
    reference = reference_from(
        Source("d" * 64, "test", "e", "f" * 64, "features"), gaussian(30, 4, 1), np.eye(30, 3), labels
    )
    x = gaussian(30, 4, 2)
    found = [
        score(
            Material(np.zeros((30, 1, 1, 1), np.uint8), asked, x, x[:, :3], reference, classes=3),
            [asked_for("intra_kid")],
        )["intra_kid"]
        for asked in (labels, labels % 2)
    ]
    assert found[0].fingerprint == found[1].fingerprint
    assert (found[0].details.get("skipped"), found[1].details["skipped"]) == (None, [2])


@pytest.mark.parametrize("metric", ["label_accuracy", "intra_kid"])
def test_control_of_labels_without_labels_of_the_real_data_is_refused(metric: str) -> None:
    x = gaussian(30, 4, 1)
    reference = reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, x)
    given = Material(np.zeros((30, 1, 1, 1), np.uint8), np.zeros(30, np.int64), x, x, reference, classes=3)
    with pytest.raises(DataError, match="hold no labels"):
        score(given, [asked_for(metric)])


@pytest.mark.parametrize(("logits", "channels", "classes"), [(10, 1, 10), (30, 3, 1000), (1000, 3, 1000)])
def test_modes_are_told_by_a_logit_each_or_by_channels(logits: int, channels: int, classes: int) -> None:
    shares = np.full(classes, 1 / classes)
    x = gaussian(30, 4, 1)
    reference = reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, x)
    images = np.zeros((30, channels, 1, 1), np.uint8)
    outputs = np.zeros((30, logits), np.float32)
    given = Material(images, None, x, outputs, reference, classes=classes, class_shares=lambda: shares)
    assert score(given, [asked_for("modes_found")])["modes_found"].value == 1


@pytest.mark.parametrize(("logits", "channels", "classes"), [(5, 1, 10), (9, 3, 1000), (1, 1, 10), (0, 3, 10)])
def test_logits_that_cannot_tell_the_modes_are_refused(logits: int, channels: int, classes: int) -> None:
    x = gaussian(30, 4, 1)
    reference = reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, x)
    images, outputs = np.zeros((30, channels, 1, 1), np.uint8), np.zeros((30, logits), np.float32)
    shares = np.full(classes, 1 / classes)
    given = Material(images, None, x, outputs, reference, classes=classes, class_shares=lambda: shares)
    with pytest.raises(DataError, match=f"the data have {classes} modes.* not {logits} in all"):
        score(given, [asked_for("modes_found")])


def test_scoring_loads_none_of_the_libraries_that_take_a_second() -> None:
    # Every run's scoring process would pay for them, or the server that it is forked from.
    script = (
        "import sys, numpy as np, genbench.engine.scoring.metrics as m\n"
        "from genbench.engine.scoring.frechet import frechet_distance_at_infinity as fd\n"
        "from genbench.engine.scoring.classes import expected_histogram_distance as expected\n"
        "from genbench.engine.scoring.copying import copying\n"
        "x = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)\n"
        "fd(x, np.zeros(4), np.eye(4)), expected(9, np.full(10, 0.1)), copying(x[:100], x, x)\n"
        "print(sorted({'scipy.stats', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
