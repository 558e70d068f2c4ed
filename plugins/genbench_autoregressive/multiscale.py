"""The causal network of ``pixelcnn-pp``: gated residual blocks at several resolutions.

Pixels are ordered by rows, then columns; the channels of a pixel are left to the output distribution (Salimans et al.
2017, PixelCNN++, arXiv:1701.05517, section 2.2). Two streams run side by side: at a pixel the vertical one knows all
rows above, the horizontal one also what lies to the left in the row. At half the resolution position (i, j) stands for
pixel (2 i, 2 j): it knows what that pixel knows, and may be used by all four pixels of its square, which come later or
are that pixel itself.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench_blocks.pixels import to_unit


def gate(x: Tensor) -> Tensor:
    """A half of the features times the sigmoid of the other: ``[B, 2 C, ...]`` to ``[B, C, ...]``."""
    return F.glu(x, dim=1)


class ResidualBlock(nn.Module):
    """One gated residual block of both streams.

    A stream's update is gate(1x1(silu(spatial(silu(x)) + 1x1(the other stream)))), where only the horizontal stream
    hears the other, and only it of the vertical one.

    Args:
        channels: features of each stream.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(channels, channels, (2, 3), padding=(0, 1))
        self.vertical_out = nn.Conv2d(channels, 2 * channels, 1)
        self.message = nn.Conv2d(channels, channels, 1)
        self.horizontal = nn.Conv2d(channels, channels, (1, 2), bias=False)  # the message has the bias
        self.horizontal_out = nn.Conv2d(channels, 2 * channels, 1)

    def vertical_rows(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """The vertical stream's output and its message to the horizontal one, ``[B, channels, R, W]`` each.

        Args:
            v: ``[B, channels, R + 1, W]``: R rows, after the one above them.
        """
        features = self.vertical(F.silu(v))
        v = v[:, :, 1:] + gate(self.vertical_out(F.silu(features)))
        return v, self.message(v)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams over whole images, ``[B, channels, H, W]`` each."""
        v, message = self.vertical_rows(F.pad(v, (0, 0, 1, 0)))
        features = self.horizontal(F.pad(F.silu(h), (1, 0))) + message
        return v, h + gate(self.horizontal_out(F.silu(features)))


class Scale(nn.Module):
    """The blocks of one resolution, and between them the network of half of it, whose output is added.

    Args:
        channels: features of each stream at each resolution, this one first.
        blocks: on either side of the lower resolutions; at the lowest one twice as many follow each other.
    """

    def __init__(self, channels: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        here = channels[0]
        self.before = nn.ModuleList(ResidualBlock(here) for _ in range(blocks))
        self.after = nn.ModuleList(ResidualBlock(here) for _ in range(blocks))
        self.lower = None
        if len(channels) > 1:
            below = channels[1]
            # Row 2 i of the vertical stream and the one above it; column 2 j of the horizontal one and that to its
            # left. The horizontal stream of row 2 i - 1 tells nothing that the vertical one does not.
            self.vertical_down = nn.Conv2d(here, below, (2, 3), stride=2, padding=(0, 1))
            self.horizontal_down = nn.Conv2d(here, below, (1, 2), stride=2)
            self.lower = Scale(channels[1:], blocks)
            self.vertical_up = nn.ConvTranspose2d(below, here, 2, stride=2)
            self.horizontal_up = nn.ConvTranspose2d(below, here, 2, stride=2)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Both streams, ``[B, channels[0], H, W]`` each."""
        for block in self.before:
            v, h = block(v, h)
        if self.lower is not None:
            height, width = v.shape[2:]
            below = self.lower(
                self.vertical_down(F.pad(v, (0, 0, 1, 0))), self.horizontal_down(F.pad(h, (1, 0)))
            )  # of ceil(H / 2) x ceil(W / 2)
            v = v + self.vertical_up(below[0])[:, :, :height, :width]
            h = h + self.horizontal_up(below[1])[:, :, :height, :width]
        for block in self.after:
            v, h = block(v, h)
        return v, h


class MultiscaleNet(nn.Module):
    """Parameters of every pixel's distribution given all earlier pixels.

    Besides the paper's layers there are learnt maps of positions, added to the first features of both streams: where
    things are is half of what small centred images are about, and a convolution has no other way to know.

    Args:
        shape: ``(C, H, W)`` of the images.
        levels: number of values; they enter as numbers in [-1, 1].
        channels: features of each stream at each resolution, the full one first.
        blocks: residual blocks on either side of the lower resolutions, at each of them.
        outputs: parameters of a pixel's distribution.
    """

    KERNEL = (3, 7)  # rows above the pixel and columns about it that the first vertical layer reads
    WIDTH = 3  # columns to the left that the first horizontal layer reads

    def __init__(
        self, shape: tuple[int, int, int], levels: int, channels: tuple[int, ...], blocks: int, outputs: int
    ) -> None:
        super().__init__()
        pixel, height, width = shape
        self.shape, self.levels = shape, levels
        self.vertical = nn.Conv2d(pixel, channels[0], self.KERNEL, padding=(0, self.KERNEL[1] // 2))
        self.message = nn.Conv2d(channels[0], channels[0], 1)
        self.horizontal = nn.Conv2d(pixel, channels[0], (1, self.WIDTH), bias=False)
        self.vertical_position = nn.Parameter(torch.zeros(channels[0], height, width))
        self.horizontal_position = nn.Parameter(torch.zeros(channels[0], height, width))
        self.scale = Scale(channels, blocks)
        self.out = nn.Conv2d(channels[0], outputs, 1)

    def encode(self, x: Tensor) -> Tensor:
        """uint8 in ``0 .. levels - 1`` as numbers in [-1, 1], of the weights' type. Zero padding then reads as the
        middle of the range, which the maps of positions correct for."""
        return to_unit(x, self.levels).to(self.vertical_position.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Parameters ``[B, outputs, H, W]`` of uint8 ``[B, C, H, W]``."""
        image = self.encode(x)
        # Padded by a row more than the kernel asks for and cropped: the pixel's own row, or itself, is not seen.
        v = self.vertical(F.pad(image, (0, 0, self.KERNEL[0], 0))[:, :, :-1]) + self.vertical_position
        h = self.horizontal(F.pad(image, (self.WIDTH, 0))[..., :-1]) + self.message(v) + self.horizontal_position
        _, h = self.scale(v, h)
        return self.out(F.silu(h))
