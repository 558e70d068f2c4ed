"""The metrics against torch-fidelity's feature-level functions and against closed forms."""

import math

import numpy as np
import pytest
import torch

from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import features as arithmetic
from genbench.engine.scoring import metrics
from genbench.engine.scoring.reference import Reference, Source, reference_from
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric  # noqa: E402
from torch_fidelity.metric_isc import isc_features_to_metric  # noqa: E402
from torch_fidelity.metric_kid import kid_features_to_metric  # noqa: E402
from torch_fidelity.metric_prc import prc_features_to_metric  # noqa: E402

Pair = tuple[np.ndarray, np.ndarray]


def gaussian(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0, rank: int | None = None) -> np.ndarray:
    """float32 ``[n, d]`` of a Gaussian with a spectrum that falls off, in a subspace of the given rank."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(rank or d, d)) / np.arange(1, (rank or d) + 1)[:, None]
    return (scale * generator.normal(size=(n, rank or d)) @ mixing + shift).astype(np.float32)


def collapsed(n: int, d: int, seed: int) -> np.ndarray:
    return np.repeat(gaussian(1, d, seed), n, axis=0)


PAIRS: dict[str, Pair] = {
    "alike": (gaussian(300, 16, 0), gaussian(300, 16, 0)[::-1].copy()),
    "shifted": (gaussian(300, 16, 1, shift=0.7), gaussian(300, 16, 2)),
    "wider": (gaussian(250, 32, 3, scale=3.0), gaussian(250, 32, 4)),
    "far apart": (gaussian(200, 8, 5, shift=40.0), gaussian(200, 8, 6)),
    "low rank": (gaussian(300, 24, 7, rank=3), gaussian(300, 24, 8)),
    "both low rank": (gaussian(300, 24, 9, rank=4), gaussian(300, 24, 10, rank=4)),
    "fewer samples than dimensions": (gaussian(30, 64, 11), gaussian(30, 64, 12)),
    "collapsed": (collapsed(200, 16, 13), gaussian(200, 16, 14)),
    "nearly collapsed": (collapsed(200, 16, 15) + gaussian(200, 16, 16, scale=1e-3), gaussian(200, 16, 17)),
    "identical": (gaussian(200, 16, 18), gaussian(200, 16, 18)),
}
each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(0, dtype=np.float64), np.cov(x, rowvar=False, dtype=np.float64)


def reference_of(x: np.ndarray, logits: np.ndarray | None = None) -> Reference:
    return reference_from(Source("d" * 64, "test", "e", "f" * 64, "features"), x, x if logits is None else logits)


def material(pair: Pair, log_probs: LogProbs | None = None) -> metrics.Material:
    return metrics.Material(pair[0], pair[0], reference_of(pair[1]), log_probs)


def fidelity_fid_of(pair: Pair) -> float:
    first, second = (fid_features_to_statistics(torch.from_numpy(x.astype(np.float64))) for x in pair)
    return float(fid_statistics_to_metric(first, second, False)["frechet_inception_distance"])


def fid_tolerance(pair: Pair, expected: float) -> float:
    return 1e-4 * abs(expected) + 1e-6 * sum(float(np.trace(statistics(x)[1])) for x in pair)


@each_pair
def test_fid_of_statistics_equals_that_of_torch_fidelity(pair: Pair) -> None:
    expected = fidelity_fid_of(pair)
    found = metrics.frechet_distance(*statistics(pair[0]), *statistics(pair[1]))
    assert abs(found - expected) <= fid_tolerance(pair, expected)


@each_pair
def test_fid_as_scored_equals_that_of_torch_fidelity(pair: Pair) -> None:
    expected = fidelity_fid_of(pair)
    assert abs(metrics.fid(material(pair)).value - expected) <= fid_tolerance(pair, expected)


@each_pair
def test_fid_is_symmetric(pair: Pair) -> None:
    there, back = metrics.fid(material(pair)).value, metrics.fid(material(pair[::-1])).value
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)


def test_fid_of_two_diagonal_gaussians_is_the_closed_form() -> None:
    mean1, mean2 = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
    deviation1, deviation2 = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 4.0])
    found = metrics.frechet_distance(mean1, np.diag(deviation1**2), mean2, np.diag(deviation2**2))
    assert found == pytest.approx(np.square(mean1 - mean2).sum() + np.square(deviation1 - deviation2).sum(), rel=1e-12)


def test_fid_of_covariances_that_do_not_commute_is_that_of_scipys_matrix_square_root() -> None:
    from scipy.linalg import sqrtm

    (mean1, cov1), (mean2, cov2) = statistics(gaussian(200, 12, 21)), statistics(gaussian(200, 12, 22, scale=2.0))
    root = sqrtm(cov1)
    trace = np.trace(cov1) + np.trace(cov2) - 2 * np.trace(sqrtm(root @ cov2 @ root)).real
    assert metrics.frechet_distance(mean1, cov1, mean2, cov2) == pytest.approx(
        np.square(mean1 - mean2).sum() + trace, rel=1e-9
    )


@pytest.mark.parametrize("rank", [None, 40], ids=["full rank", "low rank"])
def test_fid_in_many_dimensions_is_that_of_torch_fidelity(rank: int | None) -> None:
    pair = gaussian(600, 300, 33, rank=rank), gaussian(500, 300, 34, rank=rank)
    expected = fidelity_fid_of(pair)
    assert abs(metrics.fid(material(pair)).value - expected) <= fid_tolerance(pair, expected)


def test_fid_of_identical_sets_is_zero() -> None:
    same = gaussian(50, 20, 23)
    assert metrics.fid(material((same, same))).value == pytest.approx(0, abs=1e-9)


@each_pair
def test_kid_equals_that_of_torch_fidelity_with_one_subset_of_all_samples(pair: Pair) -> None:
    x, y = (torch.from_numpy(part.astype(np.float64)) for part in pair)
    expected = kid_features_to_metric(x, y, kid_subsets=1, kid_subset_size=len(x), verbose=False)
    found = metrics.kid(material(pair)).value
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4, abs=1e-8)


@each_pair
def test_kid_over_subsets_equals_that_of_torch_fidelity(pair: Pair) -> None:
    x, y = (torch.from_numpy(part.astype(np.float64)) for part in pair)
    expected = kid_features_to_metric(x, y, kid_subsets=5, kid_subset_size=20, verbose=False)
    found = arithmetic.kernel_distance_of_subsets(*pair, subsets=5, size=20)
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4, abs=1e-8)


def test_kid_of_5000_samples_is_torch_fidelitys_default() -> None:
    pair = gaussian(5000, 4, 24, shift=0.2), gaussian(5200, 4, 25)
    expected = kid_features_to_metric(*(torch.from_numpy(x.astype(np.float64)) for x in pair), verbose=False)
    found = metrics.kernel_distance(*pair)
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4, abs=1e-8)


def test_kid_of_unequal_numbers_is_the_u_statistic_written_out() -> None:
    x, y = gaussian(7, 3, 26), gaussian(5, 3, 27)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((np.dot(a.astype(np.float64), b.astype(np.float64)) / 3 + 1) ** 3)

    within_x = np.mean([kernel(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    within_y = np.mean([kernel(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    between = np.mean([kernel(a, b) for a in x for b in y])
    assert metrics.kernel_distance(x, y) == pytest.approx(within_x + within_y - 2 * between, rel=1e-12)


@pytest.mark.parametrize("splits", [1, 10])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
def test_inception_score_equals_that_of_torch_fidelity(splits: int, spread: float) -> None:
    logits = gaussian(500, 10, 28, scale=spread)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=splits)["inception_score_mean"]
    assert metrics.inception_score(logits, splits) == pytest.approx(expected, rel=1e-4)


def test_inception_score_of_undecided_samples_is_1() -> None:
    assert metrics.inception_score(np.zeros((20, 10), np.float32)) == pytest.approx(1)


def test_inception_score_of_sure_and_balanced_samples_is_the_number_of_classes() -> None:
    assert metrics.inception_score(np.tile(1000 * np.eye(10, dtype=np.float32), (3, 1))) == pytest.approx(10)


def test_inception_score_of_samples_that_are_all_surely_of_one_class_is_1() -> None:
    # p of the other classes underflows to 0 in every sample, where 0 log 0 would give NaN.
    assert metrics.inception_score(np.tile(2000 * np.eye(10, dtype=np.float32)[:1], (30, 1))) == pytest.approx(1)


@each_pair
def test_precision_and_recall_equal_those_of_torch_fidelity(pair: Pair) -> None:
    expected = prc_features_to_metric(*map(torch.from_numpy, pair), verbose=False)
    scored = material(pair)
    found = [metrics.precision(scored).value, metrics.recall(scored).value]
    assert found == pytest.approx([expected["precision"], expected["recall"]], rel=1e-4, abs=1e-8)


def test_precision_falls_and_recall_stays_when_half_of_the_samples_are_far_off() -> None:
    real = gaussian(200, 8, 29)
    half_off = np.concatenate([real, real + 1000])
    assert metrics.precision_recall(half_off, real) == (0.5, 1.0)


def test_recall_falls_and_precision_stays_when_half_of_the_data_is_missed() -> None:
    samples = gaussian(200, 8, 30)
    assert metrics.precision_recall(samples, np.concatenate([samples, samples + 1000])) == (1.0, 0.5)


def test_kid_does_not_hang_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = PAIRS["shifted"]
    whole = metrics.kernel_distance(*pair)
    monkeypatch.setattr(arithmetic, "BLOCK", 1000)
    assert metrics.kernel_distance(*pair) == pytest.approx(whole, rel=1e-12)


def test_precision_and_recall_do_not_hang_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = PAIRS["shifted"]
    whole = metrics.precision_recall(*pair)
    monkeypatch.setattr(arithmetic, "BLOCK", 1000)
    assert metrics.precision_recall(*pair) == whole


@pytest.mark.parametrize(("metric", "least"), [(metrics.fid, 2), (metrics.kid, 2), (metrics.recall, 4)])
def test_a_metric_refuses_too_few_samples_and_says_how_many_it_needs(metric: object, least: int) -> None:
    few = material((gaussian(least - 1, 4, 31), gaussian(50, 4, 32)))
    with pytest.raises(DataError, match=rf"\b{least} samples or more, not {least - 1}"):
        metric(few)  # type: ignore[operator]


def test_bits_per_dim_of_the_uniform_distribution_over_17_levels_is_log2_of_17() -> None:
    nats = np.full(9, -64 * math.log(17))
    measured = metrics.bits_per_dim(material(PAIRS["alike"], LogProbs(nats, "exact", 1, 64)))
    assert measured is not None
    assert measured.value == pytest.approx(math.log2(17), rel=1e-12)


def test_bits_per_dim_has_the_standard_error_of_a_mean_over_examples() -> None:
    nats = np.array([-1.0, -2.0, -4.0])
    measured = metrics.bits_per_dim(material(PAIRS["alike"], LogProbs(nats, "iwae", 8, 2)))
    assert measured is not None
    variance = ((nats - nats.mean()) ** 2).sum() / 2
    assert measured.stderr == pytest.approx(math.sqrt(variance / 3) / (2 * math.log(2)), rel=1e-12)


def test_bits_per_dim_keeps_the_kind_of_the_likelihood() -> None:
    measured = metrics.bits_per_dim(material(PAIRS["alike"], LogProbs(np.zeros(3), "iwae", 8, 2)))
    assert measured is not None
    assert (measured.kind, measured.fingerprint["draws"], measured.n) == ("iwae", 8, 3)


def test_bits_per_dim_does_not_apply_to_a_model_without_a_likelihood() -> None:
    assert metrics.bits_per_dim(material(PAIRS["alike"])) is None


FEATURE_METRICS = [metrics.fid, metrics.kid, metrics.inception_score_of, metrics.precision, metrics.recall]


@pytest.mark.parametrize("metric", FEATURE_METRICS)
def test_fingerprints_part_scores_of_other_evaluators(metric: object) -> None:
    x, y = PAIRS["shifted"]
    sources = [Source("d" * 64, "test", "e", sha * 64, "features") for sha in "fg"]
    prints = [metric(metrics.Material(x, x, reference_from(s, y, y))).fingerprint for s in sources]  # type: ignore[operator]
    assert prints[0] != prints[1]


@pytest.mark.parametrize("metric", FEATURE_METRICS)
def test_fingerprints_part_scores_of_other_numbers_of_samples(metric: object) -> None:
    x, y = PAIRS["shifted"]
    prints = [metric(material((x[:n], y))).fingerprint for n in (100, 101)]  # type: ignore[operator]
    assert prints[0] != prints[1]


def test_the_inception_score_of_the_real_data_stands_beside_that_of_the_samples() -> None:
    x, y = PAIRS["wider"]
    measured = metrics.inception_score_of(material((x, y)))
    assert measured.fingerprint["real"] == pytest.approx(metrics.inception_score(y), abs=1e-4)


def test_precision_and_recall_measure_the_distances_among_the_samples_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = material(PAIRS["shifted"])
    calls = []
    once = metrics.neighbour_radii
    monkeypatch.setattr(metrics, "neighbour_radii", lambda x: calls.append(len(x)) or once(x))
    for _ in range(2):
        metrics.precision(scored)
        metrics.recall(scored)
    assert calls == [300]
