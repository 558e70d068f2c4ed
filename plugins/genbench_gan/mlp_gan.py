"""The first GAN: dense layers only (Goodfellow et al. 2014, arXiv:1406.2661), on images of any size."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genbench import DataSpec
from genbench_gan.config import MLPGANConfig
from genbench_gan.heads import Discriminator
from genbench_gan.losses import cross_entropy_d, non_saturating_g
from genbench_gan.pair import AdversarialPair


class DenseGenerator(nn.Module):
    """z to an image through two hidden layers of ReLU and a last of tanh.

    Args:
        shape: (C, H, W) of the images.
        latent: dimensions of z.
        width: units of a hidden layer.
    """

    def __init__(self, shape: tuple[int, ...], latent: int, width: int) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(latent, width),
            nn.ReLU(True),
            nn.Linear(width, width),
            nn.ReLU(True),
            nn.Linear(width, math.prod(shape)),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """``[B, latent]`` -> ``[B, C, H, W]`` in [-1, 1]."""
        return self.layers(z).unflatten(1, self.shape)


class DenseFeatures(nn.Module):
    """The body of the discriminator: two hidden layers of leaky ReLU on the flattened image.

    Args:
        shape: (C, H, W) of the images.
        width: units of a hidden layer.

    Attributes:
        size: number of features of an image.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.size = width
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), width),
            nn.LeakyReLU(0.2, True),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2, True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, size]``."""
        return self.layers(x)


class MLPGAN(AdversarialPair):
    """Dense generator and discriminator, non-saturating loss, lazy R1 penalty in place of the paper's dropout."""

    loss_d, loss_g = staticmethod(cross_entropy_d), staticmethod(non_saturating_g)

    def __init__(self, config: MLPGANConfig, data: DataSpec, device: torch.device) -> None:
        generator = DenseGenerator(data.shape, config.latent, config.generator_width)
        discriminator = Discriminator(DenseFeatures(data.shape, config.discriminator_width))
        super().__init__(generator, discriminator, config, data, device)
