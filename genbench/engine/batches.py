"""The order of the training data: a function of (seed, epoch, position), so a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from genbench.engine import rng
from genbench.model import Batch


class Batches:
    """Full batches from one permutation an epoch, running across the epochs' ends.

    The data lie in memory as uint8 on the model's device; a batch is one gather.

    Args:
        x: uint8 ``[N, *shape]``.
        labels: int64 ``[N]`` or None.
        batch_size: B; may exceed N.
        seed: the run's seed.
        stream: ``data`` for training, ``prepare`` for what a model is given before its evaluation.
        device: where batches are wanted.
    """

    def __init__(
        self,
        x: np.ndarray,
        labels: np.ndarray | None,
        batch_size: int,
        seed: int,
        device: torch.device,
        stream: rng.Stream = "data",
    ) -> None:
        self._x = torch.from_numpy(np.array(x)).to(device)  # [N, *shape], writable: a copy of a mapped file
        self._labels = None if labels is None else torch.from_numpy(np.array(labels)).to(device)  # [N]
        self._batch_size = batch_size
        self._seed = seed
        self._stream: rng.Stream = stream
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._x)

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        first, last = step * self._batch_size, (step + 1) * self._batch_size
        parts = []
        while first < last:
            epoch, offset = divmod(first, len(self))
            part = self._permutation(epoch)[offset : offset + last - first]
            parts.append(part)
            first += len(part)
        index = parts[0] if len(parts) == 1 else torch.cat(parts)
        return Batch(self._x[index], None if self._labels is None else self._labels[index])

    def first(self, examples: int) -> Iterator[Batch]:
        """Batches from the beginning, as many as hold at least ``examples``."""
        for step in range(-(-examples // self._batch_size)):
            yield self.at(step)

    def _permutation(self, epoch: int) -> torch.Tensor:
        if epoch != self._epoch:
            order = rng.generator(self._seed, self._stream, epoch).permutation(len(self))
            self._order = torch.from_numpy(order).to(self._x.device)
            self._epoch = epoch
        return self._order
