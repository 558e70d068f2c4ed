"""The causal network of ``pixelcnn`` and ``cpixelcnn``: gated blocks of a vertical and a horizontal stack.

Pixels are ordered by rows, columns, then channels. At a pixel the vertical stack knows all rows above, the
horizontal stack what lies to the left in the row and, in images of several channels, the pixel's earlier channels
(van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328, section 2). Together
that is exactly all earlier pixels: there is no blind spot.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench_blocks.pixels import to_unit


class GroupedConv(nn.Conv2d):
    """A convolution over rows of features that belong to the image's channels in turn, masked at its last column.

    The features of input and output fall into ``groups`` consecutive parts, one for each channel of the image. The
    kernel is 1 x k and its last column is the pixel itself, where part g of the output sees only the parts before g
    (``strict``: mask A of the paper, for the image as input) or up to g (mask B, for features).
    """

    def __init__(self, inputs: int, outputs: int, width: int, groups: int, strict: bool = False) -> None:
        super().__init__(inputs, outputs, (1, width))
        self.groups_of_image = groups
        of_input = torch.arange(inputs) * groups // inputs  # the part that a feature belongs to
        of_output = torch.arange(outputs) * groups // outputs
        seen = of_input < of_output[:, None] if strict else of_input <= of_output[:, None]
        mask = torch.ones_like(self.weight)
        mask[:, :, 0, -1] = seen.float()
        self.is_masked = bool((mask == 0).any())
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W + width - 1]``, padded on the left by the caller, to ``[B, outputs, H, W]``."""
        return F.conv2d(x, self.masked_weight(), self.bias)

    def masked_weight(self) -> Tensor:
        """``[outputs, inputs, 1, width]``, 0 where the mask is."""
        return self.weight * self.mask if self.is_masked else self.weight


def gate(x: Tensor, groups: int) -> Tensor:
    """tanh of a half of the features times the sigmoid of the other (equation 2), ``[B, 2 p, H, W]`` to ``p``.

    The halves are taken within each of the ``groups`` parts, so that a part's gates are its own.
    """
    if groups == 1:
        value, opening = x.chunk(2, dim=1)
        return torch.tanh(value) * torch.sigmoid(opening)
    value, opening = x.unflatten(1, (groups, -1)).chunk(2, dim=2)  # [B, groups, p / groups, H, W] each
    return (torch.tanh(value) * torch.sigmoid(opening)).flatten(1, 2)


