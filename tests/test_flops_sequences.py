"""FLOPs of recurrent layers and of attention against counts made by hand: 2 for a multiply-add."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from counting import count, training
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

MODES = [torch.enable_grad, torch.no_grad, torch.inference_mode]
GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}
STEPS, BATCH, INPUTS, HIDDEN = 6, 2, 5, 3
TOKENS = STEPS * BATCH


@pytest.fixture(autouse=True)
def sampled() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def recurrent_weights(kind: Any, layers: int, directions: int) -> tuple[int, int]:
    """Numbers in the matrices of the layers' inputs and of their hidden states, over all layers and directions."""
    of_input = GATES[kind] * HIDDEN * INPUTS + (layers - 1) * GATES[kind] * HIDDEN * directions * HIDDEN
    return directions * of_input, directions * layers * GATES[kind] * HIDDEN * HIDDEN


SHAPES = [
    {},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 3, "bidirectional": True, "batch_first": True},
    {"bias": False},
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", SHAPES)
@pytest.mark.parametrize("kind", GATES)
def test_a_recurrent_layer_costs_a_product_with_each_matrix_for_each_step(
    kind: Any, options: dict[str, Any], mode: Any
) -> None:
    layer = kind(INPUTS, HIDDEN, **options)
    x = torch.randn((BATCH, STEPS, INPUTS) if options.get("batch_first") else (STEPS, BATCH, INPUTS))
    weights = sum(recurrent_weights(kind, options.get("num_layers", 1), 1 + options.get("bidirectional", False)))
    with mode():
        assert count(lambda: layer(x)) == 2 * TOKENS * weights


@pytest.mark.parametrize("options", SHAPES)
def test_training_an_lstm_costs_three_times_its_forward_pass(options: dict[str, Any]) -> None:
    layer = nn.LSTM(INPUTS, HIDDEN, **options)
    x = torch.randn((BATCH, STEPS, INPUTS) if options.get("batch_first") else (STEPS, BATCH, INPUTS))
    weights = sum(recurrent_weights(nn.LSTM, options.get("num_layers", 1), 1 + options.get("bidirectional", False)))
    x.requires_grad_()
    assert count(training(lambda: layer(x)[0])) == 3 * 2 * TOKENS * weights


@pytest.mark.parametrize("options", SHAPES)
@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
def test_training_a_gru_leaves_out_the_gradient_of_the_first_state(kind: Any, options: dict[str, Any]) -> None:
    layer = kind(INPUTS, HIDDEN, **options)
    x = torch.randn((BATCH, STEPS, INPUTS) if options.get("batch_first") else (STEPS, BATCH, INPUTS))
    of_input, of_state = recurrent_weights(kind, options.get("num_layers", 1), 1 + options.get("bidirectional", False))
    x.requires_grad_()
    # The initial state is a constant: its gradient, a product with each matrix of the states, is not taken.
    expected = 3 * 2 * TOKENS * (of_input + of_state) - 2 * BATCH * of_state
    assert count(training(lambda: layer(x)[0])) == expected


@pytest.mark.parametrize("mode", MODES)
def test_a_projected_lstm_costs_its_projection_too(mode: Any) -> None:
    layer, x = nn.LSTM(INPUTS, HIDDEN, proj_size=2), torch.randn(STEPS, BATCH, INPUTS)
    weights = 4 * HIDDEN * INPUTS + 4 * HIDDEN * 2 + 2 * HIDDEN
    with mode():
        assert count(lambda: layer(x)) == 2 * TOKENS * weights


def test_packed_sequences_cost_their_own_steps_only() -> None:
    layer, x = nn.LSTM(INPUTS, HIDDEN), torch.randn(STEPS, BATCH, INPUTS)
    packed = nn.utils.rnn.pack_padded_sequence(x, [6, 4])
    with torch.no_grad():
        assert count(lambda: layer(packed)) == 2 * (6 + 4) * 4 * HIDDEN * (INPUTS + HIDDEN)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_a_cell_costs_one_step(kind: Any, gates: int) -> None:
    cell, x = kind(INPUTS, HIDDEN), torch.randn(BATCH, INPUTS, requires_grad=True)
    of_input, of_state = 2 * BATCH * gates * HIDDEN * INPUTS, 2 * BATCH * gates * HIDDEN * HIDDEN

    def forward() -> torch.Tensor:
        out = cell(x)
        return out[0] if isinstance(out, tuple) else out

    assert count(forward) == of_input + of_state
    # The initial state is a constant, whose gradient is not taken.
    assert count(training(forward)) == 3 * of_input + 2 * of_state


# Attention: B heads H of Q queries and K keys of D numbers; a product costs 2 B H Q K D.

HEADS, QUERIES, KEYS, DIM = 4, 6, 9, 8
PRODUCT = 2 * BATCH * HEADS * QUERIES * KEYS * DIM


def inputs(heads: int = HEADS) -> tuple[torch.Tensor, ...]:
    shapes = (BATCH, HEADS, QUERIES, DIM), (BATCH, heads, KEYS, DIM), (BATCH, heads, KEYS, DIM)
    return tuple(torch.randn(shape, requires_grad=True) for shape in shapes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options", [{}, {"is_causal": True}, {"attn_mask": torch.ones(QUERIES, KEYS, dtype=torch.bool).tril(3)}]
)
def test_attention_costs_two_products_whatever_is_masked(options: dict[str, Any], mode: Any) -> None:
    query, key, value = inputs()
    with mode():
        assert count(lambda: F.scaled_dot_product_attention(query, key, value, **options)) == 2 * PRODUCT


