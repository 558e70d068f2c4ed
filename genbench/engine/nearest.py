"""The training examples that are nearest to published samples, for people to look at beside them.

Images are compared by the Euclidean distance of their levels, the space of pixels that the metrics of copying look at
too; texts by their edit distance. As a scale stands the same for held-out examples: how far new data are from the
training data. Looking at pictures is no test; the metrics of copying are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import TypeAdapter

from genbench.engine import data
from genbench.engine.grid import GAP, GRID, read_grid
from genbench.engine.spelling import spelled
from genbench.specs import DatasetSpec, DataSpec

SAMPLES = 8
"""Of a model that are shown, the first ones."""
EXAMPLES = 3
"""Nearest training examples of each."""
HELD_OUT = 256
"""Test examples, evenly from the whole split, whose distances are the scale."""
TILE = 56
"""Pixels of an image's longer side in the picture, about."""
BLOCK_BYTES = 64 << 20
"""Of the training examples that are compared at once, and of their distances."""

Int64 = NDArray[np.int64]


def nearest(dataset: dict[str, Any], cache: str, drawn: int, offered: list[dict[str, Any]]) -> dict[str, Any]:
    """Find the nearest training examples of the first samples of each model.

    Args:
        dataset: a :class:`~genbench.specs.DatasetSpec` as a dict.
        cache: folder of materialised data sets.
        drawn: samples that each run was asked for, of which its grid holds the first 64.
        offered: a dict a model: of images ``grid``, the path of a run's ``samples.png``, and ``picture``, a path to
            write to; of texts ``texts``, the samples.

    Returns:
        ``{"held_out", "compared", "models"}``: the median distance of so many held-out examples to the nearest training
        example, and for each model ``{"problem"}``, or ``{"distances", "samples", "examples"}``: distances
        ``[SAMPLES][EXAMPLES]``, in levels or in letters, and of texts the samples and the examples, else empty lists.

    Raises:
        DataError: if the data cannot be had.
    """
    spec: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(dataset)
    folder = data.materialise(spec, Path(cache))
    train, test = (data.load_split(folder, split)[0] for split in data.SPLITS)
    test = test[np.linspace(0, len(test) - 1, min(HELD_OUT, len(test))).astype(np.int64)]
    if spec.alphabet:
        return _of_texts(spelled(train, spec.alphabet), spelled(test, spec.alphabet), offered)
    return _of_images(train, test, spec.data, min(drawn, GRID), offered)