class GatedBlock(nn.Module):
    """One layer of both stacks (figure 2 of the paper).

    Args:
        v_inputs, h_inputs: features of the two stacks' inputs.
        channels: features of both outputs, a multiple of ``groups``.
        kernel: rows and columns that the vertical convolution reads: the row itself and ``rows - 1`` above, and as
            many columns on either side of the pixel; the columns must be odd.
        width: columns of the horizontal convolution: the pixel itself and those to its left.
        groups: channels of the image.
        first: whether the inputs are the image itself, of which the horizontal stack must not see the pixel and the
            vertical stack, whose input the caller shifts down by a row, must not see the row.
    """

    def __init__(
        self, v_inputs: int, h_inputs: int, channels: int, kernel: tuple[int, int], width: int, groups: int, first: bool
    ) -> None:
        super().__init__()
        self.groups = groups
        self.rows, self.side, self.left = kernel[0], kernel[1] // 2, width - 1
        self.first = first
        self.vertical = nn.Conv2d(v_inputs, 2 * channels, kernel, padding=(0, self.side))
        self.vertical_to_horizontal = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = GroupedConv(h_inputs, 2 * channels, width, groups, strict=first)
        self.out = GroupedConv(channels, channels, 1, groups)

    def vertical_rows(self, v: Tensor, position: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        """The vertical stack's output and its message to the horizontal one.

        Args:
            v: ``[B, v_inputs, R + rows - 1, W]``: R rows, after the ``rows - 1`` above them.
            position: added before the gate; it broadcasts with ``[B, 2 channels, R, W]``.

        Returns:
            ``[B, channels, R, W]`` and ``[B, 2 channels, R, W]``.
        """
        features = self.vertical(v) + position
        # The vertical stack lies wholly in earlier rows: there its features need no grouping by channel.
        return gate(features, 1), self.vertical_to_horizontal(features)

    def horizontal_columns(self, h: Tensor, message: Tensor) -> Tensor:
        """The horizontal stack's output ``[B, channels, R, W]``.

        Args:
            h: ``[B, h_inputs, R, W + width - 1]``: W columns, after the ``width - 1`` to their left.
            message: from the vertical stack, ``[B, 2 channels, R, W]``.
        """
        out = self.out(gate(self.horizontal(h) + message, self.groups))
        return out if self.first else h[..., self.left :] + out

    def forward(
        self, v: Tensor, h: Tensor, position: Tensor | float = 0.0, h_position: Tensor | float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Both stacks over whole images: ``[B, inputs, H, W]`` each to ``[B, channels, H, W]`` each.

        ``position`` and ``h_position`` are added before the gates of the vertical and the horizontal stack.
        """
        v, message = self.vertical_rows(F.pad(v, (0, 0, self.rows - 1, 0)), position)
        return v, self.horizontal_columns(F.pad(h, (self.left, 0)), message + h_position)


class CausalNet(nn.Module):
    """Logits of every pixel given all earlier ones.

    Besides the paper's layers there is a learnt map of positions, added to the first layer of the vertical stack and
    to the hidden layer of the output: where things are is half of what small centred images are about, and a
    convolution has no other way to know.

    Args:
        shape: ``(C, H, W)`` of the images.
        levels: number of values; they enter as numbers in [-1, 1].
        channels: features of each stack, a multiple of C.
        blocks: number of gated blocks.
        hidden: features of the output's hidden layer, a multiple of C.
        classes: number of classes, where the class of an image is given: it moves every gate of every block, by a
            vector of its own for each stack that is the same everywhere in the image (section 2.3). 0 for none.
    """

    FIRST_KERNEL, FIRST_WIDTH = (3, 7), 4
    KERNEL, WIDTH = (2, 3), 2

    def __init__(
        self, shape: tuple[int, int, int], levels: int, channels: int, blocks: int, hidden: int, classes: int = 0
    ) -> None:
        super().__init__()
        groups, height, width = shape
        self.shape, self.levels = shape, levels
        first = GatedBlock(groups, groups, channels, self.FIRST_KERNEL, self.FIRST_WIDTH, groups, first=True)
        later = [
            GatedBlock(channels, channels, channels, self.KERNEL, self.WIDTH, groups, first=False)
            for _ in range(blocks - 1)
        ]
        self.blocks = nn.ModuleList([first, *later])
        self.position = nn.Parameter(torch.zeros(2 * channels, height, width))
        self.hidden = GroupedConv(channels, hidden, 1, groups)
        self.hidden_position = nn.Parameter(torch.zeros(hidden, height, width))
        self.logits = GroupedConv(hidden, groups * levels, 1, groups)
        self.classes = classes
        if classes:
            self.of_class = nn.Linear(classes, blocks * 2 * 2 * channels, bias=False)
            # Not from zero, where the classes would be told apart only after some training.
            nn.init.normal_(self.of_class.weight, std=0.1)

    def encode(self, x: Tensor) -> Tensor:
        """uint8 in ``0 .. levels - 1`` as numbers in [-1, 1], of the weights' type. Zero padding then reads as the
        middle of the range, which the map of positions corrects for."""
        return to_unit(x, self.levels).to(self.position.dtype)

    def added(self, labels: Tensor | None) -> list[tuple[Tensor | float, Tensor | float]]:
        """What is added before the gates of each block's vertical and horizontal stack, by class and position.

        Args:
            labels: int64 ``[B]`` where there are classes, else None.

        Returns:
            For each block two tensors that broadcast with ``[B, 2 channels, H, W]``, or 0.
        """
        if self.classes:
            # A product with one-hot vectors: as the matrix of a dense layer it is under weight decay.
            one_hot = (labels[:, None] == torch.arange(self.classes, device=labels.device)).to(self.position.dtype)
            moves = self.of_class(one_hot).unflatten(1, (len(self.blocks), 2, -1, 1, 1)).unbind(1)
            added = [move.unbind(1) for move in moves]  # [B, 2 channels, 1, 1] each
        else:
            added = [(0.0, 0.0)] * len(self.blocks)
        vertical, horizontal = added[0]
        return [(self.position + vertical, horizontal), *added[1:]]

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits ``[B, levels, C, H, W]`` of uint8 ``[B, C, H, W]``; ``labels`` int64 ``[B]`` if it has classes."""
        image = self.encode(x)
        v, h = F.pad(image, (0, 0, 1, 0))[:, :, :-1], image  # the vertical stack starts a row higher
        for block, added in zip(self.blocks, self.added(labels), strict=True):
            v, h = block(v, h, *added)
        return self.head(h, self.hidden_position)

    def head(self, h: Tensor, position: Tensor) -> Tensor:
        """Logits ``[B, levels, C, R, W]`` of the last features ``[B, channels, R, W]``."""
        hidden = F.relu(self.hidden(F.relu(h)) + position)
        return self.logits(hidden).unflatten(1, (self.shape[0], self.levels)).transpose(1, 2)
