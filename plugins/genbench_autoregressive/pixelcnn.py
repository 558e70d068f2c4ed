"""``pixelcnn``: Gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328), with an exact likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_autoregressive.config import PixelCNNConfig
from genbench_autoregressive.layers import CausalNet, RowCache
from genbench_blocks.descent import Descent
from genbench_blocks.ema import EMA
from genbench_blocks.likelihoods import Categorical

EVAL_BYTES = 1 << 28
"""Logits held at once by ``log_prob``; more examples are taken in turn."""


class PixelCNN:
    """log P(x) = sum_i log P(x_i | x_1 ... x_{i-1}) over pixels in raster order, each a categorical of all levels.

    Trained by maximum likelihood; samples and likelihood come from the Polyak average of the weights.
    """

    def __init__(self, config: PixelCNNConfig, data: DataSpec, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        groups = data.shape[0]
        channels, hidden = (groups * -(-wanted // groups) for wanted in (config.channels, config.hidden))
        self.output = Categorical(data.levels)
        self.net = CausalNet(data.shape, data.levels, channels, config.blocks, hidden).to(device)
        self.ema = EMA(self.net, rampup=config.ema_half_life)
        self.descent = Descent(self.net, config.lr, config.weight_decay, config.clip)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        nats = -self._log_prob(self.net, batch.x).mean()
        self.descent.step(nats / self.data.dims, progress)
        self.ema.update(self.net, len(batch.x))
        return {"nats": nats.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``, drawn value by value."""
        channels, height, width = self.data.shape
        x = torch.zeros(n, channels, height, width, dtype=torch.uint8, device=self.device)
        cache = RowCache(self.ema.average, x)
        for row in range(height):
            cache.start_row(row)
            for column in range(width):
                cache.start_column(column)
                for channel in range(channels):
                    x[:, channel, row, column] = self.output.sample(cache.logits()[:, :, channel])
        return x

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x) in nats, float ``[B]``, of uint8 ``[B, C, H, W]``."""
        each = max(1, EVAL_BYTES // (4 * self.data.dims * self.data.levels))
        return torch.cat([self._log_prob(self.ema.average, part) for part in x.split(each)])

    def _log_prob(self, net: nn.Module, x: Tensor) -> Tensor:
        return self.output.log_prob(net(x), x).flatten(1).sum(dim=1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": dict(self.net.state_dict()),
            "ema": self.ema.state_dict(),
            "optimizer": self.descent.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.descent.load_state_dict(state["optimizer"])
