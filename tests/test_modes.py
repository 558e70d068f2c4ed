"""Modes found and KL."""

import numpy as np
import pytest

from genbench.engine.scoring.modes import mode_distribution, mode_ids, modes_of
from genbench.errors import DataError

UNIFORM = np.full(1000, 1e-3)


def logits_of(numbers: list[int]) -> np.ndarray:
    """Sure logits ``[N, 3, 10]`` of the digits of numbers below 1,000."""
    digits = np.array([[number // 100, number // 10 % 10, number % 10] for number in numbers])
    return 5 * np.eye(10, dtype=np.float32)[digits]


def test_a_mode_is_the_number_that_its_channels_digits_make() -> None:
    assert mode_ids(logits_of([0, 7, 70, 700, 123, 999])).tolist() == [0, 7, 70, 700, 123, 999]


def test_every_combination_of_classes_is_a_mode_of_its_own() -> None:
    assert sorted(mode_ids(logits_of(list(range(1000))))) == list(range(1000))


def test_modes_of_one_channel_are_its_classes() -> None:
    assert mode_ids(np.eye(4, dtype=np.float32)[:, None][[3, 0, 2]]).tolist() == [3, 0, 2]


def test_a_mode_is_found_by_one_sample() -> None:
    assert modes_of(np.array([5, 5, 5, 9]), UNIFORM).found == 2


def test_samples_that_have_every_mode_as_often_as_the_data_diverge_by_0() -> None:
    assert modes_of(np.repeat(np.arange(1000), 3), UNIFORM).divergence == pytest.approx(0, abs=1e-12)


def test_samples_of_one_mode_of_1000_diverge_by_log_1000() -> None:
    assert modes_of(np.full(50, 17), UNIFORM).divergence == pytest.approx(np.log(1000))


def test_the_divergence_is_that_of_scipy_from_samples_to_data() -> None:
    from scipy.stats import entropy

    data = np.random.default_rng(0).dirichlet(np.ones(30))
    ids = np.random.default_rng(1).integers(0, 30, 400)
    assert modes_of(ids, data).divergence == pytest.approx(entropy(mode_distribution(ids, 30), data))


def test_the_divergence_of_draws_from_the_data_is_about_modes_less_1_over_2_n() -> None:
    generator = np.random.default_rng(2)
    found = [modes_of(generator.integers(0, 1000, 100_000), UNIFORM).divergence for _ in range(20)]
    assert np.mean(found) == pytest.approx(999 / 200_000, rel=0.05)


def test_data_without_a_mode_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 3 have no share"):
        modes_of(np.array([0, 1]), np.array([0.5, 0.5, 0.0]))


def test_an_id_that_is_no_mode_is_refused() -> None:
    with pytest.raises(DataError, match="modes are 0 to 999; the samples have 3 to 1000"):
        modes_of(np.array([3, 1000]), UNIFORM)
