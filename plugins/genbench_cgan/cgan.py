"""Conditional GAN with projection discriminator (Miyato, Koyama 2018, arXiv:1802.05637) and hinge loss."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from genbench import Batch, DataSpec
from genbench_blocks.pixels import to_unit
from genbench_cgan.config import CGANConfig
from genbench_gan.augment import augment
from genbench_gan.blocks import Features, Generator, normalised, refresh_batch_norm
from genbench_gan.losses import hinge_d, hinge_g, r1_penalty
from genbench_gan.pair import AdversarialPair, descend


class ProjectionDiscriminator(nn.Module):
    """logit(x, y) = v_y . phi(x) + psi(phi(x)) (ibid., eq. 4): how real x is, and how much of class y.

    Args:
        shape, width, spectral: as for :class:`genbench_gan.blocks.Features`.
        classes: number of classes.
    """

    def __init__(self, shape: tuple[int, ...], width: int, spectral: bool, classes: int) -> None:
        super().__init__()
        self.features = Features(shape, width, spectral)
        self.head = normalised(nn.Linear(self.features.size, 1), spectral)
        embedding = nn.Embedding(classes, self.features.size)
        # As large as a linear layer's weights; the default of 1 an entry would drown psi.
        nn.init.normal_(embedding.weight, std=self.features.size**-0.5)
        self.embedding = normalised(embedding, spectral)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """``[B, C, H, H]`` and int64 ``[B]`` -> ``[B]``."""
        features = self.features(x)
        return (self.embedding(labels) * features).sum(1) + self.head(features).squeeze(1)


class CGAN(AdversarialPair):
    """Samples given labels. Implements :class:`genbench.model.Model` without a likelihood."""

    config: CGANConfig

    def __init__(self, config: CGANConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("cgan needs data with classes")
        generator = Generator(data.shape, config.latent, config.generator_width, data.classes)
        discriminator = ProjectionDiscriminator(
            data.shape, config.discriminator_width, config.spectral_norm, data.classes
        )
        super().__init__(generator, discriminator, config, data, device)

    def train_step(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """One step of D, then one of G through the new D on the same generated images.

        Images are generated for the labels of the batch, so that real and generated pairs share their classes.
        """
        assert batch.labels is not None
        self.set_step_size(progress)
        labels = batch.labels
        real = to_unit(batch.x, self.data.levels)
        fake = self.generator(self.latents(len(real)), labels)

        loss_d = self._discriminator_loss(real, fake.detach(), labels)
        logs = {"loss_d": loss_d.detach()}
        if self.penalised():
            penalty = r1_penalty(lambda x: self.discriminator(x, labels), real)
            logs["r1"] = penalty.detach()
            loss_d = loss_d + (self.config.r1_every * self.config.r1 / 2) * penalty
        descend(self.optimizer_d, loss_d)

        with self.frozen_discriminator():
            loss_g = hinge_g(self.discriminator(augment(fake, self.config.augment), labels))
            descend(self.optimizer_g, loss_g)

        self.ema.update(self.generator, len(real))
        self.steps += 1
        return {"loss_g": loss_g.detach(), **logs}

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        """Batch statistics of the averaged generator, from fresh latents and the labels of training batches."""
        inputs = (
            (self.latents(len(batch.x)), batch.labels)
            for batch in islice(batches, self.refresh_batches())
            if batch.labels is not None
        )
        refresh_batch_norm(self.ema.average, inputs)

    def _discriminator_loss(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        # One pass for both: no layer of D looks across images.
        images = augment(torch.cat([real, fake]), self.config.augment)
        logits = self.discriminator(images, labels.repeat(2))
        return hinge_d(*logits.chunk(2))
