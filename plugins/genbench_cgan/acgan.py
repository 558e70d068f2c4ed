"""Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585): the discriminator also names the class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genbench import DataSpec
from genbench_cgan.config import ACGANConfig
from genbench_gan.augment import augment
from genbench_gan.blocks import Features, Generator
from genbench_gan.losses import cross_entropy_d, non_saturating_g
from genbench_gan.norms import normalised
from genbench_gan.pair import AdversarialPair, Given


class AuxiliaryDiscriminator(nn.Module):
    """An image to its logit of being real and to logits of the classes, two heads on one body.

    Args:
        body: image -> features ``[B, size]``.
        classes: number of classes.
        spectral: whether the heads are spectrally normalised.
    """

    def __init__(self, body: Features, classes: int, spectral: bool) -> None:
        super().__init__()
        self.body = body
        self.head = normalised(nn.Linear(body.size, 1), spectral)
        self.classifier = normalised(nn.Linear(body.size, classes), spectral)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, C, H, H]`` -> ``[B]`` and ``[B, classes]``."""
        features = self.body(x)
        return self.head(features).squeeze(1), self.classifier(features)


class ACGAN(AdversarialPair):
    """Both networks want the class recognised: D on real images, G on its own (of whose classes D learns nothing, or
    it would be taught that early, shapeless images are what a class looks like)."""

    config: ACGANConfig
    conditional = True
    loss_d, loss_g = staticmethod(cross_entropy_d), staticmethod(non_saturating_g)

    def __init__(self, config: ACGANConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("acgan needs data with classes")
        generator = Generator(data.shape, config.latent, config.generator_width, data.classes)
        body = Features(data.shape, config.discriminator_width, config.spectral_norm)
        discriminator = AuxiliaryDiscriminator(body, data.classes, config.spectral_norm)
        super().__init__(generator, discriminator, config, data, device)

    def discriminator_loss(self, real: Tensor, fake: Tensor, given: Given) -> Tensor:
        (labels,) = given
        logits, classes = self.discriminator(augment(torch.cat([real, fake]), self.config.augment))
        recognition = F.cross_entropy(classes[: len(real)], labels)
        return self.loss_d(*logits.chunk(2)) + self.config.class_weight_d * recognition

    def generator_loss(self, fake: Tensor, given: Given) -> Tensor:
        (labels,) = given
        logits, classes = self.discriminator(augment(fake, self.config.augment))
        return self.loss_g(logits) + self.config.class_weight_g * F.cross_entropy(classes, labels)

    def score(self, x: Tensor, given: Given) -> Tensor:
        logits, _ = self.discriminator(x)
        return logits
