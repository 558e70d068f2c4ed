"""Modes found and KL for data whose modes are known, such as three digits in three colour channels (1,000 modes).

The convention of Metz et al. 2017 (arXiv:1611.02163, section 3.3.1), VEEGAN and PacGAN: a mode is found if one sample
or more is predicted to be of it, and the divergence is KL(samples' histogram || data's).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.pairs import Array, Float64
from genbench.errors import DataError


@dataclass(frozen=True)
class Modes:
    """What was found.

    Attributes:
        found: modes with at least one sample.
        modes: how many there are.
        divergence: KL(samples || data), nats; of n samples from the data itself about (modes - 1) / (2 n) where n is
            much larger than the number of modes.
    """

    found: int
    modes: int
    divergence: float


def mode_ids(logits: Array) -> NDArray[np.int64]:
    """The mode of each image from the classes predicted in its channels: the digits of a number to base K.

    Args:
        logits: ``[N, C, K]``, of the C channels of N images.

    Returns:
        int64 ``[N]`` between 0 and K^C - 1, the first channel counting most.
    """
    _, channels, classes = logits.shape
    weights = classes ** np.arange(channels - 1, -1, -1)  # [C]
    ids: NDArray[np.int64] = logits.argmax(axis=-1) @ weights  # [N, C] @ [C]
    return ids


def mode_distribution(ids: NDArray[np.int64], modes: int) -> Float64:
    """The share of images in each mode, float64 ``[modes]``, from their modes ``[N]``."""
    distribution: Float64 = np.bincount(ids, minlength=modes) / len(ids)
    return distribution


def modes_of(ids: NDArray[np.int64], data: Float64) -> Modes:
    """Modes found by samples and their divergence from the data.

    Args:
        ids: int64 ``[N]``, the modes of the samples.
        data: float64 ``[modes]``, the data's distribution, every mode of a positive share.

    Raises:
        DataError: if a mode has no share in the data, so that the divergence would be infinite, or an id is no mode.
    """
    if (data <= 0).any():
        raise DataError(
            f"the KL over modes is finite only where the data have every mode; {int((data <= 0).sum())} of "
            f"{len(data)} have no share: take the distribution that the data were made with"
        )
    if ids.min() < 0 or ids.max() >= len(data):
        raise DataError(f"modes are 0 to {len(data) - 1}; the samples have {int(ids.min())} to {int(ids.max())}")
    shares = mode_distribution(ids, len(data))
    found = shares > 0
    divergence = float((shares[found] * np.log(shares[found] / data[found])).sum())
    return Modes(int(found.sum()), len(data), divergence)
