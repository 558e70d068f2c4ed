"""Conditional GAN with projection discriminator (Miyato, Koyama 2018, arXiv:1802.05637) and hinge loss."""

from __future__ import annotations

import torch

from genbench import DataSpec
from genbench_cgan.config import CGANConfig
from genbench_gan.blocks import Features, Generator
from genbench_gan.heads import ProjectionDiscriminator
from genbench_gan.losses import critic_g, hinge_d
from genbench_gan.pair import AdversarialPair


class CGAN(AdversarialPair):
    """Samples given labels, which enter the generator by conditional batch normalisation."""

    conditional = True
    loss_d, loss_g = staticmethod(hinge_d), staticmethod(critic_g)

    def __init__(self, config: CGANConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("cgan needs data with classes")
        generator = Generator(data.shape, config.latent, config.generator_width, data.classes)
        body = Features(data.shape, config.discriminator_width, config.spectral_norm)
        discriminator = ProjectionDiscriminator(body, data.classes, config.spectral_norm)
        super().__init__(generator, discriminator, config, data, device)
