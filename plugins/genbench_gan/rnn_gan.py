"""Recurrent GAN: rows of an image, or letters of a word, one after the other.

After C-RNN-GAN (Mogren 2016, arXiv:1611.09904): a recurrent generator, which is told the letter that it gave last, and
a bidirectional recurrent discriminator. For words, which have no gradients, the straight-through Gumbel-softmax
relaxation (Jang et al. 2017, arXiv:1611.01144; for sequences Kusner, Hernandez-Lobato 2016, arXiv:1611.04051).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench import DataSpec
from genbench_blocks.pixels import to_levels, to_unit
from genbench_gan.config import RNNGANConfig
from genbench_gan.heads import Discriminator, ProjectionDiscriminator
from genbench_gan.losses import critic_g, hinge_d
from genbench_gan.pair import AdversarialPair
from genbench_gan.recurrent import GRUGenerator, RecurrentFeatures, one_hot


class RNNGAN(AdversarialPair):
    """Hinge loss, lazy R1 penalty, clipped gradients. A conditional subclass adds the label to z and projects it in
    the discriminator."""

    config: RNNGANConfig
    generator: GRUGenerator
    loss_d, loss_g = staticmethod(hinge_d), staticmethod(critic_g)

    def __init__(self, config: RNNGANConfig, data: DataSpec, device: torch.device) -> None:
        classes = data.classes if self.conditional else None
        generator = GRUGenerator(data, config.latent, config.generator_width, classes)
        body = RecurrentFeatures(data, config.discriminator_width)
        discriminator = Discriminator(body) if classes is None else ProjectionDiscriminator(body, classes)
        super().__init__(generator, discriminator, config, data, device)

    def set_schedules(self, progress: float) -> None:
        super().set_schedules(progress)
        first, last = self.config.temperature, self.config.last_temperature
        self.generator.temperature = first * (last / first) ** progress

    def encode(self, x: Tensor) -> Tensor:
        return to_unit(x, self.data.levels) if self.data.is_image else one_hot(x, self.data.levels)

    def decode(self, y: Tensor) -> Tensor:
        return to_levels(y, self.data.levels) if self.data.is_image else y.argmax(dim=2).to(torch.uint8)
