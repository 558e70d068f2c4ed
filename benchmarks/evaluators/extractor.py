"""What the evaluators of a domain share: how torch-fidelity and genbench build them, and what those of images take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from genbench.engine.torchvision_compat import mend

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402


class Extractor(FeatureExtractorBase):  # type: ignore[misc]
    """Base of extractors of a domain, in genbench and, with ``register_feature_extractor``, in torch-fidelity.

    A subclass has ``untrained()``, the network that the weights fill; ``prepared(x)``, which checks uint8 examples and
    brings them into the form that ``layers(x)`` maps to its layers by name.

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

    def prepared(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The requested layers of uint8 ``[B, *shape]``.

        Raises:
            ValueError: for what the extractor does not take.
        """
        layers = self.layers(self.prepared(x))
        return tuple(layers[name] for name in self.features_list)


class ImageExtractor(Extractor):
    """Base of extractors of images.

    A subclass has the ``shape`` (C, H, W) and the number of ``levels`` of its images; its ``layers(x)`` takes float32
    ``[B, C, H, W]`` in [0, 1].
    """

    shape: tuple[int, int, int]
    levels: int

    @classmethod
    def get_dummy_input_for_compile(cls) -> Tensor:
        return torch.zeros(4, *cls.shape, dtype=torch.uint8)

    @classmethod
    def scale(cls, x: Tensor) -> Tensor:
        """uint8 0 .. levels - 1 to float32 in [0, 1]; the one preprocessing of real and generated images."""
        return x.float() / (cls.levels - 1)

    def prepared(self, x: Tensor) -> Tensor:
        """Scaled images of uint8 ``[B, C, H, W]`` in 0 .. levels - 1; grey ones may come in 3 equal channels.

        Raises:
            ValueError: for anything else.
        """
        return self.scale(self._own_channels(x))

    def _own_channels(self, x: Tensor) -> Tensor:
        channels, height, width = self.shape
        if (
            x.dtype is not torch.uint8
            or x.dim() != 4
            or tuple(x.shape[2:]) != (height, width)
            or x.shape[1] not in (channels, 3)
        ):
            wanted = f"[B, {channels}, {height}, {width}]"
            raise ValueError(f"{self.name}: takes uint8 {wanted}, not {x.dtype} {list(x.shape)}")
        if x.shape[1] != channels and not bool((x == x[:, :1]).all()):
            raise ValueError(f"{self.name}: takes grey images; the three channels of these differ")
        if x.numel() and int(x.max()) >= self.levels:
            raise ValueError(f"{self.name}: takes values 0 .. {self.levels - 1}, and the largest is {int(x.max())}")
        if channels > 1:
            return x.contiguous()
        # Strides of a dimension of size 1 may be anything, and convolutions choose their kernel by them.
        return x[:, 0].contiguous()[:, None]
