"""``pixelcnn`` and ``cpixelcnn``: Gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328), an exact likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from genbench import DataSpec
from genbench_autoregressive.config import PixelCNNConfig
from genbench_autoregressive.layers import CausalNet
from genbench_autoregressive.likelihood_model import LikelihoodModel, Place
from genbench_autoregressive.row_cache import RowCache
from genbench_blocks.likelihoods import Categorical


class PixelCNN(LikelihoodModel):
    """log P(x) = sum_i log P(x_i | x_1 ... x_{i-1}) over pixels in raster order, each a categorical of all levels."""

    takes_labels = False

    def __init__(self, config: PixelCNNConfig, data: DataSpec, device: torch.device) -> None:
        groups = data.shape[0]
        channels, hidden = (groups * -(-wanted // groups) for wanted in (config.channels, config.hidden))
        classes = (data.classes or 0) if self.takes_labels else 0
        # Of each block its last rows of input and a row of messages, then what one block computes of a row.
        walked = data.shape[2] * channels * (4 * config.blocks + 12) + 20 * config.blocks * channels
        if self.takes_labels:
            walked += 2 * channels * math.prod(data.shape[1:])  # the map of positions with an image's class added
        net = CausalNet(data.shape, data.levels, channels, config.blocks, hidden, classes)
        super().__init__(
            net.to(device),
            Categorical(data.levels),
            data,
            config,
            held=data.dims * (2 * data.levels + 12 * channels),  # logits twice, and the features of a block
            walked=walked + 8 * data.levels,
            conditional=self.takes_labels,
        )

    def outputs(self, net: CausalNet, x: Tensor, labels: Tensor | None) -> Tensor:
        """Logits ``[B, levels, C, H, W]``."""
        return net(x, labels)

    def walk(self, net: CausalNet, x: Tensor, labels: Tensor | None) -> Iterator[tuple[Place, Tensor]]:
        """The logits are ``[n, levels]``, of one channel of a pixel."""
        channels, height, width = self.data.shape
        cache = RowCache(net, x, labels)
        for row in range(height):
            cache.start_row(row)
            for column in range(width):
                cache.start_column(column)
                for channel in range(channels):
                    yield (channel, row, column), cache.logits(channel)


class ConditionalPixelCNN(PixelCNN):
    """The same given an example's class, which enters every gate (section 2.3 of the paper, equation 4)."""

    takes_labels = True
