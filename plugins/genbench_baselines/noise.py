"""``noise``: every image is as likely as any other. The far end of each column."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_baselines.config import NoiseConfig


class Noise:
    """The uniform distribution on {0, ..., levels - 1}^D, of log P(x) = -D log(levels)."""

    def __init__(self, config: NoiseConfig, data: DataSpec, device: torch.device) -> None:
        self.data = data
        self.device = device

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Nothing is learnt."""
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, *shape]``, uniform in ``0 .. levels - 1``."""
        return torch.randint(self.data.levels, (n, *self.data.shape), dtype=torch.uint8, device=self.device)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """-D log(levels) nats for each of uint8 ``[B, *shape]``: float64 ``[B]``."""
        return torch.full((len(x),), -self.data.dims * math.log(self.data.levels), dtype=torch.float64, device=x.device)

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """There is nothing to load."""
