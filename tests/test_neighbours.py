"""Precision, recall, density and coverage against torch-fidelity, prdc and distances in float64."""

import contextlib
import io

import numpy as np
import prdc
import pytest
import torch
from feature_sets import PAIRS, Pair, clusters, gaussian

from genbench.engine.scoring import neighbours, pairs
from genbench.engine.scoring.comparison import compare, real_side
from genbench.engine.scoring.neighbours import Balls, Shares
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.metric_prc import prc_features_to_metric  # noqa: E402

each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One by one in float64, rounded to float32."""
    squared = [np.square(row.astype(np.float64) - y.astype(np.float64)).sum(1) for row in x]
    return np.sqrt(squared).astype(np.float32)


def brute_radii(x: np.ndarray, k: int) -> np.ndarray:
    to_others = distances(x, x)
    np.fill_diagonal(to_others, np.inf)
    return np.sort(to_others, axis=1)[:, k - 1]


def brute_shares(pair: Pair) -> list[float]:
    x, y = pair
    between, near, wide = distances(x, y), brute_radii(y, 3), brute_radii(y, 5)
    return [
        float((between <= near).any(1).mean()),
        float((between <= brute_radii(x, 3)[:, None]).any(0).mean()),
        float((between < wide).sum() / (5 * len(x))),
        float((between < wide).any(0).mean()),
    ]


def shares_of(x: np.ndarray, y: np.ndarray) -> Shares:
    return compare(x, y, real_side(y, len(x))).shares


def listed(shares: Shares) -> list[float]:
    return [shares.precision, shares.recall, shares.density, shares.coverage]


def prdc_of(pair: Pair) -> list[float]:
    x, y = (part.astype(np.float64) for part in pair)
    with contextlib.redirect_stdout(io.StringIO()):
        found = prdc.compute_prdc(y, x, nearest_k=5)
    return [found["density"], found["coverage"]]


@each_pair
def test_shares_are_those_of_distances_in_float64(pair: Pair) -> None:
    assert listed(shares_of(*pair)) == pytest.approx(brute_shares(pair), rel=1e-12)


@each_pair
def test_precision_and_recall_equal_those_of_torch_fidelity(pair: Pair) -> None:
    in_float64 = (torch.from_numpy(x.astype(np.float64)) for x in pair)
    expected = prc_features_to_metric(*in_float64, verbose=False)
    found = listed(shares_of(*pair))[:2]
    assert found == pytest.approx([expected["precision"], expected["recall"]], rel=1e-4, abs=1e-8)


@each_pair
def test_density_and_coverage_equal_those_of_prdc(pair: Pair) -> None:
    assert listed(shares_of(*pair))[2:] == pytest.approx(prdc_of(pair), rel=1e-4, abs=1e-8)


@each_pair
def test_radii_are_distances_in_float64_to_the_kth_neighbour(pair: Pair) -> None:
    side = real_side(pair[0], 2)
    np.testing.assert_array_equal(side.radii, brute_radii(pair[0], 3))
    np.testing.assert_array_equal(side.wide_radii, brute_radii(pair[0], 5))


def test_radii_in_clusters_tighter_than_float32_tells_apart_are_those_of_float64() -> None:
    # The clusters lie 1 apart, so that products in float32 leave the order of neighbours 1e-4 apart open.
    x = clusters(300, 64, 0, 1e-4)
    np.testing.assert_array_equal(real_side(x, 2).radii, brute_radii(x, 3))


def test_density_of_samples_identical_to_the_data_is_1() -> None:
    # Each ball's surface goes through its fifth neighbour, which an identical sample shares with it.
    x = gaussian(300, 20, 1)
    assert shares_of(x, x).density == 1


def test_precision_and_recall_of_samples_that_are_one_point_of_the_data_count_the_point_itself() -> None:
    x = gaussian(1, 20, 2).repeat(50, 0)
    found = shares_of(x, x)
    assert (found.precision, found.recall) == (1, 1)


def test_precision_falls_and_recall_stays_when_half_of_the_samples_are_far_off() -> None:
    real = gaussian(200, 8, 29)
    assert listed(shares_of(np.concatenate([real, real + 1000]), real))[:2] == [0.5, 1.0]


def test_recall_falls_and_precision_stays_when_half_of_the_data_is_missed() -> None:
    samples = gaussian(200, 8, 30)
    assert listed(shares_of(samples, np.concatenate([samples, samples + 1000])))[:2] == [1.0, 0.5]


def test_coverage_is_half_when_half_of_the_data_is_missed() -> None:
    samples = gaussian(200, 8, 30)
    assert shares_of(samples, np.concatenate([samples, samples + 1000])).coverage == 0.5


@pytest.mark.parametrize(
    ("module", "name", "size"), [(pairs, "TILE", 37), (pairs, "CHUNK", 50), (neighbours, "WAITING", 9)]
)
def test_shares_do_not_hang_on_the_size_of_blocks(
    module: object, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = PAIRS["wider"]
    whole = shares_of(*pair)
    monkeypatch.setattr(module, name, size)
    assert shares_of(*pair) == whole


def test_shares_are_decided_in_float64_where_float32_leaves_them_open(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = PAIRS["identical"]
    decided: list[int] = []

    def counted(x: torch.Tensor, i: torch.Tensor, y: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        decided.append(len(i))
        return pairs.distances_of_pairs(x, i, y, j)

    monkeypatch.setattr(neighbours, "distances_of_pairs", counted)
    centre = pair[1].mean(0, dtype=np.float64)
    x, y = (pairs.points(part, centre) for part in pair)
    balls = Balls(x, y, brute_radii(pair[0], 3), brute_radii(pair[1], 3), brute_radii(pair[1], 5))
    pairs.walk_between(x, y, [balls])
    balls.shares()
    assert sum(decided) >= len(pair[0])


@pytest.mark.parametrize(("counts", "least"), [((3, 50), 4), ((50, 5), 6)])
def test_too_few_points_for_a_neighbour_are_refused(counts: tuple[int, int], least: int) -> None:
    with pytest.raises(DataError, match=rf"\b{least} samples or more, not {least - 1}"):
        shares_of(gaussian(counts[0], 4, 31), gaussian(counts[1], 4, 32))
