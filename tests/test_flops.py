"""FLOPs of layers against counts made by hand: 2 for a multiply-add, and no other operation counts."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from counting import count, training
from torch import nn
from torch.utils.checkpoint import checkpoint

MODES = [torch.enable_grad, torch.no_grad, torch.inference_mode]


# Products


@pytest.mark.parametrize("mode", MODES)
def test_a_linear_layer_costs_two_a_multiply_add(mode: Any) -> None:
    layer, x = nn.Linear(5, 7), torch.randn(3, 5)
    with mode():
        assert count(lambda: layer(x)) == 2 * 3 * 5 * 7


def test_training_a_linear_layer_costs_three_times_its_forward_pass() -> None:
    layer, x = nn.Linear(5, 7), torch.randn(3, 5, requires_grad=True)
    assert count(training(lambda: layer(x))) == 3 * 2 * 3 * 5 * 7


def test_a_gradient_that_nobody_asks_for_is_not_counted() -> None:
    layer, x = nn.Linear(5, 7), torch.randn(3, 5)
    assert count(training(lambda: layer(x))) == 2 * 2 * 3 * 5 * 7


# m, k, n = 16, 32, 8 and a batch of 4 where there is one; one product is 2 m k n.
A, B = torch.randn(16, 32), torch.randn(32, 8)
BATCH_A, BATCH_B = torch.randn(4, 16, 32), torch.randn(4, 32, 8)
ONE = 2 * 16 * 32 * 8
EIGHT_BIT = torch.ones(16, 32, dtype=torch.int8), torch.ones(32, 8, dtype=torch.int8)
FLOAT8 = torch.ones(16, 32).to(torch.float8_e4m3fn), torch.ones(16, 32).to(torch.float8_e4m3fn).t()
PRODUCTS = {
    "mm": (lambda: A @ B, ONE),
    "bmm": (lambda: BATCH_A @ BATCH_B, 4 * ONE),
    "broadcast": (lambda: BATCH_A @ B, 4 * ONE),
    "addmm": (lambda: torch.addmm(torch.zeros(8), A, B), ONE),
    "addmm in place": (lambda: torch.zeros(16, 8).addmm_(A, B), ONE),
    "addmm into a tensor": (lambda: torch.addmm(torch.zeros(8), A, B, out=torch.empty(16, 8)), ONE),
    "baddbmm": (lambda: torch.baddbmm(torch.zeros(4, 16, 8), BATCH_A, BATCH_B), 4 * ONE),
    "addbmm": (lambda: torch.addbmm(torch.zeros(16, 8), BATCH_A, BATCH_B), 4 * ONE),
    "several at once": (lambda: torch.ops.aten._foreach_mm([A, A], [B, B]), 2 * ONE),
    "mv": (lambda: A @ B[:, 0], 2 * 16 * 32),
    "addmv": (lambda: torch.addmv(torch.zeros(16), A, B[:, 0]), 2 * 16 * 32),
    "dot": (lambda: A[0] @ B[:, 0], 2 * 32),
    "vdot": (lambda: torch.vdot(A[0], B[:, 0]), 2 * 32),
    "einsum": (lambda: torch.einsum("bmk,bkn->bmn", BATCH_A, BATCH_B), 4 * ONE),
    "tensordot": (lambda: torch.tensordot(BATCH_A, B, dims=1), 4 * ONE),
    # A complex multiply-add is four real ones.
    "complex": (lambda: A.to(torch.complex64) @ B.to(torch.complex64), 4 * ONE),
    "int8": (lambda: torch._int_mm(*EIGHT_BIT), ONE),
    "float8": (lambda: torch._scaled_mm(*FLOAT8, torch.tensor(1.0), torch.tensor(1.0)), 2 * 16 * 32 * 16),
    # Each row meets one of the two matrices.
    "grouped rows": (
        lambda: torch._grouped_mm(A.bfloat16(), BATCH_B[:2].bfloat16(), offs=torch.tensor([8, 16], dtype=torch.int32)),
        ONE,
    ),
    # A sparse matrix of 5 stored numbers, each met by 8.
    "sparse": (lambda: torch.sparse.mm(torch.eye(5).to_sparse(), torch.randn(5, 8)), 2 * 5 * 8),
    # y_bo = sum_ij x_bi W_oij z_bj
    "bilinear": (
        lambda: nn.functional.bilinear(torch.randn(3, 4), torch.randn(3, 5), torch.randn(6, 4, 5)),
        2 * 3 * 6 * 4 * 5,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_costs_two_a_multiply_add(name: str) -> None:
    product, expected = PRODUCTS[name]
    assert count(product) == expected


# Convolutions: one filter of (in / groups) x kernel weights for each output number.

CONVOLUTIONS = [
    # dimensions, in, out, kernel, options
    (1, 6, 8, 3, {"padding": 1}),
    (2, 6, 8, 3, {"padding": 1, "stride": 2}),
    (2, 6, 8, 3, {"dilation": 2}),
    (2, 6, 8, 3, {"padding": 1, "bias": False}),
    (3, 4, 2, 2, {"stride": 2}),
    (1, 6, 9, 3, {"groups": 3}),
    (2, 8, 8, 3, {"padding": 1, "groups": 8}),
    (2, 16, 32, 3, {"padding": 1, "groups": 16}),
    (3, 4, 4, 3, {"groups": 4, "padding": 1}),
]
SIDE, BATCH = 9, 2


def filter_products(dims: int, inputs: int, outputs: int, kernel: int, options: dict[str, Any]) -> int:
    stride, padding, dilation = options.get("stride", 1), options.get("padding", 0), options.get("dilation", 1)
    side = (SIDE + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    weights = inputs // options.get("groups", 1) * kernel**dims
    return 2 * BATCH * outputs * side**dims * weights


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("dims", "inputs", "outputs", "kernel", "options"), CONVOLUTIONS)
def test_a_convolution_costs_a_filter_for_each_number_of_its_output(
    dims: int, inputs: int, outputs: int, kernel: int, options: dict[str, Any], mode: Any
) -> None:
    layer = [nn.Conv1d, nn.Conv2d, nn.Conv3d][dims - 1](inputs, outputs, kernel, **options)
    x = torch.randn(BATCH, inputs, *[SIDE] * dims)
    with mode():
        assert count(lambda: layer(x)) == filter_products(dims, inputs, outputs, kernel, options)


@pytest.mark.parametrize("wants_input", [True, False])
@pytest.mark.parametrize(("dims", "inputs", "outputs", "kernel", "options"), CONVOLUTIONS)
def test_a_convolution_costs_as_much_again_for_each_gradient(
    dims: int, inputs: int, outputs: int, kernel: int, options: dict[str, Any], wants_input: bool
) -> None:
    layer = [nn.Conv1d, nn.Conv2d, nn.Conv3d][dims - 1](inputs, outputs, kernel, **options)
    x = torch.randn(BATCH, inputs, *[SIDE] * dims, requires_grad=wants_input)
    one = filter_products(dims, inputs, outputs, kernel, options)
    assert count(training(lambda: layer(x))) == (3 if wants_input else 2) * one


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_transposed_convolution_costs_a_filter_for_each_number_of_its_input(dims: int, groups: int) -> None:
    kind = [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d][dims - 1]
    layer = kind(4, 8, 4, stride=3, padding=1, output_padding=1, groups=groups)
    x = torch.randn(BATCH, 4, *[5] * dims, requires_grad=True)
    one = 2 * BATCH * 4 * 5**dims * (8 // groups) * 4**dims
    assert count(lambda: layer(x)) == one
    assert count(training(lambda: layer(x))) == 3 * one


def test_a_weights_gradient_alone_costs_one_pass() -> None:
    layer, x = nn.Conv2d(4, 8, 3, groups=2), torch.randn(2, 4, 9, 9)
    y = layer(x)
    one = 2 * 2 * 8 * 7 * 7 * (4 // 2 * 3 * 3)
    assert count(lambda: torch.autograd.grad(y.sum(), [layer.weight, layer.bias])) == one


# Penalties on gradients: what is derived is written as (forward) + (gradient) + (gradient of the penalty)


def penalise(critic: nn.Module, x: torch.Tensor) -> None:
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    gradient.square().sum().backward()


def test_a_penalty_through_dense_layers_counts_its_double_backward_pass() -> None:
    critic, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)), torch.randn(4, 6, requires_grad=True)
    first, last = 2 * 4 * 6 * 8, 2 * 4 * 8 * 1
    # The gradient is g = (1 w2 * m) W1. Its cotangent gives W1 and (1 w2 * m), then w2; the constant 1 wants none. For
    # the mask m torch's ReLU hands a gradient of zeros to the first layer, whose backward pass runs on them in full.
    assert count(lambda: penalise(critic, x)) == (first + last) + (first + last) + (2 * first + last) + 2 * first


@pytest.mark.parametrize("groups", [1, 3])
def test_a_penalty_through_convolutions_counts_its_double_backward_pass(groups: int) -> None:
    convolution = nn.Conv2d(3, 6, 4, stride=2, padding=1, groups=groups)
    critic, x = nn.Sequential(convolution, nn.Flatten(), nn.Linear(96, 1)), torch.randn(2, 3, 8, 8, requires_grad=True)
    # 8x8 becomes 4x4.
    first, last = 2 * 2 * 6 * 16 * (3 // groups * 16), 2 * 2 * 96 * 1
    assert count(lambda: penalise(critic, x)) == (first + last) + (first + last) + (2 * first + last)


# What runs is what counts


@pytest.mark.parametrize(("reentrant", "layers_again"), [(True, 2), (False, 1)])
def test_what_checkpointing_computes_again_counts_again(reentrant: bool, layers_again: int) -> None:
    net, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)), torch.randn(3, 4, requires_grad=True)
    one = 2 * 3 * 4 * 8
    # Three passes of two layers; the newer form stops before the last layer, whose result no gradient needs.
    expected = (3 * 2 + layers_again) * one
    assert count(training(lambda: checkpoint(net, x, use_reentrant=reentrant))) == expected


def test_an_optimiser_costs_what_it_multiplies() -> None:
    weight = nn.Parameter(torch.randn(8, 8))
    weight.grad = torch.randn(8, 8)
    assert count(torch.optim.Adam([weight]).step) == 0
    # Five Newton-Schulz steps of three products of 8 x 8 matrices.
    assert count(torch.optim.Muon([weight]).step) == 5 * 3 * 2 * 8**3


def test_a_subclass_is_counted_by_the_plain_tensors_it_stands_for() -> None:
    rows = torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(5, 4)], layout=torch.jagged)
    assert count(lambda: nn.Linear(4, 6)(rows)) == 2 * (3 + 5) * 4 * 6


def test_elementwise_work_normalisation_pooling_and_interpolation_count_nothing() -> None:
    net = nn.Sequential(nn.BatchNorm2d(2), nn.SiLU(), nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear"))
    assert count(training(lambda: net(torch.randn(2, 2, 8, 8)).softmax(1).cumsum(2))) == 0


# Factorisations and transforms: Golub and Van Loan, Matrix Computations, 4th edition; FFTW's 5 N log2 N

N = 12
SQUARE = torch.randn(3, N, N)
POSITIVE = SQUARE @ SQUARE.mT + N * torch.eye(N)
TALL = torch.randn(3, 20, N)
FACTORISATIONS = {
    "cholesky": (lambda: torch.linalg.cholesky(POSITIVE), 3 * N**3 / 3),
    "lu": (lambda: torch.linalg.lu_factor(SQUARE), 3 * 2 * N**3 / 3),
    "slogdet": (lambda: torch.linalg.slogdet(POSITIVE), 3 * 2 * N**3 / 3),
    "inverse": (lambda: torch.linalg.inv(POSITIVE), 3 * 2 * N**3),
    "solve": (lambda: torch.linalg.solve(POSITIVE, TALL.mT), 3 * (2 * N**3 / 3 + 2 * N**2 * 20)),
    "triangular solve": (lambda: torch.linalg.solve_triangular(POSITIVE, TALL.mT, upper=True), 3 * N**2 * 20),
    "cholesky solve": (lambda: torch.cholesky_solve(TALL.mT, POSITIVE), 3 * 2 * N**2 * 20),
    "qr": (lambda: torch.linalg.qr(TALL), 3 * 2 * 2 * N**2 * (20 - N / 3)),
    "eigh": (lambda: torch.linalg.eigh(POSITIVE), 3 * 9 * N**3),
    "svd": (lambda: torch.linalg.svd(TALL, full_matrices=False), 3 * (14 * 20 * N**2 + 8 * N**3)),
    "fft of a plane": (lambda: torch.fft.fft2(torch.randn(3, 8, 16)), 3 * 5 * 128 * 7),
    "fft of real numbers": (lambda: torch.fft.rfft(torch.randn(3, 16)), 3 * 5 * 16 * 4 / 2),
    "fft to real numbers": (lambda: torch.fft.irfft(torch.randn(3, 9).to(torch.complex64)), 3 * 5 * 16 * 4 / 2),
    "distances": (lambda: torch.cdist(torch.randn(3, 5, 7), torch.randn(3, 6, 7)), 3 * 2 * 5 * 6 * 7),
    "distances by products": (lambda: torch.cdist(torch.randn(30, 7), torch.randn(40, 7)), 2 * 30 * 40 * 7),
}


@pytest.mark.parametrize("name", FACTORISATIONS)
def test_a_factorisation_costs_its_textbook_count(name: str) -> None:
    work, expected = FACTORISATIONS[name]
    assert count(work) == pytest.approx(expected, rel=0.01)


def test_the_products_in_a_factorisations_backward_pass_are_counted() -> None:
    a = POSITIVE.clone().requires_grad_()
    # The inverse's gradient is -A^-T G A^-T.
    assert count(training(lambda: torch.linalg.inv(a))) == 3 * 2 * N**3 + prod((2, 2, 3, N, N, N))
