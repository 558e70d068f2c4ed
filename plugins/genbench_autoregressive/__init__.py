"""Autoregressive models: exact likelihoods, one pixel at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_autoregressive.config import PixelCNNConfig
from genbench_blocks.support import small_images


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
