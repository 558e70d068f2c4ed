"""The evaluator ``words-random-v1``: convolutions over letters whose weights are random and were never trained."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genbench_benchmarks.evaluators.words_extractor import LEVELS, WordsExtractor

DIMS = 64
WIDTH = 64
CELLS = 4
"""Parts of a word that are looked at apart: its beginning, its end and what is between."""


class RandomNetwork(nn.Module):
    """Two convolutions of letters: groups of three and of five, and in which quarter of the 16 places they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(channels, WIDTH, 3, padding=1) for channels in (LEVELS, WIDTH))
        self.projection = nn.Linear(2 * WIDTH * CELLS, DIMS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, 64] of int64 [B, 16]."""
        first, second = self.convolutions
        threes = torch.relu(first(F.one_hot(x, LEVELS).float().transpose(1, 2)))  # [B, 64, 16]
        fives = torch.relu(second(threes))
        pooled = F.avg_pool1d(torch.cat([threes, fives], 1), x.shape[1] // CELLS)  # [B, 128, 4]
        features: Tensor = self.projection(pooled.flatten(1))
        return features


class WordsRandom(WordsExtractor):
    """The layer ``features`` (float32 [B, 64]); there are no logits, hence no Inception Score."""

    shipped = Path(__file__).with_name("words-random-v1.safetensors")
    untrained = RandomNetwork

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        if metric == "isc":
            raise ValueError("words-random-v1 has no classes, so it gives no Inception Score")
        return "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": self.network(x)}
