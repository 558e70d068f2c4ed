"""Spectrally normalised GAN (Miyato et al. 2018, arXiv:1802.05957) with the hinge loss."""

from __future__ import annotations

import torch

from genbench import DataSpec
from genbench_gan.blocks import Features, Generator
from genbench_gan.config import SNGANConfig
from genbench_gan.heads import Discriminator
from genbench_gan.losses import critic_g, hinge_d
from genbench_gan.pair import AdversarialPair


class SNGAN(AdversarialPair):
    """DCGAN's generator; the paper's standard discriminator, in which 3x3 convolutions stand between the strided ones
    and every layer is divided by its spectral norm."""

    loss_d, loss_g = staticmethod(hinge_d), staticmethod(critic_g)

    def __init__(self, config: SNGANConfig, data: DataSpec, device: torch.device) -> None:
        generator = Generator(data.shape, config.latent, config.generator_width)
        body = Features(data.shape, config.discriminator_width, spectral=True, deep=True)
        super().__init__(generator, Discriminator(body, spectral=True), config, data, device)
