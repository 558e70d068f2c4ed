"""The evaluator ``fashion-cnn-v1``: a small classifier of 28x28 clothes whose penultimate layer gives the features."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from genbench_benchmarks.evaluators.fashion_extractor import FashionExtractor

DIMS = 64
CLASSES = 10


def network() -> nn.ModuleDict:
    """The untrained classifier: ``body`` maps [B, 1, 28, 28] to features [B, 64], ``head`` those to logits [B, 10].

    Its recipe trains it with batch normalisation behind the convolutions, which is folded into them at the end.
    """
    body = nn.Sequential(
        nn.Conv2d(1, 32, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),  # [B, 128, 3, 3] -> [B, 1152]
        nn.Linear(1152, DIMS),
    )
    return nn.ModuleDict({"body": body, "head": nn.Linear(DIMS, CLASSES)})


class FashionCNN(FashionExtractor):
    """Layers ``features`` (float32 [B, 64], pre-logits) and ``logits`` (float32 [B, 10], calibrated).

    The features have a mean square of 1 over the training images.
    """

    shipped = Path(__file__).with_name("fashion-cnn-v1.safetensors")
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
