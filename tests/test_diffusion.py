"""ddpm: its forward process, its discrete bound and its sampler."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from genbench import Batch, DataSpec
from genbench_diffusion import supports_halved_images
from genbench_diffusion.config import DDPMConfig
from genbench_diffusion.ddpm import DDPM
from genbench_diffusion.noise import SCHEDULES, alpha_bars, bound_weights, log_mass_of_normal, step_distribution

CPU = torch.device("cpu")
DATA = DataSpec((1, 4, 4), levels=5)
SMALL = DDPMConfig(batch_size=6, width=8, steps=20, sample_steps=5)


def images(n, data=DATA, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(data.levels, (n, *data.shape), generator=generator, dtype=torch.uint8)


def trained(config=SMALL, data=DATA, steps=3):
    torch.default_generator.manual_seed(0)
    model = DDPM(config, data, CPU)
    for step in range(steps):
        model.train_step(Batch(images(config.batch_size, data, step), None), step / steps)
    return model


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("steps", "levels"), [(20, 17), (1000, 256)])
def test_a_schedule_goes_from_the_data_to_next_to_no_signal(schedule, steps, levels):
    alpha_bar = alpha_bars(schedule, steps, levels)
    assert len(alpha_bar) == steps + 1
    assert alpha_bar[0] == 1.0
    assert (alpha_bar.diff() < 0).all()
    assert 0 < alpha_bar[-1] < 2e-4
    chances = step_distribution(alpha_bar)
    assert chances.sum().item() == pytest.approx(1.0)
    assert chances.min() >= 0.09 / steps


def test_the_cosine_schedule_starts_with_noise_of_half_the_distance_of_two_levels():
    for levels in (17, 256):
        assert (1 - alpha_bars("cosine", 100, levels)[1]).sqrt().item() == pytest.approx(1 / (levels - 1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_bounds_weights_are_the_divergence_of_the_posterior_from_the_models_step(schedule):
    """Against torch's KL of two normals, with the mean and variance of equations 6 and 7 of the paper."""
    alpha_bar = alpha_bars(schedule, 50, 17)
    x0, predicted, xt = 0.4, -0.1, 0.7
    for t in (2, 3, 25, 50):
        now, then = alpha_bar[t], alpha_bar[t - 1]
        beta = 1 - now / then
        variance = (1 - then) / (1 - now) * beta

        def step_back(clean, now=now, then=then, beta=beta, variance=variance):
            mean = then.sqrt() * beta / (1 - now) * clean + (now / then).sqrt() * (1 - then) / (1 - now) * xt
            return Normal(mean, variance.sqrt())

        expected = kl_divergence(step_back(x0), step_back(predicted))
        assert bound_weights(alpha_bar)[t - 2] * (x0 - predicted) ** 2 == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("scale", [0.001, 0.1, 3.0])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_masses_of_all_levels_sum_to_one(scale, levels):
    mean = torch.linspace(-1, 1, 7, dtype=torch.float64)[:, None].expand(-1, levels)
    every = torch.arange(levels, dtype=torch.uint8).expand(7, -1)
    log_mass = log_mass_of_normal(every, mean, scale, levels)
    assert not log_mass.isnan().any()
    torch.testing.assert_close(log_mass.exp().sum(dim=1), torch.ones(7, dtype=torch.float64))


def test_a_bin_holds_the_difference_of_the_normal_distribution_function():
    normal = Normal(0.2, 0.1)
    found = log_mass_of_normal(torch.tensor([9], dtype=torch.uint8), torch.tensor([0.2]), 0.1, 17).item()
    low, high = (normal.cdf(torch.tensor(9 / 8 - 1 + side / 16)).item() for side in (-1, 1))
    assert found == pytest.approx(math.log(high - low), rel=1e-4)


def bound_by_all_terms(model, x, draws):
    """The bound of one example as the sum of its T + 1 terms, each averaged over draws of its noise."""
    clean = x.float() / 2 - 1  # 5 levels in [-1, 1]
    T = model.config.steps  # noqa: N806 (the paper's letter)
    alpha_bar = alpha_bars(model.config.schedule, T, 5)
    t = torch.arange(1, T + 1).repeat_interleave(draws)
    a, s = alpha_bar[t].sqrt().float().view(-1, 1, 1, 1), (1 - alpha_bar[t]).sqrt().float().view(-1, 1, 1, 1)
    with torch.no_grad():
        noisy = a * clean + s * torch.randn(len(t), 1, 4, 4)
        predicted = ((noisy - s * model.ema.average(noisy, t / T)) / a).clamp(-1, 1)
    error = (predicted - clean).square().flatten(1).sum(dim=1).view(T, draws)
    bins = Normal(predicted[:draws].double(), (1 - alpha_bar[1]).sqrt())
    upper = torch.where(x == 4, 1.0, bins.cdf(clean + 0.25))
    lower = torch.where(x == 0, 0.0, bins.cdf(clean - 0.25))
    first = (upper - lower).log().flatten(1).sum(dim=1).mean()
    last = kl_divergence(Normal(alpha_bar[-1].sqrt() * clean, (1 - alpha_bar[-1]).sqrt()), Normal(0.0, 1.0)).sum()
    return (first - (bound_weights(alpha_bar) * error[1:].mean(dim=1)).sum() - last).item()


