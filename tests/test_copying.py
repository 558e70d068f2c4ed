"""Copying: each statistic against loops, and what it flags."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from genbench.engine.scoring import copying as module
from genbench.engine.scoring.cells import cells_of, k_means
from genbench.engine.scoring.copying import Copying, Scene, copying, distances, duplicate_share
from genbench.errors import DataError

STATISTICS = ("nearest_ratio", "authenticity", "c_t")


def points(n: int, seed: int, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def one_by_one(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([[np.linalg.norm(a.astype(np.float64) - b) for b in y] for a in x])


@pytest.fixture(scope="module")
def scene() -> Scene:
    """120 samples, some of them copies, 240 held-out and 300 training examples."""
    training = points(300, 0)
    samples = np.concatenate([training[:30] + 0.01 * points(30, 1), points(90, 2)])
    return Scene(samples, points(240, 3), training, 120)


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray]:
    """Indices of the samples, and of half of the held-out data."""
    return np.arange(120), np.random.default_rng(4).permutation(np.arange(120, 360))[:120]


def examples(scene: Scene) -> np.ndarray:
    return np.concatenate([scene.samples, scene.held_out])


def test_distances_are_those_of_one_pair_after_another() -> None:
    np.testing.assert_allclose(distances(points(30, 5), points(40, 6)), one_by_one(points(30, 5), points(40, 6)))


def test_the_distance_of_equal_points_is_exactly_0_wherever_they_lie() -> None:
    x = points(50, 7, d=300) + 100
    assert (np.diag(distances(x, x)) == 0).all()


def test_distances_do_not_hang_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = distances(points(30, 5), points(40, 6))
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    np.testing.assert_allclose(distances(points(30, 5), points(40, 6)), whole, rtol=1e-12)


def test_the_nearest_ratio_is_that_of_mean_distances_to_the_nearest(scene: Scene, sets: tuple[np.ndarray, ...]) -> None:
    class Chosen:
        def permutation(self, n: int) -> np.ndarray:
            return np.random.default_rng(8).permutation(n)

    first, second = sets
    training = scene.training[Chosen().permutation(300)[:120]]
    expected = (
        one_by_one(examples(scene)[first], training).min(1).mean()
        / one_by_one(examples(scene)[first], examples(scene)[second]).min(1).mean()
    )
    assert scene.statistics(first, second, Chosen())[0] == pytest.approx(expected)  # type: ignore[arg-type]


def authentic(x: np.ndarray, training: np.ndarray) -> bool:
    to_training = one_by_one(x[None], training)[0]
    nearest = int(to_training.argmin())
    others = np.delete(training, nearest, axis=0)
    return bool(one_by_one(training[nearest][None], others).min() < to_training[nearest])


def test_a_sample_is_authentic_if_its_nearest_training_example_is_nearer_to_another(scene: Scene) -> None:
    expected = [authentic(x, scene.training) for x in examples(scene)]
    assert scene.authentic.tolist() == expected


def test_authenticity_is_the_difference_in_percentage_points(scene: Scene, sets: tuple[np.ndarray, ...]) -> None:
    first, second = ([authentic(x, scene.training) for x in examples(scene)[side]] for side in sets)
    found = scene.statistics(*sets, np.random.default_rng(0))[1]
    assert found == pytest.approx(100 * (np.mean(first) - np.mean(second)))


def test_an_exact_copy_of_a_training_example_that_stands_there_twice_is_not_authentic() -> None:
    training = np.concatenate([points(40, 9), points(1, 9)])
    scene = Scene(np.repeat(points(1, 9), 20, axis=0), points(40, 10), training, 20)
    assert not scene.authentic[:20].any()


def test_c_t_with_one_cell_is_the_z_score_of_scipys_u(scene: Scene, sets: tuple[np.ndarray, ...]) -> None:
    from scipy.stats import mannwhitneyu

    in_one_cell = Scene(scene.samples[:40], scene.held_out[:80], scene.training, 40)
    first, second = np.arange(40), np.arange(40, 80)
    assert in_one_cell.cells == 1
    reach = one_by_one(examples(in_one_cell), scene.training).min(1)
    u = mannwhitneyu(reach[first], reach[second]).statistic
    expected = (u - 40 * 40 / 2) / np.sqrt(40 * 40 * 81 / 12)
    assert in_one_cell.statistics(first, second, np.random.default_rng(0))[2] == pytest.approx(expected)


def test_c_t_is_the_mean_over_cells_by_their_share_of_held_out_data(scene: Scene, sets: tuple[np.ndarray, ...]) -> None:
    from scipy.stats import mannwhitneyu

    centres = k_means(scene.training, scene.cells)
    everything = examples(scene)
    scores, weights = [], []
    for cell in range(scene.cells):
        known = scene.training[one_by_one(scene.training, centres).argmin(1) == cell]
        reaches = []
        for side in sets:
            inside = everything[side][one_by_one(everything[side], centres).argmin(1) == cell]
            reaches.append(one_by_one(inside, known).min(1))
        n, m = map(len, reaches)
        if min(n, m) >= 20:
            u = mannwhitneyu(*reaches).statistic
            scores.append((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
            weights.append(m)
    assert scene.cells == 2
    assert scene.statistics(*sets, np.random.default_rng(0))[2] == pytest.approx(np.average(scores, weights=weights))


Splits = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits() -> Splits:
    """400 honest examples that nobody trained on, 900 training and 497 held-out ones."""
    x = np.random.default_rng(0).permutation(load_digits().data.astype(np.float32) / 16)
    return x[:400], x[400:1300], x[1300:]


def flags(found: Copying) -> list[bool]:
    return [getattr(found, name).flagged for name in STATISTICS]


def test_no_statistic_flags_honest_data(digits: Splits) -> None:
    assert flags(copying(*digits)) == [False, False, False]


def test_every_statistic_flags_replayed_training_data(digits: Splits) -> None:
    _, training, held_out = digits
    assert flags(copying(training[:400], training, held_out)) == [True, True, True]


def test_every_statistic_flags_training_data_under_slight_noise(digits: Splits) -> None:
    _, training, held_out = digits
    noise = 0.03 * np.random.default_rng(1).normal(size=(400, 64)).astype(np.float32)
    assert flags(copying(training[:400] + noise, training, held_out)) == [True, True, True]


def test_one_sample_in_three_that_is_a_copy_is_flagged(digits: Splits) -> None:
    honest, training, held_out = digits
    samples = np.concatenate([honest[:260], training[:130]])
    assert any(flags(copying(samples, training, held_out)))


def test_noise_is_no_copy(digits: Splits) -> None:
    _, training, held_out = digits
    noise = np.random.default_rng(1).random((400, 64)).astype(np.float32)
    assert flags(copying(noise, training, held_out)) == [False, False, False]


def test_replayed_training_data_have_an_authpct_of_0(digits: Splits) -> None:
    _, training, held_out = digits
    assert copying(training[:400], training, held_out).authpct == 0


@pytest.fixture(scope="module")
def honest_draws() -> Iterator[np.ndarray]:
    """Which statistics flag 40 sets of fresh draws from the data's own distribution, bool ``[40, 3]``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NULL_DRAWS", 300)
        patch.setattr(module, "DRAWS", 25)
        draws = [[points(n, 3 * draw + part) for part, n in enumerate((80, 160, 160))] for draw in range(40)]
        yield np.array([flags(copying(*draw)) for draw in draws])


