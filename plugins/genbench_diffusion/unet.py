"""The network of ``ddpm``: a small U-Net that is told the step (after Ho et al. 2020, arXiv:2006.11239, appendix B).

The image is folded, 2 x 2 pixels into features, so that all layers work at half and at a quarter of its resolution;
there the same FLOPs go into fewer and wider products, which processors are faster at.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv(silu(film(norm(conv(silu(norm(x))))))), the film being a scale and a shift by the step."""

    def __init__(self, inputs: int, outputs: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = _norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * outputs)
        self.norm2 = _norm(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """``[B, outputs, H, W]`` of ``[B, inputs, H, W]`` and the step's embedding ``[B, embedding]``."""
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        scale, shift = self.film(step)[:, :, None, None].chunk(2, dim=1)  # [B, outputs, 1, 1] each
        return self.skip(x) + self.conv2(self.dropout(F.silu(torch.addcmul(h + shift, h, scale))))


class SelfAttention(nn.Module):
    """x + attention(norm(x)) between all places, by explicit products, whose kernels are deterministic."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.project = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(self.norm(x)).flatten(2).chunk(3, dim=1)  # [B, channels, H W] each
        weights = (query.transpose(1, 2) @ key / math.sqrt(x.shape[1])).softmax(dim=2)  # [B, H W, H W]
        attended = value @ weights.transpose(1, 2)  # [B, channels, H W]
        return x + self.out(attended.view_as(x))


class UNet(nn.Module):
    """Predicts the noise in an image from the noisy image and the step.

    Args:
        channels: of the images, whose sides are multiples of 4.
        width: features at half the resolution, a multiple of 8; twice as many at a quarter.
        blocks: residual blocks at each resolution, on either way.
        attention: whether the coarse features attend to each other.
        dropout: in the residual blocks.
    """

    def __init__(self, channels: int, width: int, blocks: int, attention: bool, dropout: float) -> None:
        super().__init__()
        embedding = 4 * width
        self.frequencies = width // 2
        self.embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU())

        def stack(inputs: int, outputs: int) -> nn.ModuleList:
            sizes = [inputs, *[outputs] * blocks]
            return nn.ModuleList(ResidualBlock(a, b, embedding, dropout) for a, b in itertools.pairwise(sizes))

        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, width, 3, padding=1))
        self.down = stack(width, width)
        self.coarsen = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * width, 2 * width, 1))
        self.coarse_down = stack(2 * width, 2 * width)
        self.attention = SelfAttention(2 * width) if attention else nn.Identity()
        self.coarse_up = stack(2 * width, 2 * width)
        self.refine = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1), nn.PixelShuffle(2))
        self.up = stack(2 * width, width)
        last = nn.Conv2d(width, 4 * channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.out = nn.Sequential(_norm(width), nn.SiLU(), last, nn.PixelShuffle(2))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """``[B, C, H, W]`` of noisy images of the same shape and ``time``, the step as a share of T, ``[B]``."""
        step = self.embed(self._waves(time))
        fine = self.stem(x)
        for block in self.down:
            fine = block(fine, step)
        h = self.coarsen(fine)
        for block in self.coarse_down:
            h = block(h, step)
        h = self.attention(h)
        for block in self.coarse_up:
            h = block(h, step)
        h = torch.cat([self.refine(h), fine], dim=1)  # [B, 2 width, H / 2, W / 2]
        for block in self.up:
            h = block(h, step)
        return self.out(h)

    def _waves(self, time: Tensor) -> Tensor:
        """Sines and cosines of the step, ``[B, width]``, of periods from 2 pi to 2 pi / 1000 of all steps."""
        exponents = torch.linspace(0.0, 1.0, self.frequencies, device=time.device)
        angles = time[:, None] * 1000.0**exponents
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(8, channels)
