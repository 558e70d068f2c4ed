"""Self-attention GAN (Zhang et al. 2019, arXiv:1805.08318): attention and spectral norms in both networks."""

from __future__ import annotations

import torch

from genbench import DataSpec
from genbench_gan.blocks import Features, Generator
from genbench_gan.config import SAGANConfig
from genbench_gan.heads import Discriminator
from genbench_gan.losses import critic_g, hinge_d
from genbench_gan.pair import AdversarialPair


class SAGAN(AdversarialPair):
    """Hinge loss, a larger step size for D than for G, attention at half resolution. Unconditional, and of strided
    convolutions where the paper has residual blocks, which cost several times as much a step."""

    loss_d, loss_g = staticmethod(hinge_d), staticmethod(critic_g)

    def __init__(self, config: SAGANConfig, data: DataSpec, device: torch.device) -> None:
        generator = Generator(data.shape, config.latent, config.generator_width, spectral=True, attention=True)
        body = Features(data.shape, config.discriminator_width, spectral=True, attention=True)
        super().__init__(generator, Discriminator(body, spectral=True), config, data, device)
