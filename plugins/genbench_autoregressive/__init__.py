"""Autoregressive models: exact likelihoods, one pixel at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_autoregressive.config import PixelCNNConfig

LARGEST = 64


def small_images(data: DataSpec) -> str | None:
    if not data.is_image:
        return f"is made for images (C, H, W), not for examples of shape {data.shape}"
    if max(data.shape[1:]) > LARGEST:
        return f"is made for images of sides up to {LARGEST}, not {data.shape[1]}x{data.shape[2]}"
    return None


def for_larger_images(data: DataSpec) -> Mapping[str, object]:
    """A block sees a row further up: larger images need more of them, and the features to carry what they see."""
    return {"blocks": 7, "channels": 48} if data.is_image and max(data.shape[1:]) > 16 else {}


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec(
            name="pixelcnn",
            factory="genbench_autoregressive.pixelcnn:PixelCNN",
            config=PixelCNNConfig,
            summary="Gated PixelCNN: two causal stacks, exact likelihood",
            reference="van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, "
            "arXiv:1606.05328",
            likelihood="exact",
            defaults=for_larger_images,
            supports=small_images,
            code=("genbench_blocks",),
        ),
    ]
