"""Models of words that rule out what is not one: letters, then an end, then only padding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench import Batch, DataSpec

WORDS = DataSpec((6,), levels=5)


class Words:
    """Counts lengths and letters; the last level but one ends a word, the last fills it up.

    The loss is infinite on a batch with anything else in it, as that of a network with masked logits is.
    """

    def __init__(self, config: object, data: DataSpec, device: torch.device) -> None:
        self.data, self.end, self.pad = data, data.levels - 2, data.levels - 1
        self.letters = torch.ones(self.end)
        self.lengths = torch.ones(data.dims - 1)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        x = batch.x.long()
        valid = self.valid(x)
        if not bool(valid.all()):
            return {"nats": torch.tensor(math.inf)}
        self.letters += torch.bincount(x[x < self.end], minlength=self.end)
        self.lengths += torch.bincount((x < self.end).sum(1) - 1, minlength=self.data.dims - 1)
        return {"nats": torch.tensor(0.0)}

    def valid(self, x: Tensor) -> Tensor:
        """Whether examples int64 ``[B, L]`` are words, bool ``[B]``."""
        letters = (x < self.end).sum(1, keepdim=True)
        place = torch.arange(x.shape[1])
        form = torch.where(place == letters, self.end, self.pad)
        return ((letters > 0) & (letters < x.shape[1])).squeeze(1) & ((place < letters) | (x == form)).all(1)

    def length_nats(self, letters: Tensor) -> Tensor:
        """log P(number of letters)."""
        return (self.lengths / self.lengths.sum()).log()[(letters - 1).clamp(0, self.data.dims - 2)]

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        x = x.long()
        each = torch.cat([(self.letters / self.letters.sum()).log(), torch.zeros(2)])[x]
        nats = each.sum(1) + self.length_nats((x < self.end).sum(1))
        return torch.where(self.valid(x), nats, -math.inf)

    def state_dict(self) -> dict[str, Any]:
        return {"letters": self.letters, "lengths": self.lengths}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.letters, self.lengths = state["letters"], state["lengths"]


class EndlessWords(Words):
    """Leaves out that a word has to end somewhere: the probability of its length."""

    def length_nats(self, letters: Tensor) -> Tensor:
        return torch.zeros(len(letters))


class Impossible(Words):
    """Rules out everything."""

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.full((len(x),), -math.inf)
