"""KID against torch-fidelity and the U-statistic written out."""

import numpy as np
import pytest
import torch
from feature_sets import PAIRS, Pair, gaussian, rectified

from genbench.engine.scoring import kernel, pairs
from genbench.engine.scoring.comparison import compare, real_side
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402

each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
EQUAL = {name: pair for name, pair in PAIRS.items() if len(pair[0]) == len(pair[1])}
KEY = "kernel_inception_distance_mean"


def in_float64(pair: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(pair[0].astype(np.float64)), torch.from_numpy(pair[1].astype(np.float64))


def u_statistic(pair: Pair) -> float:
    x, y = (part.astype(np.float64) for part in pair)

    def kernel_of(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        values = kernel_of(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel_of(x, y).mean())


@each_pair
def test_kid_is_the_u_statistic_in_float64(pair: Pair) -> None:
    assert kernel.kernel_distance(*pair) == pytest.approx(u_statistic(pair), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL.keys())
def test_kid_equals_that_of_torch_fidelity_with_one_subset_of_all_samples(pair: Pair) -> None:
    expected = kid_features_to_metric(*in_float64(pair), kid_subsets=1, kid_subset_size=len(pair[0]), verbose=False)
    assert kernel.kernel_distance(*pair) == pytest.approx(expected[KEY], rel=1e-4, abs=1e-8)


@each_pair
def test_kid_over_subsets_equals_that_of_torch_fidelity(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = kid_features_to_metric(*in_float64(pair), kid_subsets=5, kid_subset_size=20, verbose=False)
    for name, value in (("FULL_KID_BELOW", 0), ("SUBSETS", 5), ("SUBSET_SIZE", 20)):
        monkeypatch.setattr(kernel, name, value)
    assert kernel.kernel_distance(*pair) == pytest.approx(expected[KEY], rel=1e-4, abs=1e-8)


@each_pair
def test_kid_of_a_comparison_is_that_of_the_features_alone(pair: Pair) -> None:
    found = compare(*pair, real_side(pair[1], len(pair[0]))).kernel_distance
    assert found == pytest.approx(u_statistic(pair), rel=1e-4, abs=1e-8)


@pytest.fixture(scope="module")
def large() -> tuple[Pair, float]:
    """5,000 samples and more, and torch-fidelity's KID of them by its defaults."""
    pair = gaussian(5000, 4, 24, shift=0.2), gaussian(5200, 4, 25)
    return pair, kid_features_to_metric(*in_float64(pair), verbose=False)[KEY]


def test_kid_of_5000_samples_is_torch_fidelitys_default(large: tuple[Pair, float]) -> None:
    pair, expected = large
    assert kernel.kernel_distance(*pair) == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_kid_of_5000_samples_in_a_comparison_is_torch_fidelitys_default(large: tuple[Pair, float]) -> None:
    pair, expected = large
    found = compare(*pair, real_side(pair[1], len(pair[0]))).kernel_distance
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("shift", [0.0, 1e-3])
@pytest.mark.parametrize("d", [64, 512])
def test_kid_near_zero_of_rectified_features_is_within_1e_minus_8_of_float64(d: int, shift: float) -> None:
    both = 0.1 * rectified(4000, d, 1)
    pair = both[:2000] + np.float32(shift), both[2000:]
    expected = u_statistic(pair)
    assert abs(expected) < 1e-4
    assert kernel.kernel_distance(*pair) == pytest.approx(expected, rel=0, abs=1e-8)


def test_kid_of_unequal_numbers_is_the_u_statistic_pair_by_pair() -> None:
    x, y = gaussian(7, 3, 26), gaussian(5, 3, 27)

    def kernel_of(a: np.ndarray, b: np.ndarray) -> float:
        return float((np.dot(a.astype(np.float64), b.astype(np.float64)) / 3 + 1) ** 3)

    within_x = np.mean([kernel_of(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    within_y = np.mean([kernel_of(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([kernel_of(a, b) for a in x for b in y])
    assert kernel.kernel_distance(x, y) == pytest.approx(within_x + within_y - 2 * between, rel=1e-6)


def test_kid_does_not_hang_on_the_size_of_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = PAIRS["wider"]
    whole = kernel.kernel_distance(*pair)
    monkeypatch.setattr(pairs, "TILE", 33)
    assert kernel.kernel_distance(*pair) == pytest.approx(whole, rel=1e-6)


def test_subsets_are_all_samples_below_5000_and_100_of_1000_from_there_on() -> None:
    shapes = [tuple(s.shape for s in kernel.kid_subsets(*counts)) for counts in ((4999, 6000), (5000, 6000))]
    assert shapes == [((1, 4999), (1, 6000)), ((100, 1000), (100, 1000))]


def test_no_point_stands_twice_in_a_subset() -> None:
    assert all(len(set(subset)) == 1000 for side in kernel.kid_subsets(5000, 6000) for subset in side)


@pytest.mark.parametrize("counts", [(1, 50), (50, 1)])
def test_kid_of_one_sample_is_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"\b2 samples or more, not 1"):
        kernel.kernel_distance(gaussian(counts[0], 4, 31), gaussian(counts[1], 4, 32))
