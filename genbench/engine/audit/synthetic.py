"""Synthetic distributions whose log probabilities are known: what a likelihood is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from genbench.specs import DataSpec

LARGE = 512
"""Dimensions beyond which an example is large, and a pass over the model dear."""

MAX_CLASSES = 10
FEW_CLASSES = 3
"""Classes that the synthetic prior gives probability to, the fewer on large examples: marginalising costs one pass over
the model a class."""

SPREAD = 0.75
"""Standard deviation, in levels, of the narrow distribution of a pixel."""

HIDDEN_CLASSES = 4
"""The most classes that are kept from the model."""


@dataclass(frozen=True)
class Source:
    """A distribution q of pixels that are independent given a class.

    Attributes:
        name: as findings call it.
        data: shape, levels and classes of an example.
        prior: p(y), float64 ``[Y]``.
        pixel: q(v | y) of every pixel, float64 ``[Y, levels]``.
        hidden: whether the classes are kept from the model, and any labels say nothing.
    """

    name: str
    data: DataSpec
    prior: np.ndarray
    pixel: np.ndarray
    hidden: bool = False

    @property
    def label_prior(self) -> np.ndarray:
        """p(label), float64 ``[classes]``; ``[1]`` where there are no labels."""
        return class_prior(self.data) if self.hidden else self.prior

    def draw(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Independent examples, uint8 ``[n, *shape]``, and their labels, int64 ``[n]``, for data that have any."""
        classes = generator.choice(len(self.prior), size=n, p=self.prior)
        uniform = generator.random((n, self.data.dims))
        cumulative = self.pixel.cumsum(axis=1)
        x = np.empty(uniform.shape, dtype=np.uint8)
        for label in np.unique(classes):
            values = np.searchsorted(cumulative[label], uniform[classes == label], side="right")
            # The last sum can fall short of 1 by rounding.
            x[classes == label] = values.clip(max=self.data.levels - 1)
        labels = None
        if self.data.classes is not None:
            labels = generator.choice(len(self.label_prior), size=n, p=self.label_prior) if self.hidden else classes
        return x.reshape(n, *self.data.shape), labels

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log q(x) = log sum_y p(y) prod_d q(x_d | y) in nats, float64 ``[n]``, of uint8 ``[n, *shape]``."""
        flat = x.reshape(len(x), -1)
        counts = np.stack([(flat == value).sum(axis=1) for value in range(self.data.levels)], axis=1)  # [n, levels]
        occurs = self.prior > 0
        given = counts @ np.log(self.pixel[occurs]).T  # [n, classes that occur]
        return np.asarray(logsumexp(given + np.log(self.prior[occurs]), axis=1))


def uniform_source(data: DataSpec) -> Source:
    """All examples equally likely: of the highest entropy, and what any model can learn."""
    prior = class_prior(data)
    return Source("uniform pixels", data, prior, np.full((len(prior), data.levels), 1.0 / data.levels))


def narrow_source(data: DataSpec, by_class: bool) -> Source:
    """Pixels of a bell shape over a few neighbouring levels: of low entropy, about 1.1 nats.

    The shape suits categorical pixels, logistics and flows alike, so that honest models come near to q and leave
    little room for flattery. With ``by_class`` its centre moves with the class, for models that are told the class.
    """
    prior = class_prior(data)
    used = _classes_used(data)
    centres = np.full(len(prior), 0.3)
    if by_class:
        centres[:used] = np.linspace(0.2, 0.8, used)
    name = "narrow pixels about a level of their class" if by_class else "narrow pixels"
    return Source(name, data, prior, _bells(centres, data.levels))


def hidden_source(data: DataSpec) -> Source:
    """Pixels that share a level which nobody tells: for what flatters only where there is something to infer.

    A latent variable model has to use its code here, so that a lost KL term or a choice of the best draw shows.
    """
    classes = min(HIDDEN_CLASSES, data.levels)
    pixel = _bells(np.linspace(0.0, 1.0, classes), data.levels)
    return Source("pixels of a hidden class", data, np.full(classes, 1.0 / classes), pixel, hidden=True)


@dataclass(frozen=True)
class Words(Source):
    """Sequences of the form of words: letters, one end symbol, then only padding; as long as the data's shape.

    The number of letters is uniform over 1 .. L - 1, and they are independent, of the probabilities ``pixel[0]``.

    Attributes:
        end: the level that ends a word.
        pad: the level that fills what is left; where it is the same as ``end``, the first one ends the word.
    """

    end: int = 0
    pad: int = 0

    def draw(self, n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Independent words, uint8 ``[n, L]``, and labels that say nothing, int64 ``[n]``, for data that have any."""
        (length,) = self.data.shape
        letters = generator.integers(1, length, size=(n, 1))
        x = generator.choice(self.data.levels, size=(n, length), p=self.pixel[0])
        place = np.arange(length)
        x = np.where(place < letters, x, np.where(place == letters, self.end, self.pad)).astype(np.uint8)
        return x, None if self.data.classes is None else generator.choice(len(self.prior), size=n, p=self.prior)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """log q(x) in nats, float64 ``[n]``, of words uint8 ``[n, L]``; of nothing else."""
        (length,) = self.data.shape
        within = np.cumsum(x == self.end, axis=1) == 0  # [n, L], the letters before the end
        each = np.log(np.where(self.pixel[0] > 0, self.pixel[0], 1.0))[x]
        return np.asarray((each * within).sum(axis=1) - np.log(length - 1))


def word_sources(data: DataSpec) -> list[Words]:
    """Words in the codings that are in use, for data of sequences: the end and the padding first or last, or one."""
    if data.is_image or data.shape[0] < 2:
        return []
    last, prior = data.levels - 1, class_prior(data)
    codings = [(0, 0), (last, last), (last - 1, last), (last, last - 1), (1, 0), (0, 1), (last, 0), (0, last)]
    sources = []
    for end, pad in dict.fromkeys(codings):
        weights = np.linspace(1.0, 2.0, data.levels)
        weights[[end, pad]] = 0.0
        if weights.any():
            name = f"words that end with {end} and are padded with {pad}"
            sources.append(Words(name, data, prior, (weights / weights.sum())[None], end=end, pad=pad))
    return sources


def class_prior(data: DataSpec) -> np.ndarray:
    """An uneven p(y) over the first classes, float64 ``[classes]``; ``[1]`` where there are no labels."""
    weights = np.zeros(data.classes or 1)
    used = _classes_used(data)
    weights[:used] = np.linspace(1.0, 2.0, used)
    return np.asarray(weights / weights.sum())


def _classes_used(data: DataSpec) -> int:
    """How many of the classes have a probability."""
    return min(data.classes or 1, FEW_CLASSES if data.dims > LARGE else MAX_CLASSES)


def _bells(centres: np.ndarray, levels: int) -> np.ndarray:
    """Distributions about each of the centres in [0, 1], float64 ``[len(centres), levels]``."""
    # With very few levels a narrower bell, or classes could not be told apart.
    spread = min(SPREAD, 0.2 * (levels - 1))
    away = np.arange(levels) - centres[:, None] * (levels - 1)
    bells = np.exp(-0.5 * (away / spread) ** 2) + 1e-4  # the floor keeps every example possible
    return np.asarray(bells / bells.sum(axis=1, keepdims=True))
