"""The autoencoders: their networks, their likelihoods, and what sets each apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genbench import Batch, DataSpec
from genbench_blocks.support import labelled, small_images
from genbench_vae.ae_gmm import AutoencoderMixture
from genbench_vae.beta_vae import BetaVAE
from genbench_vae.config import AEGMMConfig, BetaVAEConfig, CVAEConfig, HVAEConfig, VAEConfig
from genbench_vae.cvae import CVAE
from genbench_vae.hvae import HVAE
from genbench_vae.latents import LatentGroup, MixturePrior
from genbench_vae.nets import Decoder, Encoder
from genbench_vae.vae import VAE

CPU = torch.device("cpu")
DIGITS = DataSpec((1, 8, 8), levels=17, classes=3)
SMALL = {"batch_size": 8, "width": 8, "latent": 4, "prior_components": 3}
SMALL_AE = AEGMMConfig(batch_size=8, width=8, latent=4, components=2)
SMALL_VAE = VAEConfig(**SMALL)
VAES = [
    pytest.param(VAE, SMALL_VAE, id="vae"),
    pytest.param(BetaVAE, BetaVAEConfig(**SMALL | {"prior_components": 1}), id="beta-vae"),
    pytest.param(CVAE, CVAEConfig(**SMALL), id="cvae"),
    pytest.param(HVAE, HVAEConfig(**SMALL), id="hvae"),
]
MODELS = [*VAES, pytest.param(AutoencoderMixture, SMALL_AE, id="ae-gmm")]


def images(n, data, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8)


def labels_of(n, data):
    """Every model is handed them in training, as the core does."""
    return None if data.classes is None else torch.arange(n) % data.classes


def batch_of(n, data, seed=0):
    return Batch(images(n, data, seed), labels_of(n, data))


def trained(kind, config, data=DIGITS, steps=4):
    torch.default_generator.manual_seed(0)
    model = kind(config, data, CPU)
    for step in range(steps):
        model.train_step(batch_of(config.batch_size, data, step), step / steps)
    return model


def training_batches(data=DIGITS, count=6):
    return iter([batch_of(8, data, seed) for seed in range(count)])


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


def flat_quadrature(nets, label):
    """Parameters of the pixels at a grid of codes, and the grid's weights, which add up to 1."""
    z = torch.linspace(-9, 9, 201)[:, None]
    labels = None if label is None else torch.full((len(z),), label)
    weights = nets.prior.log_prob(z, labels).double().exp() * (z[1, 0] - z[0, 0]).double()
    return nets.decoder(z, labels), weights


def hierarchical_quadrature(nets, label):
    """The same over two codes: one at the top, and one below it in units of its prior."""
    z = torch.linspace(-8, 8, 101)[:, None]
    unit = torch.linspace(-5, 5, 41)
    (stage,) = nets.stages
    features = nets.dense(z).unflatten(1, nets.shape.coarsest)  # [z, features, 1, 1]
    mean, log_scale = stage.group.prior(features).chunk(2, dim=1)  # [z, 1, 1, 1] each
    below = mean + log_scale.exp() * unit.view(1, -1, 1, 1)  # [z, unit, 1, 1]
    entered = stage.group.enter(below.reshape(-1, 1, 1, 1)) + features.repeat_interleave(len(unit), dim=0)
    top = nets.prior.log_prob(z).double().exp() * (z[1, 0] - z[0, 0]).double()
    normal = torch.exp(-0.5 * unit.double().square()) / math.sqrt(2 * math.pi) * (unit[1] - unit[0]).double()
    return nets.pixels(stage.go(entered)), (top[:, None] * normal).flatten()


