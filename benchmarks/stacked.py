"""Stacked digits: three grey digits as the channels of one image, so that the data have 1,000 known modes.

After the stacked MNIST of Metz et al. 2017 (arXiv:1611.02163, section 3.3.1). There the triples are drawn anew all the
time; here they are fixed, and every mode has as many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench.engine.data import Examples
from genbench_benchmarks import digits, idx

CHANNELS = 3


def load_digits() -> dict[str, Examples]:
    """20 training and 5 test examples of each mode, uint8 ``[N, 3, 8, 8]``, 17 levels, without labels.

    Those of a split are made of the images of that split of ``digits``.
    """
    splits = digits.load()
    return {"train": stacked(splits["train"], 20, "train"), "test": stacked(splits["test"], 5, "test")}


def load_mnist(files: Mapping[str, Path]) -> dict[str, Examples]:
    """60 training and 10 test examples of each mode, uint8 ``[N, 3, 28, 28]``, 256 levels, without labels.

    Args:
        files: those of MNIST, by their names.
    """
    splits = idx.load(files)
    return {"train": stacked(splits["train"], 60, "train"), "test": stacked(splits["test"], 10, "test")}


def stacked(source: Examples, of_each: int, key: str) -> Examples:
    """``of_each`` triples of each mode, the number that the classes of the three channels make.

    Hashes decide which images of a class a triple holds and in what order the triples stand, hence no generator has a
    part in it.

    Args:
        source: uint8 ``[N, 1, H, W]`` and int64 ``[N]``.
        of_each: 1 or more.
        key: names the choice, so that two choices are unrelated.

    Returns:
        uint8 ``[of_each K^3, 3, H, W]`` and None, K being the number of classes.
    """
    x, labels = source
    assert labels is not None
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    triples = np.array(
        [
            _triple([members[label] for label in mode], f"{key} {mode} {number}")
            for mode in product(range(len(members)), repeat=CHANNELS)
            for number in range(of_each)
        ]
    )  # [M, 3]
    images = x[triples, 0]  # [M, 3, H, W]
    order = np.argsort([hashlib.sha256(image.tobytes()).digest() for image in images], kind="stable")
    return images[order], None


def _triple(members: list[NDArray[np.int64]], key: str) -> list[int]:
    """An image of each channel's class, chosen by a hash of the key and the channel."""
    digests = (hashlib.sha256(f"stacked {key} {channel}".encode()).digest() for channel in range(CHANNELS))
    return [int(own[int.from_bytes(digest, "big") % len(own)]) for own, digest in zip(members, digests, strict=True)]
