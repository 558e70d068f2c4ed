"""The evaluators of Fashion-MNIST: their gate, where the data are at hand, and their recipes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.plugins import discover
from genbench.selection import load_benchmark
from genbench_benchmarks import idx
from genbench_benchmarks.evaluators import draw_fashion_random, train_fashion_cnn
from genbench_benchmarks.evaluators.fashion_cnn import FashionCNN, network
from genbench_benchmarks.evaluators.recipe import report

REGISTRY = discover()
CNN, RANDOM = (REGISTRY.evaluators[f"fashion-{kind}-v1"].spec for kind in ("cnn", "random"))
DATA = REGISTRY.datasets["fashion-mnist"].spec
FOLDER = Path(DATA.folders[0])


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    """Of the shipped classifier, on the 10,000 test images."""
    if not FOLDER.is_dir():
        pytest.skip(f"Fashion-MNIST is not at hand: {DATA.package} puts it into {FOLDER}")
    x, labels = (idx.read(FOLDER / f"t10k-{name}", axes) for name, axes in ((idx.IMAGES, 3), (idx.LABELS, 1)))
    logits = extract(load_evaluator(CNN), x[:, None])[1]
    return report(torch.from_numpy(logits), torch.from_numpy(labels.astype(np.int64)))


def test_the_fashion_evaluator_passes_its_gate_of_92_per_cent(figures: dict[str, float]) -> None:
    assert figures["accuracy"] >= train_fashion_cnn.GATE == 0.92


def test_the_fashion_evaluators_head_is_calibrated(figures: dict[str, float]) -> None:
    assert figures["ece"] < 0.02


def test_the_declared_accuracy_of_the_fashion_evaluator_is_the_measured_one(figures: dict[str, float]) -> None:
    assert f"test accuracy {figures['accuracy']:.3f}" in CNN.summary


@pytest.mark.parametrize("spec", [CNN, RANDOM])
def test_the_weights_that_ship_are_less_than_a_megabyte(spec) -> None:
    assert Path(spec.weights).stat().st_size < 1 << 20


def test_the_recipe_of_the_random_fashion_evaluator_gives_the_shipped_weights() -> None:
    shipped, drawn = load_file(RANDOM.weights), draw_fashion_random.draw().state_dict()
    assert set(shipped) == set(drawn)
    for name, values in shipped.items():
        torch.testing.assert_close(drawn[name], values, rtol=1e-4, atol=1e-5)


def test_batch_normalisation_is_folded_into_the_convolutions_before_it() -> None:
    normalised = train_fashion_cnn.with_batch_norm(network())
    x = FashionCNN.scale(torch.randint(256, (64, 1, 28, 28), generator=torch.Generator().manual_seed(0)))
    for _ in range(3):
        normalised["body"](x)  # the running statistics move
    normalised.eval()
    plain = train_fashion_cnn.without_batch_norm(normalised)
    assert plain.state_dict().keys() == network().state_dict().keys()
    torch.testing.assert_close(plain["body"](x), normalised["body"](x), rtol=1e-4, atol=1e-5)


def test_images_are_shifted_by_whole_pixels_filled_up_with_zeros_and_mirrored() -> None:
    x = torch.rand(200, 1, 28, 28) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shifted = train_fashion_cnn.augment(x)
    framed = torch.nn.functional.pad(x, [1, 1, 1, 1])
    windows = [framed[:, :, a : a + 28, b : b + 28] for a in range(3) for b in range(3)]
    windows += [window.flip(3) for window in windows]
    hits = torch.stack([(shifted == window).flatten(1).all(1) for window in windows])  # [18, 200]
    assert hits.sum(0).tolist() == [1] * 200
    assert hits.any(1).all()


@pytest.mark.parametrize("name", ["fashion-mnist", "fashion-mnist-gpu", "cifar10-gpu"])
def test_a_benchmark_of_images_has_five_seeds_and_its_device(name: str) -> None:
    benchmark = load_benchmark(REGISTRY, name)
    assert len(benchmark.file.seeds) == 5
    assert benchmark.budget.device == ("cuda" if name.endswith("gpu") else "cpu")
