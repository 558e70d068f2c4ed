"""The evaluators of stacked digits: those of digits, applied to each of the three channels with the same weights."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genbench_benchmarks.evaluators import digits_cnn, digits_random
from genbench_benchmarks.evaluators.digits_extractor import LEVELS
from genbench_benchmarks.evaluators.extractor import ImageExtractor

CHANNELS = 3
MODES = digits_cnn.CLASSES**CHANNELS


class StackedDigits(ImageExtractor):
    """Base of extractors of three 8x8 digits of 17 levels, as the channels of one image."""

    shape = (CHANNELS, 8, 8)
    levels = LEVELS


class StackedDigitsCNN(StackedDigits):
    """Layers ``features`` (float32 [B, 96]) and ``logits`` (float32 [B, 1000]).

    The features are those of the channels side by side. The logits are log-probabilities of the modes, class ``abc`` of
    the channels ``a``, ``b`` and ``c``: the sums of the channels' own, since each is classified by itself.
    """

    shipped = Path(__file__).with_name("digits-cnn-v1.safetensors")
    untrained = staticmethod(digits_cnn.network)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        features = self.network["body"](x.flatten(0, 1)[:, None])  # type: ignore[operator,index]  # [3 B, 32]
        log_p = self.network["head"](features).log_softmax(1)  # type: ignore[operator,index]  # [3 B, 10]
        first, second, third = log_p.unflatten(0, (-1, CHANNELS)).unbind(1)  # each [B, 10]
        joint = first[:, :, None, None] + second[:, None, :, None] + third[:, None, None, :]  # [B, 10, 10, 10]
        return {"features": features.unflatten(0, (-1, CHANNELS)).flatten(1), "logits": joint.flatten(1)}


class StackedDigitsRandom(StackedDigits):
    """The layer ``features`` (float32 [B, 96]), of the channels side by side; there are no logits."""

    shipped = Path(__file__).with_name("digits-random-v1.safetensors")
    untrained = staticmethod(digits_random.network)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        if metric == "isc":
            raise ValueError("stacked-digits-random-v1 has no classes, so it gives no Inception Score")
        return "features"

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        features: Tensor = self.network(x.flatten(0, 1)[:, None])  # [B, 3, 8, 8] -> [3 B, 1, 8, 8] -> [3 B, 32]
        return {"features": features.unflatten(0, (-1, CHANNELS)).flatten(1)}
