"""DCGAN with the non-saturating loss, a lazy R1 penalty in place of batch normalisation in D, and Polyak averaging."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from genbench import Batch, DataSpec
from genbench_blocks.pixels import to_unit
from genbench_gan.augment import augment
from genbench_gan.blocks import Discriminator, Generator, refresh_batch_norm
from genbench_gan.config import DCGANConfig
from genbench_gan.losses import cross_entropy_d, non_saturating_g, r1_penalty
from genbench_gan.pair import AdversarialPair, descend


class DCGAN(AdversarialPair):
    """Unconditional; labels are ignored. Implements :class:`genbench.model.Model` without a likelihood."""

    config: DCGANConfig

    def __init__(self, config: DCGANConfig, data: DataSpec, device: torch.device) -> None:
        generator = Generator(data.shape, config.latent, config.generator_width)
        discriminator = Discriminator(data.shape, config.discriminator_width, config.spectral_norm)
        super().__init__(generator, discriminator, config, data, device)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """One step of D, then one of G through the new D on the same generated images."""
        self.set_step_size(progress)
        real = to_unit(batch.x, self.data.levels)
        fake = self.generator(self.latents(len(real)))

        loss_d = self._discriminator_loss(real, fake.detach())
        logs = {"loss_d": loss_d.detach()}
        if self.penalised():
            penalty = r1_penalty(self.discriminator, real)
            logs["r1"] = penalty.detach()
            loss_d = loss_d + (self.config.r1_every * self.config.r1 / 2) * penalty
        descend(self.optimizer_d, loss_d)

        with self.frozen_discriminator():
            loss_g = non_saturating_g(self.discriminator(augment(fake, self.config.augment)))
            descend(self.optimizer_g, loss_g)

        self.ema.update(self.generator, len(real))
        self.steps += 1
        return {"loss_g": loss_g.detach(), **logs}

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        """Batch statistics of the averaged generator, from fresh latents; the training batches are not needed."""
        latents = ((self.latents(self.config.batch_size),) for _ in range(self.refresh_batches()))
        refresh_batch_norm(self.ema.average, latents)

    def _discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        # One pass for both: no layer of D looks across images.
        logits = self.discriminator(augment(torch.cat([real, fake]), self.config.augment))
        return cross_entropy_d(*logits.chunk(2))
