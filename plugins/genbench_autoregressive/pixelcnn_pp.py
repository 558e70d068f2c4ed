"""``pixelcnn-pp``: PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517), with an exact likelihood."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench import DataSpec
from genbench_autoregressive.config import PixelCNNPPConfig
from genbench_autoregressive.likelihood_model import LikelihoodModel, Place
from genbench_autoregressive.mixture import PixelMixture
from genbench_autoregressive.multiscale import MultiscaleNet
from genbench_autoregressive.multiscale_walk import MultiscaleWalk


class PixelCNNPP(LikelihoodModel):
    """log P(x) = sum_i log P(x_i | x_1 ... x_{i-1}) over whole pixels in raster order, each a mixture of discretised
    logistics whose channels depend on each other linearly."""

    def __init__(self, config: PixelCNNPPConfig, data: DataSpec, device: torch.device) -> None:
        pixel, height, width = data.shape
        output = PixelMixture(data.levels, config.logistics, pixel)
        channels = tuple(config.channels + scale * config.widen for scale in range(config.scales))
        net = MultiscaleNet(data.shape, data.levels, channels, config.blocks, output.size)
        # At each resolution two rows for each of its blocks and for the step down and up, then what is computed of one.
        rows = sum((4 * config.blocks + 6) * -(-width // 2**scale) * each for scale, each in enumerate(channels))
        super().__init__(
            net.to(device),
            output,
            data,
            config,
            held=height * width * (8 * config.channels + 8 * output.size),
            walked=rows + 10 * width * channels[0] + 8 * output.size,
        )

    def outputs(self, net: MultiscaleNet, x: Tensor, labels: Tensor | None) -> Tensor:
        """Parameters of the mixtures, ``[B, output.size, H, W]``."""
        return net(x)

    def walk(self, net: MultiscaleNet, x: Tensor, labels: Tensor | None) -> Iterator[tuple[Place, Tensor]]:
        """The parameters are ``[n, output.size]``, of a whole pixel."""
        _, height, width = self.data.shape
        cache = MultiscaleWalk(net, x)
        for row in range(height):
            cache.start_row(row)
            for column in range(width):
                yield (slice(None), row, column), cache.parameters(column)
