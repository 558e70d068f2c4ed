"""The evaluator ``digits-random-v1``: a convolutional network whose weights are random and were never trained."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genbench_benchmarks.evaluators.digits_extractor import DigitsExtractor
from genbench_benchmarks.evaluators.random_network import RandomNetwork

DIMS = 32
STRIDES = (1, 1, 1)


def network() -> RandomNetwork:
    """The network that the weights fill: [B, 1, 8, 8] to features [B, 32]."""
    return RandomNetwork(DIMS, STRIDES)


class DigitsRandom(DigitsExtractor):
    """The layer ``features`` (float32 [B, 32]); there are no logits, hence no Inception Score."""

    shipped = Path(__file__).with_name("digits-random-v1.safetensors")
    untrained = staticmethod(network)

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
