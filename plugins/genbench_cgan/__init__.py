"""Class-conditional GANs. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_cgan.config import CGANConfig
from genbench_gan.config import adversarial_defaults, supports_square_images


def supports_labelled_images(data: DataSpec) -> str | None:
    """None, or why the model can't be used on such data."""
    if data.classes is None:
        return "needs labels, which the data do not carry"
    return supports_square_images(data)


@hookimpl
def register_models() -> list[ModelSpec]:
    return [
        ModelSpec(
            name="cgan",
            factory="genbench_cgan.cgan:CGAN",
            config=CGANConfig,
            summary="class-conditional GAN, projection discriminator, hinge loss, conditional batch normalisation",
            reference="Miyato, Koyama 2018, arXiv:1802.05637",
            conditional=True,
            defaults=adversarial_defaults,
            supports=supports_labelled_images,
            code=("genbench_gan", "genbench_blocks"),
        )
    ]
