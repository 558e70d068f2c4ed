"""The rungs of the calibration ladder: what a metric may claim of them, and the sets that they are made of."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from genbench import MetricSpec, hookimpl
from genbench.engine.calibration.corruptions import Source, corruptions, noisy, replayed
from genbench.engine.calibration.ladder import halves_of
from genbench.errors import SpecError
from genbench.plugins import Plugin, discover
from genbench.rungs import WHOLE, claims_of, judge, steps
from genbench.specs import DataSpec

N = 100


def metric(tells_apart=(), blind_to=(), direction="lower"):
    return MetricSpec("it", "It", "nowhere:it", direction, tells_apart=tells_apart, blind_to=blind_to)


def test_a_chain_claims_each_step_of_it():
    claims = claims_of(metric(("train-copy>noise-1 > noise-3",), ("train-copy=shift", "train-copy<class-dropped")))
    assert list(map(str, claims)) == [
        "train-copy>noise-1",
        "noise-1>noise-3",
        "train-copy=shift",
        "train-copy<class-dropped",
    ]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (metric(("train-copy>noise-9",)), "unknown rung .*'noise-9'; did you mean 'noise-"),
        (metric(("noise-1>blur-2",)), "'blur-2' is no stronger form of what was done to 'noise-1'"),
        (metric(("noise-2>noise-1",)), "the better set first"),
        (metric(("train-copy>replayed",)), "no stronger form"),
        (metric(("train-copy=noise-1",)), "must be 'better>worse', or a chain of them"),
        (metric((), ("train-copy>noise-1",)), "must be 'better=worse' or 'better<worse'"),
        (metric((), ("train-copy=noise-1=noise-2",)), "must be 'better=worse' or 'better<worse'"),
        (metric(("train-copy",)), "must be 'better>worse'"),
        (metric(("train-copy>noise-1",), ("train-copy=noise-1",)), "claims 'train-copy' and 'noise-1' twice"),
        (metric("train-copy>noise-1"), "must be a tuple of texts"),
        (metric(("train-copy>noise-1",), direction="none"), "has no direction"),
    ],
)
def test_a_claim_that_means_nothing_is_refused_with_the_reason(spec, why):
    with pytest.raises(SpecError, match=why):
        claims_of(spec)


def test_a_plugin_whose_metric_names_a_rung_that_is_not_there_is_reported_broken():
    registry = discover(())

    @hookimpl
    def register_metrics():
        return [metric(("train-copy>nois-1",))]

    registry.add(Plugin("bad", "bad", "1", "bad"), lambda: SimpleNamespace(register_metrics=register_metrics))
    (broken,) = registry.broken
    assert "did you mean 'noise-1'?" in broken.problem


def test_z_is_the_gap_in_standard_errors_over_20_draws():
    first, second = [1.0, 2.0, 3.0], [5.0, 6.0, 7.0]  # standard deviation 1 each
    verdict = judge("train-copy", "shift", {"train-copy": first, "shift": second}, "lower")
    assert verdict.gap == 4
    assert verdict.z == pytest.approx(4 / math.sqrt(2 / 20))


def test_z_does_not_grow_with_the_number_of_draws():
    rng = np.random.default_rng(0)
    values = {"train-copy": rng.normal(0, 1, 4000).tolist(), "shift": rng.normal(0.3, 1, 4000).tolist()}
    few = {rung: draws[:400] for rung, draws in values.items()}
    many, small = (judge("train-copy", "shift", measured, "lower").z for measured in (values, few))
    assert many == pytest.approx(0.3 / math.sqrt(2 / 20), abs=0.3)
    assert small == pytest.approx(many, abs=0.6)


@pytest.mark.parametrize(("direction", "found"), [("lower", ">"), ("higher", "<")])
def test_the_metric_s_direction_decides_which_set_looks_better(direction, found):
    values = {"train-copy": [1.0, 1.1], "shift": [2.0, 2.1]}
    assert judge("train-copy", "shift", values, direction).found == found


def test_rungs_that_never_vary_are_parted_by_any_gap_and_by_no_other():
    assert judge("train-copy", "shift", {"train-copy": [1.0, 1.0], "shift": [0.5, 0.5]}, "higher").found == ">"
    assert judge("train-copy", "shift", {"train-copy": [1.0, 1.0], "shift": [1.0, 1.0]}, "higher").found == "="


def test_a_gap_within_3_standard_errors_is_not_seen():
    # Standard deviations of 1: 3 standard errors are 3 sqrt(2 / 20) = 0.949.
    spread = np.array([-1.0, 0.0, 1.0])
    for gap, found in ((0.94, "="), (0.96, ">"), (-0.94, "="), (-0.96, "<")):
        values = {"train-copy": spread.tolist(), "shift": (spread + gap).tolist()}
        assert judge("train-copy", "shift", values, "lower").found == found


def test_no_pair_mixes_sets_of_different_sizes():
    assert all((better in WHOLE) == (worse in WHOLE) for better, worse in steps())


@pytest.fixture(scope="module")
def source():
    """Ten classes of 8x8 images; the first pixel is the class and no two images are alike."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 24)
    x = rng.integers(17, size=(240, 1, 8, 8)).astype(np.uint8)
    x[:, 0, 0, 0] = labels
    return Source(x, labels, DataSpec((1, 8, 8), 17, 10), N)


