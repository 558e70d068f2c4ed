"""Frechet distances against torch-fidelity and closed forms."""

import numpy as np
import pytest
import torch
from feature_sets import PAIRS, Pair, gaussian, root_of

from genbench.engine.scoring import frechet
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric  # noqa: E402

each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(0, dtype=np.float64), np.cov(x, rowvar=False, dtype=np.float64)


def fid_of_statistics(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> float:
    return frechet.frechet_distance_of_factors(mean1, root_of(cov1), mean2, root_of(cov2))


def fid_of(pair: Pair) -> float:
    x, y = pair
    return frechet.frechet_distance_of_features(x, y.mean(0, dtype=np.float64), frechet.square_root_factor(y))


def fidelity_fid_of(pair: Pair) -> float:
    first, second = (fid_features_to_statistics(torch.from_numpy(x.astype(np.float64))) for x in pair)
    return float(fid_statistics_to_metric(first, second, False)["frechet_inception_distance"])


def tolerance(pair: Pair, expected: float) -> float:
    return 1e-4 * abs(expected) + 1e-6 * sum(float(np.trace(statistics(x)[1])) for x in pair)


def test_there_are_twenty_sets_of_features_or_more() -> None:
    assert len(PAIRS) >= 20


@each_pair
def test_fid_of_features_equals_that_of_torch_fidelity(pair: Pair) -> None:
    expected = fidelity_fid_of(pair)
    assert abs(fid_of(pair) - expected) <= tolerance(pair, expected)


@each_pair
def test_fid_of_statistics_equals_that_of_torch_fidelity(pair: Pair) -> None:
    expected = fidelity_fid_of(pair)
    found = fid_of_statistics(*statistics(pair[0]), *statistics(pair[1]))
    assert abs(found - expected) <= tolerance(pair, expected)


@each_pair
def test_fid_is_symmetric(pair: Pair) -> None:
    there, back = fid_of(pair), fid_of(pair[::-1])
    assert abs(there - back) <= 1e-9 * there + tolerance(pair, 0)


@pytest.mark.parametrize("rank", [None, 40], ids=["full rank", "low rank"])
def test_fid_in_many_dimensions_is_that_of_torch_fidelity(rank: int | None) -> None:
    pair = gaussian(600, 300, 33, rank=rank), gaussian(500, 300, 34, rank=rank)
    expected = fidelity_fid_of(pair)
    assert abs(fid_of(pair) - expected) <= tolerance(pair, expected)


def test_fid_in_many_dimensions_of_spaces_at_right_angles_is_the_sum_of_the_traces() -> None:
    # The products that the fast way takes roots of are all rounding here.
    x, y = np.zeros((700, 600), np.float32), np.zeros((700, 600), np.float32)
    x[:, :300], y[:, 300:] = gaussian(700, 300, 35), gaussian(700, 300, 36)
    (mean1, cov1), (mean2, cov2) = statistics(x), statistics(y)
    expected = np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2)
    assert abs(fid_of((x, y)) - expected) <= 1e-6 * (np.trace(cov1) + np.trace(cov2))


def test_fid_of_two_diagonal_gaussians_is_the_closed_form() -> None:
    mean1, mean2 = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    deviation1, deviation2 = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 4.0])
    found = fid_of_statistics(mean1, np.diag(deviation1**2), mean2, np.diag(deviation2**2))
    assert found == pytest.approx(np.square(mean1 - mean2).sum() + np.square(deviation1 - deviation2).sum(), rel=1e-12)


def test_fid_of_covariances_that_do_not_commute_is_that_of_scipys_matrix_square_root() -> None:
    from scipy.linalg import sqrtm

    (mean1, cov1), (mean2, cov2) = statistics(gaussian(200, 12, 21)), statistics(gaussian(200, 12, 22, scale=2.0))
    root = sqrtm(cov1)
    trace = np.trace(cov1) + np.trace(cov2) - 2 * np.trace(sqrtm(root @ cov2 @ root)).real
    expected = np.square(mean1 - mean2).sum() + trace
    assert fid_of_statistics(mean1, cov1, mean2, cov2) == pytest.approx(expected, rel=1e-9)


def test_fid_of_identical_sets_is_zero() -> None:
    same = gaussian(50, 20, 23)
    assert fid_of((same, same)) == pytest.approx(0, abs=1e-9)


