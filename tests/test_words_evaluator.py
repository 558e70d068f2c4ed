"""The classifier of words: its gate, its calibration and what its declaration says of it."""

import numpy as np
import pytest
import torch

from genbench import paths
from genbench.engine.data import load_split, materialise
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.plugins import discover
from genbench_benchmarks.evaluators.recipe import report
from genbench_benchmarks.evaluators.train_words_cnn import GATE

REGISTRY = discover()
CNN = REGISTRY.evaluators["words-cnn-v1"].spec


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    """Of the shipped classifier, on the 5,000 test words."""
    x, labels = load_split(materialise(REGISTRY.datasets["words"].spec, paths.data_cache()), "test")
    assert labels is not None
    features, logits = extract(load_evaluator(CNN), x)
    assert features.shape == (len(x), CNN.dims)
    assert logits.dtype == np.float32
    return report(torch.from_numpy(logits), torch.from_numpy(labels))


def test_the_words_evaluator_passes_its_gate_of_75_per_cent(figures: dict[str, float]) -> None:
    assert figures["accuracy"] >= GATE == 0.75


def test_the_words_evaluators_head_is_calibrated(figures: dict[str, float]) -> None:
    assert figures["ece"] < 0.02


def test_the_declared_accuracy_of_the_words_evaluator_is_the_measured_one(figures: dict[str, float]) -> None:
    assert f"test accuracy {figures['accuracy']:.3f}" in CNN.summary
