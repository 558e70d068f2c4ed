"""Inception Score, class histograms, label accuracy and intra-class KID."""

import itertools

import numpy as np
import pytest
import torch
from feature_sets import gaussian

from genbench.engine.scoring import classes
from genbench.engine.scoring.kernel import kernel_distance
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.metric_isc import isc_features_to_metric  # noqa: E402


@pytest.mark.parametrize("splits", [1, 10])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
def test_inception_score_equals_that_of_torch_fidelity(splits: int, spread: float) -> None:
    logits = gaussian(500, 10, 28, scale=spread)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=splits)["inception_score_mean"]
    assert classes.inception_score(logits, splits) == pytest.approx(expected, rel=1e-4)


def test_inception_score_of_undecided_samples_is_1() -> None:
    assert classes.inception_score(np.zeros((20, 10), np.float32)) == pytest.approx(1)


def test_inception_score_of_sure_and_balanced_samples_is_the_number_of_classes() -> None:
    assert classes.inception_score(np.tile(1000 * np.eye(10, dtype=np.float32), (3, 1))) == pytest.approx(10)


def test_inception_score_of_samples_that_are_all_surely_of_one_class_is_1() -> None:
    # p of the other classes underflows to 0 in every sample, where 0 log 0 would give NaN.
    assert classes.inception_score(np.tile(2000 * np.eye(10, dtype=np.float32)[:1], (30, 1))) == pytest.approx(1)


@pytest.mark.parametrize(("n", "splits"), [(4999, 1), (5000, 10)])
def test_the_inception_score_is_split_from_5000_samples_on(n: int, splits: int) -> None:
    assert classes.is_splits(n) == splits


def test_class_histogram_is_the_share_of_each_predicted_class() -> None:
    logits = np.eye(4, dtype=np.float32)[[0, 0, 2, 3, 3, 3, 3, 3]]
    assert classes.class_histogram(logits).tolist() == [0.25, 0, 0.125, 0.625]


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [([0.5, 0.5], [0.5, 0.5], 0), ([1, 0], [0, 1], 1), ([0.2, 0.3, 0.5], [0.4, 0.3, 0.3], 0.2)],
)
def test_histogram_distance_is_total_variation(p: list[float], q: list[float], expected: float) -> None:
    assert classes.histogram_distance(np.array(p), np.array(q)) == pytest.approx(expected)


def test_histogram_distance_is_the_largest_difference_in_the_probability_of_an_event() -> None:
    p, q = (np.random.default_rng(seed).dirichlet(np.ones(6)) for seed in (0, 1))
    events = (list(event) for size in range(7) for event in itertools.combinations(range(6), size))
    assert classes.histogram_distance(p, q) == pytest.approx(max(p[e].sum() - q[e].sum() for e in events))


@pytest.mark.parametrize("p", [[0.5, 0.3, 0.2], [1.0, 0.0], [0.25] * 4, [0.98, 0.02]])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_expected_histogram_distance_is_the_sum_over_all_outcomes(n: int, p: list[float]) -> None:
    real = np.array(p)
    outcomes = [np.array(draw) for draw in itertools.product(range(len(p)), repeat=n)] if len(p) ** n <= 70_000 else []
    expected = sum(
        np.prod(real[draw]) * classes.histogram_distance(np.bincount(draw, minlength=len(p)) / n, real)
        for draw in outcomes
    )
    assert classes.expected_histogram_distance(n, real) == pytest.approx(expected, abs=1e-12)


def test_expected_histogram_distance_is_the_mean_over_many_draws() -> None:
    real = np.random.default_rng(0).dirichlet(np.ones(10))
    draws = np.random.default_rng(1).multinomial(600, real, size=20_000) / 600
    distances = np.abs(draws - real).sum(1) / 2
    stderr = distances.std() / 20_000**0.5
    assert classes.expected_histogram_distance(600, real) == pytest.approx(distances.mean(), abs=4 * stderr)


def test_label_accuracy_is_the_share_of_samples_of_the_class_asked_for() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    assert classes.label_accuracy(logits, np.array([0, 1, 2, 0])) == 0.75


def labelled(seed: int, counts: list[int], shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return gaussian(len(labels), 6, seed, shift=shift) + labels[:, None].astype(np.float32), labels


def test_intra_class_kid_is_the_mean_of_the_kids_of_the_classes() -> None:
    (x, asked), (y, known) = labelled(1, [20, 30, 40], shift=0.3), labelled(2, [25, 25, 25])
    expected = np.mean([kernel_distance(x[asked == label], y[known == label]) for label in range(3)])
    assert classes.intra_class_kernel_distance(x, asked, y, known, 3).value == pytest.approx(expected)


def test_intra_class_kid_does_not_hang_on_the_order_of_samples() -> None:
    (x, asked), (y, known) = labelled(1, [20, 30]), labelled(2, [25, 25])
    order = np.random.default_rng(0).permutation(50)
    there, shuffled = (
        classes.intra_class_kernel_distance(x[o], asked[o], y, known, 2).value for o in (np.arange(50), order)
    )
    assert shuffled == pytest.approx(there, rel=1e-5)


def test_intra_class_kid_sees_swapped_classes_that_kid_does_not() -> None:
    x, asked = labelled(1, [40, 40])
    swapped = classes.intra_class_kernel_distance(x, 1 - asked, x, asked, 2).value
    assert swapped > classes.intra_class_kernel_distance(x, asked, x, asked, 2).value + 1


@pytest.mark.parametrize("counts", [[20, 1, 0, 9], [20, 2, 2, 9]])
def test_intra_class_kid_skips_and_names_classes_of_fewer_than_2(counts: list[int]) -> None:
    x, asked = labelled(1, counts)
    y, known = labelled(2, [9, 9, 9, 1])
    skipped = classes.intra_class_kernel_distance(x, asked, y, known, 4).skipped
    assert skipped == tuple(label for label, count in enumerate(counts) if count < 2 or label == 3)


def test_intra_class_kid_without_a_class_to_compare_is_refused() -> None:
    x, asked = labelled(1, [1, 1])
    with pytest.raises(DataError, match="2 samples and 2 real examples of a class; none of 2"):
        classes.intra_class_kernel_distance(x, asked, x, asked, 2)
