"""What factorisations, solves, Fourier transforms and distances cost, in FLOPs: leading terms of the textbook counts.

Matrices are ``[..., m, n]``; counts are of one matrix times the number of them. Page and section numbers are of
Golub and Van Loan, Matrix Computations, 4th edition (2013). Backward passes are products and solves, which torch
dispatches by themselves. Iterative methods (eigenvalues, singular values) are charged the book's usual estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2, prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
Args = tuple[Any, ...]


def each(a: Tensor, flops: float) -> int:
    """``flops`` for each of the matrices in ``a``, four-fold where its numbers are complex."""
    return round((4 if a.is_complex() else 1) * prod(a.shape[:-2]) * flops)


def cholesky(a: Tensor) -> int:
    """n^3 / 3 (section 4.2.5)."""
    return each(a, a.shape[-1] ** 3 / 3)


def lu(a: Tensor) -> int:
    """m n r - (m + n) r^2 / 2 + r^3 / 3 multiply-adds, r = min(m, n): 2 n^3 / 3 FLOPs if square (section 3.2.9)."""
    m, n = a.shape[-2:]
    r = min(m, n)
    return each(a, 2 * (m * n * r - (m + n) * r**2 / 2 + r**3 / 3))


def triangular(a: Tensor, b: Tensor) -> int:
    """n^2 for each right-hand side (section 3.1): all of b's numbers meet n / 2 others, a multiply-add each."""
    return round((4 if a.is_complex() else 1) * b.numel() * a.shape[-1])


def qr(a: Tensor, mode: str = "reduced") -> int:
    """2 n^2 (m - n / 3) by Householder reflections, for m >= n (section 5.2.2), and as much again to form the
    reduced Q; 4 (m^2 n - m n^2 + n^3 / 3) to form the complete one."""
    m, n = max(a.shape[-2:]), min(a.shape[-2:])
    triangle = 2 * n**2 * (m - n / 3)
    form = {"r": 0.0, "reduced": triangle, "complete": 4 * (m**2 * n - m * n**2 + n**3 / 3)}
    return each(a, triangle + form[mode])


def eigh(a: Tensor, with_vectors: bool) -> int:
    """4 n^3 / 3 for the eigenvalues of a symmetric matrix, 9 n^3 with the vectors (section 8.3.5)."""
    return each(a, a.shape[-1] ** 3 * (9 if with_vectors else 4 / 3))


def svd(a: Tensor, full: bool, with_vectors: bool) -> int:
    """4 m n^2 - 4 n^3 / 3 for the singular values; 14 m n^2 + 8 n^3 with reduced U and V, 4 m^2 n + 8 m n^2 + 9 n^3
    with the full ones; m >= n (figure 8.6.1)."""
    m, n = max(a.shape[-2:]), min(a.shape[-2:])
    if not with_vectors:
        return each(a, 4 * m * n**2 - 4 * n**3 / 3)
    return each(a, 4 * m**2 * n + 8 * m * n**2 + 9 * n**3 if full else 14 * m * n**2 + 8 * n**3)


def fourier(x: Tensor, out: Tensor, dims: list[int], real: bool) -> int:
    """5 N log2 N of a complex transform of N points, half of it where one side is real (the convention of FFTW's
    benchmarks, Frigo and Johnson 2005, section I)."""
    larger = x if x.numel() >= out.numel() else out
    points = prod(larger.shape[dim] for dim in dims)
    if points < 2:
        return 0
    return round((2.5 if real else 5.0) * larger.numel() * log2(points))


def distances(a: Tensor, b: Tensor) -> int:
    """A multiply-add for each pair of rows and each coordinate, as by the product of the matrices."""
    return 2 * a.numel() * b.shape[-2]


def _solve(args: Args, _: Any) -> int:
    """LU, then two triangular systems. ``b`` may be a batch of vectors."""
    return lu(args[0]) + 2 * triangular(args[0], args[1])


FORMULAS: dict[Any, Callable[[Args, Any], int]] = {
    aten.linalg_cholesky_ex: lambda args, out: cholesky(args[0]),
    aten.cholesky: lambda args, out: cholesky(args[0]),
    aten.linalg_lu_factor_ex: lambda args, out: lu(args[0]),
    aten.linalg_lu: lambda args, out: lu(args[0]),
    aten._linalg_det: lambda args, out: lu(args[0]),
    aten._linalg_slogdet: lambda args, out: lu(args[0]),
    aten.linalg_inv_ex: lambda args, out: each(args[0], 2 * args[0].shape[-1] ** 3),  # section 3.4, ex. 3.2
    aten._linalg_solve_ex: _solve,
    aten.linalg_lu_solve: lambda args, out: 2 * triangular(args[0], args[2]),
    aten.linalg_solve_triangular: lambda args, out: triangular(args[0], args[1]),
    aten.triangular_solve: lambda args, out: triangular(args[1], args[0]),
    aten.cholesky_solve: lambda args, out: 2 * triangular(args[1], args[0]),
    aten.cholesky_inverse: lambda args, out: each(args[0], 2 * args[0].shape[-1] ** 3 / 3),
    aten.linalg_qr: lambda args, out: qr(*args[:2]),
    aten._linalg_eigh: lambda args, out: eigh(args[0], args[2] if len(args) > 2 else True),
    aten._linalg_svd: lambda args, out: svd(
        args[0], args[1] if len(args) > 1 else False, args[2] if len(args) > 2 else True
    ),
    aten._fft_c2c: lambda args, out: fourier(args[0], out, args[1], real=False),
    aten._fft_r2c: lambda args, out: fourier(args[0], out, args[1], real=True),
    aten._fft_c2r: lambda args, out: fourier(args[0], out, args[1], real=True),
    aten._cdist_forward: lambda args, out: distances(args[0], args[1]),
    aten._cdist_backward: lambda args, out: distances(args[1], args[2]),
    aten._euclidean_dist: lambda args, out: distances(args[0], args[1]),
    aten._pdist_forward: lambda args, out: distances(args[0], args[0]) // 2,
    aten._pdist_backward: lambda args, out: distances(args[1], args[1]) // 2,
}
