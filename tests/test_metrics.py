"""The metrics as they are scored: what they take, what they give, and what their fingerprints part."""

import math

import numpy as np
import pytest
from feature_sets import PAIRS, Pair, gaussian, root_of

from genbench.engine.likelihood import LogProbs
from genbench.engine.scoring import material as material_module
from genbench.engine.scoring import metrics
from genbench.engine.scoring.classes import inception_score
from genbench.engine.scoring.comparison import compare, real_side
from genbench.engine.scoring.frechet import frechet_distance_of_factors
from genbench.engine.scoring.kernel import kernel_distance
from genbench.engine.scoring.material import Material
from genbench.engine.scoring.reference import Reference, Source, reference_from
from genbench.errors import DataError


def reference_of(x: np.ndarray, sha256: str = "f") -> Reference:
    return reference_from(Source("d" * 64, "test", "e", sha256 * 64, "features"), x, x)


def material(pair: Pair, log_probs: LogProbs | None = None, sha256: str = "f") -> Material:
    samples = np.zeros((len(pair[0]), 1, 1, 1), np.uint8)
    return Material(samples, None, pair[0], pair[0], reference_of(pair[1], sha256), log_probs)


def test_fid_is_that_of_the_features_statistics() -> None:
    pair = PAIRS["shifted"]
    statistics = [(x.mean(0, dtype=np.float64), root_of(np.cov(x, rowvar=False, dtype=np.float64))) for x in pair]
    expected = frechet_distance_of_factors(*statistics[0], *statistics[1])
    assert metrics.fid(material(pair)).value == pytest.approx(expected, rel=1e-6)


def test_kid_is_that_of_the_features() -> None:
    assert metrics.kid(material(PAIRS["wider"])).value == pytest.approx(kernel_distance(*PAIRS["wider"]), rel=1e-5)


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage"])
def test_a_share_is_that_of_the_features(name: str) -> None:
    pair = PAIRS["wider"]
    shares = compare(*pair, real_side(pair[1], len(pair[0]))).shares
    assert getattr(metrics, name)(material(pair)).value == getattr(shares, name)


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
    prints = [metric(material((x, y), sha256=sha)).fingerprint for sha in "fg"]  # type: ignore[operator]
    assert prints[0] != prints[1]


@pytest.mark.parametrize("metric", FEATURE_METRICS)
def test_fingerprints_part_scores_of_other_numbers_of_samples(metric: object) -> None:
    x, y = PAIRS["shifted"]
    prints = [metric(material((x[:n], y))).fingerprint for n in (100, 101)]  # type: ignore[operator]
    assert prints[0] != prints[1]


def test_the_inception_score_of_the_real_data_stands_beside_that_of_the_samples() -> None:
    x, y = PAIRS["wider"]
    measured = metrics.inception_score_of(material((x, y)))
    assert measured.fingerprint["real"] == pytest.approx(inception_score(y), abs=1e-4)


def test_kid_and_all_shares_measure_the_distances_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    once = material_module.compare
    monkeypatch.setattr(material_module, "compare", lambda *given: calls.append(1) or once(*given))
    scored = material(PAIRS["shifted"])
    for metric in (metrics.kid, metrics.precision, metrics.recall, metrics.density, metrics.coverage):
        metric(scored)
    assert calls == [1]