@pytest.mark.parametrize("levels", [3, 9])  # logits, logistics
@pytest.mark.parametrize(
    ("kind", "config", "quadrature"),
    [
        (VAE, VAEConfig(8, 8, latent=1, prior_components=3), flat_quadrature),
        (BetaVAE, BetaVAEConfig(8, 8, latent=1), flat_quadrature),
        (CVAE, CVAEConfig(8, 8, latent=1, prior_components=3), flat_quadrature),
        (HVAE, HVAEConfig(8, 8, latent=1, prior_components=3, channels=1), hierarchical_quadrature),
    ],
    ids=["vae", "beta-vae", "cvae", "hvae"],
)
def test_importance_weights_average_to_the_probability_that_quadrature_gives(kind, config, quadrature, levels):
    data = DataSpec((1, 1, 2), levels=levels, classes=2)
    # After few steps q is still broad: the weights' variance is small, and an average of them tells something.
    model = trained(kind, config, data, steps=3)
    label = 1 if model.conditional else None
    x = torch.cartesian_prod(torch.arange(levels), torch.arange(levels)).to(torch.uint8).view(-1, 1, 1, 2)

    with torch.no_grad():
        parameters, grid = quadrature(model.ema.average, label)
        output = model.ema.average.output
        likelihood = torch.stack(
            [output.log_prob(parameters, one.expand(len(grid), -1, -1, -1)).double().flatten(1).sum(1) for one in x]
        ).exp()  # [images, grid]
    exact = likelihood @ grid
    assert exact.sum().item() == pytest.approx(1.0, abs=1e-4)

    draws = 40_000 // len(x)  # weights are skewed: a few hundred would not tell their standard error
    labels = None if label is None else torch.full((len(x) * draws,), label)
    torch.default_generator.manual_seed(1)
    weights = model.log_prob(x.repeat(draws, 1, 1, 1), labels).double().exp().view(draws, -1)  # [draws, images]
    error = weights.std(dim=0) / math.sqrt(draws)
    assert (error < 0.2 * exact).all()
    assert ((weights.mean(dim=0) - exact).abs() < 4.5 * error).all()


@pytest.mark.parametrize(("kind", "config"), MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13)])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(kind, config, shape):
    data = DataSpec(shape, levels=256, classes=3)
    first = trained(kind, config, data)
    second = kind(config, data, CPU)
    second.load_state_dict(first.state_dict())
    for model in (first, second):
        torch.default_generator.manual_seed(7)
        model.train_step(batch_of(8, data, 9), 0.6)
    assert_same_state(first.state_dict(), second.state_dict())


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_training_lowers_its_loss(kind, config):
    batch = Batch(images(8, DIGITS) // 4, labels_of(8, DIGITS))
    torch.default_generator.manual_seed(0)
    model = kind(config, DIGITS, CPU)
    logs = [model.train_step(batch, step / 25) for step in range(25)]
    name = "squared_error" if kind is AutoencoderMixture else "nats"
    assert logs[-1][name].item() < 0.75 * logs[0][name].item()


@pytest.mark.parametrize(("kind", "config"), MODELS)
def test_samples_are_levels_and_leave_the_model_as_it_was(kind, config):
    data = DataSpec((3, 9, 13), levels=5, classes=2)
    model = trained(kind, config, data)
    if kind is AutoencoderMixture:
        model.prepare_for_eval(training_batches(data))
    before = copy_of(model.state_dict())
    for n in (1, 7):
        drawn = model.sample(n, labels_of(n, data) if kind is CVAE else None)
        assert drawn.dtype == torch.uint8
        assert drawn.shape == (n, 3, 9, 13)
        assert drawn.max() < 5
    assert_same_state(before, model.state_dict())


@pytest.mark.parametrize(("kind", "config"), VAES)
def test_an_example_scored_alone_is_one_of_a_batch_of_one(kind, config):
    model = trained(kind, config, steps=2)
    found = model.log_prob(images(1, DIGITS), labels_of(1, DIGITS) if kind is CVAE else None)
    assert found.shape == (1,)
    assert found.isfinite().all()


def test_an_unconditional_model_learns_the_same_with_labels_and_without():
    unlabelled = DataSpec((1, 8, 8), levels=17)
    for kind in (VAE, HVAE):
        config = SMALL_VAE if kind is VAE else HVAEConfig(**SMALL)
        assert_same_state(trained(kind, config).state_dict(), trained(kind, config, unlabelled).state_dict())


# One model each


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.2, 0.9])
def test_the_weight_of_the_kl_term_is_beta_times_that_of_the_vae(progress):
    weights = [
        kind(config, DIGITS, CPU).kl_weight(progress)
        for kind, config in ((VAE, SMALL_VAE), (BetaVAE, BetaVAEConfig(**SMALL, beta=2.5)))
    ]
    assert weights[1] == 2.5 * weights[0]
    assert weights[0] == pytest.approx(min(1.0, progress / 0.2))


