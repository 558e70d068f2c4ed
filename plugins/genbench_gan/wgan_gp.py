"""Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028) on DCGAN's networks."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench import DataSpec
from genbench_gan.blocks import Features, Generator
from genbench_gan.config import WGANGPConfig
from genbench_gan.heads import Discriminator
from genbench_gan.losses import critic_g, gradient_penalty, wasserstein_d
from genbench_gan.pair import AdversarialPair, Given


class WGANGP(AdversarialPair):
    """The critic, without batch normalisation, is held to slope 1 between real and generated images; it takes
    ``critic_steps`` steps, each on a batch of its own, for one of the generator."""

    config: WGANGPConfig
    loss_d, loss_g = staticmethod(wasserstein_d), staticmethod(critic_g)

    def __init__(self, config: WGANGPConfig, data: DataSpec, device: torch.device) -> None:
        generator = Generator(data.shape, config.latent, config.generator_width)
        discriminator = Discriminator(Features(data.shape, config.discriminator_width))
        super().__init__(generator, discriminator, config, data, device)

    def penalty(self, real: Tensor, fake: Tensor, given: Given) -> tuple[str, Tensor, float]:
        value = gradient_penalty(lambda x: self.score(x, given), real, fake)
        return "gradient_penalty", value, self.config.gradient_penalty
