"""The evaluator ``digits-random-v1``: a convolutional network whose weights are random and were never trained.

No label and no image has shaped it, so it cannot prefer what a classifier looks at, nor know the training split;
random features already tell generated from real images (Naeem et al., arXiv:2002.09797, section 4; He et al. 2016,
arXiv:1606.04801, on what random convolutions keep).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from genbench_benchmarks.evaluators.digits_extractor import DigitsExtractor

DIMS = 32
WIDTH = 64


class RandomNetwork(nn.Module):
    """Three convolutions; layer 2 pooled to 4x4 and layer 3 to 2x2 give strokes and their places at two scales."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, WIDTH, 3, padding=1) for channels in (1, WIDTH, WIDTH))
        self.projection = nn.Linear(WIDTH * (16 + 4), DIMS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [B, 32] of float32 [B, 1, 8, 8] in [0, 1]."""
        first, second, third = self.convolutions
        h = torch.relu(second(torch.relu(first(2 * x - 1))))
        fine = nn.functional.adaptive_avg_pool2d(h, 4).flatten(1)  # [B, 64, 4, 4] -> [B, 1024]
        coarse = nn.functional.adaptive_avg_pool2d(torch.relu(third(h)), 2).flatten(1)  # [B, 64, 2, 2] -> [B, 256]
        features: Tensor = self.projection(torch.cat([fine, coarse], 1))
        return features


class DigitsRandom(DigitsExtractor):
    """The layer ``features`` (float32 [B, 32]); there are no logits, hence no Inception Score."""

    shipped = Path(__file__).with_name("digits-random-v1.safetensors")
    untrained = RandomNetwork

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        if metric == "isc":
            raise ValueError("digits-random-v1 has no classes, so it gives no Inception Score")
        return "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": self.network(x)}
