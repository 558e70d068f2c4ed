"""The sample sets of the calibration ladder: training examples, and what was done to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from genbench.engine.data import Examples
from genbench.specs import DataSpec

BLURS = (0.05, 0.1, 0.2)
"""Standard deviations in sides of the image."""
NOISES = (0.05, 0.1, 0.2)
"""Standard deviations in ranges of values, ``levels - 1``."""
NEAR = 0.03
SHIFT = 1 / 8
UNBALANCED = (0.5, 1.5)
MODES = 10


@dataclass(frozen=True)
class Source:
    """What sample sets are made from.

    Attributes:
        x, labels: uint8 ``[T, *shape]`` and int64 ``[T]``, or None for data without labels.
        data: their spec.
        n: examples in a set; at most T / 2.
    """

    x: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    data: DataSpec
    n: int

    def at(self, index: NDArray[np.int64]) -> Examples:
        """The examples at positions ``[n]``, with their labels."""
        return self.x[index], None if self.labels is None else self.labels[index]

    def classes(self) -> NDArray[np.int64]:
        """The labels, for rungs that stand on them.

        Raises:
            ValueError: for data without.
        """
        if self.labels is None:
            raise ValueError("the data have no labels")
        return self.labels


Corruption = Callable[[Source, np.random.Generator], Examples]


def _draw(source: Source, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of n training examples, none twice."""
    return rng.choice(len(source.x), source.n, replace=False)


def _copy(source: Source, rng: np.random.Generator) -> Examples:
    return source.at(_draw(source, rng))


def _blur(source: Source, rng: np.random.Generator, strength: float) -> Examples:
    x, labels = _copy(source, rng)
    sides = [0.0, 0.0, *(strength * size for size in x.shape[2:])]  # neither over examples nor over channels
    return _quantised(ndimage.gaussian_filter(x.astype(np.float64), sides, mode="nearest"), source.data), labels


def noisy(x: NDArray[np.uint8], data: DataSpec, strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 ``[N, *shape]`` with Gaussian noise, in ranges of values, rounded and clipped to the levels."""
    return _quantised(x + rng.normal(0.0, strength * (data.levels - 1), x.shape), data)


def near_copies(x: NDArray[np.uint8], data: DataSpec, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 ``[N, *shape]``: images with a little Gaussian noise, texts with one symbol exchanged for another."""
    if data.is_image:
        return noisy(x, data, NEAR, rng)
    exchanged, place = x.copy(), rng.integers(x.shape[1], size=len(x))
    other = rng.integers(1, data.levels, size=len(x))
    exchanged[np.arange(len(x)), place] = (x[np.arange(len(x)), place] + other) % data.levels
    return exchanged


def _noise(source: Source, rng: np.random.Generator, strength: float) -> Examples:
    x, labels = _copy(source, rng)
    return noisy(x, source.data, strength, rng), labels


def _shift(source: Source, rng: np.random.Generator) -> Examples:
    """The strip that comes in repeats the image's edge."""
    x, labels = _copy(source, rng)
    moves = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])[rng.integers(4, size=len(x))]
    steps = [max(1, round(SHIFT * size)) for size in x.shape[2:]]
    moved = np.stack(
        [
            ndimage.shift(image, (0, *(move * steps)), order=0, mode="nearest")
            for image, move in zip(x, moves, strict=True)
        ]
    )
    return moved, labels


def _class_dropped(source: Source, rng: np.random.Generator) -> Examples:
    labels = source.classes()
    kept = np.flatnonzero(labels != rng.choice(np.unique(labels)))
    return source.at(rng.choice(kept, min(source.n, len(kept)), replace=False))


def _classes_unbalanced(source: Source, rng: np.random.Generator) -> Examples:
    """n is half the training examples or less, so no class of at most 1.5 times its share runs out."""
    labels = source.classes()
    present, counts = np.unique(labels, return_counts=True)
    weights = counts * np.linspace(*UNBALANCED, len(present))
    wanted = np.floor(source.n * weights / weights.sum()).astype(int)
    wanted[-1] += source.n - wanted.sum()
    groups = [np.flatnonzero(labels == label) for label in present]
    chosen = [
        rng.choice(group, min(count, len(group)), replace=False) for group, count in zip(groups, wanted, strict=True)
    ]
    return source.at(np.concatenate(chosen))


def _duplicates(source: Source, rng: np.random.Generator, share: float) -> Examples:
    repeated = round(share * source.n)
    distinct = _draw(source, rng)[: source.n - repeated]
    return source.at(np.concatenate([distinct, np.resize(distinct, repeated)]))


