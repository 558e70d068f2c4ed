"""Copying of training data: three statistics, each beside what honest held-out data give in the samples' place.

Every statistic compares two sets of equal size with the training data, first what is suspected, then held-out examples,
and is lower the more the first copies. Its null distribution is that of two halves of the held-out data, at random. The
sizes are equal on both sides and under the null, since nearest neighbours are nearer in larger sets.

None of them is proof, and each sees what another does not: the ratio is linear in the share of near copies, AuthPct
counts samples whatever their distances are, and C_T ranks distances within regions of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.scoring.cells import cells_of, k_means
from genbench.engine.scoring.keeping import arithmetic, kept
from genbench.engine.scoring.pairs import Array, Float64
from genbench.errors import DataError

SIZE_MOST, TRAINING_MOST = 2000, 8000
"""Examples in a set, and of the training data that are looked at: distances then take less than half a GiB."""
SIZE_LEAST = 20
"""Samples and training examples; of held-out ones twice as many."""
DRAWS, NULL_DRAWS = 100, 1000
NULL_VERSION = 2
"""Raised whenever a null distribution comes out otherwise: what is kept of it is then made anew."""
SEED = 2020
NULL_PERCENTILE = 1.0
"""Below it, 99 % of honest held-out data look less like copies."""
CELL_OF, CELLS_MOST, CELL_LEAST = 50, 20, 20
"""Examples of a set for each cell of C_T, and the most cells; a cell with fewer than 20 of either set does not count
(Meehan et al. 2020, section 4, leave out cells that few samples fall into; 20 as in their authors' experiments)."""
NEAREST_KEPT = 64
"""Columns kept of each row of distances, nearest first; enough for subsets of a quarter to hold one of them."""
BLOCK_ROWS = 1024
ZERO = 1e-13
"""Squared distances below this share of |x|^2 + |y|^2 are rounding of 0."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class CopyStatistic:
    """A statistic of the samples and its null distribution.

    Attributes:
        value: the median over random equal-size subsets; lower means more copying.
        null: float64 ``[NULL_DRAWS]``, the same of held-out data in the samples' place.
    """

    value: float
    null: Float64

    @property
    def threshold(self) -> float:
        """The null distribution's first percentile."""
        return float(np.percentile(self.null, NULL_PERCENTILE))

    @property
    def flagged(self) -> bool:
        """Whether the samples look more like copies than 99 % of honest held-out data."""
        return self.value < self.threshold


@dataclass(frozen=True)
class Copying:
    """What three tests say in one space.

    Attributes:
        nearest_ratio: mean distance from samples to the nearest training example over that to the nearest of as many
            held-out ones; 1 for honest samples. The ratio of means, not of medians, which copies would have to be
            the majority to move, nor the mean of ratios, which a single held-out example that stands in the training
            data too would make infinite.
        authenticity: AuthPct (Alaa et al. 2022, arXiv:2102.08921, section 4.2, as dgm-eval has it) of samples less that
            of held-out data, percentage points. A sample is authentic if its nearest training example is nearer to
            another training example than to the sample.
        c_t: Meehan et al. 2020 (arXiv:2004.05675), section 4: the z-scored Mann-Whitney U of distances to the nearest
            training example, averaged over cells by their share of held-out data; about 0 for honest samples, well
            below it for copies.
        authpct: AuthPct of all samples looked at, per cent.
        size: examples in each set.
        training: training examples looked at.
        cells: of C_T, found by k-means among the training examples.
    """

    nearest_ratio: CopyStatistic
    authenticity: CopyStatistic
    c_t: CopyStatistic
    authpct: float
    size: int
    training: int
    cells: int


def copying(samples: Array, training: Array, held_out: Array, nulls: Path | None = None) -> Copying:
    """Look for copies of the training data in one space, of pixels or features.

    Deterministic: subsets come from a seed of their own. Takes less than 1 GiB beside the arrays.

    Args:
        samples, training, held_out: ``[N, d]``, ``[T, d]``, ``[M, d]``.
        nulls: a folder in which null distributions are kept, since they are the same for all samples.

    Raises:
        DataError: for fewer than 20 samples or training examples, or 40 held-out ones.
    """
    chosen = looked_at(len(samples), len(training), len(held_out))
    scene = Scene(samples[chosen[0]], held_out[chosen[2]], training[chosen[1]], len(chosen[0]))
    null = null_distribution(scene.training, scene.held_out, nulls)  # first, since its distances are freed then
    size = scene.size
    suspects, honest = np.arange(size), np.arange(size, 3 * size)

    generator, found = np.random.default_rng(SEED), np.empty((DRAWS, 3))
    for draw in range(DRAWS):
        found[draw] = scene.statistics(suspects, generator.permutation(honest)[:size], generator)
    ratio, authenticity, c_t = (
        CopyStatistic(float(np.median(values)), beside) for values, beside in zip(found.T, null.T, strict=True)
    )
    authpct = 100 * float(scene.authentic[suspects].mean())
    return Copying(ratio, authenticity, c_t, authpct, size, len(scene.training), scene.cells)


def looked_at(samples: int, training: int, held_out: int) -> tuple[Indices, Indices, Indices]:
    """Which of so many samples, training and held-out examples are looked at; all of these, if asked again of them.

    Returns:
        int64 ``[size]``, ``[T]`` and ``[2 size]``, rising.

    Raises:
        DataError: for fewer than 20 samples or training examples, or 40 held-out ones.
    """
    size = min(samples, training, held_out // 2, SIZE_MOST)
    if size < SIZE_LEAST:
        raise DataError(
            f"copying is judged from {SIZE_LEAST} samples, {SIZE_LEAST} training and {2 * SIZE_LEAST} held-out "
            f"examples or more, not {samples}, {training} and {held_out}"
        )
    return _some(samples, size), _some(training, TRAINING_MOST), _some(held_out, 2 * size)


def null_distribution(training: Array, held_out: Array, folder: Path | None = None) -> Float64:
    """The three statistics of one random half of the held-out data against the other, float64 ``[NULL_DRAWS, 3]``.

    Args:
        training, held_out: ``[T, d]`` and ``[2 size, d]``.
        folder: where it is kept, by the hash of both and what its bits hang on; one that cannot be written only costs
            the time again.
    """
    path = None if folder is None else folder / f"null-{_key(training, held_out)}-{arithmetic()}.npy"
    return kept(path, (NULL_DRAWS, 3), lambda: _null_distribution(training, held_out))


def _null_distribution(training: Array, held_out: Array) -> Float64:
    size = len(held_out) // 2
    # Without the samples, in whose company the last bits of distances might differ.
    scene, generator = Scene(held_out[:0], held_out, training, size), np.random.default_rng(SEED + 1)
    null = np.empty((NULL_DRAWS, 3))
    for draw in range(NULL_DRAWS):
        mixed = generator.permutation(2 * size)
        null[draw] = scene.statistics(mixed[:size], mixed[size:], generator)
    return null


def _key(training: Array, held_out: Array) -> str:
    digest = hashlib.blake2b(f"{NULL_VERSION}".encode(), digest_size=16)
    for array in (training, held_out):
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Scene:
    """Distances between the examples looked at, computed once; sets are then indices into samples and held-out data.

    Attributes:
        samples, held_out, training: ``[size, d]``, ``[2 size, d]``, ``[T, d]``.
        size: examples in a set.
    """

    samples: Array
    held_out: Array
    training: Array
    size: int

    def statistics(self, first: Indices, second: Indices, generator: np.random.Generator) -> tuple[float, float, float]:
        """Nearest-neighbour ratio, authenticity and C_T of the first set against the second."""
        ratio = self._ratio(first, second, generator.permutation(len(self.training))[: self.size])
        difference = 100 * float(self.authentic[first].mean() - self.authentic[second].mean())
        return ratio, difference, self._c_t(first, second)

    @cached_property
    def cells(self) -> int:
        """How many cells C_T has."""
        return max(1, min(CELLS_MOST, self.size // CELL_OF))

    @cached_property
    def authentic(self) -> NDArray[np.bool_]:
        """Bool ``[3 size]``: whether each example's nearest training example is nearer to another one of these."""
        nearest = self._to_training.argmin(1)
        asked = np.unique(nearest)
        spacing = np.full(len(self.training), np.inf)
        for start, among in _blocks(self.training[asked], self.training):
            rows = asked[start : start + len(among)]
            among[np.arange(len(rows)), rows] = np.inf
            spacing[rows] = among.min(1)
        nearer: NDArray[np.bool_] = spacing[nearest] < self._to_training.min(1)
        return nearer

    @cached_property
    def _examples(self) -> Array:
        return np.concatenate([self.samples, self.held_out])

    @cached_property
    def _to_training(self) -> Float64:
        return distances(self._examples, self.training)

    @cached_property
    def _training_order(self) -> tuple[Indices, Float64]:
        blocks = range(0, len(self._examples), BLOCK_ROWS)
        return _nearest_first(self._to_training[start : start + BLOCK_ROWS] for start in blocks)

    @cached_property
    def _held_out_order(self) -> tuple[Indices, Float64]:
        columns, found = _nearest_first(found for _, found in _blocks(self._examples, self.held_out))
        return columns + len(self.samples), found

    @cached_property
    def _in_cells(self) -> tuple[Indices, Float64]:
        """The cell of each example, ``[3 size]``, and its distance to the nearest training example there."""
        if self.cells == 1:
            return np.zeros(len(self._examples), np.int64), self._to_training.min(1)
        centres = k_means(self.training, self.cells)
        cells, training_cells = cells_of(self._examples, centres), cells_of(self.training, centres)
        reach = np.full(len(cells), np.inf)
        for cell in range(self.cells):
            rows, columns = np.flatnonzero(cells == cell), np.flatnonzero(training_cells == cell)
            reach[rows] = self._to_training[np.ix_(rows, columns)].min(1, initial=np.inf)
        return cells, reach

    def _ratio(self, first: Indices, second: Indices, training: Indices) -> float:
        to_training = _nearest_among(self._training_order, first, training, len(self.training))
        to_second = _nearest_among(self._held_out_order, first, second, len(self._examples))
        return float(to_training.mean() / max(to_second.mean(), np.finfo(np.float64).tiny))

    def _c_t(self, first: Indices, second: Indices) -> float:
        cells, reach = self._in_cells
        scores, weights = [], []
        for cell in range(self.cells):
            suspects, honest = (side[cells[side] == cell] for side in (first, second))
            n, m = len(suspects), len(honest)
            if min(n, m) < min(CELL_LEAST, self.size):
                continue
            ordered = np.sort(reach[honest])
            # Pairs in which the suspect is the farther; ties count half.
            u = sum(np.searchsorted(ordered, reach[suspects], side).sum() for side in ("left", "right")) / 2
            scores.append((u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
            weights.append(m)
        return float(np.average(scores, weights=weights)) if scores else 0.0


def distances(x: Array, y: Array) -> Float64:
    """Euclidean distances of all rows of ``[n, d]`` to all of ``[m, d]``, float64 ``[n, m]``; 0 for equal rows."""
    found = np.empty((len(x), len(y)))
    for start, block in _blocks(x, y):
        found[start : start + len(block)] = block
    return found


def _blocks(x: Array, y: Array) -> Iterator[tuple[int, Float64]]:
    """:func:`distances` of BLOCK_ROWS rows after another, each with the number of its first."""
    centre = y.mean(axis=0, dtype=np.float64)
    columns = torch.from_numpy(y - centre)
    squares = torch.linalg.vecdot(columns, columns)
    for start in range(0, len(x), BLOCK_ROWS):
        rows = torch.from_numpy(x[start : start + BLOCK_ROWS] - centre)
        scale = torch.linalg.vecdot(rows, rows)[:, None] + squares  # [block, m]
        squared = torch.addmm(scale, rows, columns.T, alpha=-2)
        yield start, squared.masked_fill_(squared <= scale.mul_(ZERO), 0).sqrt_().numpy()


def duplicate_share(samples: NDArray[np.uint8], training: NDArray[np.uint8]) -> float:
    """The share of samples that equal a training image in every pixel, found by their hashes.

    Args:
        samples, training: uint8 ``[N, *shape]`` and ``[T, *shape]``.
    """
    known = set(map(_digest, training))
    return sum(_digest(image) in known for image in samples) / len(samples)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _some(count: int, most: int) -> Indices:
    chosen = np.arange(count)
    return chosen if count <= most else np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def _nearest_first(blocks: Iterator[Float64]) -> tuple[Indices, Float64]:
    """The nearest columns of each row of ``[n, m]`` and their distances, ``[n, NEAREST_KEPT]`` or fewer.

    Args:
        blocks: some rows after another, since the order of all columns takes as much memory as the distances.
    """
    nearest, reach = [], []
    for found in blocks:
        kept = min(NEAREST_KEPT, found.shape[1])
        columns = np.argpartition(found, kept - 1, axis=1)[:, :kept]
        near = np.take_along_axis(found, columns, 1)
        order = near.argsort(axis=1, kind="stable")
        nearest.append(np.take_along_axis(columns, order, 1))
        reach.append(np.take_along_axis(near, order, 1))
    return np.concatenate(nearest), np.concatenate(reach)


def _nearest_among(order: tuple[Indices, Float64], rows: Indices, chosen: Indices, count: int) -> Float64:
    """Each row's distance to the nearest of the chosen columns, of ``count``; among those kept, which all but surely
    hold one, else the farthest of them.
    """
    columns, near = order
    member = np.zeros(count, dtype=bool)
    member[chosen] = True
    hits = member[columns[rows]]  # [len(rows), kept]
    hits[:, -1] = True
    found: Float64 = near[rows, hits.argmax(1)]
    return found