@pytest.fixture(scope="module")
def made(source):
    return {name: make(source, np.random.default_rng(1)) for name, make in corruptions(source.data).items()}


def counts(x):
    """How often each image occurs, most often first."""
    return sorted(Counter(image.tobytes() for image in x).values(), reverse=True)


def originals(source):
    return {image.tobytes(): label for image, label in zip(source.x, source.labels, strict=True)}


def test_every_rung_of_whole_sets_can_be_made_of_labelled_images(made):
    assert set(made) == set(WHOLE)


@pytest.mark.parametrize("rung", WHOLE)
def test_a_set_has_n_images_of_the_data_s_form_with_labels(made, rung):
    x, labels = made[rung]
    assert (x.dtype, x.shape, labels.dtype, labels.shape) == (np.uint8, (N, 1, 8, 8), np.int64, (N,))
    assert x.max() < 17


@pytest.mark.parametrize("rung", ["train-copy", "class-dropped", "classes-unbalanced", "labels-shuffled"])
def test_training_examples_are_not_repeated(source, made, rung):
    x, _ = made[rung]
    assert counts(x) == [1] * N
    assert all(image.tobytes() in originals(source) for image in x)


@pytest.mark.parametrize(("rung", "expected"), [("duplicates-10%", [2] * 10 + [1] * 80), ("duplicates-50%", [2] * 50)])
def test_duplicates_are_the_stated_share_of_the_set(made, rung, expected):
    assert counts(made[rung][0]) == expected


def test_the_collapse_is_to_ten_examples(made):
    assert counts(made["collapse"][0]) == [10] * 10


def test_one_example_stands_for_each_class(made):
    x, labels = made["one-per-class"]
    assert len(set(labels)) == 10
    assert all(len(np.unique(x[labels == label], axis=0)) == 1 for label in set(labels))


def test_one_class_is_dropped_and_not_always_the_same(source):
    make = corruptions(source.data)["class-dropped"]
    missing = [set(range(10)) - set(make(source, np.random.default_rng(draw))[1]) for draw in range(10)]
    assert all(len(classes) == 1 for classes in missing)
    assert len(set().union(*missing)) > 1


def test_unbalanced_classes_rise_from_half_to_one_and_a_half_times_their_share(made):
    shares = np.bincount(made["classes-unbalanced"][1], minlength=10) / N * 10
    assert shares == pytest.approx(np.linspace(0.5, 1.5, 10), abs=0.5)
    assert (np.diff(shares) >= 0).all()


