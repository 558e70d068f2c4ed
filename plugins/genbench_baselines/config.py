"""Configurations of the baselines.

The batches are small because one pass leaves the incomplete last batch out: at most three examples here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MarginalsConfig:
    """Of ``marginals`` and ``class-marginals``.

    Attributes:
        batch_size: examples counted in one step.
        pseudo_count: added to the count of every value of every pixel; 1 is Laplace's add-one rule, 0.5 the
            estimator of Krichevsky and Trofimov. Above 0, or unseen values would have no probability at all.
    """

    batch_size: int = 4
    pseudo_count: float = 0.5

    def __post_init__(self) -> None:
        if not self.pseudo_count > 0:
            raise ValueError(f"pseudo_count must be above 0, not {self.pseudo_count}")


@dataclass(frozen=True)
class TrainCopyConfig:
    """Of ``train-copy``: ``batch_size`` examples are stored in one step."""

    batch_size: int = 4


@dataclass(frozen=True)
class NoiseConfig:
    """Of ``noise``, which takes no training step at all."""

    batch_size: int = 64
