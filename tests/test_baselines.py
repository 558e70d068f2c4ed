"""The anchors against hand counts and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from genbench import Batch, DataSpec
from genbench_baselines.class_marginals import ClassMarginals
from genbench_baselines.config import MarginalsConfig, NoiseConfig, TrainCopyConfig
from genbench_baselines.marginals import Marginals
from genbench_baselines.noise import Noise
from genbench_baselines.train_copy import TrainCopy
from genbench_blocks.support import labelled

CPU = torch.device("cpu")
TINY = DataSpec((1, 1, 2), levels=3, classes=2)
SEEN = torch.tensor([[0, 2], [0, 1], [0, 2], [1, 0]], dtype=torch.uint8).view(4, 1, 1, 2)
LABELS = torch.tensor([0, 0, 0, 1])
EVERYTHING = torch.cartesian_prod(torch.arange(3), torch.arange(3)).to(torch.uint8).view(9, 1, 1, 2)


def trained(kind, config, data=TINY):
    model = kind(config, data, CPU)
    for start in (0, 2):  # two batches of two: counting must add up across steps
        model.train_step(Batch(SEEN[start : start + 2], LABELS[start : start + 2]), start / 4)
    return model


@pytest.mark.parametrize("pseudo_count", [0.5, 1.0])
def test_marginals_give_the_smoothed_frequencies_counted_by_hand(pseudo_count):
    model = trained(Marginals, MarginalsConfig(pseudo_count=pseudo_count))
    total = 4 + 3 * pseudo_count
    by_hand = math.log((3 + pseudo_count) / total) + math.log((2 + pseudo_count) / total)  # P(0) P(2)
    assert model.log_prob(SEEN[:1]).item() == pytest.approx(by_hand, abs=1e-12)


def test_class_marginals_count_each_class_apart():
    model = trained(ClassMarginals, MarginalsConfig(pseudo_count=1.0))
    x = SEEN[[0, 0]]  # the image (0, 2) under either class
    of_class_0 = math.log(4 / 6) + math.log(3 / 6)  # three examples: 0 seen 3 times, 2 seen twice
    of_class_1 = math.log(1 / 4) + math.log(1 / 4)  # one example: neither value seen
    found = model.log_prob(x, torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.tensor([of_class_0, of_class_1], dtype=torch.float64))


@pytest.mark.parametrize("label", [None, 0, 1])
def test_probabilities_sum_to_one_over_all_images(label):
    models = [trained(Marginals, MarginalsConfig()), Noise(NoiseConfig(), TINY, CPU)]
    if label is not None:
        models = [trained(ClassMarginals, MarginalsConfig())]
    labels = None if label is None else torch.full((9,), label)
    for model in models:
        assert model.log_prob(EVERYTHING, labels).exp().sum().item() == pytest.approx(1.0, abs=1e-12)


def test_marginals_draw_each_value_as_often_as_they_say():
    model = trained(Marginals, MarginalsConfig())
    torch.default_generator.manual_seed(0)
    n = 20_000
    drawn = model.sample(n)
    assert drawn.dtype == torch.uint8
    assert drawn.shape == (n, 1, 1, 2)
    probs = model.log_probs().exp()
    for pixel in range(2):
        frequency = torch.bincount(drawn[:, 0, 0, pixel].long(), minlength=3) / n
        error = (probs[pixel] * (1 - probs[pixel]) / n).sqrt()
        assert ((frequency - probs[pixel]).abs() < 4 * error).all()


def test_class_marginals_draw_from_the_class_that_was_asked_for():
    model = trained(ClassMarginals, MarginalsConfig(pseudo_count=1e-9))
    labels = torch.tensor([1, 0, 1, 0, 0])
    drawn = model.sample(5, labels).view(5, 2)
    assert drawn[labels == 1].tolist() == [[1, 0], [1, 0]]
    assert (drawn[labels == 0][:, 0] == 0).all()
    with pytest.raises(ValueError, match="a label for each of 5"):
        model.sample(5, labels[:3])


def test_class_marginals_are_refused_where_there_are_no_classes():
    unlabelled = DataSpec((1, 1, 2), levels=3)
    assert "needs labels" in labelled()(unlabelled)
    assert labelled()(TINY) is None
    with pytest.raises(ValueError, match="no labels"):
        ClassMarginals(MarginalsConfig(), unlabelled, CPU)


def test_a_pseudo_count_of_zero_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        MarginalsConfig(pseudo_count=0.0)


def test_noise_is_uniform_and_says_so():
    data = DataSpec((1, 8, 8), levels=17)
    model = Noise(NoiseConfig(), data, CPU)
    torch.default_generator.manual_seed(0)
    drawn = model.sample(1000)
    assert (model.log_prob(drawn) == -64 * math.log(17)).all()
    frequency = torch.bincount(drawn.flatten().long(), minlength=17) / drawn.numel()
    assert len(frequency) == 17
    assert (frequency - 1 / 17).abs().max() < 4 * math.sqrt(1 / 17 / drawn.numel())


def test_train_copy_hands_out_no_example_twice_while_there_are_enough():
    data = DataSpec((1, 1, 1))
    model = TrainCopy(TrainCopyConfig(), data, CPU)
    with pytest.raises(RuntimeError, match="no training example"):
        model.sample(1)
    for start in range(0, 20, 4):
        model.train_step(Batch(torch.arange(start, start + 4, dtype=torch.uint8).view(4, 1, 1, 1), None), 0.0)
    drawn = model.sample(20).flatten().tolist()
    assert sorted(drawn) == list(range(20))
    assert drawn != list(range(20))
    assert len(set(model.sample(7).flatten().tolist())) == 7


def test_train_copy_repeats_whole_permutations_beyond_what_it_has():
    model = trained(TrainCopy, TrainCopyConfig(), DataSpec((1, 1, 2), levels=3))
    drawn = [tuple(x) for x in model.sample(10).view(10, 2).tolist()]
    seen = sorted(tuple(x) for x in SEEN.view(4, 2).tolist())
    assert sorted(drawn[:4]) == seen
    assert sorted(drawn[4:8]) == seen


@pytest.mark.parametrize(
    ("kind", "config"),
    [(Marginals, MarginalsConfig()), (ClassMarginals, MarginalsConfig()), (TrainCopy, TrainCopyConfig())],
)
def test_a_model_rebuilt_from_its_state_goes_on_as_the_first(kind, config):
    whole = trained(kind, config)
    half = kind(config, TINY, CPU)
    half.train_step(Batch(SEEN[:2], LABELS[:2]), 0.0)
    resumed = kind(config, TINY, CPU)
    resumed.load_state_dict(half.state_dict())
    resumed.train_step(Batch(SEEN[2:], LABELS[2:]), 0.5)
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value)
    with pytest.raises(ValueError, match="of shape"):
        kind(config, DataSpec((1, 2, 2), levels=3, classes=2), CPU).load_state_dict(whole.state_dict())
