"""The distributions of discrete pixels, which the autoencoders share with others."""

from __future__ import annotations

import math

import pytest
import torch

from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics, discrete_output


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


def test_the_output_is_categorical_for_few_levels_only():
    assert isinstance(discrete_output(8), Categorical)
    assert isinstance(discrete_output(17), DiscretisedLogistics)


def test_parameters_in_half_precision_are_scored_in_single_precision():
    # In bfloat16 itself levels 254 and 255 of 256 would be the same number.
    output = DiscretisedLogistics(256, 2)
    parameters = torch.randn(1, 6, 256, generator=torch.Generator().manual_seed(0)).bfloat16()
    every = torch.arange(256, dtype=torch.uint8)[None]
    found = output.log_prob(parameters, every)
    assert found.dtype == torch.float32
    assert torch.equal(found, output.log_prob(parameters.float(), every))