def test_one_drawn_term_is_an_unbiased_estimate_of_the_sum_of_all():
    model, x = trained(), images(1)
    torch.default_generator.manual_seed(0)
    estimates = model.log_prob(x.expand(6_000, -1, -1, -1))
    standard_error = (estimates.std() / len(estimates) ** 0.5).item()
    whole = bound_by_all_terms(model, x, 300)
    assert standard_error < 0.03 * abs(whole)
    assert estimates.mean().item() == pytest.approx(whole, abs=5 * standard_error)


def test_the_bounds_steps_are_drawn_by_their_chances():
    model = trained(steps=0)
    n = 20_000
    torch.default_generator.manual_seed(0)
    drawn = torch.bincount(model._drawn_steps(n), minlength=21)
    assert drawn[0] == 0
    assert len(drawn) == 21
    chances = model.chances
    assert ((drawn[1:] / n - chances).abs() < 4.5 * (chances * (1 - chances) / n).sqrt()).all()


def test_ancestral_sampling_along_all_steps_draws_from_the_posterior(monkeypatch):
    """With the mean and variance of equations 6 and 7, at one step, of a network that predicts a constant."""
    model = trained(dataclasses.replace(SMALL, sample_steps=20, eta=1.0))
    monkeypatch.setattr(model, "_clean", lambda x, t: torch.full_like(x, 0.3) if t[0] == 20 else x.clamp(-1, 1))
    seen = []
    clean = model._clean
    monkeypatch.setattr(model, "_clean", lambda x, t: seen.append(x) or clean(x, t))
    n = 4_000
    torch.default_generator.manual_seed(0)
    model.sample(n)
    alpha_bar = alpha_bars("cosine", 20, 5)
    now, then = alpha_bar[20].item(), alpha_bar[19].item()
    beta = 1 - now / then
    mean = math.sqrt(then) * beta / (1 - now) * 0.3 + math.sqrt(now / then) * (1 - then) / (1 - now) * seen[0]
    variance = (1 - then) / (1 - now) * beta
    standard = (seen[1] - mean) / math.sqrt(variance)
    count = standard.numel()
    assert abs(standard.mean().item()) < 4.5 / math.sqrt(count)
    assert abs(standard.var().item() - 1) < 4.5 * math.sqrt(2 / count)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("sample_steps", [1, 3, 20])
def test_samples_are_levels_along_any_number_of_steps(eta, sample_steps):
    model = trained(dataclasses.replace(SMALL, eta=eta, sample_steps=sample_steps))
    drawn = model.sample(3)
    assert drawn.shape == (3, 1, 4, 4)
    assert drawn.dtype == torch.uint8
    assert drawn.max() <= 4
    assert len(drawn.flatten(1).unique(dim=0)) == 3


def test_samples_come_near_to_the_two_images_of_the_training_data():
    pattern = images(1) // 3 * 4
    x = torch.cat([pattern, 4 - pattern])  # black and white, 4 apart in every pixel
    torch.default_generator.manual_seed(0)
    model = DDPM(DDPMConfig(batch_size=16, width=16, steps=50, sample_steps=10), DATA, CPU)

    def distances():
        return (model.sample(32)[:, None].int() - x[None].int()).abs().flatten(2).float().mean(dim=2)  # [32, 2]

    before = distances().min(dim=1).values.mean()
    for step in range(100):
        model.train_step(Batch(x.repeat(8, 1, 1, 1), None), step / 100)
    after = distances()
    assert after.min(dim=1).values.mean() < 0.75 * before
    assert set(after.argmin(dim=1).tolist()) == {0, 1}


@pytest.mark.parametrize("attention", [False, True])
def test_a_model_rebuilt_from_its_state_goes_on_bit_for_bit(attention):
    config = dataclasses.replace(SMALL, attention=attention, dropout=0.1, blocks=2)
    data = DataSpec((3, 8, 12), levels=256)
    first = trained(config, data)
    second = DDPM(config, data, CPU)
    second.load_state_dict(first.state_dict())
    batch = Batch(images(6, data, 9), None)
    found = []
    for model in (first, second):
        torch.default_generator.manual_seed(1)
        model.train_step(batch, 0.6)
        found.append((model.sample(2), model.log_prob(batch.x)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_options_that_make_no_sense_are_refused_by_name():
    for changes, words in (
        ({"schedule": "flat"}, "schedule must be one of cosine, linear, not 'flat'"),
        ({"steps": 1, "sample_steps": 1}, "steps must be 2 or more"),
        ({"sample_steps": 21}, "sample_steps must be 1 to steps = 20, not 21"),
    ):
        with pytest.raises(ValueError, match=words):
            DDPM(dataclasses.replace(SMALL, **changes), DATA, CPU)


def test_images_whose_sides_can_be_halved_twice_are_taken():
    assert supports_halved_images(DataSpec((3, 28, 64))) is None
    assert "multiples of 4, not 10x8" in supports_halved_images(DataSpec((1, 10, 8)))
    assert "65x8" in supports_halved_images(DataSpec((1, 65, 8)))
    assert "for images" in supports_halved_images(DataSpec((12,)))
