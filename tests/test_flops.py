"""Training FLOPs against counts made by hand."""

import pytest
import torch
from torch import nn

from genbench.engine.flops import FIRST_STEPS, FlopCounter, FlopMeter


def test_a_linear_layer_costs_two_a_multiply_add_forward_and_twice_that_backward() -> None:
    layer, x = nn.Linear(5, 7), torch.randn(3, 5, requires_grad=True)
    with FlopCounter() as counter:
        y = layer(x)
    assert counter.flops == 2 * 3 * 5 * 7
    with FlopCounter() as counter:
        y.sum().backward()
    assert counter.flops == 2 * (2 * 3 * 5 * 7)


def test_a_convolution_costs_two_a_multiply_add_at_each_place() -> None:
    layer, x = nn.Conv2d(3, 8, 3, padding=1), torch.randn(2, 3, 6, 6)
    with FlopCounter() as counter:
        layer(x)
    assert counter.flops == 2 * (2 * 6 * 6) * (8 * 3 * 3 * 3)


def test_a_transposed_convolution_costs_what_its_transpose_costs() -> None:
    layer, x = nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1), torch.randn(3, 4, 5, 5)
    with FlopCounter() as counter:
        layer(x)
    assert counter.flops == 2 * (3 * 5 * 5) * (4 * 2 * 4 * 4)


def test_layers_are_counted_without_autograd_and_in_inference_mode_too() -> None:
    layer, x = nn.Linear(5, 7), torch.randn(3, 5)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode, FlopCounter() as counter:
            layer(x)
        assert counter.flops == 2 * 3 * 5 * 7


def test_the_penalty_on_a_gradient_counts_its_double_backward() -> None:
    weight = nn.Parameter(torch.randn(4, 4))
    x = torch.randn(2, 4, requires_grad=True)
    with FlopCounter() as counter:
        (gradient,) = torch.autograd.grad((x @ weight).square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
    product = 2 * 2 * 4 * 4
    # Forward 1; gradient by x 1; double backward: by the cotangent and by the weight 2, then through the
    # forward's product by the weight and by x 2.
    assert counter.flops == 6 * product


def charges(costs: list[int], seed: int) -> tuple[list[float], list[bool]]:
    """What a meter charges for steps that multiply ``costs[step]`` rows, and which of them it counts."""
    meter, layer = FlopMeter(seed), nn.Linear(8, 8, bias=False)
    charged = []
    for step, rows in enumerate(costs):
        with meter.step(step):
            layer(torch.ones(rows, 8))
        charged.append(meter.charge)
    return charged, [meter.counts(step) for step in range(len(costs))]


def test_counted_steps_are_charged_their_count_and_others_the_mean_of_the_counted_so_far() -> None:
    costs = [1 + step % 3 for step in range(1000)]
    charged, counted = charges(costs, seed=0)
    assert 16 < sum(counted) < 100
    for step, flops in enumerate(charged):
        seen = [costs[earlier] for earlier in range(step + 1) if counted[earlier]]
        expected = costs[step] if counted[step] else sum(seen) / len(seen)
        assert flops == pytest.approx(expected * 2 * 8 * 8, rel=1e-12)


def test_a_run_whose_steps_all_cost_the_same_is_charged_exactly() -> None:
    charged, _ = charges([3] * 600, seed=5)
    assert sum(charged) == 600 * 3 * 2 * 8 * 8


def test_an_operator_that_is_no_overload_is_let_through_uncounted() -> None:
    with FlopCounter() as counter:
        assert counter.__torch_dispatch__(lambda x: x + 1, (), (1,)) == 2
    assert counter.flops == 0


def test_about_one_step_in_128_is_counted_after_the_first_sixteen() -> None:
    meter = FlopMeter(seed=1)
    assert all(meter.counts(step) for step in range(FIRST_STEPS))
    later = sum(meter.counts(step) for step in range(FIRST_STEPS, 12_816))
    assert 60 <= later <= 140
