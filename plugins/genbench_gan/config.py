"""Configurations of the GANs, and which data they are for. Imports no torch: listing models reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genbench import DataSpec
from genbench_blocks.ranges import Ranged, Ranges

SMALLEST, LARGEST = 8, 64
"""Side lengths in pixels that the convolutional networks are laid out for."""


@dataclass(frozen=True)
class AdversarialConfig(Ranged):
    """Networks and recipe of a GAN; what each model changes of the defaults stands in its own class.

    Attributes:
        batch_size: real examples a step, and as many generated ones; 2 or more.
        latent: dimensions of the standard normal code z.
        generator_width, discriminator_width: of convolutional networks the channels at full and at half resolution,
            doubled at each halving, up to 256; of dense and recurrent ones the units of a layer.
        lr: Adam's step size for the generator.
        lr_ratio: the discriminator's step size as a multiple of the generator's (TTUR, Heusel et al. 2017,
            arXiv:1706.08500); 1 for the same.
        beta1, beta2: Adam's decay rates of the moments.
        lr_decay: the share of the budget, at its end, over which the step sizes fall linearly to 0; in [0, 1].
        critic_steps: steps of the discriminator for one of the generator.
        clip: the largest norm of a network's gradient; 0 for no limit.
        r1: gamma of the R1 penalty; 0 for none.
        r1_every: the penalty is taken each so many steps, with so many times the weight.
        augment: probability that an image on its way to the discriminator is shifted and cut (DiffAugment); 1 for
            data sets of some hundred examples. 0 for words.
        ema_half_life: of the generator's average, in examples, where ``ema_rampup`` does not make it less: after so
            many, half of what a weight was has left the average.
        ema_rampup: that half-life as a share of the examples seen so far; the smaller of the two rules.

    Raises:
        ValueError: for a value outside its range.
    """

    batch_size: int = 64
    latent: int = 32
    generator_width: int = 24
    discriminator_width: int = 24
    lr: float = 1e-3
    lr_ratio: float = 1.0
    beta1: float = 0.0
    beta2: float = 0.99
    lr_decay: float = 0.5
    critic_steps: int = 1
    clip: float = 0.0
    r1: float = 0.1
    r1_every: int = 16
    augment: float = 0.0
    ema_half_life: float = 500_000.0
    ema_rampup: float = 0.05

    def ranges(self) -> Ranges:
        return {
            "batch_size": (self.batch_size >= 2, "2 or more, since BatchNorm compares images"),
            **self.counts("latent", "generator_width", "discriminator_width", "critic_steps", "r1_every"),
            **self.above_zero("lr", "lr_ratio", "ema_half_life", "ema_rampup"),
            **self.below_one("beta1", "beta2"),
            **self.shares("lr_decay", "augment"),
            **self.zero_or_more("clip", "r1"),
        }


@dataclass(frozen=True)
class MLPGANConfig(AdversarialConfig):
    """The configuration of ``mlp-gan``; see :class:`AdversarialConfig`."""

    generator_width: int = 256
    discriminator_width: int = 256


@dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    """The configuration of ``dcgan``; see :class:`AdversarialConfig`.

    Attributes:
        spectral_norm: whether the discriminator's layers are divided by their spectral norms.
    """

    spectral_norm: bool = False


@dataclass(frozen=True)
class WGANGPConfig(AdversarialConfig):
    """The configuration of ``wgan-gp``; see :class:`AdversarialConfig`.

    Attributes:
        gradient_penalty: lambda, the weight of the penalty on the critic's slope; 0 or more.
    """

    beta2: float = 0.9
    critic_steps: int = 5
    r1: float = 0.0
    gradient_penalty: float = 10.0

    def ranges(self) -> Ranges:
        return {
            **super().ranges(),
            **self.zero_or_more("gradient_penalty"),
            "r1": (self.r1 == 0, "0, since the critic has a penalty of its own"),
        }


@dataclass(frozen=True)
class SNGANConfig(AdversarialConfig):
    """The configuration of ``sngan``; see :class:`AdversarialConfig`. Spectral normalisation is what it is about."""

    r1: float = 0.0


@dataclass(frozen=True)
class SAGANConfig(AdversarialConfig):
    """The configuration of ``sagan``; see :class:`AdversarialConfig`."""

    lr_ratio: float = 2.0
    r1: float = 0.0


@dataclass(frozen=True)
class RNNGANConfig(AdversarialConfig):
    """The configuration of ``rnn-gan``; see :class:`AdversarialConfig`.

    Attributes:
        temperature, last_temperature: of the softmax through which gradients reach the letters of a word, at the
            start and at the end of the budget, falling geometrically between; above 0. Images have none.
    """

    generator_width: int = 64
    discriminator_width: int = 32
    lr: float = 2e-3
    clip: float = 1.0
    r1_every: int = 8
    temperature: float = 1.0
    last_temperature: float = 1.0

    def ranges(self) -> Ranges:
        return {**super().ranges(), **self.above_zero("temperature", "last_temperature")}


def convolutional_defaults(data: DataSpec) -> Mapping[str, object]:
    """Large steps for the smallest images, whose networks are shallow; narrower networks for the largest, which have
    more layers."""
    if not data.is_image:
        return {}
    side = data.shape[-1]
    if side < 16:
        return {"lr": 2e-3, "r1_every": 8}
    if side > 32:
        return {"generator_width": 16, "discriminator_width": 16, "latent": 64}
    return {"latent": 64}


def without_r1_defaults(data: DataSpec) -> Mapping[str, object]:
    """As :func:`convolutional_defaults`, for models without the R1 penalty."""
    return {name: value for name, value in convolutional_defaults(data).items() if name != "r1_every"}


def wgan_gp_defaults(data: DataSpec) -> Mapping[str, object]:
    """Of the smallest images many small batches and few critic steps: what counts there is how often G moves."""
    defaults = without_r1_defaults(data)
    if data.is_image and data.shape[-1] < 16:
        return {**defaults, "batch_size": 32, "critic_steps": 2, "beta2": 0.99}
    return defaults


def recurrent_defaults(data: DataSpec) -> Mapping[str, object]:
    """Large steps for the smallest images; of words many small batches, and a softmax near the draws that it stands
    for."""
    if not data.is_image:
        return {"batch_size": 32, "temperature": 0.6, "last_temperature": 0.6}
    return {"lr": 4e-3} if data.shape[-1] < 16 else {}


def mlp_defaults(data: DataSpec) -> Mapping[str, object]:
    return {"latent": 64} if data.dims > 512 else {"lr": 2e-3}


def supports_square_images(data: DataSpec) -> str | None:
    """None, or why the convolutional networks can't be laid out for such data."""
    if not data.is_image:
        return f"needs images (C, H, W), not sequences of shape {data.shape}"
    _, height, width = data.shape
    if height != width or height % 4 or not SMALLEST <= height <= LARGEST:
        return f"needs square images of {SMALLEST} to {LARGEST} pixels a side, a multiple of 4; not {height}x{width}"
    return None


def supports_images(data: DataSpec) -> str | None:
    """None for images of any shape, or why the model can't be used."""
    return None if data.is_image else f"needs images (C, H, W), not sequences of shape {data.shape}"


def supports_steps(data: DataSpec) -> str | None:
    """None for images, whose rows are steps, and for words; or why the model can't be used."""
    if not data.is_image and data.levels < 3:
        return f"needs words with levels for padding, the end symbol and letters, not {data.levels} levels"
    return None
