"""The encoder and the decoder of the autoencoders, and the stages that they are made of.

Resolution is halved by folding 2 x 2 pixels into features and doubled by unfolding them (Shi et al. 2016,
arXiv:1609.05158), so that nearly all work is done at low resolution and images of any size fit: an odd size is
padded to an even one before it is halved, and the surplus is cut off where it is doubled again. At the coarsest
resolution, 2 x 2 at most, the features are flattened: there a dense layer costs less than a 3 x 3 convolution, which
would mostly read padding.
"""

from __future__ import annotations

import itertools
import math

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


class Halve(nn.Module):
    """``[B, inputs, H, W]`` to ``[B, outputs, ceil(H / 2), ceil(W / 2)]``: 2 x 2 folded, then a convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.conv = nn.Conv2d(4 * inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        bottom, right = x.shape[2] % 2, x.shape[3] % 2
        return self.conv(self.fold(F.pad(x, (0, right, 0, bottom)) if bottom or right else x))


class Double(nn.Module):
    """``[B, inputs, h, w]`` to ``[B, outputs, H, W]`` of ``size`` (H, W), 2h x 2w or a row or column less."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], kernel: int = 1) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(inputs, 4 * outputs, kernel, padding=kernel // 2)
        self.unfold = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.unfold(self.conv(x))[:, :, : self.size[0], : self.size[1]]


class Shape:
    """Resolutions and features of the stages, finest first.

    Attributes:
        image: ``(C, H, W)``.
        widths: features of each stage.
        sizes: ``(H, W)`` of each stage.
        coarsest: ``(features, H, W)`` of the last.
        flat: width of the dense layers there.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        channels, rows, columns = shape
        self.image = (channels, rows, columns)
        stages = halvings(rows, columns)
        self.widths = [min(2**stage, WIDEST) * width for stage in range(stages)]
        self.sizes: list[tuple[int, int]] = []
        for _ in range(stages):
            rows, columns = -(-rows // 2), -(-columns // 2)
            self.sizes.append((rows, columns))
        self.coarsest = (self.widths[-1], rows, columns)
        self.flat = 8 * width


def residuals(channels: int, blocks: int) -> list[nn.Module]:
    return [Residual(channels) for _ in range(blocks)]


def class_features(classes: int, features: int) -> nn.Embedding:
    """A learnt vector for each class, at first about as large as what a dense layer adds to it."""
    embedding = nn.Embedding(classes, features)
    nn.init.normal_(embedding.weight, std=0.5)
    return embedding


class Dense(nn.Module):
    """``[B, inputs]``, and labels where there are ``classes``, to ``[B, outputs]``, through ``flat`` features."""

    def __init__(self, inputs: int, flat: int, outputs: int, dropout: float, classes: int | None) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, flat)
        self.of_class = None if classes is None else class_features(classes, flat)
        self.leave = nn.Sequential(
            DenseResidual(flat, dropout),
            nn.LayerNorm(flat),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(flat, outputs),
        )

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.enter(x)
        if self.of_class is not None:
            x = x + self.of_class(labels)
        return self.leave(x)


class Encoder(nn.Module):
    """Images as numbers, ``[B, C, H, W]``, to ``outputs`` numbers each.

    Args:
        shape: ``(C, H, W)``.
        width: features of the finest stage.
        outputs: numbers an image.
        dropout: share of the flattened features that is dropped in training.
        blocks: residual blocks of each stage but the coarsest.
        classes: of labels, int64 ``[B]``, that it is given beside the image; None for an encoder without.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        outputs: int,
        dropout: float,
        blocks: int = 1,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        self.shape = Shape(shape, width)
        channels = [self.shape.image[0], *self.shape.widths]
        last = len(self.shape.widths) - 1
        self.stages = nn.ModuleList()
        for stage, (inputs, features) in enumerate(itertools.pairwise(channels)):
            kernel = 3 if stage == 0 else 1  # the image has few channels: there a larger kernel is cheap
            self.stages.append(
                nn.Sequential(Halve(inputs, features, kernel), *residuals(features, blocks if stage < last else 0))
            )
        self.dense = Dense(math.prod(self.shape.coarsest), self.shape.flat, outputs, dropout, classes)

    def features(self, x: Tensor) -> list[Tensor]:
        """Of each stage, finest first, ``[B, widths[i], *sizes[i]]``."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, outputs]``."""
        return self.dense(self.features(x)[-1].flatten(1), labels)


class Decoder(nn.Module):
    """Codes ``[B, latent]`` to ``size`` numbers for each dimension of an image; options as of :class:`Encoder`."""

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        latent: int,
        size: int,
        dropout: float,
        blocks: int = 1,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        self.shape = Shape(shape, width)
        self.dense = Dense(latent, self.shape.flat, math.prod(self.shape.coarsest), dropout, classes)
        widths = self.shape.widths
        stages: list[nn.Module] = []
        for stage in reversed(range(len(widths) - 1)):
            stages.append(Double(widths[stage + 1], widths[stage], self.shape.sizes[stage]))
            stages += residuals(widths[stage], blocks)
        self.stages = nn.Sequential(*stages)
        self.pixels = Pixels(self.shape, size)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``[B, size, C, H, W]``."""
        return self.pixels(self.stages(self.dense(z, labels).unflatten(1, self.shape.coarsest)))


class Pixels(nn.Module):
    """Features of the finest stage to ``size`` numbers for each dimension of an image, at first near zero."""

    def __init__(self, shape: Shape, size: int) -> None:
        super().__init__()
        channels, rows, columns = shape.image
        self.channels = channels
        self.grow = Double(shape.widths[0], size * channels, (rows, columns), kernel=3)
        with torch.no_grad():
            self.grow.conv.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, size, C, H, W]`` of ``[B, widths[0], *sizes[0]]``."""
        return self.grow(F.silu(x)).unflatten(1, (-1, self.channels))
