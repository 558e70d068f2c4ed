"""Deep convolutional GANs. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from genbench import ModelSpec, hookimpl
from genbench_gan.config import DCGANConfig, adversarial_defaults, supports_square_images


@hookimpl
def register_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="dcgan",
            factory="genbench_gan.dcgan:DCGAN",
            config=DCGANConfig,
            summary="deep convolutional GAN, non-saturating loss, lazy R1 penalty, averaged generator",
            reference="Radford, Metz, Chintala 2016, arXiv:1511.06434",
            defaults=adversarial_defaults,
            supports=supports_square_images,
            code=("genbench_blocks",),
        )
    ]
