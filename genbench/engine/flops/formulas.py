"""What products of matrices, convolutions, recurrent layers and attention cost, in FLOPs: 2 for a multiply-add.

Each formula takes the positional arguments of an operation, as torch dispatches them, and its result. They are the
dense counts of the textbook algorithm on the shapes that arrived: products with padding zeros and masked positions
count, since the kernels are charged with them; causal attention costs as much as full attention. Additions of a bias,
elementwise operations, reductions, pooling, interpolation and normalisation are nothing.

Torch's own formulas (``torch.utils.flop_counter``, torch 2.13) agree where it has them, but for the backward pass
of grouped convolutions, which it counts groups-fold. It has none for attention on the CPU, LSTM, the fused inference
paths of ``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer``, and products of matrices with vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
Args = tuple[Any, ...]


def product(a: Tensor, multiply_adds: int) -> int:
    """FLOPs of so many multiply-adds of ``a``'s numbers; a complex one takes four real ones."""
    return (8 if a.is_complex() else 2) * multiply_adds


# Products of matrices and vectors


def matrix_product(a: Tensor, b: Tensor) -> int:
    """``[..., m, k] @ [..., k, n]``: m k n multiply-adds each; of a sparse ``a`` n for each stored number."""
    stored = a.numel() if a.layout is torch.strided else int(a._nnz())
    return product(a, stored * b.shape[-1])


def grouped_matrix_product(a: Tensor, b: Tensor, out: Tensor) -> int:
    """Products of slices that offsets cut out of a dimension of ``a`` or ``b``, or of both at k."""
    if a.dim() == b.dim() == 2:  # k is what is cut
        return product(a, a.shape[0] * a.shape[1] * b.shape[1])
    return product(a, out.numel() * a.shape[-1])


def trilinear(first: Tensor, second: Tensor, third: Tensor, *expanded: list[int]) -> int:
    """A sum over products of three, a multiply-add for each combination of indices (``nn.Bilinear``)."""
    shapes = []
    for tensor, dims in zip((first, second, third), expanded, strict=False):
        shape = list(tensor.shape)
        for dim in sorted(dims):
            shape.insert(dim, 1)
        shapes.append(shape)
    return product(first, prod(torch.broadcast_shapes(*shapes)))


# Convolutions


def convolution(x: Tensor, weight: Tensor, out: Tensor, transposed: bool) -> int:
    """Each output number, or each input number of a transposed convolution, meets the weights of one filter.

    Weights are ``[out, in / groups, *kernel]``, transposed ``[in, out / groups, *kernel]``: groups are in the shape.
    """
    return product(x, (x if transposed else out).numel() * prod(weight.shape[1:]))


def convolution_backward(args: Args, _: Any) -> int:
    """As much as the forward pass for the input's gradient, and again for the weight's, where asked for."""
    grad_out, x, weight, transposed, asked = args[0], args[1], args[2], args[7], args[10]
    return convolution(x, weight, grad_out, transposed) * (int(asked[0]) + int(asked[1]))


# Recurrent layers. At each time step and example every matrix of weights takes part in one product.


def tokens(x: Tensor) -> int:
    """Time steps times examples, padded or packed."""
    return x.numel() // x.shape[-1]


def mkldnn_layer(x: Tensor, weight_ih: Tensor, weight_hh: Tensor) -> int:
    """One layer in one direction."""
    return product(x, tokens(x) * (weight_ih.numel() + weight_hh.numel()))


def cudnn_layers(x: Tensor, weights: list[Tensor]) -> int:
    """All layers and directions, projections included; the weights' vectors are biases."""
    return product(x, tokens(x) * sum(weight.numel() for weight in weights if weight.dim() == 2))


def cudnn_layers_backward(args: Args, _: Any) -> int:
    """As much as forward for the gradient of the data, and again for that of the weights, where asked for."""
    return cudnn_layers(args[0], args[1]) * (1 + int(args[21][3]))


# Attention: queries [B, H, Q, D], keys [B, H', K, D], values [B, H', K, E], where H' divides H


def attention(query: Tensor, key: Tensor, value: Tensor) -> int:
    """Scores and the average of the values: two products for every pair of a query and a key."""
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    return product(query, pairs * (query.shape[-1] + value.shape[-1]))


def attention_backward(_grad: Tensor, query: Tensor, key: Tensor, value: Tensor) -> int:
    """The scores again (fused kernels do not keep them), then the gradients of values, weights, queries and keys."""
    pairs = prod(query.shape[:-1]) * key.shape[-2]
    return product(query, pairs * (3 * query.shape[-1] + 2 * value.shape[-1]))


def fused_multi_head(query: Tensor, key: Tensor, embedding: int) -> int:
    """Projections of queries, keys, values and output, ``embedding`` squared each, and the attention between them."""
    (queries, longest_query), (keys, longest_key) = _tokens_and_longest(query), _tokens_and_longest(key)
    pairs = query.size(0) * longest_query * longest_key  # nested sequences are padded for this
    return product(query, 2 * (queries + keys) * embedding**2 + 2 * pairs * embedding)


def fused_encoder_layer(args: Args, _: Any) -> int:
    """Self-attention and the two dense layers of the feed-forward part."""
    x, embedding, inner, outer = args[0], args[1], args[14], args[16]
    dense = product(x, _tokens_and_longest(x)[0] * (inner.numel() + outer.numel()))
    return fused_multi_head(x, x, embedding) + dense


def _tokens_and_longest(x: Tensor) -> tuple[int, int]:
    """Positions in all sequences together, and in the longest one."""
    if not x.is_nested:
        return tokens(x), x.shape[1]
    lengths = x._nested_tensor_size()[:, 0]
    return int(lengths.sum()), int(lengths.max())


