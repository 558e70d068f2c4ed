"""The evaluator ``digits-cnn-v1``: a small classifier of 8x8 digits whose penultimate layer gives the features."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genbench.engine.torchvision_compat import mend

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402

LEVELS = 17
DIMS = 32
CLASSES = 10
WEIGHTS = Path(__file__).with_name("digits-cnn-v1.safetensors")


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


def scale(x: Tensor) -> Tensor:
    """uint8 0 .. 16 to float32 in [0, 1]; the one preprocessing of real and generated images."""
    return x.float() / (LEVELS - 1)


class DigitsCNN(FeatureExtractorBase):  # type: ignore[misc]
    """Layers ``features`` (float32 [B, 32], pre-logits) and ``logits`` (float32 [B, 10], calibrated).

    The features have a mean square of 1 over the training images. The class works in genbench and, registered with
    ``torch_fidelity.register_feature_extractor``, in torch-fidelity, which hands its options on as keywords.

    Args:
        name: any.
        features_list: the layers to return, in this order.
        weights: a safetensors file of ``network()``; by default the one that ships with genbench.
        feature_extractor_weights_path: the same, under torch-fidelity's name.
    """

    def __init__(
        self,
        name: str,
        features_list: list[str],
        weights: str | Path | None = None,
        feature_extractor_weights_path: str | Path | None = None,
        **_: object,
    ) -> None:
        super().__init__(name, features_list)
        self.network = network()
        self.network.load_state_dict(load_file(weights or feature_extractor_weights_path or WEIGHTS))
        self.requires_grad_(False)
        self.eval()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return True

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(4, 1, 8, 8, dtype=torch.uint8)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The requested layers of uint8 ``[B, 1, 8, 8]``, or ``[B, 3, 8, 8]`` with equal channels, values 0 .. 16.

        Raises:
            ValueError: for anything else.
        """
        features = self.network["body"](scale(self._grey(x)))
        layers = {"features": features, "logits": self.network["head"](features)}
        return tuple(layers[name] for name in self.features_list)

    def _grey(self, x: Tensor) -> Tensor:
        if x.dtype is not torch.uint8 or x.dim() != 4 or tuple(x.shape[2:]) != (8, 8) or x.shape[1] not in (1, 3):
            raise ValueError(f"{self.name}: takes uint8 [B, 1, 8, 8], not {x.dtype} {list(x.shape)}")
        if x.shape[1] == 3 and not bool((x == x[:, :1]).all()):
            raise ValueError(f"{self.name}: takes grey images; the three channels of these differ")
        if x.numel() and int(x.max()) >= LEVELS:
            raise ValueError(f"{self.name}: takes values 0 .. {LEVELS - 1}, and the largest is {int(x.max())}")
        # Strides of a dimension of size 1 may be anything, and convolutions choose their kernel by them.
        return x[:, 0].contiguous()[:, None]
