"""``train-copy``: keeps the training examples and hands them out again.

No model can be told from the data better than the data themselves, so this row is the floor of each metric at
its n; and it shows which metrics reward memorising, since it does nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_baselines.config import TrainCopyConfig


class TrainCopy:
    """The empirical distribution of the training data, drawn from without replacement."""

    def __init__(self, config: TrainCopyConfig, data: DataSpec, device: torch.device) -> None:
        self.data = data
        self.device = device
        self.kept: list[Tensor] = []  # uint8 [B, *shape] each, on the CPU

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Keep uint8 ``[B, *shape]``."""
        self.kept.append(batch.x.detach().to("cpu", copy=True))
        return {}

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """uint8 ``[n, *shape]``: ``n`` of the N stored examples in random order, none twice while n <= N.

        Beyond N whole permutations follow one another, so that no example is drawn twice more than another.

        Raises:
            RuntimeError: if no example is stored yet.
        """
        examples = self.examples()
        if len(examples) == 0:
            raise RuntimeError("train-copy has seen no training example yet, so it has nothing to hand out")
        rounds = -(-n // len(examples))
        order = torch.cat([torch.randperm(len(examples)) for _ in range(rounds)])[:n]  # [n]
        return examples[order].to(self.device)

    def examples(self) -> Tensor:
        """All that is stored, uint8 ``[N, *shape]``."""
        return torch.cat([torch.empty(0, *self.data.shape, dtype=torch.uint8), *self.kept])

    def state_dict(self) -> dict[str, Tensor]:
        return {"examples": self.examples()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Raises ValueError for examples of another shape."""
        examples = state["examples"]
        if tuple(examples.shape[1:]) != self.data.shape:
            raise ValueError(f"examples of shape {tuple(examples.shape[1:])}, not {self.data.shape}")
        self.kept = [examples.clone()]
