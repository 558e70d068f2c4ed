"""``class-marginals``: naive Bayes, a distribution for each pixel of each class, estimated by counting."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_baselines.config import MarginalsConfig
from genbench_blocks.labels import required_labels


class ClassMarginals:
    """Categorical pixels, independent given the class: P(x | y) = prod_d P_d(x_d | y).

    As :class:`genbench_baselines.marginals.Marginals`, with one table of counts a class. A class without any
    example has uniform pixels.
    """

    def __init__(self, config: MarginalsConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("class-marginals counts per class, and the data carry no labels")
        self.config = config
        self.data = data
        self.device = device
        self.counts = torch.zeros(data.classes, data.dims, data.levels, dtype=torch.int64)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Count the values of uint8 ``[B, *shape]`` at each pixel, for the class in int64 ``[B]``."""
        assert batch.labels is not None, "data with classes come with labels"
        x = batch.x.cpu().flatten(1).long()  # [B, D]
        rows = batch.labels.cpu()[:, None] * self.data.dims + torch.arange(self.data.dims)  # [B, D]
        cells = rows * self.data.levels + x  # [B, D]
        self.counts += torch.bincount(cells.flatten(), minlength=self.counts.numel()).view_as(self.counts)
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, *shape]`` of the classes in int64 ``[n]``."""
        labels = required_labels(labels, n, "class-marginals").cpu()
        cumulative = self.log_probs().exp().cumsum(dim=2)  # [classes, D, levels]
        uniform = torch.rand(n, self.data.dims, dtype=torch.float64)
        values = torch.empty(n, self.data.dims, dtype=torch.int64)
        for label in labels.unique():  # a class at a time: one table then serves all its examples
            chosen = labels == label
            values[chosen] = torch.searchsorted(cumulative[label], uniform[chosen].T.contiguous(), right=True).T
        values = values.clamp(max=self.data.levels - 1)  # the last sum can fall short of 1 by rounding
        return values.reshape(n, *self.data.shape).to(self.device, torch.uint8)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x | y) in nats, float64 ``[B]``, of uint8 ``[B, *shape]`` and int64 ``[B]``."""
        labels = required_labels(labels, len(x), "class-marginals").cpu()
        values = x.cpu().flatten(1).long()  # [B, D]
        pixels = torch.arange(self.data.dims)  # [D]
        return self.log_probs()[labels[:, None], pixels, values].sum(dim=1).to(self.device)

    def log_probs(self) -> Tensor:
        """log P_d(v | y) of each class y, pixel d and value v, float64 ``[classes, D, levels]``."""
        smoothed = self.counts + self.config.pseudo_count
        return (smoothed.double() / smoothed.double().sum(dim=2, keepdim=True)).log()

    def state_dict(self) -> dict[str, Tensor]:
        return {"counts": self.counts.clone()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Raises ValueError for counts of another shape of data."""
        if state["counts"].shape != self.counts.shape:
            raise ValueError(f"counts of shape {tuple(state['counts'].shape)}, not {tuple(self.counts.shape)}")
        self.counts = state["counts"].clone()
