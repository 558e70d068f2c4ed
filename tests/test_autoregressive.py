"""The pixel CNNs: their order of pixels, their exact likelihoods, and that fast sampling computes the same thing."""

from __future__ import annotations

import dataclasses
import itertools
import math
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from genbench import Batch, DataSpec
from genbench.engine.contract import resolve
from genbench.plugins import discover
from genbench.specs import resolve_config
from genbench_autoregressive.config import PixelCNNConfig, PixelCNNPPConfig
from genbench_autoregressive.layers import CausalNet
from genbench_autoregressive.mixture import PixelMixture
from genbench_autoregressive.multiscale import MultiscaleNet
from genbench_autoregressive.pixelcnn import ConditionalPixelCNN, PixelCNN
from genbench_autoregressive.pixelcnn_pp import PixelCNNPP
from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics
from genbench_blocks.support import labelled, small_images

CPU = torch.device("cpu")
SMALL = PixelCNNConfig(batch_size=4, channels=6, blocks=3, hidden=6)
SMALL_PP = PixelCNNPPConfig(batch_size=4, channels=6, widen=2, logistics=3)
MODELS = {
    "pixelcnn": (PixelCNN, SMALL),
    "cpixelcnn": (ConditionalPixelCNN, SMALL),
    "pixelcnn-pp": (PixelCNNPP, SMALL_PP),
}
every_model = pytest.mark.parametrize("name", MODELS)


def images(n, data, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8)


def labels_of(n):
    return torch.arange(n) % 3


def wanted(model, n):
    return labels_of(n) if model.conditional else None


def untrained(name, data):
    torch.default_generator.manual_seed(0)
    factory, config = MODELS[name]
    return factory(config, data, CPU)


def trained(name, shape, levels, steps=3):
    data = DataSpec(shape, levels=levels, classes=3)
    model = untrained(name, data)
    for step in range(steps):
        model.train_step(Batch(images(4, data, step), labels_of(4)), step / steps)
    return model


class DifferentiableCausal(CausalNet):
    """The network on images of real numbers, so that there are gradients with respect to pixels."""

    def encode(self, x):
        return x


class DifferentiableMultiscale(MultiscaleNet):
    """Likewise."""

    def encode(self, x):
        return x