@pytest.mark.parametrize("column", range(3), ids=STATISTICS)
def test_fresh_honest_data_are_seldom_flagged(column: int, honest_draws: np.ndarray) -> None:
    # At a true rate of 1 %, 4 or more of 40 have a probability of 0.0007.
    assert honest_draws[:, column].sum() < 4


def test_the_threshold_is_below_99_of_100_values_of_the_null_distribution(digits: Splits) -> None:
    found = copying(*digits).nearest_ratio
    assert (found.null < found.threshold).mean() == pytest.approx(0.01, abs=0.001)


def test_the_null_distribution_does_not_hang_on_the_samples(digits: Splits) -> None:
    honest, training, held_out = digits
    first, second = (copying(samples, training, held_out).authenticity.null for samples in (honest, training[:400]))
    np.testing.assert_array_equal(first, second)


def test_copying_is_the_same_each_time() -> None:
    first, second = (copying(points(40, 1), points(90, 2), points(80, 3)) for _ in range(2))
    assert [getattr(first, name).value for name in STATISTICS] == [getattr(second, name).value for name in STATISTICS]


def test_large_sets_are_cut_to_equal_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZE_MOST", 30)
    monkeypatch.setattr(module, "TRAINING_MOST", 50)
    found = copying(points(90, 1), points(200, 2), points(100, 3))
    assert (found.size, found.training, len(found.c_t.null)) == (30, 50, module.NULL_DRAWS)


