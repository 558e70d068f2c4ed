"""The forward process of diffusion models: how much noise there is at each of T steps, and what follows from it.

q(x_t | x_0) = N(a_t x_0, s_t^2) with a_t^2 + s_t^2 = 1; a_t^2 is written alpha-bar in the paper (Ho et al. 2020,
arXiv:2006.11239, equation 4). Step 0 is the data: a_0 = 1, s_0 = 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genbench_diffusion.config import SCHEDULES

LAST_SIGNAL = 0.01
"""a_T of the cosine schedule: some signal has to be left, or x_0 could not be told from the noise predicted."""

TYPICAL_VARIANCE = 0.03
"""Of a pixel in [-1, 1] given the others, about: what :func:`step_distribution` is matched to."""


def alpha_bars(schedule: str, steps: int, levels: int) -> Tensor:
    """a_t^2 for t = 0 .. T, float64 ``[T + 1]``, falling from 1.

    ``linear``: the noise added a step rises linearly, from 1e-4 to 0.02 at T = 1000 (Ho et al. 2020, section 4), in
    inverse proportion to T otherwise.

    ``cosine``: a_t is the cosine of an angle that grows linearly (Nichol and Dhariwal 2021, arXiv:2102.09672, equation
    17). There an offset keeps the first step's noise near the distance of two of 256 levels; here s_1 is half of
    the distance of two levels whatever their number. Less noise than that tells no more about which level it was, yet
    each halving of it costs up to log 2 nats a dimension of the bound.

    Raises:
        ValueError: if there is no such schedule, or fewer than 2 steps.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    if steps < 2:
        raise ValueError(f"steps must be 2 or more, not {steps}")
    none = torch.ones(1, dtype=torch.float64)
    if schedule == "linear":
        scale = 1000.0 / steps
        betas = torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64).clamp(max=0.999)
        return torch.cat([none, (1.0 - betas).cumprod(dim=0)])
    first, last = math.asin(min(0.5, 1.0 / (levels - 1))), math.acos(LAST_SIGNAL)
    return torch.cat([none, torch.linspace(first, last, steps, dtype=torch.float64).cos().square()])


def bound_weights(alpha_bar: Tensor) -> Tensor:
    """What the squared error of the predicted x_0 counts in the bound's terms of t = 2 .. T, float64 ``[T - 1]``.

    With the variance of the posterior q(x_{t-1} | x_t, x_0) for the model's, the term is

        KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) = (snr_{t-1} - snr_t) / 2 |x_0 - prediction|^2,

    snr_t = a_t^2 / s_t^2 (Kingma et al. 2021, arXiv:2107.00630, equation 14; Ho et al. 2020, equation 8).
    """
    snr = alpha_bar[1:] / (1.0 - alpha_bar[1:])
    return 0.5 * (snr[:-1] - snr[1:])


def step_distribution(alpha_bar: Tensor) -> Tensor:
    """p(t) of t = 1 .. T by which the bound's terms are drawn, float64 ``[T]``, all above 0.

    Any such p leaves the estimate unbiased; least varied is one in proportion to the terms themselves. Those are taken
    for what the best linear denoiser of pixels of variance v would have: a squared error of v / (1 + v snr_t).
    """
    snr = alpha_bar[1:] / (1.0 - alpha_bar[1:])
    terms = bound_weights(alpha_bar) * TYPICAL_VARIANCE / (1.0 + TYPICAL_VARIANCE * snr[1:])
    # The first term, of the data given x_1, is a logarithm of masses: as much as all others of fine steps together
    # at most, and next to nothing where the first step's noise is less than a level.
    share = torch.cat([terms.sum(dim=0, keepdim=True) / 16.0, terms])
    # A part is spread evenly, so that no term's weight can become large where the typical one is wrong.
    return 0.9 * share / share.sum() + 0.1 / len(share)


def log_mass_of_normal(x: Tensor, mean: Tensor, scale: float, levels: int) -> Tensor:
    """Log of the mass that a normal variable puts on the bins of levels, in nats, of the shape of ``x``, float64.

    Level v stands for 2 v / (levels - 1) - 1 and the bin of half-width 1 / (levels - 1) about it; the outermost reach
    to infinity, so the masses sum to one (Ho et al. 2020, equation 13).

    Args:
        x: uint8.
        mean: in [-1, 1], of the same shape.
        scale: standard deviation, above 0.
        levels: 2 or more.
    """
    half = 1.0 / (levels - 1)
    value = 2.0 * half * x.double() - 1.0
    infinity = torch.tensor(math.inf, dtype=torch.float64, device=x.device)
    upper = torch.where(x == levels - 1, infinity, (value + half - mean) / scale)
    lower = torch.where(x == 0, -infinity, (value - half - mean) / scale)
    # Both ends in the lower tail, where the difference of two logarithms is exact: the normal is symmetric.
    flip = upper + lower > 0
    upper, lower = torch.where(flip, -lower, upper), torch.where(flip, -upper, lower)
    larger, smaller = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    return larger + torch.log(-torch.expm1(smaller - larger))
