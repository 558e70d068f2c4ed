"""Configurations of the baselines.

The batches are small because one pass leaves the incomplete last batch out: at most three examples here.
"""

from __future__ import annotations

from dataclasses import dataclass

from genbench_blocks.ranges import Ranged, Ranges


@dataclass(frozen=True)
class MarginalsConfig(Ranged):
    """Of ``marginals`` and ``class-marginals``.

    Attributes:
        batch_size: examples counted in one step.
        pseudo_count: added to the count of every value of every pixel; 1 is Laplace's add-one rule, 0.5 the
            estimator of Krichevsky and Trofimov. Above 0, or unseen values would have no probability at all.
    """

    batch_size: int = 4
    pseudo_count: float = 0.5

    def ranges(self) -> Ranges:
        return {**self.counts("batch_size"), **self.above_zero("pseudo_count")}


@dataclass(frozen=True)
class TrainCopyConfig(Ranged):
    """Of ``train-copy``: ``batch_size`` examples are stored in one step."""

    batch_size: int = 4

    def ranges(self) -> Ranges:
        return self.counts("batch_size")


@dataclass(frozen=True)
class NoiseConfig(Ranged):
    """Of ``noise``, which takes no training step at all."""

    batch_size: int = 64

    def ranges(self) -> Ranges:
        return self.counts("batch_size")
