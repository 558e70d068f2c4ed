"""What the autoregressive networks share: maximum likelihood, Polyak averaging, the state, and likelihoods in parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_autoregressive.mixture import PixelMixture
from genbench_blocks.descent import Descent
from genbench_blocks.ema import EMA
from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics

EVAL_BYTES = 1 << 28
"""Activations that ``log_prob`` and ``sample`` hold at once, about; more examples are taken in turn."""


Place = tuple[int | slice, int, int] | tuple[int]
"""Where in ``[C, H, W]``: one channel of a pixel or all of them, a row and a column. Where in ``[L]``: a letter."""


class LikelihoodModel(ABC):
    """A model whose network gives log P(x), trained by maximum likelihood; its samples and likelihood come from the
    Polyak average of the weights.

    Args:
        net: on its device.
        output: the distribution whose parameters the network gives.
        data: what an example is.
        lr, weight_decay, clip, beta2: of :class:`genbench_blocks.descent.Descent`, on the nats per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far.
        held: numbers that a pass of the network holds at once for an example, about.
        conditional: whether the network takes labels; they are left out otherwise.
    """

    def __init__(
        self,
        net: nn.Module,
        output: Categorical | DiscretisedLogistics | PixelMixture,
        data: DataSpec,
        *,
        lr: float,
        weight_decay: float,
        clip: float,
        ema_half_life: float,
        held: int,
        conditional: bool = False,
        beta2: float = 0.99,
    ) -> None:
        self.net, self.output, self.data, self.conditional = net, output, data, conditional
        self.ema = EMA(net, rampup=ema_half_life)
        self.descent = Descent(net, lr, weight_decay, clip, beta2)
        self.held = held

    @abstractmethod
    def outputs(self, net: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
        """Parameters of ``output`` for all of uint8 ``[B, C, H, W]``, in one pass."""

    @abstractmethod
    def walk(self, net: nn.Module, x: Tensor, labels: Tensor | None) -> Iterator[tuple[Place, Tensor]]:
        """In raster order each place and the parameters of ``output`` there, from a cache.

        Args:
            net: as trained, or its average.
            x: uint8 ``[n, C, H, W]``; at each step the caller fills in ``x[:, *place]`` before it goes on.
            labels: int64 ``[n]`` of a conditional model, else None.
        """

    def _log_prob(self, net: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
        return self.output.log_prob(self.outputs(net, x, labels), x).flatten(1).sum(dim=1)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        nats = -self._log_prob(self.net, batch.x, self._wanted(batch.labels)).mean()
        self.descent.step(nats / self.data.dims, progress)
        self.ema.update(self.net, len(batch.x))
        return {"nats": nats.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``, drawn value by value; ``labels`` int64 ``[n]`` of a conditional model."""
        device = next(self.net.parameters()).device
        x = torch.zeros(n, *self.data.shape, dtype=torch.uint8, device=device)
        for part, wanted in self._parts(x, labels):
            for place, parameters in self.walk(self.ema.average, part, wanted):
                part[(slice(None), *place)] = self.output.sample(parameters)
        return x

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x) in nats, float ``[B]``, of uint8 ``[B, C, H, W]``; log P(x | label) of a conditional model."""
        return torch.cat([self._log_prob(self.ema.average, part, wanted) for part, wanted in self._parts(x, labels)])

    def _parts(self, x: Tensor, labels: Tensor | None) -> list[tuple[Tensor, Tensor | None]]:
        """Examples, as many at once as ``EVAL_BYTES`` are enough for, and their labels."""
        at_once = max(1, EVAL_BYTES // (4 * self.held))
        parts, labels = x.split(at_once), self._wanted(labels)
        return list(zip(parts, [None] * len(parts) if labels is None else labels.split(at_once), strict=True))

    def _wanted(self, labels: Tensor | None) -> Tensor | None:
        return labels if self.conditional else None

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