@pytest.mark.parametrize("counts", [(19, 50, 50), (50, 19, 50), (50, 50, 39)])
def test_too_few_examples_are_refused_with_what_is_needed(counts: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="20 samples, 20 training and 40 held-out examples or more, not "):
        copying(*(points(n, seed) for seed, n in enumerate(counts)))


def test_duplicates_are_the_samples_equal_to_a_training_image_in_every_pixel() -> None:
    training = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 4)).astype(np.uint8)
    samples = np.concatenate([training[[3, 3, 7]], training[:1] + np.uint8(1), 255 - training[:4]])
    assert duplicate_share(samples, training) == 3 / 8


def test_one_pixel_of_difference_is_no_duplicate() -> None:
    training = np.zeros((2, 1, 3, 3), np.uint8)
    samples = training.copy()
    samples[1, 0, 2, 2] = 1
    assert duplicate_share(samples, training) == 0.5


def spread(x: np.ndarray, centres: np.ndarray) -> float:
    return float(np.square(one_by_one(x, centres).min(1)).sum())


def test_k_means_finds_cells_as_tight_as_those_of_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    x = load_digits().data.astype(np.float32)[:600]
    expected = KMeans(10, n_init=3, random_state=0).fit(x).inertia_
    assert spread(x, k_means(x, 10)) < 1.05 * expected


def test_k_means_ends_where_each_centre_is_the_mean_of_its_cell() -> None:
    x = points(300, 11)
    centres = k_means(x, 5)
    labels = one_by_one(x, centres).argmin(1)
    np.testing.assert_array_equal(cells_of(x, centres), labels)
    np.testing.assert_allclose(centres, [x[labels == cell].mean(0, dtype=np.float64) for cell in range(5)])


def test_k_means_of_fewer_distinct_points_than_cells_keeps_to_the_points() -> None:
    x = np.repeat(points(2, 12), 30, axis=0)
    assert spread(x, k_means(x, 5)) == pytest.approx(0, abs=1e-9)


def test_copying_looks_at_the_same_examples_where_only_those_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZE_MOST", 30)
    monkeypatch.setattr(module, "TRAINING_MOST", 50)
    sets = points(90, 1), points(200, 2), points(100, 3)
    chosen = [x[index] for x, index in zip(sets, module.looked_at(90, 200, 100), strict=True)]
    found = [copying(*given) for given in (sets, chosen)]
    assert [getattr(found[0], name).value for name in STATISTICS] == [
        getattr(found[1], name).value for name in STATISTICS
    ]


def test_null_distributions_of_other_numbers_of_threads_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NULL_DRAWS", 3)
    for threads in (1, 2):
        monkeypatch.setattr("torch.get_num_threads", lambda threads=threads: threads)
        module.null_distribution(points(30, 1), points(60, 2), tmp_path)
    assert sorted(path.stem[-9:] for path in tmp_path.iterdir()) == ["threads-1", "threads-2"]
