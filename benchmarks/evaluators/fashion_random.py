"""The evaluator ``fashion-random-v1``: a convolutional network whose weights are random and were never trained."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genbench_benchmarks.evaluators.fashion_extractor import FashionExtractor
from genbench_benchmarks.evaluators.random_network import RandomNetwork

DIMS = 64
STRIDES = (2, 2, 1)


def network() -> RandomNetwork:
    """The network that the weights fill: [B, 1, 28, 28] to features [B, 64]; its layers are 14, 7 and 7 wide."""
    return RandomNetwork(DIMS, STRIDES)


class FashionRandom(FashionExtractor):
    """The layer ``features`` (float32 [B, 64]); there are no logits, hence no Inception Score."""

    shipped = Path(__file__).with_name("fashion-random-v1.safetensors")
    untrained = staticmethod(network)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        if metric == "isc":
            raise ValueError("fashion-random-v1 has no classes, so it gives no Inception Score")
        return "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": self.network(x)}
