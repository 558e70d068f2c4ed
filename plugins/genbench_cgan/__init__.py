"""Class-conditional GANs. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from functools import partial

from genbench import ModelSpec, hookimpl
from genbench_blocks.support import labelled
from genbench_cgan.config import ACGANConfig, CGANConfig, CRNNGANConfig
from genbench_gan.config import convolutional_defaults, recurrent_defaults, supports_square_images, supports_steps

conditional_gan = partial(ModelSpec, conditional=True, code=("genbench_gan", "genbench_blocks"))


@hookimpl
def register_models() -> list[ModelSpec]:
    return [
        conditional_gan(
            name="cgan",
            factory="genbench_cgan.cgan:CGAN",
            config=CGANConfig,
            summary="class-conditional GAN, projection discriminator, hinge loss, conditional batch normalisation",
            reference="Miyato, Koyama 2018, arXiv:1802.05637",
            defaults=convolutional_defaults,
            supports=labelled(supports_square_images),
        ),
        conditional_gan(
            name="acgan",
            factory="genbench_cgan.acgan:ACGAN",
            config=ACGANConfig,
            summary="class-conditional GAN whose discriminator also names the class",
            reference="Odena, Olah, Shlens 2017, arXiv:1610.09585",
            defaults=convolutional_defaults,
            supports=labelled(supports_square_images),
        ),
        conditional_gan(
            name="crnn-gan",
            factory="genbench_cgan.crnn_gan:CRNNGAN",
            config=CRNNGANConfig,
            summary="rnn-gan given the label: rows of images, or words (level 0 padding, level 1 the end)",
            reference="Mogren 2016, arXiv:1611.09904; Miyato, Koyama 2018, arXiv:1802.05637",
            defaults=recurrent_defaults,
            supports=labelled(supports_steps),
        ),
    ]
