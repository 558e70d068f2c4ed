"""Heavy operations without a formula are named; what is light by convention is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from counting import unnamed
from torch import Tensor, nn

from genbench.engine.flops import FlopCounter
from genbench.engine.flops.factorisations import FORMULAS as FACTORISATIONS
from genbench.engine.flops.formulas import FORMULAS
from genbench.engine.flops.heavy import is_heavy

SQUARE = torch.randn(4, 4) + 4 * torch.eye(4)
HEAVY: dict[str, tuple[Callable[[], object], str]] = {
    "eigenvalues": (lambda: torch.linalg.eig(SQUARE), "aten.linalg_eig"),
    "least squares": (lambda: torch.linalg.lstsq(SQUARE, SQUARE), "aten.linalg_lstsq"),
    "exponential": (lambda: torch.linalg.matrix_exp(SQUARE), "aten.linalg_matrix_exp"),
    "sparse by sparse": (
        lambda: torch.sparse.mm(SQUARE.to_sparse(), SQUARE.to_sparse()),
        "aten._sparse_sparse_matmul",
    ),
}


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_operation_without_a_formula_is_named(name: str, mode: Callable[[], torch.no_grad]) -> None:
    work, expected = HEAVY[name]
    with mode():
        assert unnamed(work) == {expected}


@torch.library.custom_op("genbench_tests::squared", mutates_args=())
def squared(x: Tensor) -> Tensor:
    """A product that torch does not see as one."""
    return x @ x


def test_an_operation_of_anyones_own_is_named_since_its_inside_is_not_seen() -> None:
    assert unnamed(lambda: squared(SQUARE)) == {"genbench_tests.squared"}


def test_an_operator_of_a_higher_order_is_named() -> None:
    from torch._higher_order_ops.wrap import wrap

    with FlopCounter() as counter:
        counter.__torch_dispatch__(wrap, (), (torch.sin, torch.zeros(2)))
    assert counter.uncounted == {"wrap"}
    assert counter.flops == 0


def test_nested_tensors_of_the_older_layout_are_named_and_harm_no_step() -> None:
    rows = torch.nested.nested_tensor([torch.randn(3, 4), torch.randn(5, 4)])
    weight = torch.nested.nested_tensor([torch.randn(4, 2), torch.randn(4, 2)])
    assert unnamed(lambda: torch.bmm(rows, weight)) == {"aten.bmm of nested tensors"}
    assert unnamed(lambda: nn.Linear(4, 6)(rows)) == {"aten.linear"}


LIGHT: dict[str, Callable[[], object]] = {
    "upsampling": lambda: F.interpolate(torch.randn(1, 2, 4, 4), scale_factor=2, mode="bilinear"),
    "a grid": lambda: F.grid_sample(torch.randn(1, 2, 4, 4), torch.zeros(1, 4, 4, 2), align_corners=False),
    "a vector's norm": lambda: torch.linalg.vector_norm(SQUARE),
    "normalisation": lambda: F.layer_norm(SQUARE, (4,)),
    "pooling": lambda: F.max_pool2d(torch.randn(1, 2, 4, 4), 2),
    "random numbers": lambda: torch.randn(4).exponential_(),
    "indices": lambda: SQUARE[torch.tensor([0, 2])].sort().values.cumsum(0),
    "an optimiser's step": lambda: torch.optim.AdamW([nn.Parameter(SQUARE.clone())]).step(),
    "an embedding": lambda: F.embedding_bag(torch.tensor([[0, 1]]), SQUARE),
    "a cross product": lambda: torch.linalg.cross(SQUARE[:, :3], SQUARE[:, 1:]),
    "a conjugate": lambda: SQUARE.to(torch.complex64).conj().resolve_conj(),
}


@pytest.mark.parametrize("name", LIGHT)
def test_what_is_light_by_convention_is_neither_counted_nor_named(name: str) -> None:
    with FlopCounter() as counter:
        LIGHT[name]()
    assert (counter.flops, counter.uncounted) == (0, set())


def test_every_formula_is_of_an_operation_that_would_else_be_named() -> None:
    assert [str(packet) for packet in {**FORMULAS, **FACTORISATIONS} if not is_heavy(packet)] == []


NOT_SEEN = [
    *["mm", "bmm", "convolution", "_mps_convolution", "linear_backward", "matmul_backward", "_linalg_eigvals", "ormqr"],
    *["_cudnn_rnn", "miopen_rnn", "lstm_mps_backward", "quantized_lstm", "_triton_multi_head_attention"],
]


@pytest.mark.parametrize("name", NOT_SEEN)
def test_the_families_of_heavy_operations_hold_those_of_other_backends(name: str) -> None:
    assert is_heavy(getattr(torch.ops.aten, name))


@pytest.mark.parametrize("name", ["lgamma", "igamma_", "sqrt", "_weight_norm", "_embedding_bag", "upsample_linear1d"])
def test_names_that_only_sound_like_a_heavy_family_are_not_of_it(name: str) -> None:
    assert not is_heavy(getattr(torch.ops.aten, name))


def test_torchs_bookkeeping_is_nothing() -> None:
    assert not is_heavy(torch.ops.profiler._record_function_enter_new)