@pytest.mark.parametrize(("rung", "wrong"), [("labels-10%-wrong", (10, 10)), ("labels-shuffled", (75, 100))])
def test_labels_are_wrong_as_often_as_stated(source, made, rung, wrong):
    x, labels = made[rung]
    true = np.array([originals(source)[image.tobytes()] for image in x])
    assert wrong[0] <= (labels != true).sum() <= wrong[1]


def test_each_grade_of_a_corruption_moves_pixels_further(source):
    for kind in ("blur", "noise"):
        distances = []
        for grade in (1, 2, 3):
            rng = np.random.default_rng(1)
            made = corruptions(source.data)[f"{kind}-{grade}"](source, rng)[0].astype(float)
            before = corruptions(source.data)["train-copy"](source, np.random.default_rng(1))[0]
            distances.append(np.abs(made - before).mean())
        assert distances == sorted(distances)
        assert distances[0] > 0


def test_noise_has_the_stated_strength():
    grey = np.full((500, 1, 8, 8), 128, np.uint8)
    noise = noisy(grey, DataSpec((1, 8, 8), 256), 0.1, np.random.default_rng(0)).astype(float) - 128
    assert noise.std() == pytest.approx(25.5, rel=0.02)


def test_a_shift_moves_an_image_by_one_pixel_of_eight_and_repeats_its_edge(source):
    before, _ = corruptions(source.data)["train-copy"](source, np.random.default_rng(3))
    after, _ = corruptions(source.data)["shift"](source, np.random.default_rng(3))
    for image, moved in zip(before[:, 0], after[:, 0], strict=True):
        padded = np.pad(image, 1, mode="edge")
        candidates = [padded[1 + dy : 9 + dy, 1 + dx : 9 + dx] for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        assert any((moved == candidate).all() for candidate in candidates)


def test_marginals_keep_each_pixel_s_distribution_and_lose_the_class(source):
    large = dataclasses.replace(source, x=source.x.repeat(20, 0), labels=source.labels.repeat(20), n=2400)
    x, labels = corruptions(source.data)["marginals"](large, np.random.default_rng(0))
    assert np.bincount(x[:, 0, 0, 0], minlength=10) / len(x) == pytest.approx(np.full(10, 0.1), abs=0.03)
    assert (x[:, 0, 0, 0] == labels).mean() == pytest.approx(0.1, abs=0.03)


def test_class_marginals_keep_the_class(made):
    x, labels = made["class-marginals"]
    assert (x[:, 0, 0, 0] == labels).all()


def test_data_without_labels_have_no_rungs_that_need_them(source):
    bare = dataclasses.replace(source, labels=None, data=DataSpec((1, 8, 8), 17))
    made = {name: make(bare, np.random.default_rng(0)) for name, make in corruptions(bare.data).items()}
    assert "class-dropped" not in made
    assert all(labels is None for _, labels in made.values())


def test_sequences_are_neither_blurred_nor_shifted():
    rungs = set(corruptions(DataSpec((5,), 3)))
    assert rungs == {"train-copy", "duplicates-10%", "duplicates-50%", "collapse", "marginals", "uniform-noise"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_replayed_examples_are_the_stated_share(source, share):
    rng = np.random.default_rng(7)
    honest = rng.integers(17, size=(60, 1, 8, 8)).astype(np.uint8), np.zeros(60, np.int64)
    x, _ = replayed(honest, source, share, rng)
    assert sum(image.tobytes() in originals(source) for image in x) == round(60 * share)


def test_the_halves_share_no_example_and_are_parted_anew_in_each_draw():
    first, second = halves_of(601, "held-out", 0)
    assert len(first) == len(second) == 300
    assert not set(first) & set(second)
    assert set(first) != set(halves_of(601, "held-out", 1)[0])
    assert set(first) != set(halves_of(601, "replayed", 0)[0])
