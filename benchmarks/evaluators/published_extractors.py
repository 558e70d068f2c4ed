"""torch-fidelity's extractors, loaded from a checked file without running what a pickle may hold.

torch-fidelity 0.4 itself reads the files of Inception and VGG with ``weights_only=False``, which executes whatever a
pickle says, and for DINOv2 downloads and runs code. Here the tensors are read with ``weights_only=True`` and handed to
torch-fidelity's classes in a file made of nothing but them; DINOv2's network is genbench's own.
"""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import nn

from genbench.engine.torchvision_compat import mend

mend()  # before torch-fidelity, which imports torchvision
from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP  # noqa: E402
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2  # noqa: E402
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: E402
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16  # noqa: E402

from genbench_benchmarks.evaluators.dinov2 import vision_transformer  # noqa: E402


def read_tensors(path: str) -> dict[str, torch.Tensor]:
    """The state dict in a ``.pth`` file, read without executing anything.

    Raises:
        pickle.UnpicklingError: for a file with anything but tensors and plain containers.
        ValueError: if it holds no state dict.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("holds no state dict of tensors")
    return state


def _clean_copy(path: str) -> io.BytesIO:
    """A file in memory with the same tensors and nothing else, safe for a reader that would unpickle anything."""
    stream = io.BytesIO()
    torch.save(read_tensors(path), stream)
    stream.seek(0)
    return stream


class Inception(FeatureExtractorInceptionV3):  # type: ignore[misc]
    """Layers ``64``, ``192``, ``768``, ``2048`` and ``logits_unbiased`` of uint8 ``[B, 3, H, W]``."""

    def __init__(self, name: str, features_list: list[str], weights: str) -> None:
        super().__init__(name, features_list, feature_extractor_weights_path=_clean_copy(weights))


class VGG16(FeatureExtractorVGG16):  # type: ignore[misc]
    """Layers ``fc2`` and ``fc2_relu`` of uint8 ``[B, 3, H, W]``."""

    def __init__(self, name: str, features_list: list[str], weights: str) -> None:
        super().__init__(name, features_list, feature_extractor_weights_path=_clean_copy(weights))


class CLIP(FeatureExtractorCLIP):  # type: ignore[misc]
    """The layer ``clip`` of uint8 ``[B, 3, H, W]``.

    The file is a TorchScript archive, read as torch-fidelity reads it, but only after its hash was found right.
    """

    def __init__(self, name: str, features_list: list[str], weights: str) -> None:
        # The name chooses nothing but a download; other weights than the published ones have a name of their own.
        super().__init__(name.partition("@")[0], features_list, feature_extractor_weights_path=weights)


class DINOv2(FeatureExtractorDinoV2):  # type: ignore[misc]
    """The layer ``dinov2``, the normalised class token, of uint8 ``[B, 3, H, W]``."""

    def __init__(self, name: str, features_list: list[str], weights: str) -> None:
        # The parent's constructor would fetch code from the network; all it sets is set here.
        super(FeatureExtractorDinoV2, self).__init__(name, features_list)
        self.feature_extractor_internal_dtype = torch.float32
        self.model: nn.Module = _loaded(read_tensors(weights))
        self.requires_grad_(False)
        self.eval()


def _loaded(state: dict[str, Any]) -> nn.Module:
    model = vision_transformer(state)
    model.load_state_dict(state)
    return model