def seen_by(net, pixel, values, height=5, width=6):
    """Whether the outputs of a place depend on a value, ``[places, values]`` in raster order, channels innermost.

    A place is a value if ``pixel`` is 1, a whole pixel if it is the number of channels.
    """
    channels = values // (height * width)
    depends = torch.zeros(values // pixel, values, dtype=torch.bool)
    for _ in range(3):  # a ReLU may be shut at one image, hardly all at all three
        x = torch.randn(1, channels, height, width, dtype=torch.float64, requires_grad=True)
        out = net(x)
        out = out.permute(0, 3, 4, 2, 1) if pixel == 1 else out.permute(0, 2, 3, 1)
        for index, each in enumerate(out.flatten(0, -2)):  # H, W, then C where there are outputs for each
            (slope,) = torch.autograd.grad(each.square().sum(), x, retain_graph=True)
            depends[index] |= slope[0].permute(1, 2, 0).flatten() != 0
    return depends


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_of_the_gated_net_depend_on_all_earlier_values_and_on_no_later_one(channels):
    torch.default_generator.manual_seed(0)
    net = DifferentiableCausal((channels, 5, 6), levels=3, channels=36, blocks=5, hidden=36).double()
    depends = seen_by(net, pixel=1, values=30 * channels)
    assert torch.equal(depends, torch.ones_like(depends).tril(-1)), "a later value is seen, or there is a blind spot"


@pytest.mark.parametrize("scales", [1, 3])
def test_parameters_of_the_multiscale_net_depend_on_all_earlier_pixels_and_on_no_later_one(scales):
    torch.default_generator.manual_seed(0)
    net = DifferentiableMultiscale((2, 5, 6), levels=3, channels=(12,) * scales, blocks=2, outputs=5).double()
    depends = seen_by(net, pixel=2, values=60)
    earlier = torch.ones(30, 30).tril(-1).bool().repeat_interleave(2, dim=1)
    assert torch.equal(depends, earlier), "a later pixel is seen, or there is a blind spot"


@every_model
@pytest.mark.parametrize("shape", [(1, 4, 5), (3, 4, 3), (2, 1, 3), (1, 3, 1)])
def test_the_cache_gives_the_outputs_of_a_full_pass(name, shape):
    model = trained(name, shape, levels=7)
    x, labels = images(3, model.data), wanted(model, 3)
    seen = torch.zeros_like(x)  # filled in behind the walk: the cache must not read ahead
    with torch.no_grad():
        whole = model.outputs(model.ema.average, x, labels)
        for place, found in model.walk(model.ema.average, seen, labels):
            torch.testing.assert_close(found, whole[(..., *place)], rtol=1e-4, atol=1e-5)
            seen[(slice(None), *place)] = x[(slice(None), *place)]
    assert torch.equal(seen, x)


@every_model
def test_cached_sampling_draws_what_naive_sampling_draws_at_an_eighth_of_the_cost(name):
    model = trained(name, (1, 6, 6), levels=5)
    net = model.ema.average.double()  # so that rounding can hardly turn a draw

    def naive(n, labels):
        x = torch.zeros(n, 1, 6, 6, dtype=torch.uint8)
        for row, column in itertools.product(range(6), range(6)):
            parameters = model.outputs(net, x, wanted(model, n))[..., row, column]
            x[..., row, column] = model.output.sample(parameters).view(n, 1)
        return x

    def drawn(sampler):
        torch.default_generator.manual_seed(3)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            return sampler(5, labels_of(5)), counter.get_total_flops()

    (fast, fast_cost), (slow, slow_cost) = drawn(model.sample), drawn(naive)
    assert torch.equal(fast, slow)
    assert fast_cost < slow_cost / 8


@every_model
def test_the_likelihood_is_the_sum_of_the_log_probabilities_met_along_sampling(name):
    model = trained(name, (3, 4, 5), levels=9)
    labels = labels_of(4)
    x = torch.zeros(4, *model.data.shape, dtype=torch.uint8)
    met = torch.zeros(4)
    torch.default_generator.manual_seed(5)
    with torch.no_grad():
        for place, parameters in model.walk(model.ema.average, x, wanted(model, 4)):
            drawn = model.output.sample(parameters)
            x[(slice(None), *place)] = drawn
            met += model.output.log_prob(parameters, drawn)
    torch.testing.assert_close(model.log_prob(x, labels), met, rtol=1e-5, atol=1e-4)


@every_model
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 1), (1, 2, 1), (3, 1, 1)])
def test_probabilities_sum_to_one_over_all_images(name, shape):
    model = trained(name, shape, levels=4)
    everything = torch.cartesian_prod(*[torch.arange(4)] * model.data.dims).to(torch.uint8).view(-1, *shape)
    labels = torch.full((len(everything),), 1)
    assert model.log_prob(everything, labels).exp().sum().item() == pytest.approx(1.0, abs=1e-4)


@every_model
def test_it_samples_what_it_assigns_probability_to(name):
    model = trained(name, (2, 1, 1), levels=3, steps=20)
    everything = torch.cartesian_prod(torch.arange(3), torch.arange(3)).to(torch.uint8).view(-1, 2, 1, 1)
    probs = model.log_prob(everything, torch.ones(9, dtype=torch.long)).exp()
    torch.default_generator.manual_seed(0)
    n = 20_000
    drawn = model.sample(n, torch.ones(n, dtype=torch.long)).view(n, 2).long()
    frequency = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / n
    assert ((frequency - probs).abs() < 4.5 * (probs * (1 - probs) / n).sqrt()).all()


