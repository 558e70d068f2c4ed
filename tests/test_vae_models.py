"""The autoencoders, and the distributions of discrete pixels that they share with others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genbench import Batch, DataSpec
from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics, discrete_output
from genbench_vae import small_images
from genbench_vae.ae_gmm import AutoencoderMixture
from genbench_vae.config import AEGMMConfig, VAEConfig
from genbench_vae.nets import Decoder, Encoder
from genbench_vae.vae import VAE, MixturePrior

CPU = torch.device("cpu")
DIGITS = DataSpec((1, 8, 8), levels=17)
SMALL_VAE = VAEConfig(batch_size=8, width=8, latent=4, prior_components=3)
SMALL_AE = AEGMMConfig(batch_size=8, width=8, latent=4, components=2)


def images(n, data, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8)


def trained(kind, config, data=DIGITS, steps=4, x=None):
    torch.default_generator.manual_seed(0)
    model = kind(config, data, CPU)
    for step in range(steps):
        model.train_step(Batch(images(config.batch_size, data, step) if x is None else x, None), step / steps)
    return model


def training_batches(data=DIGITS, count=6):
    return iter([Batch(images(8, data, seed), None) for seed in range(count)])


# The distributions of pixels


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("kind", [Categorical, DiscretisedLogistics])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_the_mass_of_all_levels_is_one(levels, kind, scale):
    output = Categorical(levels) if kind is Categorical else DiscretisedLogistics(levels, 4)
    generator = torch.Generator().manual_seed(0)
    # 6 settings, from broad to narrower than a bin, each at all levels.
    parameters = scale * torch.randn(6, output.size, 1, generator=generator, dtype=torch.float64)
    every = torch.arange(levels, dtype=torch.uint8).expand(6, -1)  # [6, levels]
    log_mass = output.log_prob(parameters.expand(-1, -1, levels), every)
    assert log_mass.isfinite().all()
    torch.testing.assert_close(log_mass.exp().sum(dim=1), torch.ones(6, dtype=torch.float64), rtol=1e-9, atol=0)


def test_a_bin_of_a_logistic_holds_the_difference_of_its_distribution_function():
    output = DiscretisedLogistics(256, 1)
    mean, log_scale = 0.2, 0.5
    parameters = torch.tensor([[0.0, mean, log_scale]], dtype=torch.float64)
    scale = math.exp(log_scale - 2.0)  # an output of 0 stands for the scale exp(-2)

    def cdf(value):
        return 1 / (1 + math.exp(-(value - mean) / scale))

    for level, low, high in (
        (0, 0.0, cdf(-254 / 255)),
        (100, cdf(199 / 255 - 1), cdf(201 / 255 - 1)),
        (255, cdf(254 / 255), 1.0),
    ):
        x = torch.tensor([level], dtype=torch.uint8)
        assert output.log_prob(parameters, x).item() == pytest.approx(math.log(high - low), rel=1e-9)


@pytest.mark.parametrize("output", [Categorical(6), DiscretisedLogistics(6, 3)])
def test_levels_are_drawn_as_often_as_their_mass_says(output):
    torch.default_generator.manual_seed(0)
    n = 20_000
    parameters = torch.randn(1, output.size, 1)
    mass = output.log_prob(parameters.expand(-1, -1, 6), torch.arange(6, dtype=torch.uint8)[None])[0].exp()
    drawn = output.sample(parameters.expand(n, -1, -1).contiguous())
    frequency = torch.bincount(drawn.flatten().long(), minlength=6) / n
    assert len(frequency) == 6
    assert ((frequency - mass).abs() < 4.5 * (mass * (1 - mass) / n).sqrt() + 1e-6).all()


def test_gradients_of_a_mixture_stay_finite_far_from_the_data():
    output = DiscretisedLogistics(256, 2)
    parameters = torch.tensor([[-50.0, 50.0, -90.0, 90.0, -60.0, 60.0]], requires_grad=True)
    for level in (0, 128, 255):
        output.log_prob(parameters, torch.tensor([level], dtype=torch.uint8)).sum().backward()
    assert parameters.grad.isfinite().all()


# Networks


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 8, 8), (3, 9, 13), (1, 28, 28), (3, 64, 64), (3, 8, 64)])
def test_networks_fit_images_of_any_size_within_two_million_parameters(shape):
    encoder, decoder = Encoder(shape, 48, 32, 0.0), Decoder(shape, 48, 16, 15, 0.0)
    assert encoder(torch.zeros(2, *shape)).shape == (2, 32)
    assert decoder(torch.zeros(2, 16)).shape == (2, 15, *shape)
    assert sum(each.numel() for net in (encoder, decoder) for each in net.parameters()) < 2_000_000


@pytest.mark.parametrize("components", [1, 3])
def test_the_prior_is_a_density(components):
    torch.default_generator.manual_seed(0)
    prior = MixturePrior(components, latent=1)
    grid = torch.linspace(-12, 12, 4001)[:, None]
    with torch.no_grad():
        assert torch.trapezoid(prior.log_prob(grid).exp(), grid[:, 0]).item() == pytest.approx(1.0, abs=1e-4)
        drawn = prior.sample(20_000, CPU)[:, 0]
        mean = torch.trapezoid(grid[:, 0] * prior.log_prob(grid).exp(), grid[:, 0]).item()
    assert drawn.mean().item() == pytest.approx(mean, abs=4.5 * drawn.std().item() / math.sqrt(20_000))


# Models


@pytest.mark.parametrize("levels", [3, 12])  # logits, logistics
@pytest.mark.parametrize("prior_components", [1, 3])
def test_importance_weights_average_to_the_probability_that_quadrature_gives(levels, prior_components):
    data = DataSpec((1, 1, 2), levels=levels)
    # After few steps q is still broad: the weights' variance is small, and an average of them tells something.
    config = VAEConfig(batch_size=8, width=8, latent=1, prior_components=prior_components)
    model = trained(VAE, config, data, steps=3)
    x = torch.cartesian_prod(torch.arange(levels), torch.arange(levels)).to(torch.uint8).view(-1, 1, 1, 2)

    nets, z = model.ema.average, torch.linspace(-9, 9, 1001)[:, None]
    with torch.no_grad():
        parameters, prior = nets.decoder(z), nets.prior.log_prob(z).double().exp()
        of_each = [nets.output.log_prob(parameters, one.expand(len(z), -1, -1, -1)).double() for one in x]
    likelihood = torch.stack(of_each).flatten(2).sum(dim=2).exp()  # [images, z]
    exact = torch.trapezoid(likelihood * prior, z[:, 0].double(), dim=1)
    assert exact.sum().item() == pytest.approx(1.0, abs=1e-4)

    torch.default_generator.manual_seed(1)
    weights = torch.stack([model.log_prob(x).double().exp() for _ in range(1000)])  # [draws, images]
    error = weights.std(dim=0) / math.sqrt(1000)
    assert (error < 0.2 * exact).all()
    assert ((weights.mean(dim=0) - exact).abs() < 4.5 * error).all()


def test_the_output_is_categorical_for_few_levels_only():
    assert isinstance(discrete_output(8), Categorical)
    assert isinstance(discrete_output(17), DiscretisedLogistics)


@pytest.mark.parametrize(("kind", "config"), [(VAE, SMALL_VAE), (AutoencoderMixture, SMALL_AE)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(kind, config, shape):
    data = DataSpec(shape, levels=256)
    first = trained(kind, config, data)
    second = kind(config, data, CPU)
    second.load_state_dict(first.state_dict())
    for model in (first, second):
        torch.default_generator.manual_seed(7)
        model.train_step(Batch(images(8, data, 9), None), 0.6)
    assert_same_state(first.state_dict(), second.state_dict())


@pytest.mark.parametrize(("kind", "config"), [(VAE, SMALL_VAE), (AutoencoderMixture, SMALL_AE)])
def test_training_lowers_its_loss(kind, config):
    x = images(8, DIGITS) // 4
    torch.default_generator.manual_seed(0)
    model = kind(config, DIGITS, CPU)
    logs = [model.train_step(Batch(x, None), step / 60) for step in range(60)]
    name = "nats" if kind is VAE else "squared_error"
    assert logs[-1][name].item() < 0.75 * logs[0][name].item()


@pytest.mark.parametrize("n", [1, 7])
def test_samples_are_levels_and_leave_the_model_as_it_was(n):
    data = DataSpec((3, 9, 13), levels=5)
    for kind, config in ((VAE, SMALL_VAE), (AutoencoderMixture, SMALL_AE)):
        model = trained(kind, config, data)
        if kind is AutoencoderMixture:
            model.prepare_for_eval(training_batches(data))
        before = copy_of(model.state_dict())
        drawn = model.sample(n)
        assert drawn.dtype == torch.uint8
        assert drawn.shape == (n, 3, 9, 13)
        assert drawn.max() < 5
        assert_same_state(before, model.state_dict())


def test_fitting_the_mixture_leaves_what_was_trained_alone():
    model = trained(AutoencoderMixture, SMALL_AE)
    before = copy_of(model.state_dict())
    for seed in (0, 1):
        np.random.seed(seed)
        model.prepare_for_eval(training_batches())
    after = model.state_dict()
    assert before.pop("mixture") is None
    assert after.pop("mixture") is not None
    assert_same_state(before, after)


def test_the_mixture_is_that_of_the_codes_and_is_kept_in_the_state():
    config = AEGMMConfig(batch_size=8, width=8, latent=2, components=1)
    model = trained(AutoencoderMixture, config, steps=60)  # 480 images: up to 60 may be encoded
    with pytest.raises(RuntimeError, match="prepare_for_eval"):
        model.sample(1)
    model.prepare_for_eval(training_batches(count=5))
    seen = torch.cat([batch.x for batch in training_batches(count=5)])
    with torch.no_grad():
        codes = model.ema.average.encode(seen)
    torch.testing.assert_close(model.mixture["means"][0], codes.mean(dim=0), rtol=1e-4, atol=1e-4)
    covariance = model.mixture["factors"][0] @ model.mixture["factors"][0].T
    by_hand = torch.cov(codes.T, correction=0)
    torch.testing.assert_close(covariance, by_hand, rtol=0.02, atol=0.01 * by_hand.diagonal().mean().item())

    again = AutoencoderMixture(config, DIGITS, CPU)
    again.load_state_dict(model.state_dict())
    drawn = []
    for each in (model, again):
        torch.default_generator.manual_seed(0)
        drawn.append(each.sample(9))
    assert torch.equal(*drawn)


def test_sequences_and_large_images_are_refused_with_the_reason():
    assert small_images(DIGITS) is None
    assert "for images" in small_images(DataSpec((12,)))
    assert "8x65" in small_images(DataSpec((1, 8, 65)))


def copy_of(state):
    return {
        key: copy_of(value) if isinstance(value, dict) else value.clone() if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, dict):
            assert_same_state(value, second[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key
