"""Configurations of the conditional GANs, and which data they are for. Imports no torch: listing models reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from genbench import DataSpec
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

    def ranges(self) -> dict[str, tuple[bool, str]]:
        return {
            **super().ranges(),
            "class_weight_d": (self.class_weight_d >= 0, "0 or more"),
            "class_weight_g": (self.class_weight_g >= 0, "0 or more"),
        }


@dataclass(frozen=True)
class CRNNGANConfig(RNNGANConfig):
    """The configuration of ``crnn-gan``; see :class:`genbench_gan.config.RNNGANConfig`."""


def labelled(supports: Callable[[DataSpec], str | None]) -> Callable[[DataSpec], str | None]:
    """``supports`` of a model that needs labels beside what it needs anyway."""

    def reason(data: DataSpec) -> str | None:
        if data.classes is None:
            return "needs labels, which the data do not carry"
        return supports(data)

    return reason
