"""Losses of generative adversarial networks. Logits are of an example being real, ``[B]``; losses are 0-d."""

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


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)], minus the distance that the critic sees (Arjovsky et al. 2017, arXiv:1701.07875, eq. 3)."""
    return fake.mean() - real.mean()


def critic_g(fake: Tensor) -> Tensor:
    """-E[D(G(z))], the generator's side of the hinge loss and of the Wasserstein distance."""
    return -fake.mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """E[|grad_x D(x)|^2] on real examples (Mescheder et al. 2018, arXiv:1801.04406, eq. 9, without gamma / 2).

    Args:
        critic: ``[B, ...]`` -> logits ``[B]``, each computed from its own example only.
        real: the examples, ``[B, ...]``.
    """
    return _slopes(critic, real).square().sum(1).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2] at random points between pairs of real and generated examples (Gulrajani et al. 2017,
    arXiv:1704.00028, eq. 3, without lambda).

    Args:
        critic: as for :func:`r1_penalty`.
        real, fake: ``[B, ...]`` each; the k-th of one is paired with the k-th of the other.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    # Under autocast the generator's images are bfloat16 and the real ones float32.
    between = torch.lerp(real, fake.to(real.dtype), share)
    # The small term keeps the norm's own gradient finite where a slope is 0.
    return (_slopes(critic, between).square().sum(1).add(1e-12).sqrt() - 1.0).square().mean()


def _slopes(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The critic's gradient at each point, ``[B, D]``, itself differentiable."""
    # A view, since the module hooks of torch's FlopCounterMode refuse a leaf as an input of autograd.grad.
    x = points.detach().requires_grad_(True).view_as(points)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1)
