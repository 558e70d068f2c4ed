"""A walk over images with the network of ``pixelcnn-pp`` that computes nothing twice.

The vertical stream is computed a row at a time, the horizontal one a pixel at a time; of both only what later rows and
columns read is kept, at each resolution by itself: a row of half the resolution is due at every second row, a pixel of
it at every second pixel of such a row. All of an image then costs about one pass over it, where naive sampling needs
a pass for each pixel (Ramachandran et al. 2017, Fast Generation for Convolutional Autoregressive Models,
arXiv:1704.06001). A pixel's features are a matrix ``[n, C]``: its convolutions are matrix products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench_autoregressive.multiscale import MultiscaleNet, ResidualBlock, Scale, gate


class MultiscaleWalk:
    """Parameters of one pixel after another, each given all before.

    Use: for each row ``start_row``; for each column ``parameters``, after which the caller fills in the pixel.
    """

    def __init__(self, net: MultiscaleNet, x: Tensor) -> None:
        """``x``: uint8 ``[n, C, H, W]``; read as the walk proceeds, so the caller may fill it in on the way."""
        self.net, self.x = net, x
        n, pixel, _, width = x.shape
        like = net.vertical.weight
        self.scale = _ScaleWalk(net.scale, n, width, like)
        self.left_weight = net.horizontal.weight.flatten(1).t()  # [C * WIDTH, features]
        self.out_weight = net.out.weight.flatten(1).t()
        self.above = like.new_zeros(n, pixel, net.KERNEL[0], width)  # the rows above, encoded
        self.no_columns = like.new_zeros(n, pixel, net.WIDTH)

    def start_row(self, row: int) -> None:
        """Compute the vertical stream of a row, all rows above being complete."""
        self.row = row
        if row:
            self.above = torch.cat([self.above[:, :, 1:], self.net.encode(self.x[:, :, row - 1 : row])], dim=2)
        here = slice(row, row + 1)
        v = self.net.vertical(self.above) + self.net.vertical_position[:, here]  # [n, features, 1, W]
        self.messages = _by_column(self.net.message(v) + self.net.horizontal_position[:, here])
        self.columns = self.no_columns
        self.scale.vertical(row, v)

    def parameters(self, column: int) -> Tensor:
        """``[n, outputs]``, of the pixel at a column of the row, the pixels to its left being complete."""
        if column:
            drawn = self.net.encode(self.x[:, :, self.row, column - 1])  # [n, C]
            self.columns = torch.cat([self.columns[..., 1:], drawn.unsqueeze(2)], dim=2)
        h = torch.addmm(self.messages[column], self.columns.flatten(1), self.left_weight)
        h = self.scale.horizontal(self.row, column, h)
        return torch.addmm(self.net.out.bias, F.silu(h), self.out_weight)


class _ScaleWalk:
    """The walk over one resolution and those below it."""

    def __init__(self, scale: Scale, n: int, width: int, like: Tensor) -> None:
        self.scale, self.width = scale, width
        self.before = [_BlockWalk(block, n, width, like) for block in scale.before]
        self.after = [_BlockWalk(block, n, width, like) for block in scale.after]
        self.lower = None
        if scale.lower is not None:
            channels = scale.vertical_down.in_channels
            self.lower = _ScaleWalk(scale.lower, n, -(-width // 2), like)
            self.above = like.new_zeros(n, channels, 1, width)
            self.no_left = like.new_zeros(n, channels)
            self.down_weight = _columns_weight(scale.horizontal_down)
            # A square's four pixels come from one of half the resolution, each by a matrix of its own.
            self.up_weight = scale.horizontal_up.weight.permute(0, 2, 3, 1).flatten(1)  # [below, 2 * 2 * here]
            self.up_bias = scale.horizontal_up.bias.repeat(4)
            self.squares: list[Tensor] = []

    def vertical(self, row: int, v: Tensor) -> Tensor:
        """The vertical stream of a row, ``[n, C, 1, W]`` to the same; messages to the horizontal one are kept."""
        for block in self.before:
            v = block.vertical(v)
        if self.lower is not None:
            if row % 2 == 0:
                below = self.lower.vertical(row // 2, self.scale.vertical_down(torch.cat([self.above, v], dim=2)))
                self.two_rows = self.scale.vertical_up(below)[..., : self.width]
                self.squares = []
            self.above = v
            self.left = self.no_left
            v = v + self.two_rows[:, :, row % 2 : row % 2 + 1]
        for block in self.after:
            v = block.vertical(v)
        return v

    def horizontal(self, row: int, column: int, h: Tensor) -> Tensor:
        """The horizontal stream of a pixel, ``[n, C]`` to the same."""
        for block in self.before:
            h = block.horizontal(column, h)
        if self.lower is not None:
            if row % 2 == 0 and column % 2 == 0:
                below = torch.cat([self.left, h], dim=1) @ self.down_weight + self.scale.horizontal_down.bias
                below = self.lower.horizontal(row // 2, column // 2, below)
                self.squares.append(torch.addmm(self.up_bias, below, self.up_weight).unflatten(1, (2, 2, -1)))
            self.left = h
            h = h + self.squares[column // 2][:, row % 2, column % 2]
        for block in self.after:
            h = block.horizontal(column, h)
        return h


class _BlockWalk:
    """The walk over one residual block."""

    def __init__(self, block: ResidualBlock, n: int, width: int, like: Tensor) -> None:
        self.block = block
        channels = block.vertical.in_channels
        self.above = like.new_zeros(n, channels, 1, width)
        self.no_left = like.new_zeros(n, channels)
        self.weight = _columns_weight(block.horizontal)
        self.out_weight = block.horizontal_out.weight.flatten(1).t()

    def vertical(self, v: Tensor) -> Tensor:
        rows = torch.cat([self.above, v], dim=2)
        self.above = v
        v, message = self.block.vertical_rows(rows)
        self.messages = _by_column(message)
        self.left = self.no_left
        return v

    def horizontal(self, column: int, h: Tensor) -> Tensor:
        active = F.silu(h)
        features = torch.addmm(self.messages[column], torch.cat([self.left, active], dim=1), self.weight)
        self.left = active
        return h + gate(torch.addmm(self.block.horizontal_out.bias, F.silu(features), self.out_weight))


def _columns_weight(convolution: nn.Conv2d) -> Tensor:
    """``[2 inputs, outputs]`` of a 1 x 2 convolution: the inputs of the left column, then those of the right."""
    return convolution.weight[:, :, 0].permute(2, 1, 0).flatten(0, 1)


def _by_column(row: Tensor) -> Tensor:
    """``[n, C, 1, W]`` as ``[W, n, C]``."""
    return row.squeeze(2).permute(2, 0, 1).contiguous()