def _forward_convolutions() -> dict[Any, Callable[[Args, Any], int]]:
    """The kernels that some backends dispatch by name; their first two arguments are the input and the weight."""
    plain = (
        "mkldnn_convolution",
        "cudnn_convolution",
        "cudnn_convolution_relu",
        "cudnn_convolution_add_relu",
        "miopen_convolution",
        "miopen_depthwise_convolution",
        "_slow_conv2d_forward",
        "slow_conv3d_forward",
        "slow_conv_dilated2d",
        "slow_conv_dilated3d",
        "_conv_depthwise2d",
        "conv_depthwise3d",
        "_nnpack_spatial_convolution",
    )
    transposed = (
        "cudnn_convolution_transpose",
        "miopen_convolution_transpose",
        "slow_conv_transpose2d",
        "slow_conv_transpose3d",
    )
    found: dict[Any, Callable[[Args, Any], int]] = {}
    for name in plain:
        found[getattr(aten, name)] = lambda args, out: convolution(args[0], args[1], out, False)
    for name in transposed:
        found[getattr(aten, name)] = lambda args, out: convolution(args[0], args[1], out, True)
    return found


FORMULAS: dict[Any, Callable[[Args, Any], int]] = {
    aten.mm: lambda args, out: matrix_product(args[0], args[1]),
    aten.bmm: lambda args, out: matrix_product(args[0], args[1]),
    aten._int_mm: lambda args, out: matrix_product(args[0], args[1]),
    aten._scaled_mm: lambda args, out: matrix_product(args[0], args[1]),
    aten._scaled_mm_v2: lambda args, out: matrix_product(args[0], args[1]),
    aten._foreach_mm: lambda args, out: sum(map(matrix_product, args[0], args[1])),
    aten.addmm: lambda args, out: matrix_product(args[1], args[2]),
    aten.addmm_: lambda args, out: matrix_product(args[1], args[2]),
    aten.addbmm_: lambda args, out: matrix_product(args[1], args[2]),
    aten.baddbmm_: lambda args, out: matrix_product(args[1], args[2]),
    aten._addmm_activation: lambda args, out: matrix_product(args[1], args[2]),
    aten._sparse_addmm: lambda args, out: matrix_product(args[1], args[2]),
    aten.addbmm: lambda args, out: matrix_product(args[1], args[2]),
    aten.baddbmm: lambda args, out: matrix_product(args[1], args[2]),
    aten._grouped_mm: lambda args, out: grouped_matrix_product(args[0], args[1], out),
    aten._scaled_grouped_mm: lambda args, out: grouped_matrix_product(args[0], args[1], out),
    aten._scaled_grouped_mm_v2: lambda args, out: grouped_matrix_product(args[0], args[1], out),
    aten.mkldnn_linear: lambda args, out: product(args[0], args[0].numel() * args[1].shape[0]),
    aten._weight_int8pack_mm: lambda args, out: product(args[0], args[0].numel() * args[1].shape[0]),
    aten.mv: lambda args, out: product(args[0], args[0].numel()),
    aten.addmv: lambda args, out: product(args[1], args[1].numel()),
    aten.addmv_: lambda args, out: product(args[1], args[1].numel()),
    aten.dot: lambda args, out: product(args[0], args[0].numel()),
    aten.vdot: lambda args, out: product(args[0], args[0].numel()),
    aten._trilinear: lambda args, out: trilinear(*args[:6]),
    aten.convolution: lambda args, out: convolution(args[0], args[1], out, args[6]),
    aten._convolution: lambda args, out: convolution(args[0], args[1], out, args[6]),
    aten.convolution_overrideable: lambda args, out: convolution(args[0], args[1], out, args[6]),
    aten.convolution_backward: convolution_backward,
    aten.convolution_backward_overrideable: lambda args, out: (
        convolution(args[1], args[2], args[0], args[6]) * (int(args[9][0]) + int(args[9][1]))
    ),
    **_forward_convolutions(),
    # Input [T, B, in], weight [width, in, out].
    aten.conv_tbc: lambda args, out: product(args[0], out.numel() * prod(args[1].shape[:2])),
    aten.mkldnn_rnn_layer: lambda args, out: mkldnn_layer(*args[:3]),
    # oneDNN's backward pass takes the gradients of input and weights together.
    aten.mkldnn_rnn_layer_backward: lambda args, out: 2 * mkldnn_layer(*args[:3]),
    aten._cudnn_rnn: lambda args, out: cudnn_layers(args[0], args[1]),
    aten._cudnn_rnn_backward: cudnn_layers_backward,
    aten._scaled_dot_product_flash_attention_for_cpu: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_flash_attention: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_efficient_attention: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_cudnn_attention: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_fused_attention_overrideable: lambda args, out: attention(*args[:3]),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda args, out: attention_backward(*args[:4]),
    aten._scaled_dot_product_flash_attention_backward: lambda args, out: attention_backward(*args[:4]),
    aten._scaled_dot_product_efficient_attention_backward: lambda args, out: attention_backward(*args[:4]),
    aten._scaled_dot_product_cudnn_attention_backward: lambda args, out: attention_backward(*args[:4]),
    aten._scaled_dot_product_fused_attention_overrideable_backward: lambda args, out: attention_backward(*args[:4]),
    aten._native_multi_head_attention: lambda args, out: fused_multi_head(args[0], args[1], args[3]),
    aten._transformer_encoder_layer_fwd: fused_encoder_layer,
}
