"""Configuration that the convolutional GANs share. Imports no torch: listing models reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genbench import DataSpec

SMALLEST, LARGEST = 8, 64
"""Side lengths in pixels that the networks are laid out for."""


@dataclass(frozen=True)
class AdversarialConfig:
    """Networks and recipe of a convolutional GAN.

    Attributes:
        batch_size: real images a step, and as many generated ones; 2 or more.
        latent: dimensions of the standard normal code z.
        generator_width: channels of the generator at full resolution; doubled at each halving, up to 256.
        discriminator_width: channels after the discriminator's first layer, at half resolution; likewise.
        lr: Adam's step size for both networks.
        beta1, beta2: Adam's decay rates of the moments.
        lr_decay: the share of the budget, at its end, over which the step size falls linearly to 0; in [0, 1].
        r1: gamma of the R1 penalty; 0 for none.
        r1_every: the penalty is taken each so many steps, with so many times the weight.
        spectral_norm: whether the discriminator's layers are divided by their spectral norms.
        augment: probability that an image on its way to the discriminator is shifted and cut (DiffAugment); 1 for
            data sets of some hundred examples.
        ema_half_life: most images after which a weight of the generator has half left the average.
        ema_rampup: that half-life as a share of the images seen, where it is less.

    Raises:
        ValueError: for a value outside its range.
    """

    batch_size: int = 64
    latent: int = 32
    generator_width: int = 24
    discriminator_width: int = 24
    lr: float = 1e-3
    beta1: float = 0.0
    beta2: float = 0.99
    lr_decay: float = 0.5
    r1: float = 0.1
    r1_every: int = 16
    spectral_norm: bool = False
    augment: float = 0.0
    ema_half_life: float = 500_000.0
    ema_rampup: float = 0.05

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[bool, str]] = {
            "batch_size": (self.batch_size >= 2, "2 or more, since BatchNorm compares images"),
            "latent": (self.latent >= 1, "1 or more"),
            "generator_width": (self.generator_width >= 1, "1 or more"),
            "discriminator_width": (self.discriminator_width >= 1, "1 or more"),
            "lr": (self.lr > 0, "above 0"),
            "beta1": (0 <= self.beta1 < 1, "in [0, 1)"),
            "beta2": (0 <= self.beta2 < 1, "in [0, 1)"),
            "lr_decay": (0 <= self.lr_decay <= 1, "in [0, 1]"),
            "r1": (self.r1 >= 0, "0 or more"),
            "r1_every": (self.r1_every >= 1, "1 or more"),
            "augment": (0 <= self.augment <= 1, "in [0, 1]"),
            "ema_half_life": (self.ema_half_life > 0, "above 0"),
            "ema_rampup": (self.ema_rampup > 0, "above 0"),
        }
        for name, (right, wanted) in ranges.items():
            if not right:
                raise ValueError(f"{name} must be {wanted}, not {getattr(self, name)}")


@dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    """The configuration of ``dcgan``; see :class:`AdversarialConfig`."""


def adversarial_defaults(data: DataSpec) -> Mapping[str, object]:
    """Large batches and steps for the smallest images, whose networks are shallow and whose steps are short;
    narrower networks for the largest, which have more layers."""
    if not data.is_image:
        return {}
    side = data.shape[-1]
    if side < 16:
        return {"batch_size": 128, "lr": 4e-3, "r1_every": 8}
    if side > 32:
        return {"generator_width": 16, "discriminator_width": 16, "latent": 64}
    return {"latent": 64}


def supports_square_images(data: DataSpec) -> str | None:
    """None, or why the networks can't be laid out for such data."""
    if not data.is_image:
        return f"needs images (C, H, W), not sequences of shape {data.shape}"
    _, height, width = data.shape
    if height != width or height % 4 or not SMALLEST <= height <= LARGEST:
        return f"needs square images of {SMALLEST} to {LARGEST} pixels a side, a multiple of 4; not {height}x{width}"
    return None
