"""The encoder and the decoder of both autoencoders.

Resolution is halved by folding 2 x 2 pixels into features and doubled by unfolding them (Shi et al. 2016,
arXiv:1609.05158), so that nearly all work is done at low resolution and images of any size fit: odd sizes are
rounded up and the surplus is cut off at the end. At the coarsest resolution, 2 x 2 at most, the features are
flattened: there a dense layer costs less than a 3 x 3 convolution, which would mostly read padding.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COARSEST = 2
"""Sides are halved, at least once, until the longer one is this short or after ``MOST_HALVINGS``."""
MOST_HALVINGS = 5
WIDEST = 2
"""Features at a coarse resolution, as a multiple of those at the finest, at most."""


def halvings(height: int, width: int) -> int:
    """How often the resolution of an image is halved, 1 to ``MOST_HALVINGS``."""
    times, side = 1, -(-max(height, width) // 2)
    while side > COARSEST and times < MOST_HALVINGS:
        times, side = times + 1, -(-side // 2)
    return times


class Residual(nn.Module):
    """x + conv(silu(norm(x))), 3 x 3, with the features normalised over groups of each image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(min(8, channels // 4), channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.silu(self.norm(x)))


class DenseResidual(nn.Module):
    """x + linear(dropout(silu(norm(x)))) of flat features."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.linear = nn.Linear(features, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(self.dropout(F.silu(self.norm(x))))


class Shape:
    """Resolutions and features of the stages, finest first.

    Attributes:
        padded: ``(H, W)`` rounded up to a multiple of 2 to the number of stages.
        widths: features of each stage.
        coarsest: ``(features, H, W)`` of the last.
        flat: width of the dense layers there.
    """

    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        self.channels, self.height, self.width = shape
        stages = halvings(self.height, self.width)
        factor = 2**stages
        self.padded = tuple(factor * -(-side // factor) for side in (self.height, self.width))
        self.widths = [min(2**stage, WIDEST) * width for stage in range(stages)]
        self.coarsest = (self.widths[-1], self.padded[0] // factor, self.padded[1] // factor)
        self.flat = 8 * width


class Encoder(nn.Module):
    """Images as numbers, ``[B, C, H, W]``, to ``outputs`` numbers each."""

    def __init__(self, shape: tuple[int, int, int], width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.shape = Shape(shape, width)
        channels = [self.shape.channels, *self.shape.widths]
        stages: list[nn.Module] = []
        for stage, (inputs, features) in enumerate(itertools.pairwise(channels)):
            kernel = 3 if stage == 0 else 1  # the image has few channels: there a larger kernel is cheap
            stages += [nn.PixelUnshuffle(2), nn.Conv2d(4 * inputs, features, kernel, padding=kernel // 2)]
            if stage < len(self.shape.widths) - 1:
                stages.append(Residual(features))
        self.stages = nn.Sequential(*stages)
        features, height, width = self.shape.coarsest
        self.dense = nn.Sequential(
            nn.Linear(features * height * width, self.shape.flat),
            DenseResidual(self.shape.flat, dropout),
            nn.LayerNorm(self.shape.flat),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(self.shape.flat, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, outputs]``."""
        bottom, right = self.shape.padded[0] - x.shape[2], self.shape.padded[1] - x.shape[3]
        return self.dense(self.stages(F.pad(x, (0, right, 0, bottom))).flatten(1))


class Decoder(nn.Module):
    """Codes ``[B, latent]`` to ``size`` numbers for each dimension of an image."""

    def __init__(self, shape: tuple[int, int, int], width: int, latent: int, size: int, dropout: float) -> None:
        super().__init__()
        self.shape, self.size = Shape(shape, width), size
        features, rows, columns = self.shape.coarsest
        self.dense = nn.Sequential(
            nn.Linear(latent, self.shape.flat),
            DenseResidual(self.shape.flat, dropout),
            nn.LayerNorm(self.shape.flat),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(self.shape.flat, features * rows * columns),
        )
        widths = self.shape.widths[::-1]
        stages: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            stages += [nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2), Residual(outputs)]
        self.stages = nn.Sequential(
            *stages,
            nn.SiLU(),
            nn.Conv2d(widths[-1], 4 * size * self.shape.channels, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, z: Tensor) -> Tensor:
        """``[B, size, C, H, W]``."""
        x = self.stages(self.dense(z).unflatten(1, self.shape.coarsest))
        x = x[:, :, : self.shape.height, : self.shape.width]
        return x.unflatten(1, (self.size, self.shape.channels))


def initialise_last(decoder: Decoder) -> None:
    """Start from an output that is near zero, whatever the code."""
    last = decoder.stages[-2]
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():
        last.weight.mul_(0.1)
