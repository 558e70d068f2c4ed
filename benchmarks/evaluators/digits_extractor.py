"""What all evaluators of 8x8 digits share: their input, and how torch-fidelity and genbench build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genbench.engine.torchvision_compat import mend

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402

LEVELS = 17


def scale(x: Tensor) -> Tensor:
    """uint8 0 .. 16 to float32 in [0, 1]; the one preprocessing of real and generated images."""
    return x.float() / (LEVELS - 1)


class DigitsExtractor(FeatureExtractorBase):  # type: ignore[misc]
    """Base of extractors of digits, in genbench and, registered with ``register_feature_extractor``, in torch-fidelity.

    A subclass has ``untrained()``, the network that the weights fill, and ``layers(x)``, which maps float32
    ``[B, 1, 8, 8]`` in [0, 1] to its layers by name.

    Args:
        name: any.
        features_list: the layers to return, in this order.
        weights: a safetensors file; by default the one that ships with genbench.
        feature_extractor_weights_path: the same, under torch-fidelity's name, which hands on its other options too.
    """

    shipped: Path
    untrained: Any

    def __init__(
        self,
        name: str,
        features_list: list[str],
        weights: str | Path | None = None,
        feature_extractor_weights_path: str | Path | None = None,
        **_: object,
    ) -> None:
        super().__init__(name, features_list)
        self.network: nn.Module = self.untrained()
        self.network.load_state_dict(load_file(weights or feature_extractor_weights_path or self.shipped))
        self.requires_grad_(False)
        self.eval()

    @staticmethod
    def can_be_compiled() -> bool:
        return True

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(4, 1, 8, 8, dtype=torch.uint8)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The requested layers of uint8 ``[B, 1, 8, 8]``, or ``[B, 3, 8, 8]`` with equal channels, values 0 .. 16.

        Raises:
            ValueError: for anything else.
        """
        layers = self.layers(scale(self._grey(x)))
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