def _collapse(source: Source, rng: np.random.Generator) -> Examples:
    return source.at(np.resize(rng.choice(len(source.x), min(MODES, source.n), replace=False), source.n))


def _one_per_class(source: Source, rng: np.random.Generator) -> Examples:
    """Each drawn example is replaced by the one that stands for its class."""
    labels = source.classes()
    drawn = _draw(source, rng)
    chosen = {label: rng.choice(np.flatnonzero(labels == label)) for label in np.unique(labels)}
    return source.at(np.array([chosen[label] for label in labels[drawn]]))


def _marginals(source: Source, rng: np.random.Generator) -> Examples:
    """Labels, where there are any, have nothing to do with the images."""
    drawn = _draw(source, rng)
    return _independent(source.x, len(drawn), rng), None if source.labels is None else source.labels[drawn]


def _class_marginals(source: Source, rng: np.random.Generator) -> Examples:
    labels = source.classes()
    wanted = labels[_draw(source, rng)]
    x = np.empty((len(wanted), *source.x.shape[1:]), np.uint8)
    for label in np.unique(wanted):
        x[wanted == label] = _independent(source.x[labels == label], int((wanted == label).sum()), rng)
    return x, wanted


def _independent(x: NDArray[np.uint8], n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """n images whose every value is that of an example of its own: draws from the product of the marginals."""
    flat = x.reshape(len(x), -1)
    donors = rng.integers(len(x), size=(n, flat.shape[1]))
    return flat[donors, np.arange(flat.shape[1])].reshape(n, *x.shape[1:])


def _uniform(source: Source, rng: np.random.Generator) -> Examples:
    drawn = _draw(source, rng)
    x = rng.integers(source.data.levels, size=(source.n, *source.data.shape)).astype(np.uint8)
    return x, None if source.labels is None else source.labels[drawn]


def _labels_wrong(source: Source, rng: np.random.Generator) -> Examples:
    index = _draw(source, rng)
    labels, present = source.classes()[index].copy(), np.unique(source.classes())
    for place in rng.choice(source.n, round(0.1 * source.n), replace=False):
        labels[place] = rng.choice(present[present != labels[place]])
    return source.x[index], labels


def _labels_shuffled(source: Source, rng: np.random.Generator) -> Examples:
    index = _draw(source, rng)
    return source.x[index], rng.permutation(source.classes()[index])


def _quantised(values: NDArray[np.float64], data: DataSpec) -> NDArray[np.uint8]:
    return np.clip(np.floor(values + 0.5), 0, data.levels - 1).astype(np.uint8)


OF_ANY: dict[str, Corruption] = {
    "train-copy": _copy,
    "duplicates-10%": partial(_duplicates, share=0.1),
    "duplicates-50%": partial(_duplicates, share=0.5),
    "collapse": _collapse,
    "marginals": _marginals,
    "uniform-noise": _uniform,
}
OF_IMAGES: dict[str, Corruption] = {
    **{f"blur-{grade}": partial(_blur, strength=strength) for grade, strength in enumerate(BLURS, 1)},
    **{f"noise-{grade}": partial(_noise, strength=strength) for grade, strength in enumerate(NOISES, 1)},
    "shift": _shift,
}
OF_LABELLED: dict[str, Corruption] = {
    "class-dropped": _class_dropped,
    "classes-unbalanced": _classes_unbalanced,
    "one-per-class": _one_per_class,
    "class-marginals": _class_marginals,
    "labels-10%-wrong": _labels_wrong,
    "labels-shuffled": _labels_shuffled,
}

REPLAYED = {"held-out": 0.0, "replayed-10%": 0.1, "replayed-20%": 0.2, "replayed-50%": 0.5, "replayed": 1.0}
"""The share of training examples in the sets that are compared with half of the held-out data."""


def corruptions(data: DataSpec) -> dict[str, Corruption]:
    """What can be done to data of this form, by the names of :data:`genbench.rungs.WHOLE`.

    ``classes()`` refuses data without labels, so the rungs that need them are left out here.
    """
    return {
        **OF_ANY,
        **(OF_IMAGES if data.is_image else {}),
        **(OF_LABELLED if data.classes is not None else {}),
    }


def replayed(honest: Examples, training: Source, share: float, rng: np.random.Generator) -> Examples:
    """Held-out examples of which a share is replaced by training examples."""
    x, labels = honest
    count = round(share * len(x))
    index = rng.choice(len(training.x), count, replace=False)
    copies, their_labels = training.at(index)
    mixed = np.concatenate([x[: len(x) - count], copies])
    if labels is None or their_labels is None:
        return mixed, None
    return mixed, np.concatenate([labels[: len(x) - count], their_labels])
