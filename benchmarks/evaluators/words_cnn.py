"""The evaluator ``words-cnn-v1``: tells a word's language by its letters; the penultimate layer gives the features."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from genbench_benchmarks.evaluators.words_extractor import LEVELS, WordsExtractor
from genbench_benchmarks.words_form import LANGUAGES

DIMS = 64
EMBEDDING = 32
WIDTH = 128


class Pooled(nn.Module):
    """Features of all places as one: their largest, and their mean, which knows how long a word is."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, F, 16] to [B, 2 F]."""
        return torch.cat([x.amax(2), x.mean(2)], 1)


class Places(nn.Module):
    """Puts the features of a symbol before its place, as convolutions take them."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, 16, F] to [B, F, 16]."""
        return x.transpose(1, 2).contiguous()


def network() -> nn.ModuleDict:
    """The untrained classifier: ``body`` maps int64 [B, 16] to features [B, 64], ``head`` those to logits [B, 10]."""
    body = nn.Sequential(
        nn.Embedding(LEVELS, EMBEDDING),
        Places(),
        nn.Conv1d(EMBEDDING, WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(WIDTH, WIDTH, 3, padding=1),
        nn.ReLU(),
        Pooled(),
        nn.Linear(2 * WIDTH, DIMS),
    )
    return nn.ModuleDict({"body": body, "head": nn.Linear(DIMS, len(LANGUAGES))})


class WordsCNN(WordsExtractor):
    """Layers ``features`` (float32 [B, 64], pre-logits) and ``logits`` (float32 [B, 10], calibrated).

    The features have a mean square of 1 over the training words.
    """

    shipped = Path(__file__).with_name("words-cnn-v1.safetensors")
    untrained = staticmethod(network)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        features = self.network["body"](x)  # type: ignore[operator,index]
        return {"features": features, "logits": self.network["head"](features)}  # type: ignore[operator,index]