def nearest_images(images: NDArray[np.uint8], train: NDArray[np.uint8], count: int) -> tuple[Int64, Int64]:
    """The nearest training images by Euclidean distance, nearest first, of equally near ones the earlier.

    Squared distances are sums of products of whole numbers, which float64 holds exactly.

    Args:
        images, train: uint8 ``[n, C, H, W]`` and ``[N, C, H, W]``.
        count: at most N.

    Returns:
        Indices and squared distances, int64 ``[n, count]``.
    """
    x = images.reshape(len(images), -1).astype(np.float64)
    squares = (x**2).sum(1)[:, None]
    rows = max(1, BLOCK_BYTES // (8 * max(x.shape)))
    best: Int64 = np.full((len(x), count), np.iinfo(np.int64).max)
    for start in range(0, len(train), rows):
        y = train[start : start + rows].reshape(-1, x.shape[1]).astype(np.float64)
        squared = (squares + (y**2).sum(1) - 2 * (x @ y.T)).astype(np.int64)
        keys = squared * len(train) + np.arange(start, start + len(y))  # by distance, then by place
        best = np.partition(np.concatenate([best, keys], 1), count - 1, axis=1)[:, :count]
    best.sort(axis=1)
    return best % len(train), best // len(train)


def nearest_texts(text: str, train: Texts, count: int) -> tuple[Int64, Int64]:
    """The nearest training texts by edit distance, nearest first, of equally near ones the earlier.

    Returns:
        Indices and distances, int64 ``[count]``.
    """
    distances = train.distances(text)
    order = np.argsort(distances, kind="stable")[:count]
    return order, distances[order]


class Texts:
    """Texts of which the edit distance to another text is found for all at once.

    The least number of letters inserted, deleted or replaced (Levenshtein, Soviet Physics Doklady 10, 1966), by the
    recurrence of Wagner and Fischer (Journal of the ACM 21, 1974), a column of it for all texts at a time.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._lengths = np.array([len(text) for text in texts])
        letters = sorted(set().union(*texts))
        self._codes = {letter: code for code, letter in enumerate(letters, start=1)}
        width = int(self._lengths.max(initial=0))
        padded = [[*(self._codes[letter] for letter in text), *[0] * (width - len(text))] for text in texts]
        self._letters = np.array(padded, np.uint16).reshape(len(texts), width).T.copy()  # [width, n]

    def distances(self, text: str) -> Int64:
        """Edit distances of a text to all, int64 ``[n]``."""
        width, n = self._letters.shape
        row = np.repeat(np.arange(width + 1, dtype=np.int16)[:, None], n, axis=1)  # of the empty text
        for place, letter in enumerate(text, start=1):
            other = self._letters != self._codes.get(letter, -1)
            following = np.empty_like(row)
            following[0] = place
            for k in range(width):
                np.minimum(row[k] + other[k], row[k + 1] + 1, out=following[k + 1])
                np.minimum(following[k + 1], following[k] + 1, out=following[k + 1])
            row = following
        found: Int64 = row[self._lengths, np.arange(n)].astype(np.int64)
        return found


def draw(samples: NDArray[np.uint8], examples: NDArray[np.uint8], spec: DataSpec, path: Path) -> None:
    """Write a picture: the samples in a row, and below each its examples.

    Args:
        samples: uint8 ``[n, C, H, W]``.
        examples: uint8 ``[n, k, C, H, W]``.
    """
    channels, height, width = spec.shape
    scale = max(1, round(TILE / max(height, width)))
    rows = np.concatenate([samples[:, None], examples], 1)  # [n, 1 + k, C, H, W]
    spread = np.round(rows * (255 / (spec.levels - 1))).astype(np.uint8)
    enlarged = spread.repeat(scale, axis=3).repeat(scale, axis=4).transpose(0, 1, 3, 4, 2)
    tall, broad = height * scale, width * scale
    apart = 3 * GAP  # between the samples and the examples
    canvas = np.full(
        (enlarged.shape[1] * (tall + GAP) - GAP + apart, len(samples) * (broad + GAP) - GAP, channels), 255
    )
    for column, images in enumerate(enlarged):
        for row, image in enumerate(images):
            top, left = row * (tall + GAP) + apart * (row > 0), column * (broad + GAP)
            canvas[top : top + tall, left : left + broad] = image
    canvas = canvas.astype(np.uint8)
    Image.fromarray(canvas if channels == 3 else canvas[:, :, 0]).save(path)


def _of_images(
    train: NDArray[np.uint8], test: NDArray[np.uint8], spec: DataSpec, shown: int, offered: list[dict[str, Any]]
) -> dict[str, Any]:
    grids: list[NDArray[np.uint8] | str] = []
    for entry in offered:
        try:
            grids.append(read_grid(Path(entry["grid"]), shown, spec)[:SAMPLES])
        except (OSError, ValueError) as error:
            grids.append(str(error))
    count = min(EXAMPLES, len(train))
    given = [grid for grid in grids if not isinstance(grid, str)]
    where, squared = nearest_images(np.concatenate([*given, test]), train, count)
    models: list[dict[str, Any]] = []
    start = 0
    for entry, grid in zip(offered, grids, strict=True):
        if isinstance(grid, str):
            models.append({"problem": grid})
            continue
        own = slice(start, start + len(grid))
        start += len(grid)
        draw(grid, train[where[own]], spec, Path(entry["picture"]))
        models.append({"distances": np.sqrt(squared[own]).tolist(), "samples": [], "examples": []})
    scale = float(np.median(np.sqrt(squared[start:, 0])))
    return {"held_out": scale, "compared": len(test), "models": models}


def _of_texts(train: list[str], test: list[str], offered: list[dict[str, Any]]) -> dict[str, Any]:
    known = Texts(train)
    count = min(EXAMPLES, len(train))
    scale = float(np.median([known.distances(text).min() for text in test]))
    models: list[dict[str, Any]] = []
    for entry in offered:
        samples = entry["texts"][:SAMPLES]
        found = [nearest_texts(text, known, count) for text in samples]
        models.append(
            {
                "distances": [distances.tolist() for _, distances in found],
                "samples": samples,
                "examples": [[train[index] for index in where] for where, _ in found],
            }
        )
    return {"held_out": scale, "compared": len(test), "models": models}
