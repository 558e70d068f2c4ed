"""Configuration of the conditional GAN. Imports no torch: listing models reads it."""

from __future__ import annotations

from dataclasses import dataclass

from genbench_gan.config import AdversarialConfig


@dataclass(frozen=True)
class CGANConfig(AdversarialConfig):
    """The configuration of ``cgan``; see :class:`genbench_gan.config.AdversarialConfig`."""
