"""Stacked digits: the data, the evaluators that look at each channel, and modes of data without labels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genbench.engine.data import Examples
from genbench.engine.scoring import Bench, material_of, score
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import reference_from, source_of
from genbench.plugins import discover
from genbench.selection import load_benchmark
from genbench_benchmarks import digits, stacked

REGISTRY = discover()
STACKED = load_benchmark(REGISTRY, "stacked-digits")
METRICS = [REGISTRY.metrics[name].spec for name in ("modes_found", "modes_kl")]


@pytest.fixture(scope="module")
def source() -> Examples:
    return digits.load()["test"]


@pytest.fixture(scope="module")
def test_split(source: Examples) -> np.ndarray:
    return stacked.stacked(source, 5, "test")[0]


def test_every_mode_has_as_many_examples_and_none_comes_twice(source: Examples, test_split: np.ndarray) -> None:
    class_of = {image.tobytes(): int(label) for image, label in zip(source[0], source[1], strict=True)}
    modes = [tuple(class_of[channel.tobytes()] for channel in image) for image in test_split]
    assert np.bincount([100 * a + 10 * b + c for a, b, c in modes]).tolist() == [5] * 1000
    assert len({image.tobytes() for image in test_split}) == 5000


def test_the_order_of_the_examples_says_nothing_of_their_modes(source: Examples, test_split: np.ndarray) -> None:
    class_of = {image.tobytes(): int(label) for image, label in zip(source[0], source[1], strict=True)}
    first = [class_of[image[0].tobytes()] for image in test_split[:1000]]
    assert np.bincount(first).min() > 60


def test_triples_of_other_names_are_others(source: Examples, test_split: np.ndarray) -> None:
    other = stacked.stacked(source, 5, "other")[0]
    assert len({image.tobytes() for image in other} & {image.tobytes() for image in test_split}) < 10


@pytest.mark.parametrize("name", ["digits-cnn-v1", "digits-random-v1"])
def test_the_features_are_those_of_the_channels_side_by_side(name: str, test_split: np.ndarray) -> None:
    x = test_split[:40]
    whole = extract(load_evaluator(REGISTRY.evaluators[f"stacked-{name}"].spec), x)[0]
    single = load_evaluator(REGISTRY.evaluators[name].spec)
    parts = [extract(single, np.ascontiguousarray(x[:, [channel]]))[0] for channel in range(3)]
    np.testing.assert_allclose(whole, np.concatenate(parts, 1), rtol=1e-4, atol=1e-5)


def test_the_logits_are_the_joint_log_probabilities_of_the_modes(test_split: np.ndarray) -> None:
    x = test_split[:40]
    joint = extract(load_evaluator(STACKED.evaluator), x)[1]
    single = load_evaluator(REGISTRY.evaluators["digits-cnn-v1"].spec)
    p = [
        torch.from_numpy(extract(single, np.ascontiguousarray(x[:, [channel]]))[1]).double().softmax(1).numpy()
        for channel in range(3)
    ]
    expected = np.einsum("ba,bc,bd->bacd", *p).reshape(len(x), 1000)
    np.testing.assert_allclose(np.exp(joint), expected, rtol=1e-4, atol=1e-9)


def test_colours_of_a_digit_are_no_stacked_digits_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"takes uint8 \[B, 3, 8, 8\]"):
        load_evaluator(STACKED.evaluator).extractor(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))


def modes_of(samples: np.ndarray, training: np.ndarray, cache: Path | None = None) -> dict[str, float]:
    """The scores of samples held to training data without labels."""
    evaluator = STACKED.evaluator
    seen = extract(load_evaluator(evaluator), samples)
    reference = reference_from(source_of(evaluator, "d" * 64, "test"), seen[0][:200], seen[1][:200])
    bench = Bench(
        STACKED.dataset.data, evaluator, reference, None, None, lambda: reference, lambda: (training, None),
        lambda: (training, None), cache,
    )  # fmt: skip
    found = score(material_of(samples, None, None, seen, None, bench), METRICS)
    return {name: entry.value for name, entry in found.items()}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds what the evaluator sees in the training data, once it was asked."""
    return tmp_path_factory.mktemp("cache")


def test_a_model_that_has_lost_a_digit_finds_no_mode_with_it(
    source: Examples, test_split: np.ndarray, cache: Path
) -> None:
    x, labels = source
    assert labels is not None
    few = [(x[labels < 9], labels[labels < 9]), source]
    lost, all_there = (stacked.stacked(part, 1, "samples")[0] for part in few)
    assert modes_of(lost, test_split, cache)["modes_found"] == pytest.approx(9**3, rel=0.02)
    assert modes_of(all_there, test_split, cache)["modes_found"] > 970


def test_the_divergence_is_from_what_the_evaluator_sees_in_the_training_data(
    test_split: np.ndarray, cache: Path
) -> None:
    assert modes_of(test_split, test_split, cache)["modes_kl"] == pytest.approx(0, abs=1e-12)


def test_the_shares_of_the_training_data_are_kept(test_split: np.ndarray, cache: Path) -> None:
    first = modes_of(test_split[:300], test_split, cache)
    assert len(list(cache.glob("shares-*.npy"))) == 1
    assert modes_of(test_split[:300], test_split[:0], cache) == first