@every_model
def test_training_lowers_the_nats_of_what_it_sees(name):
    model = untrained(name, DataSpec((1, 4, 4), levels=17, classes=3))
    batch = Batch(images(8, model.data) // 4, labels_of(8))
    losses = [model.train_step(batch, step / 60)["nats"].item() for step in range(60)]
    assert losses[-1] < 0.75 * losses[0]


@every_model
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 10)])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(name, shape):
    first = trained(name, shape, levels=256)
    second = untrained(name, first.data)
    second.load_state_dict(first.state_dict())
    batch = Batch(images(4, first.data, 9), labels_of(4))
    for model in (first, second):
        model.train_step(batch, 0.6)
    assert_same_state(first.state_dict(), second.state_dict())
    assert torch.equal(first.log_prob(batch.x, batch.labels), second.log_prob(batch.x, batch.labels))


@every_model
def test_a_likelihood_does_not_depend_on_the_rest_of_the_batch(name, monkeypatch):
    model = trained(name, (1, 8, 8), levels=17)
    x, labels = images(5, model.data), labels_of(5)
    together = model.log_prob(x, labels)
    monkeypatch.setattr("genbench_autoregressive.likelihood_model.EVAL_BYTES", 4 * model.held * 2)  # two at a time
    torch.testing.assert_close(model.log_prob(x, labels), together)
    alone = [model.log_prob(x[i : i + 1], labels[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(torch.cat(alone), together)


class Live(TorchDispatchMode):
    """Counts the bytes of the tensors that operations return, as long as anything holds them."""

    def __init__(self):
        super().__init__()
        self.held, self.peak, self.known = 0, 0, set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for storage in (each.untyped_storage() for each in tree_leaves(result) if isinstance(each, torch.Tensor)):
            if storage._cdata not in self.known:
                self.known.add(storage._cdata)
                self.held += storage.nbytes()
                self.peak = max(self.peak, self.held)
                weakref.finalize(storage, self.freed, storage._cdata, storage.nbytes())
        return result

    def freed(self, address, size):
        self.known.discard(address)
        self.held -= size


def walk_of(model, n):
    """The bytes that a walk over the first two rows of n images holds at most."""
    x = torch.zeros(n, *model.data.shape, dtype=torch.uint8)
    with torch.no_grad(), Live() as live:
        for place, parameters in model.walk(model.ema.average, x, wanted(model, n)):
            if place[1] == 2:
                return live.peak
            x[(slice(None), *place)] = model.output.sample(parameters)
    raise AssertionError("the images have three rows or more")


@every_model
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16)])
def test_a_walk_holds_about_what_the_model_says_and_far_less_than_a_pass(name, shape):
    model = trained(name, shape, levels=17, steps=0)
    measured = (walk_of(model, 12) - walk_of(model, 4)) / 8  # for each image; what is held once cancels
    assert 0.5 * model.walked < measured / 4 < 1.25 * model.walked
    assert model.walked < 0.5 * model.held


@pytest.mark.parametrize("name", ["pixelcnn", "cpixelcnn", "pixelcnn-pp", "transformer", "ctransformer"])
@pytest.mark.parametrize("data", [DataSpec((1, 28, 28), 256, 10), DataSpec((3, 32, 32), 256, 10)], ids=["28", "32"])
def test_a_chunk_of_500_images_is_walked_at_once_at_the_default_sizes(name, data, monkeypatch):
    spec = discover().models[name].spec
    model = resolve(spec.factory)(resolve_config(spec, data, {}), data, CPU)
    walks = []
    monkeypatch.setattr(model, "walk", lambda net, x, labels: walks.append(len(x)) or iter(()))
    model.sample(500, torch.arange(500) % 10)
    assert walks == [500]


