"""Configurations of the autoencoders. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass

from genbench_blocks.ranges import Ranged, Ranges

GROUPS = "a multiple of 4 up to 32, of 8 beyond, for the groups that features are normalised over"


def divides_into_groups(width: int) -> bool:
    """Whether a width and its double have whole groups: one for 4 features, 8 at most."""
    return width >= 4 and width % (4 if width <= 32 else 8) == 0


@dataclass(frozen=True)
class VAEConfig(Ranged):
    """Of ``vae``.

    Attributes:
        batch_size: images a step.
        width: features at half the image's resolution; twice as many below. A multiple of 4 up to 32, of 8 beyond.
        blocks: residual blocks at each resolution but the coarsest, in the encoder and in the decoder.
        latent: dimensions of the latent code.
        prior_components: Gaussians of the learnt prior; 1 for the standard normal, with nothing learnt.
        logistics: components of a pixel's mixture, where there are too many levels for a categorical.
        dropout: share of the encoder's and decoder's flattened features dropped in training.
        lr: learning rate at its height; AdamW, warmed up and then lowered along a cosine.
        weight_decay: decoupled from the gradient, on the weights of convolutions and dense layers only.
        kl_warmup: share of the budget over which the weight of the KL term rises from 0 to 1.
        clip: largest norm of the gradient of the loss per dimension.
        ema_half_life: of the weights' average, as a share of the images seen so far; 500,000 images at most.
    """

    batch_size: int = 64
    width: int = 32
    blocks: int = 1
    latent: int = 16
    prior_components: int = 64
    logistics: int = 3
    dropout: float = 0.0
    lr: float = 2.5e-3
    weight_decay: float = 0.1
    kl_warmup: float = 0.2
    clip: float = 1.0
    ema_half_life: float = 0.05

    def ranges(self) -> Ranges:
        return {
            **self.counts("batch_size", "blocks", "latent", "prior_components", "logistics"),
            "width": (divides_into_groups(self.width), GROUPS),
            **self.below_one("dropout"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay"),
            **self.shares("kl_warmup"),
        }


@dataclass(frozen=True)
class BetaVAEConfig(VAEConfig):
    """Of ``beta-vae``.

    Attributes:
        beta: weight of the KL term after its warm-up, above 0; 1 for a plain VAE. Few pixels have few nats to gain by
            a code: on 8x8 images 2 leaves most of it unused.
        prior_components: 1, the standard normal of the paper.
    """

    beta: float = 1.5
    prior_components: int = 1

    def ranges(self) -> Ranges:
        return {**super().ranges(), **self.above_zero("beta")}


@dataclass(frozen=True)
class CVAEConfig(VAEConfig):
    """Of ``cvae``, the same as of ``vae``."""


@dataclass(frozen=True)
class HVAEConfig(VAEConfig):
    """Of ``hvae``.

    Attributes:
        latent, prior_components: of the topmost group, a vector.
        groups: further groups of latent variables, one at each of the finest resolutions: 1 at half the image's
            only, 2 at a quarter too. Small images have fewer resolutions, and then fewer groups.
        channels: latent variables at each place of such a group.
    """

    groups: int = 2
    channels: int = 4

    def ranges(self) -> Ranges:
        return {**super().ranges(), **self.counts("groups", "channels")}


@dataclass(frozen=True)
class AEGMMConfig(Ranged):
    """Of ``ae-gmm``.

    Attributes:
        batch_size, width, blocks, latent, dropout, lr, clip, ema_half_life: as of :class:`VAEConfig`.
        weight_decay: likewise, and so of the encoder too, where the paper's RAE-L2 has it for the decoder only.
        code_penalty: weight of half the squared norm of the code beside half the squared error of the image.
        components: Gaussians of full covariance fitted on the codes.
        codes: the most training images whose codes the mixture is fitted on.
    """

    batch_size: int = 96
    width: int = 32
    blocks: int = 1
    latent: int = 16
    dropout: float = 0.0
    lr: float = 2.5e-3
    weight_decay: float = 0.05
    code_penalty: float = 1e-3
    components: int = 20
    codes: int = 4096
    clip: float = 1.0
    ema_half_life: float = 0.05

    def ranges(self) -> Ranges:
        return {
            **self.counts("batch_size", "blocks", "latent", "components", "codes"),
            "width": (divides_into_groups(self.width), GROUPS),
            **self.below_one("dropout"),
            **self.above_zero("lr", "clip", "ema_half_life"),
            **self.zero_or_more("weight_decay", "code_penalty"),
        }
