"""Kernels of other devices, by shapes alone: a CUDA run of the same layers must cost what a CPU run costs.

They cannot run without a device. Where torch can trace a kernel without one it is dispatched on tensors without
contents (``meta``); the others are given to the formula directly.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from counting import count, training
from torch import Tensor, nn

from genbench.engine.flops import FlopCounter
from genbench.engine.flops.formulas import FORMULAS

aten = torch.ops.aten
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none here")


def empty(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


# Attention

HEADS, QUERIES, KEYS, DIM, BATCH = 4, 6, 9, 8, 2
QUERY, KEY = empty(BATCH, HEADS, QUERIES, DIM), empty(BATCH, HEADS, KEYS, DIM)
PRODUCT = 2 * BATCH * HEADS * QUERIES * KEYS * DIM
FORWARD = ["flash_attention", "efficient_attention", "cudnn_attention", "fused_attention_overrideable"]


@pytest.mark.parametrize("kernel", FORWARD)
def test_a_fused_kernel_costs_two_products_and_its_backward_pass_five(kernel: str) -> None:
    forward = getattr(aten, f"_scaled_dot_product_{kernel}")
    backward = getattr(aten, f"_scaled_dot_product_{kernel}_backward")
    assert FORMULAS[forward]((QUERY, KEY, KEY, None, True), None) == 2 * PRODUCT
    assert FORMULAS[backward]((QUERY, QUERY, KEY, KEY, QUERY, None), None) == 5 * PRODUCT


def test_the_flash_kernel_is_counted_as_it_is_dispatched() -> None:
    assert count(lambda: aten._scaled_dot_product_flash_attention(QUERY, QUERY, QUERY)) == 2 * PRODUCT // KEYS * QUERIES


def test_values_of_another_width_than_the_keys_are_counted_at_their_own() -> None:
    value = empty(BATCH, HEADS, KEYS, 2 * DIM)
    grad = empty(BATCH, HEADS, QUERIES, 2 * DIM)
    forward = FORMULAS[aten._scaled_dot_product_efficient_attention]
    backward = FORMULAS[aten._scaled_dot_product_efficient_attention_backward]
    assert forward((QUERY, KEY, value), None) == (1 + 2) * PRODUCT
    # Scores, queries' and keys' gradients over D; the values' and the weights' over 2 D.
    assert backward((grad, QUERY, KEY, value), None) == (3 + 2 * 2) * PRODUCT


# Recurrent layers: what cuDNN is handed for a layer, against what the same layer costs here

STEPS, INPUTS, HIDDEN = 6, 5, 3


def handed_to_cudnn(layer: nn.RNNBase, asked: list[bool]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Arguments of ``_cudnn_rnn`` and of its backward pass."""
    x, weights = empty(STEPS, BATCH, INPUTS), [weight.to("meta") for weight in layer.parameters()]
    state, sizes = empty(1, BATCH, HIDDEN), (2, HIDDEN, 0, layer.num_layers, False, 0.0, True, layer.bidirectional)
    forward = (x, weights, 4, None, state, state, *sizes, [], None)
    backward = (x, weights, 4, None, state, state, x, x, state, state, *sizes, [], None, state, asked)
    return forward, backward


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_an_lstm_costs_the_same_by_cudnn_and_on_the_cpu(options: dict[str, Any]) -> None:
    layer = nn.LSTM(INPUTS, HIDDEN, **options)
    x = torch.randn(STEPS, BATCH, INPUTS, requires_grad=True)
    forward, backward = handed_to_cudnn(layer, [True] * 4)
    by_cudnn = FORMULAS[aten._cudnn_rnn](forward, None)
    assert by_cudnn == count(lambda: layer(x))
    assert by_cudnn + FORMULAS[aten._cudnn_rnn_backward](backward, None) == count(training(lambda: layer(x)[0]))


def test_cudnn_counts_projections_and_packed_steps() -> None:
    layer = nn.LSTM(INPUTS, HIDDEN, proj_size=2)
    weights = [weight.to("meta") for weight in layer.parameters()]
    packed = empty(10, INPUTS)  # ten steps of all sequences together
    flops = FORMULAS[aten._cudnn_rnn]((packed, weights), None)
    assert flops == 2 * 10 * (4 * HIDDEN * INPUTS + 4 * HIDDEN * 2 + 2 * HIDDEN)


def test_cudnns_gradient_of_the_data_alone_costs_one_pass() -> None:
    forward, backward = handed_to_cudnn(nn.GRU(INPUTS, HIDDEN), [True, False, False, False])
    assert FORMULAS[aten._cudnn_rnn_backward](backward, None) == FORMULAS[aten._cudnn_rnn](forward, None)


# Convolutions


@pytest.mark.parametrize(
    "kernel", ["cudnn_convolution", "cudnn_convolution_relu", "mkldnn_convolution", "_conv_depthwise2d"]
)
def test_a_convolution_by_another_kernel_costs_a_filter_for_each_number_of_its_output(kernel: str) -> None:
    x, weight, out = empty(2, 8, 9, 9), empty(8, 1, 3, 3), empty(2, 8, 7, 7)
    assert FORMULAS[getattr(aten, kernel)]((x, weight), out) == 2 * 2 * 8 * 7 * 7 * 9


def test_a_transposed_convolution_by_cudnn_costs_a_filter_for_each_number_of_its_input() -> None:
    x, weight, out = empty(2, 8, 5, 5), empty(8, 2, 4, 4), empty(2, 4, 10, 10)
    assert FORMULAS[aten.cudnn_convolution_transpose]((x, weight), out) == 2 * 2 * 8 * 5 * 5 * 2 * 16


def test_a_whole_step_without_contents_costs_what_it_costs_on_the_cpu() -> None:
    def step(device: str) -> int:
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, groups=1, padding=1),
            nn.Conv2d(8, 8, 3, groups=4, stride=2),
            nn.ConvTranspose2d(8, 4, 4, groups=2),
            nn.Flatten(),
            nn.Linear(4 * 7 * 7, 5),  # 9 to 9, 4 and 7
        ).to(device)
        x = torch.zeros(2, 3, 9, 9, device=device)
        return count(training(lambda: net(x)))

    assert step("meta") == step("cpu") > 0


# On a machine with a device


@needs_cuda
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_layers_forward_pass_costs_the_same_on_both_devices(kind: Any) -> None:
    def forward(device: str) -> int:
        layer = kind(INPUTS, HIDDEN, 2, bidirectional=True).to(device)
        return count(lambda: layer(torch.zeros(STEPS, BATCH, INPUTS, device=device)))

    assert forward("cuda") == forward("cpu")


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_with_attention_and_convolutions_costs_the_same_on_both_devices(dtype: torch.dtype) -> None:
    def step(device: str) -> int:
        query = torch.zeros(2, 4, 16, 32, device=device, dtype=dtype, requires_grad=True)
        net = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ConvTranspose2d(8, 4, 4)).to(device, dtype)
        with FlopCounter() as counter:
            net(F.scaled_dot_product_attention(query, query, query)).sum().backward()
        return counter.flops

    assert step("cuda") == step("cpu")