def test_a_vae_trained_with_another_beta_is_scored_at_beta_one():
    trained_so = trained(BetaVAE, BetaVAEConfig(**SMALL, beta=7.0))
    as_vae = VAE(SMALL_VAE, DIGITS, CPU)
    as_vae.load_state_dict(trained_so.state_dict())
    found = []
    for model in (trained_so, as_vae):
        torch.default_generator.manual_seed(0)
        found.append(model.log_prob(images(4, DIGITS)))
    assert torch.equal(*found)


def test_a_conditional_vae_draws_what_it_is_asked_for_and_finds_it_likelier():
    data = DataSpec((1, 2, 4), levels=17, classes=2)
    torch.default_generator.manual_seed(0)
    model = CVAE(CVAEConfig(batch_size=16, width=8, latent=2, prior_components=2), data, CPU)
    labels = torch.arange(16) % 2
    x = (images(16, DataSpec((1, 2, 4), levels=5)) + 12 * labels.view(-1, 1, 1, 1)).to(torch.uint8)  # 0-4 or 12-16
    for step in range(80):
        model.train_step(Batch(x, labels), step / 80)
    brightness = model.sample(40, torch.arange(40) % 2).float().mean(dim=(1, 2, 3))
    assert brightness[0::2].max() < 8 < brightness[1::2].min()
    assert (model.log_prob(x, labels) > model.log_prob(x, 1 - labels)).all()


def group_and_features(n):
    """A group away from its start, and ``n`` times the same features of one image."""
    torch.default_generator.manual_seed(0)
    group = LatentGroup(8, 2)
    with torch.no_grad():
        for parameter in group.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return group, torch.randn(1, 8, 2, 2).expand(n, -1, -1, -1), torch.randn(1, 8, 2, 2).expand(n, -1, -1, -1)


@torch.no_grad()
def test_the_divergence_of_a_group_is_the_mean_of_its_log_ratio():
    group, features, seen = group_and_features(5000)
    exact = group(features[:1], seen[:1], exact_kl=True)[1].item()
    ratios = group(features, seen, exact_kl=False)[1]
    assert exact < -0.5
    assert ratios.mean().item() == pytest.approx(exact, abs=4.5 * ratios.std().item() / math.sqrt(5000))


@torch.no_grad()
def test_a_posterior_that_says_nothing_is_at_no_distance_and_draws_from_the_prior():
    group, features, seen = group_and_features(2)
    for parameter in group.posterior[-1].parameters():
        parameter.zero_()
    torch.default_generator.manual_seed(3)
    drawn, divergence = group(features, seen, exact_kl=True)
    torch.default_generator.manual_seed(3)
    assert torch.allclose(drawn, group.draw(features), atol=1e-6)
    assert divergence.abs().max() == 0


@pytest.mark.parametrize(("shape", "asked", "given"), [((1, 28, 28), 2, [7, 14]), ((1, 8, 8), 9, [2, 4])])
def test_groups_stand_at_the_finest_resolutions(shape, asked, given):
    nets = HVAE(HVAEConfig(**SMALL, groups=asked), DataSpec(shape), CPU).net
    sizes = reversed(nets.shape.sizes)
    assert [size[0] for size, stage in zip(sizes, nets.stages, strict=True) if stage.group is not None] == given


def test_configurations_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="beta must be above 0, not 0"):
        BetaVAEConfig(beta=0.0)
    with pytest.raises(ValueError, match="groups must be 1 or more, not 0"):
        HVAEConfig(groups=0)


def test_data_without_classes_are_refused_by_the_conditional_model():
    unlabelled = DataSpec((1, 8, 8))
    assert "needs labels" in labelled(small_images)(unlabelled)
    assert labelled(small_images)(DIGITS) is None
    with pytest.raises(ValueError, match="needs data with classes"):
        CVAE(CVAEConfig(), unlabelled, CPU)


# The mixture of ae-gmm


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
