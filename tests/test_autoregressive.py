"""pixelcnn: its order of pixels, its exact likelihood, and that its fast sampling computes the same thing."""

from __future__ import annotations

import itertools

import pytest
import torch

from genbench import Batch, DataSpec
from genbench_autoregressive import small_images
from genbench_autoregressive.config import PixelCNNConfig
from genbench_autoregressive.layers import CausalNet, RowCache
from genbench_autoregressive.pixelcnn import PixelCNN

CPU = torch.device("cpu")
SMALL = PixelCNNConfig(batch_size=4, channels=6, blocks=3, hidden=6)


def images(n, data, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8)


def trained(data, config=SMALL, steps=3):
    torch.default_generator.manual_seed(0)
    model = PixelCNN(config, data, CPU)
    for step in range(steps):
        model.train_step(Batch(images(config.batch_size, data, step), None), step / steps)
    return model


class Differentiable(CausalNet):
    """The network on images of real numbers, so that there are gradients with respect to pixels."""

    def encode(self, x):
        return x


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_depend_on_all_earlier_values_and_on_no_later_one(channels):
    torch.default_generator.manual_seed(0)
    height, width = 5, 6
    net = Differentiable((channels, height, width), levels=3, channels=36, blocks=5, hidden=36).double()
    # Raster order, channels innermost: a value's place in it is its index in [H, W, C].
    places = list(itertools.product(range(height), range(width), range(channels)))
    depends = torch.zeros(len(places), len(places), dtype=torch.bool)
    for _ in range(3):  # a ReLU may be shut at one image, hardly all at all three
        x = torch.randn(1, channels, height, width, dtype=torch.float64, requires_grad=True)
        logits = net(x)
        for index, (row, column, channel) in enumerate(places):
            (slope,) = torch.autograd.grad(logits[0, :, channel, row, column].square().sum(), x, retain_graph=True)
            depends[index] |= slope[0].permute(1, 2, 0).flatten() != 0
    earlier = torch.ones(len(places), len(places)).tril(-1).bool()
    assert not (depends & ~earlier).any(), "a later value is seen"
    assert not (earlier & ~depends).any(), "there is a blind spot"


@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 4, 3), (2, 1, 3), (1, 3, 1)])
def test_the_cache_gives_the_logits_of_a_full_pass(shape):
    data = DataSpec(shape, levels=7)
    net = trained(data).ema.average
    x = images(3, data)
    whole = net(x)
    seen = torch.zeros_like(x)  # filled in behind the walk: the cache must not read ahead
    with torch.no_grad():
        cache = RowCache(net, seen)
        for row in range(shape[1]):
            cache.start_row(row)
            for column in range(shape[2]):
                cache.start_column(column)
                for channel in range(shape[0]):
                    torch.testing.assert_close(
                        cache.logits()[:, :, channel], whole[:, :, channel, row, column], rtol=1e-4, atol=1e-5
                    )
                    seen[:, channel, row, column] = x[:, channel, row, column]


def test_cached_sampling_draws_what_naive_sampling_draws_at_an_eighth_of_the_cost():
    data = DataSpec((1, 8, 8), levels=5)
    model = trained(data)

    def naive(n):
        x = torch.zeros(n, *data.shape, dtype=torch.uint8)
        for row, column in itertools.product(range(8), range(8)):
            x[:, 0, row, column] = model.output.sample(model.ema.average(x)[:, :, 0, row, column])
        return x

    def drawn(sampler):
        from torch.utils.flop_counter import FlopCounterMode

        torch.default_generator.manual_seed(3)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            return sampler(5), counter.get_total_flops()

    (fast, fast_cost), (slow, slow_cost) = drawn(model.sample), drawn(naive)
    assert torch.equal(fast, slow)
    assert fast_cost < slow_cost / 8


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 1), (1, 2, 1), (3, 1, 1)])
def test_probabilities_sum_to_one_over_all_images(shape):
    data = DataSpec(shape, levels=4)
    everything = torch.cartesian_prod(*[torch.arange(4)] * data.dims).to(torch.uint8).view(-1, *shape)
    assert trained(data).log_prob(everything).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_it_samples_what_it_assigns_probability_to():
    data = DataSpec((1, 1, 2), levels=3)
    model = trained(data, steps=20)
    everything = torch.cartesian_prod(torch.arange(3), torch.arange(3)).to(torch.uint8).view(-1, 1, 1, 2)
    probs = model.log_prob(everything).exp()
    torch.default_generator.manual_seed(0)
    n = 20_000
    drawn = model.sample(n).view(n, 2).long()
    frequency = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / n
    assert ((frequency - probs).abs() < 4.5 * (probs * (1 - probs) / n).sqrt()).all()


def test_training_lowers_the_nats_of_what_it_sees():
    data = DataSpec((1, 8, 8), levels=17)
    config = PixelCNNConfig(batch_size=8, channels=8, blocks=2, hidden=8)
    torch.default_generator.manual_seed(0)
    model = PixelCNN(config, data, CPU)
    batch = Batch(images(8, data) // 4, None)
    losses = [model.train_step(batch, step / 80)["nats"].item() for step in range(80)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 10)])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(shape):
    data = DataSpec(shape, levels=256)
    first = trained(data)
    second = PixelCNN(SMALL, data, CPU)
    second.load_state_dict(first.state_dict())
    batch = Batch(images(4, data, 9), None)
    for model in (first, second):
        model.train_step(batch, 0.6)
    assert_same_state(first.state_dict(), second.state_dict())
    assert torch.equal(first.log_prob(batch.x), second.log_prob(batch.x))


def test_a_likelihood_does_not_depend_on_the_rest_of_the_batch(monkeypatch):
    data = DataSpec((1, 8, 8), levels=17)
    model, x = trained(data), images(5, data)
    together = model.log_prob(x)
    monkeypatch.setattr("genbench_autoregressive.pixelcnn.EVAL_BYTES", 4 * 64 * 17 * 2)  # two at a time
    torch.testing.assert_close(model.log_prob(x), together)
    torch.testing.assert_close(torch.cat([model.log_prob(each[None]) for each in x]), together)


def test_sequences_and_large_images_are_refused_with_the_reason():
    assert small_images(DataSpec((1, 8, 8))) is None
    assert "for images" in small_images(DataSpec((12,)))
    assert "65x8" in small_images(DataSpec((1, 65, 8)))


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same_state(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key
