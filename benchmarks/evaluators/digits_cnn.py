"""The evaluator ``digits-cnn-v1``: a small classifier of 8x8 digits whose penultimate layer gives the features."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from genbench_benchmarks.evaluators.digits_extractor import LEVELS, DigitsExtractor, scale

__all__ = ["CLASSES", "DIMS", "LEVELS", "DigitsCNN", "network", "scale"]

DIMS = 32
CLASSES = 10


def network() -> nn.ModuleDict:
    """The untrained classifier: ``body`` maps [B, 1, 8, 8] to features [B, 32], ``head`` those to logits [B, 10]."""
    body = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),  # [B, 64, 2, 2] -> [B, 256]
        nn.Linear(256, DIMS),  # no ReLU after it: a third of the features would be 0 for all images
    )
    return nn.ModuleDict({"body": body, "head": nn.Linear(DIMS, CLASSES)})


class DigitsCNN(DigitsExtractor):
    """Layers ``features`` (float32 [B, 32], pre-logits) and ``logits`` (float32 [B, 10], calibrated).

    The features have a mean square of 1 over the training images.
    """

    shipped = Path(__file__).with_name("digits-cnn-v1.safetensors")
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
