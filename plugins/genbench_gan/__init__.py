"""Unconditional GANs. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from functools import partial

from genbench import ModelSpec, hookimpl
from genbench_gan.config import (
    DCGANConfig,
    MLPGANConfig,
    RNNGANConfig,
    SAGANConfig,
    SNGANConfig,
    WGANGPConfig,
    convolutional_defaults,
    mlp_defaults,
    recurrent_defaults,
    supports_images,
    supports_square_images,
    supports_steps,
    wgan_gp_defaults,
    without_r1_defaults,
)

gan = partial(ModelSpec, code=("genbench_blocks",))


@hookimpl
def register_models() -> list[ModelSpec]:
    return [
        gan(
            name="mlp-gan",
            factory="genbench_gan.mlp_gan:MLPGAN",
            config=MLPGANConfig,
            summary="GAN of dense layers, non-saturating loss, lazy R1 penalty, averaged generator",
            reference="Goodfellow et al. 2014, arXiv:1406.2661",
            defaults=mlp_defaults,
            supports=supports_images,
        ),
        gan(
            name="dcgan",
            factory="genbench_gan.dcgan:DCGAN",
            config=DCGANConfig,
            summary="deep convolutional GAN, non-saturating loss, lazy R1 penalty, averaged generator",
            reference="Radford, Metz, Chintala 2016, arXiv:1511.06434",
            defaults=convolutional_defaults,
            supports=supports_square_images,
        ),
        gan(
            name="wgan-gp",
            factory="genbench_gan.wgan_gp:WGANGP",
            config=WGANGPConfig,
            summary="Wasserstein GAN with gradient penalty, several critic steps for one of the generator",
            reference="Gulrajani et al. 2017, arXiv:1704.00028",
            defaults=wgan_gp_defaults,
            supports=supports_square_images,
        ),
        gan(
            name="sngan",
            factory="genbench_gan.sngan:SNGAN",
            config=SNGANConfig,
            summary="GAN with spectrally normalised discriminator and hinge loss",
            reference="Miyato et al. 2018, arXiv:1802.05957",
            defaults=without_r1_defaults,
            supports=supports_square_images,
        ),
        gan(
            name="sagan",
            factory="genbench_gan.sagan:SAGAN",
            config=SAGANConfig,
            summary="GAN with self-attention and spectral normalisation in both networks, hinge loss, two step sizes",
            reference="Zhang et al. 2019, arXiv:1805.08318",
            defaults=without_r1_defaults,
            supports=supports_square_images,
        ),
        gan(
            name="rnn-gan",
            factory="genbench_gan.rnn_gan:RNNGAN",
            config=RNNGANConfig,
            summary="recurrent GAN on rows of images, or on sequences taken as words: level 0 padding, level 1 the end",
            reference="Mogren 2016, arXiv:1611.09904; Jang et al. 2017, arXiv:1611.01144",
            defaults=recurrent_defaults,
            supports=supports_steps,
        ),
    ]