@pytest.mark.parametrize("heads", [4, 2, 1])
def test_queries_that_share_keys_cost_as_much_as_if_each_had_its_own(heads: int) -> None:
    query, key, value = inputs(heads)
    work = training(lambda: F.scaled_dot_product_attention(query, key, value, enable_gqa=True))
    assert count(work) == (2 + 5) * PRODUCT


def test_fused_attention_computes_its_scores_again_in_the_backward_pass() -> None:
    query, key, value = inputs()
    # Scores again, and the gradients of values, weights, queries and keys.
    assert count(training(lambda: F.scaled_dot_product_attention(query, key, value))) == (2 + 5) * PRODUCT


def test_attention_by_its_parts_keeps_its_scores() -> None:
    query, key, value = inputs()
    with sdpa_kernel(SDPBackend.MATH):
        assert count(training(lambda: F.scaled_dot_product_attention(query, key, value))) == (2 + 4) * PRODUCT


def test_attention_with_dropout_is_counted_on_the_path_by_parts() -> None:
    query, key, value = inputs()
    work = training(lambda: F.scaled_dot_product_attention(query, key, value, dropout_p=0.5))
    assert count(work) == (2 + 4) * PRODUCT


def test_a_penalty_through_attention_counts_its_double_backward_pass() -> None:
    query, key, value = (tensor.detach() for tensor in inputs())
    query.requires_grad_()

    def penalise() -> None:
        with sdpa_kernel(SDPBackend.MATH):
            out = F.scaled_dot_product_attention(query, key, value)
        (gradient,) = torch.autograd.grad(out.sum(), query, create_graph=True)
        gradient.square().sum().backward()

    # Scores and average; gradients of the weights and of the queries. The penalty then depends on the queries through
    # the softmax alone: the cotangent of the scores' gradient, and the scores' back to the queries.
    assert count(penalise) == (2 + 2 + 2) * PRODUCT


EMBEDDING, LENGTH, FORWARD = 8, 7, 16
DENSE = 2 * BATCH * LENGTH * EMBEDDING**2  # one projection of all positions
PAIRS = 2 * BATCH * LENGTH * LENGTH * EMBEDDING  # one product of attention, over all heads


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training_mode", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_costs_four_projections_and_two_products(
    need_weights: bool, training_mode: bool, mode: Any
) -> None:
    layer = nn.MultiheadAttention(EMBEDDING, 2, batch_first=True).train(training_mode)
    x = torch.randn(BATCH, LENGTH, EMBEDDING)
    with mode():
        assert count(lambda: layer(x, x, x, need_weights=need_weights)) == 4 * DENSE + 2 * PAIRS


def test_attention_from_queries_to_other_keys_costs_their_projections_and_pairs() -> None:
    layer = nn.MultiheadAttention(EMBEDDING, 2, batch_first=True).eval()
    query, key = torch.randn(BATCH, 5, EMBEDDING), torch.randn(BATCH, 9, EMBEDDING)
    expected = 2 * BATCH * (2 * 5 + 2 * 9) * EMBEDDING**2 + 2 * 2 * BATCH * 5 * 9 * EMBEDDING
    for mode in MODES:
        with mode():
            assert count(lambda: layer(query, key, key, need_weights=False)) == expected


def test_training_multi_head_attention_costs_two_further_passes_and_the_scores_again() -> None:
    layer, x = nn.MultiheadAttention(EMBEDDING, 2, batch_first=True), torch.randn(BATCH, LENGTH, EMBEDDING)
    x.requires_grad_()
    work = training(lambda: layer(x, x, x, need_weights=False)[0])
    assert count(work) == 3 * 4 * DENSE + (2 + 5) * PAIRS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training_mode", [True, False])
def test_an_encoder_layer_costs_its_attention_and_two_dense_layers(training_mode: bool, mode: Any) -> None:
    layer = nn.TransformerEncoderLayer(EMBEDDING, 2, FORWARD, batch_first=True).train(training_mode)
    x = torch.randn(BATCH, LENGTH, EMBEDDING)
    dense = 2 * 2 * BATCH * LENGTH * EMBEDDING * FORWARD
    with mode():
        assert count(lambda: layer(x)) == 4 * DENSE + 2 * PAIRS + dense


def test_the_fused_encoder_spares_padding_its_dense_layers_but_not_its_pairs() -> None:
    layer = nn.TransformerEncoderLayer(EMBEDDING, 2, FORWARD, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1).eval()
    x, lengths = torch.randn(BATCH, LENGTH, EMBEDDING), torch.tensor([3, 7])
    padding = torch.arange(LENGTH) >= lengths[:, None]
    with torch.no_grad():
        found = count(lambda: encoder(x, src_key_padding_mask=padding))
    assert found == 2 * (3 + 7) * (4 * EMBEDDING**2 + 2 * EMBEDDING * FORWARD) + 2 * PAIRS