@pytest.mark.parametrize("output", [Categorical(5), DiscretisedLogistics(256, 3), PixelMixture(256, 3, channels=1)])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_parameters_in_half_precision_are_read_as_float32(output, half):
    torch.default_generator.manual_seed(0)
    parameters = torch.randn(64, output.size, 2, 2).to(half)
    x = torch.randint(output.levels, (64, 2, 2), dtype=torch.uint8)
    x = x.unsqueeze(1) if isinstance(output, PixelMixture) else x
    assert output.log_prob(parameters, x).dtype == torch.float32
    assert torch.equal(output.log_prob(parameters, x), output.log_prob(parameters.float(), x))
    torch.default_generator.manual_seed(1)
    drawn = output.sample(parameters)
    torch.default_generator.manual_seed(1)
    assert torch.equal(drawn, output.sample(parameters.float()))


def test_the_classes_of_an_untrained_conditional_model_differ():
    model = untrained("cpixelcnn", DataSpec((1, 4, 4), levels=5, classes=3))
    x = images(1, model.data)
    of_each = [model.log_prob(x, torch.tensor([label])).item() for label in range(3)]
    assert len(set(of_each)) == 3


def test_the_conditional_model_learns_what_tells_classes_apart():
    torch.default_generator.manual_seed(0)
    config = dataclasses.replace(SMALL, channels=12, hidden=24)
    model = ConditionalPixelCNN(config, DataSpec((1, 3, 3), levels=4, classes=3), CPU)
    x = labels_of(6).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 3, 3).contiguous()  # each class a grey of its own
    for step in range(60):
        model.train_step(Batch(x, labels_of(6)), step / 60)
    right, wrong = model.log_prob(x, labels_of(6)), model.log_prob(x, (labels_of(6) + 1) % 3)
    assert (right > wrong).all()
    assert right.mean() > wrong.mean() + 2


def test_a_mixture_over_pixels_of_one_channel_is_the_mixture_of_logistics():
    torch.default_generator.manual_seed(0)
    parameters, x = torch.randn(4, 15, 3, 2), images(4, DataSpec((1, 3, 2), levels=17))
    mixture, logistics = PixelMixture(17, 5, channels=1), DiscretisedLogistics(17, 5)
    expected = logistics.log_prob(parameters.unsqueeze(2), x).squeeze(1)
    torch.testing.assert_close(mixture.log_prob(parameters, x), expected)


def test_a_mixture_over_pixels_moves_the_mean_of_a_channel_with_the_channels_before():
    mixture = PixelMixture(9, 1, channels=3)
    # A logit, three means, three log scales (2 is added to them), and the coefficients of green on red, of blue on red
    # and on green: the mass is that of three logistics, with means 0.1, 0.2 + a x_red and 0.3 + b x_red + c x_green.
    coefficients = torch.tensor([0.5, -0.3, 0.8])
    parameters = torch.cat([torch.tensor([7.0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7]), coefficients.atanh()]).view(1, 10, 1, 1)
    x = torch.tensor([2, 5, 6], dtype=torch.uint8).view(1, 3, 1, 1)
    red, green, blue = (2 * level / 8 - 1 for level in (2, 5, 6))
    means = (0.1, 0.2 + 0.5 * red, 0.3 - 0.3 * red + 0.8 * green)
    expected = 0.0
    for value, mean, log_scale in zip((red, green, blue), means, (-1.5, -1.4, -1.3), strict=True):
        upper, lower = ((value + side / 8 - mean) / math.exp(log_scale) for side in (1, -1))
        expected += math.log(1 / (1 + math.exp(-upper)) - 1 / (1 + math.exp(-lower)))
    assert mixture.log_prob(parameters, x).item() == pytest.approx(expected, rel=1e-5)


def test_what_the_models_are_not_made_for_is_refused_with_the_reason():
    assert small_images(DataSpec((1, 8, 8))) is None
    assert "for images" in small_images(DataSpec((12,)))
    assert "65x8" in small_images(DataSpec((1, 65, 8)))
    supports = labelled(small_images)
    assert supports(DataSpec((1, 8, 8), classes=10)) is None
    assert "labels" in supports(DataSpec((1, 8, 8)))
    assert "for images" in supports(DataSpec((12,), classes=10))


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same_state(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key
