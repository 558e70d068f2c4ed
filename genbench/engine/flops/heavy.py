"""Which operations without a formula could be a real part of a model's work, and so are named in its record."""

from __future__ import annotations

import re
from typing import Any

COUNTED_AS_NOTHING = frozenset(
    {"prim", "profiler", "rngprims", "c10d", "_c10d_functional", "_c10d_functional_autograd"}
)
"""Namespaces of torch's own that compute nothing: bookkeeping, random numbers, communication."""

FAMILIES = re.compile(
    r"linalg_|fft_|[cp]dist|euclidean_dist|cholesky|svd|lstsq|pinverse|matrix_(exp|power)"
    r"|(^|_)(qr|geqrf|orgqr|ormqr|lu|eig|symeig|inverse|logdet|slogdet|det|solve|spsolve)(_|$)"
    r"|rnn|lstm|(^|_)gru|attention|multi_head|transformer"
    r"|conv|mm(_|$)|matmul|gemm|linear|bilinear|(^|_)(mv|dot|vdot|addmv)(_|$)|semi_structured"
)
"""Of aten and prims: products, convolutions, recurrence, attention, factorisations, transforms, distances."""

LIGHT = re.compile(
    r"upsample|convert|pack_gemm|prepack|pack_4bit|flatten_weight|plan_cache|check_errors|_pool|reorder|_linear_quantize"
    r"|^_thnn_|^_mkldnn_(reshape|transpose)|^linalg_(_powsum|cross|diagonal|vector_norm|vander)|^slice_inverse"
    r"|^fft_(fftfreq|rfftfreq)|lu_unpack|semi_structured_tile|_convolution_mode|_use_cudnn|^quantized_(batch|max)"
)
"""What the pattern above would catch by its name alone: layouts, elementwise parts of cells, interpolation, norms."""


def is_heavy(packet: Any) -> bool:
    """Whether an operation that has no formula must be named.

    True for those of anyone's own namespace, for operators of a higher order and triton kernels, whose inside is not
    seen, and for the families of torch's operations whose count is not nothing by convention.
    """
    namespace, _, name = getattr(packet, "_qualified_op_name", "::").partition("::")
    if namespace in COUNTED_AS_NOTHING:
        return False
    if namespace not in ("aten", "prims"):
        return True
    return bool(FAMILIES.search(name)) and not LIGHT.search(name)
