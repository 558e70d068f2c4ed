"""Configurations of the conditional GANs. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass

from genbench_blocks.ranges import Ranges
from genbench_gan.config import AdversarialConfig, RNNGANConfig


@dataclass(frozen=True)
class CGANConfig(AdversarialConfig):
    """The configuration of ``cgan``; see :class:`genbench_gan.config.AdversarialConfig`.

    Attributes:
        spectral_norm: whether the discriminator's layers are divided by their spectral norms.
    """

    spectral_norm: bool = False


@dataclass(frozen=True)
class ACGANConfig(CGANConfig):
    """The configuration of ``acgan``; see :class:`CGANConfig`.

    Attributes:
        class_weight_d, class_weight_g: weights of the classification loss beside the adversarial one in the
            discriminator and in the generator; 0 or more.
    """

    class_weight_d: float = 1.0
    class_weight_g: float = 0.2

    def ranges(self) -> Ranges:
        return {**super().ranges(), **self.zero_or_more("class_weight_d", "class_weight_g")}


@dataclass(frozen=True)
class CRNNGANConfig(RNNGANConfig):
    """The configuration of ``crnn-gan``; see :class:`genbench_gan.config.RNNGANConfig`."""
