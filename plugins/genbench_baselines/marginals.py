"""``marginals``: each pixel has a distribution of its own, estimated by counting, and knows of no other pixel.

This is the model of the tutorial: the whole contract of :class:`genbench.model.Model` in one short class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_baselines.config import MarginalsConfig


class Marginals:
    """Independent categorical pixels: P(x) = prod_d P_d(x_d).

    The estimate of P_d(v) is (count of value v at pixel d + a) / (examples + a * levels) with a, the
    configuration's ``pseudo_count``, between maximum likelihood (0) and Laplace's rule (1).
    """

    def __init__(self, config: MarginalsConfig, data: DataSpec, device: torch.device) -> None:
        self.config = config
        self.data = data
        self.device = device
        # Everything that is learnt. It stays on the CPU: counting gains nothing from an accelerator.
        self.counts = torch.zeros(data.dims, data.levels, dtype=torch.int64)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Count the values of uint8 ``[B, *shape]`` at each pixel."""
        x = batch.x.cpu().flatten(1).long()  # [B, D]
        # Number the cells of the table row by row, so that one histogram counts all pixels at once.
        cells = torch.arange(self.data.dims) * self.data.levels + x  # [B, D]
        self.counts += torch.bincount(cells.flatten(), minlength=self.counts.numel()).view_as(self.counts)
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, *shape]``: the inverse of each pixel's cumulative distribution, at uniform draws."""
        cumulative = self.log_probs().exp().cumsum(dim=1)  # [D, levels]
        uniform = torch.rand(self.data.dims, n, dtype=torch.float64)
        values = torch.searchsorted(cumulative, uniform, right=True)  # [D, n]
        values = values.clamp(max=self.data.levels - 1)  # the last sum can fall short of 1 by rounding
        return values.T.reshape(n, *self.data.shape).to(self.device, torch.uint8)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x) in nats, float64 ``[B]``, of uint8 ``[B, *shape]``."""
        values = x.cpu().flatten(1).long()  # [B, D]
        pixels = torch.arange(self.data.dims)  # [D]
        return self.log_probs()[pixels, values].sum(dim=1).to(self.device)

    def log_probs(self) -> Tensor:
        """log P_d(v) of each pixel d and value v, float64 ``[D, levels]``."""
        smoothed = self.counts + self.config.pseudo_count
        return (smoothed.double() / smoothed.double().sum(dim=1, keepdim=True)).log()

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.counts.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Raises ValueError for counts of another shape of data."""
        if state["counts"].shape != self.counts.shape:
            raise ValueError(f"counts of shape {tuple(state['counts'].shape)}, not {tuple(self.counts.shape)}")
        self.counts = state["counts"].clone()
