"""Losses of generative adversarial networks. Logits are of an image being real, ``[B]``; losses are 0-d."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1); 2 log 2 when D is blind."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E[log D(G(z))] (ibid., section 3); log 2 when D is blind."""
    return F.softplus(-fake).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim, Ye 2017, arXiv:1705.02894); 2 when D is blind."""
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def hinge_g(fake: Tensor) -> Tensor:
    """-E[D(G(z))], the generator's side of the hinge loss."""
    return -fake.mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E[|grad_x D(x)|^2] on real images (Mescheder et al. 2018, arXiv:1801.04406, eq. 9, without gamma / 2).

    Args:
        critic: ``[B, ...]`` -> logits ``[B]``, each computed from its own image only.
        real: the images, ``[B, ...]``.
    """
    # A view, since the module hooks of torch's FlopCounterMode refuse a leaf as an input of autograd.grad.
    x = real.detach().requires_grad_(True).view_as(real)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()
