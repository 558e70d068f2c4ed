"""A walk over images with the network of ``pixelcnn`` that computes nothing twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from genbench_autoregressive.layers import CausalNet, GatedBlock, GroupedConv, gate


class RowCache:
    """Walks over images in raster order.

    The vertical stack is computed a row at a time, the horizontal one a value at a time; of both only the rows and
    columns that later ones read are kept. All logits of an image then cost about one forward pass, where computing
    whole images for each value costs H W C of them (Ramachandran et al. 2017, Fast Generation for Convolutional
    Autoregressive Models, arXiv:1704.06001). A pixel's features are a matrix ``[n, features]``: its convolutions are
    matrix products, in images of several channels with the rows of one channel's part at a time.

    Use: for each row ``start_row``; for each column ``start_column``, then ``logits`` once for each channel, in order,
    with the pixel's earlier channels filled in.
    """

    def __init__(self, net: CausalNet, x: Tensor, labels: Tensor | None = None) -> None:
        """``x``: uint8 ``[n, C, H, W]``; read as the walk proceeds, so the caller may fill it in on the way.
        ``labels``: int64 ``[n]`` of a network that takes them."""
        self.net, self.x = net, x
        n, groups, _, width = x.shape
        like = net.position
        self.blocks = [_BlockCache(block, n, width, like) for block in net.blocks]
        self.added = net.added(labels)
        self.nothing_above = like.new_zeros(n, groups, 1, width)
        self.hidden, self.out = _Parts(net.hidden, n, like), _Parts(net.logits, n, like)

    def start_row(self, row: int) -> None:
        """Compute the vertical stack of a row, given all rows above."""
        self.row = row
        v = self.net.encode(self.x[:, :, row - 1 : row]) if row else self.nothing_above
        for index, (cache, (vertical, horizontal)) in enumerate(zip(self.blocks, self.added, strict=True)):
            here = vertical[..., row : row + 1, :] if index == 0 else vertical  # the first has the map of positions
            v = cache.start_row(v, here, horizontal)

    def start_column(self, column: int) -> None:
        """Move on to a column of the row, the pixel to its left being complete."""
        if column:
            # Features never depend on their pixel's last channel, so theirs were final when it was drawn; only the
            # image itself has changed since.
            self.blocks[0].horizontal.inputs[:, -1] = self.net.encode(self.x[:, :, self.row, column - 1])
        self.column = column
        for cache in self.blocks:
            cache.start_column(column)

    def logits(self, channel: int) -> Tensor:
        """Logits ``[n, levels]`` of a channel of the pixel, given the channels before it."""
        if channel:
            seen = self.net.encode(self.x[:, channel - 1, self.row, self.column])
            self.blocks[0].horizontal.inputs[:, -1, channel - 1] = seen
        h = self.blocks[0].value(channel, None)
        for cache in self.blocks[1:]:
            h = cache.value(channel, h)
        position = self.net.hidden_position[:, self.row, self.column][self.hidden.outputs(channel)]
        hidden = F.relu(self.hidden(channel, F.relu(h)) + position)
        return self.out(channel, hidden)


class _BlockCache:
    """The walk over one gated block."""

    def __init__(self, block: GatedBlock, n: int, width: int, like: Tensor) -> None:
        self.block = block
        self.rows = like.new_zeros(n, block.vertical.in_channels, block.rows, width)
        self.horizontal, self.out = _Parts(block.horizontal, n, like), _Parts(block.out, n, like)

    def start_row(self, v: Tensor, added: Tensor | float, added_to_horizontal: Tensor | float) -> Tensor:
        """The vertical stack's next row ``[n, channels, 1, W]`` of its input's ``[n, v_inputs, 1, W]``."""
        self.rows = torch.cat([self.rows[:, :, 1:], v], dim=2)  # the last `rows` rows of input
        v, message = self.block.vertical_rows(self.rows, added)
        self.messages = (message + added_to_horizontal).squeeze(2).permute(2, 0, 1).contiguous()  # [W, n, 2 channels]
        self.horizontal.clear()
        return v

    def start_column(self, column: int) -> None:
        self.message = self.messages[column]
        self.horizontal.shift()

    def value(self, part: int, h: Tensor | None) -> Tensor:
        """A part of the horizontal stack's features ``[n, channels / groups]``, of the same part of its input; None
        for the first block, which does not see it."""
        features = self.horizontal(part, h) + self.message[:, self.horizontal.outputs(part)]
        out = self.out(part, gate(features, 1))
        return out if h is None else h + out


class _Parts:
    """A grouped convolution of one pixel, a part of its outputs at a time.

    Attributes:
        inputs: the pixel's features and those of the columns to its left, ``[n, width, features]``, 0 where they are
            not yet known; the mask hides nothing but these.
    """

    def __init__(self, convolution: GroupedConv, n: int, like: Tensor) -> None:
        groups, width = convolution.groups_of_image, convolution.kernel_size[1]
        self.each_in = convolution.in_channels // groups
        self.each_out = convolution.out_channels // groups
        weight = convolution.masked_weight()[:, :, 0].permute(2, 1, 0).flatten(0, 1)  # [width * inputs, outputs]
        self.weights = [each.contiguous() for each in weight.split(self.each_out, dim=1)]
        self.biases = convolution.bias.split(self.each_out)
        self.zeros = like.new_zeros(n, width, convolution.in_channels)
        self.inputs = self.zeros.clone()

    def clear(self) -> None:
        """At the start of a row: nothing is to the left."""
        self.inputs = self.zeros.clone()

    def shift(self) -> None:
        """At the start of a column: what was the pixel is to the left of it."""
        self.inputs = torch.cat([self.inputs[:, 1:], self.zeros[:, :1]], dim=1)

    def outputs(self, part: int) -> slice:
        """The features of the output that belong to a part."""
        return slice(part * self.each_out, (part + 1) * self.each_out)

    def __call__(self, part: int, x: Tensor | None) -> Tensor:
        """A part of the output, ``[n, outputs / groups]``; ``x``: the same part of the pixel's input, or None."""
        if x is not None:
            self.inputs[:, -1, part * self.each_in : (part + 1) * self.each_in] = x
        return torch.addmm(self.biases[part], self.inputs.flatten(1), self.weights[part])
