"""DCGAN with the non-saturating loss, a lazy R1 penalty in place of batch normalisation in D, and Polyak averaging."""

from __future__ import annotations

import torch

from genbench import DataSpec
from genbench_gan.blocks import Features, Generator
from genbench_gan.config import DCGANConfig
from genbench_gan.heads import Discriminator
from genbench_gan.losses import cross_entropy_d, non_saturating_g
from genbench_gan.pair import AdversarialPair


class DCGAN(AdversarialPair):
    """Strided convolutions only (Radford et al. 2016, arXiv:1511.06434); labels are ignored."""

    loss_d, loss_g = staticmethod(cross_entropy_d), staticmethod(non_saturating_g)

    def __init__(self, config: DCGANConfig, data: DataSpec, device: torch.device) -> None:
        generator = Generator(data.shape, config.latent, config.generator_width)
        body = Features(data.shape, config.discriminator_width, config.spectral_norm)
        super().__init__(generator, Discriminator(body, config.spectral_norm), config, data, device)
