"""Diffusion models. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_blocks.support import small_images
from genbench_diffusion.config import DDPMConfig

MULTIPLE = 4
"""The U-Net halves the resolution twice."""


def supports_halved_images(data: DataSpec) -> str | None:
    """None, or why the model can't be used on such data."""
    reason = small_images(data)
    if reason is None and any(side % MULTIPLE for side in data.shape[1:]):
        return f"is made for images whose sides are multiples of {MULTIPLE}, not {data.shape[1]}x{data.shape[2]}"
    return reason


def for_larger_images(data: DataSpec) -> Mapping[str, object]:
    """More features where there is more to see; the configuration's own defaults suit 8x8 images."""
    return {"width": 64, "lr": 2e-3, "attention": True} if data.is_image and max(data.shape[1:]) > 16 else {}


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec(
            name="ddpm",
            factory="genbench_diffusion.ddpm:DDPM",
            config=DDPMConfig,
            summary="Denoising diffusion: a small U-Net that predicts the noise, variational bound of discrete pixels",
            reference="Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239; the schedule of "
            "Nichol and Dhariwal, 2021, arXiv:2102.09672; the sampler of Song et al., DDIM, 2021, arXiv:2010.02502",
            likelihood="bound",
            defaults=for_larger_images,
            supports=supports_halved_images,
            code=("genbench_blocks",),
        ),
    ]
