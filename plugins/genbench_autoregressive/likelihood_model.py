"""What the autoregressive networks share: maximum likelihood, Polyak averaging, the state, and likelihoods in parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_autoregressive.mixture import PixelMixture
from genbench_blocks.averaged import AveragedModel, Settings
from genbench_blocks.likelihoods import Categorical, DiscretisedLogistics

EVAL_BYTES = 1 << 28
"""Activations that ``log_prob`` and ``sample`` hold at once, about; more examples are taken in turn."""


Place = tuple[int | slice, int, int] | tuple[int]
"""Where in ``[C, H, W]``: one channel of a pixel or all of them, a row and a column. Where in ``[L]``: a letter."""


class LikelihoodModel(AveragedModel, ABC):
    """A model whose network gives log P(x), trained by maximum likelihood; its samples and likelihood come from the
    Polyak average of the weights.

    Args:
        net: on its device.
        output: the distribution whose parameters the network gives.
        data: what an example is.
        settings, beta2: of :class:`genbench_blocks.averaged.AveragedModel`; the loss is in nats per dimension.
        held: numbers that a full pass of the network holds at once for an example, about.
        walked: numbers that a walk holds at once for an example, about: what its cache keeps, and a step.
        conditional: whether the network takes labels; they are left out otherwise.
    """

    def __init__(
        self,
        net: nn.Module,
        output: Categorical | DiscretisedLogistics | PixelMixture,
        data: DataSpec,
        settings: Settings,
        *,
        held: int,
        walked: int,
        conditional: bool = False,
        beta2: float = 0.99,
    ) -> None:
        super().__init__(net, settings, beta2)
        self.output, self.data, self.conditional = output, data, conditional
        self.held, self.walked = held, walked

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
        self.descend(nats / self.data.dims, progress, len(batch.x))
        return {"nats": nats.detach()}

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, C, H, W]``, drawn value by value; ``labels`` int64 ``[n]`` of a conditional model."""
        device = next(self.net.parameters()).device
        x = torch.zeros(n, *self.data.shape, dtype=torch.uint8, device=device)
        for part, wanted in self._parts(x, labels, self.walked):
            for place, parameters in self.walk(self.ema.average, part, wanted):
                part[(slice(None), *place)] = self.output.sample(parameters)
        return x

    @torch.no_grad()
    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x) in nats, float ``[B]``, of uint8 ``[B, C, H, W]``; log P(x | label) of a conditional model."""
        parts = self._parts(x, labels, self.held)
        return torch.cat([self._log_prob(self.ema.average, part, wanted) for part, wanted in parts])

    def _parts(self, x: Tensor, labels: Tensor | None, numbers: int) -> list[tuple[Tensor, Tensor | None]]:
        """Examples and their labels, as many at once as ``EVAL_BYTES`` are enough for, of ``numbers`` for each."""
        at_once = max(1, EVAL_BYTES // (4 * numbers))
        parts, labels = x.split(at_once), self._wanted(labels)
        return list(zip(parts, [None] * len(parts) if labels is None else labels.split(at_once), strict=True))

    def _wanted(self, labels: Tensor | None) -> Tensor | None:
        return labels if self.conditional else None
