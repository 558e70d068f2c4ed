"""The flow: an invertible map from images in [0, 1]^D to a standard normal, with its log-determinant."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL_MASKS = ((0, 3), (0, 1), (0, 2))
"""The pixels of a 2x2 cell [[0, 1], [2, 3]] that one half of a coupling holds: checkerboard, rows, columns."""


class ActNorm(nn.Module):
    """An affine map of each dimension, set from data so that its output starts with mean 0 and deviation 1.

    Stands where the paper has batch normalisation, and makes the flow independent of what else is in the batch
    (Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.1; here for each dimension instead of each channel).
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dims))
        self.log_scale = nn.Parameter(torch.zeros(dims))

    @torch.no_grad()
    def initialise(self, z: Tensor) -> None:
        """Set the map from float ``[B, D]`` with B of 2 or more."""
        self.shift.copy_(-z.mean(0))
        self.log_scale.copy_(-(z.std(0) + 1e-3).log())

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """float ``[B, D]`` to its image and the log-determinant, 0-d since it is the same for all examples."""
        return (z + self.shift) * self.log_scale.exp(), self.log_scale.sum()

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_scale).exp() - self.shift


class Coupling(nn.Module):
    """An affine coupling layer: one half of the dimensions scales and shifts the other (the paper's equations 7-8).

    Args:
        kept: int64 ``[K]``, the dimensions that stay as they are and decide.
        moved: int64 ``[M]``, all others.
        width, dropout: of the residual network that computes log-scales and shifts.
        max_log_scale: log-scales are ``max_log_scale * tanh(. / max_log_scale)``.
    """

    order: Tensor
    restore: Tensor

    def __init__(self, kept: Tensor, moved: Tensor, width: int, dropout: float, max_log_scale: float) -> None:
        super().__init__()
        order = torch.cat([kept, moved])
        self.kept, self.moved, self.max_log_scale = len(kept), len(moved), max_log_scale
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("restore", order.argsort(), persistent=False)
        self.enter = nn.Linear(len(kept), width)
        self.block = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.leave = nn.Sequential(nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, 2 * len(moved)))
        # Every coupling starts as the identity.
        nn.init.zeros_(self.leave[-1].weight)
        nn.init.zeros_(self.leave[-1].bias)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """float ``[B, D]`` to its image ``[B, D]`` and the log-determinants ``[B]``."""
        kept, moved = z.index_select(1, self.order).split([self.kept, self.moved], dim=1)
        log_scale, shift = self.affine(kept)
        moved = (moved + shift) * log_scale.exp()
        return torch.cat([kept, moved], dim=1).index_select(1, self.restore), log_scale.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        kept, moved = z.index_select(1, self.order).split([self.kept, self.moved], dim=1)
        log_scale, shift = self.affine(kept)
        moved = moved * (-log_scale).exp() - shift
        return torch.cat([kept, moved], dim=1).index_select(1, self.restore)

    def affine(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Log-scales and shifts ``[B, M]`` of the moved half, from the kept half ``[B, K]``."""
        hidden = self.enter(kept)
        raw, shift = self.leave(hidden + self.block(hidden)).chunk(2, dim=1)
        return self.max_log_scale * torch.tanh(raw / self.max_log_scale), shift


class Flow(nn.Module):
    """Logit, then couplings under alternating masks, each after an :class:`ActNorm`.

    Args:
        shape: ``(C, H, W)`` with H and W even.
        couplings, width, dropout, max_log_scale, alpha: as in :class:`genbench_flow.RealNVPConfig`.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        couplings: int,
        width: int,
        dropout: float,
        max_log_scale: float,
        alpha: float,
    ) -> None:
        super().__init__()
        self.dims, self.alpha = math.prod(shape), alpha
        masks = [coupling_mask(shape, index) for index in range(couplings)]
        self.norms = nn.ModuleList(ActNorm(self.dims) for _ in range(couplings + 1))
        self.couplings = nn.ModuleList(
            Coupling(mask.nonzero().squeeze(1), (~mask).nonzero().squeeze(1), width, dropout, max_log_scale)
            for mask in masks
        )

    def log_density(self, y: Tensor) -> Tensor:
        """log p(y) in nats, float ``[B]``, of images in [0, 1], float ``[B, D]``."""
        z, log_det = self(y)
        return -0.5 * (z.square().sum(1) + self.dims * math.log(2 * math.pi)) + log_det

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], float ``[B, D]``, to z ``[B, D]`` and log |det dz/dy| ``[B]``."""
        z, log_det = self.logit(y)
        for norm, coupling in zip(self.norms, self.couplings, strict=False):
            z, of_norm = norm(z)
            z, of_coupling = coupling(z)
            log_det = log_det + of_norm + of_coupling
        z, of_norm = self.norms[-1](z)
        return z, log_det + of_norm

    def inverse(self, z: Tensor) -> Tensor:
        """The y of ``forward(y) = z``, float ``[B, D]``, in [-alpha, 1 + alpha] / (1 - 2 alpha) rounded outwards."""
        z = self.norms[-1].inverse(z)
        for norm, coupling in zip(reversed(self.norms[:-1]), reversed(self.couplings), strict=True):
            z = norm.inverse(coupling.inverse(z))
        return (torch.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)

    @torch.no_grad()
    def initialise(self, y: Tensor) -> None:
        """Set each ActNorm from what reaches it of images in [0, 1], float ``[B, D]`` with B of 2 or more."""
        z, _ = self.logit(y)
        for norm, coupling in zip(self.norms, self.couplings, strict=False):
            norm.initialise(z)
            z, _ = coupling(norm(z)[0])
        self.norms[-1].initialise(z)

    def logit(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """logit(alpha + (1 - 2 alpha) y) (the paper's section 4.1) and its log-determinant ``[B]``.

        With l = logit(p): dl/dp = 1 / (p (1 - p)), and -log(p (1 - p)) = softplus(l) + softplus(-l).
        """
        p = self.alpha + (1 - 2 * self.alpha) * y
        logits = p.log() - (-p).log1p()
        per_dim = math.log(1 - 2 * self.alpha) + F.softplus(logits) + F.softplus(-logits)
        return logits, per_dim.sum(1)


def coupling_mask(shape: tuple[int, int, int], index: int) -> Tensor:
    """bool ``[D]``: what the coupling number ``index`` keeps; each mask is followed by its complement."""
    channels, height, width = shape
    cell = torch.zeros(4, dtype=torch.bool)
    cell[list(CELL_MASKS[index // 2 % len(CELL_MASKS)])] = True
    if index % 2:
        cell = ~cell
    # [2, 2] -> [H, W] -> [C, H, W] -> [D]
    return cell.view(2, 2).repeat(height // 2, width // 2).expand(channels, height, width).flatten()