def test_fid_in_one_dimension_is_the_closed_form() -> None:
    x, y = gaussian(150, 1, 58), gaussian(150, 1, 59, scale=2.0)
    expected = (x.mean(dtype=np.float64) - y.mean(dtype=np.float64)) ** 2 + (
        x.std(ddof=1, dtype=np.float64) - y.std(ddof=1, dtype=np.float64)
    ) ** 2
    assert fid_of((x, y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [3, 40, 10_000])
def test_covariance_is_that_of_numpy(n: int) -> None:
    x = gaussian(n, 37, 24, shift=5.0)
    np.testing.assert_allclose(frechet.covariance(x).numpy(), np.cov(x, rowvar=False, dtype=np.float64), atol=1e-12)


@pytest.mark.parametrize("n", [5, 37, 200])
def test_a_factors_square_is_the_covariance(n: int) -> None:
    x = gaussian(n, 37, 25)
    factor = frechet.square_root_factor(x)
    np.testing.assert_allclose(factor.T @ factor, np.cov(x, rowvar=False, dtype=np.float64), atol=1e-12)


def test_fid_of_one_sample_is_refused() -> None:
    with pytest.raises(DataError, match=r"\b2 samples or more, not 1"):
        fid_of((gaussian(1, 4, 26), gaussian(50, 4, 27)))


def test_fd_at_infinity_of_samples_from_the_real_distribution_has_lost_the_bias_of_fid() -> None:
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(32, 32)) / np.arange(1, 33)[:, None]
    factor = np.linalg.qr(mixing, mode="r")  # of the exact covariance, so that FD of infinitely many samples is 0
    draws = [(np.random.default_rng(s).normal(size=(1000, 32)) @ mixing).astype(np.float32) for s in range(1, 9)]
    found = [frechet.frechet_distance_at_infinity(x, np.zeros(32), factor) for x in draws]
    at_infinity, raw = np.mean([f.value for f in found]), np.mean([f.distances[-1] for f in found])
    assert abs(at_infinity) < 0.2 * raw


def test_fd_at_infinity_of_shifted_samples_is_the_shift() -> None:
    x = np.random.default_rng(3).normal(size=(4000, 8)).astype(np.float32)
    found = frechet.frechet_distance_at_infinity(x, np.full(8, 0.5), np.eye(8))
    # Its samples' own mean is off by about sqrt(8 / 4000) in all.
    assert found.value == pytest.approx(2.0, abs=4 * 2 * 0.5 * (8 / 4000) ** 0.5)


def test_fd_at_infinity_is_the_intercept_of_the_line_through_its_distances() -> None:
    found = frechet.frechet_distance_at_infinity(gaussian(200, 6, 28), np.zeros(6), np.eye(6))
    slope_and_intercept = np.polyfit(1 / np.array(found.sizes), found.distances, 1)
    assert found.value == pytest.approx(slope_and_intercept[1], rel=1e-9)


def test_fd_at_infinity_has_the_standard_error_of_an_intercept() -> None:
    x = gaussian(200, 300, 28)  # more dimensions than are drawn several times
    found = frechet.frechet_distance_at_infinity(x, np.zeros(300), np.eye(300))
    design = np.stack([np.ones(15), 1 / np.array(found.sizes)], 1)
    residuals = found.distances - design @ np.linalg.lstsq(design, np.array(found.distances))[0]
    covariance = np.linalg.inv(design.T @ design) * (residuals @ residuals) / 13
    assert found.stderr == pytest.approx(covariance[0, 0] ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("n", "least"), [(600, 300), (1000, 500), (10_000, 5000), (50_000, 5000)])
def test_fd_at_infinity_uses_15_sizes_from_5000_or_half_of_the_samples_to_all(n: int, least: int) -> None:
    sizes = frechet.infinity_sizes(n)
    assert (len(set(sizes)), sizes[0], sizes[-1]) == (15, least, n)


def test_fd_at_infinity_is_the_same_each_time() -> None:
    x = gaussian(100, 4, 29)
    first, second = (frechet.frechet_distance_at_infinity(x, np.zeros(4), np.eye(4)) for _ in range(2))
    assert first == second


def test_fd_at_infinity_of_39_samples_is_refused() -> None:
    with pytest.raises(DataError, match=r"\b40 samples or more, not 39"):
        frechet.frechet_distance_at_infinity(gaussian(39, 4, 30), np.zeros(4), np.eye(4))


def test_fd_at_infinity_of_samples_that_are_all_alike_has_a_standard_error_of_0() -> None:
    found = frechet.frechet_distance_at_infinity(np.ones((200, 4), np.float32), np.zeros(4), np.eye(4))
    assert (found.value, found.stderr) == (pytest.approx(8.0), pytest.approx(0, abs=1e-9))
