"""Sample grids that a person can look at."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genbench.specs import DataSpec

GRID_CHANNELS = (1, 3)
"""Numbers of channels that a PNG without transparency shows."""

GRID = 64
"""Samples of a run that its picture, or its text, shows: the first ones."""

GAP = 2
TARGET_PIXELS = 640


def write_grid(samples: np.ndarray, data: DataSpec, path: Path, columns: int | None = None) -> None:
    """Write uint8 images ``[n, C, H, W]`` as one PNG, enlarged without smoothing, levels spread over 0 .. 255.

    Args:
        columns: images a row; by default a grid about as wide as high.

    Raises:
        ValueError: if the data are no images of 1 or 3 channels.
    """
    canvas = _canvas(samples, data, columns)
    Image.fromarray(canvas if data.shape[0] == 3 else canvas[:, :, 0]).save(path, optimize=False)


def read_grid(path: Path, count: int, data: DataSpec) -> NDArray[np.uint8]:
    """The images of a PNG that :func:`write_grid` made of ``count`` images, in a grid about as wide as high.

    Returns:
        uint8 ``[count, C, H, W]``, of which the same picture comes out again.

    Raises:
        ValueError: if it is no picture of so many images of such data.
    """
    _check(data)
    channels, height, width = data.shape
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode != ("RGB" if channels == 3 else "L"):
            raise ValueError(f"its mode is {image.mode}, not that of images of {channels} channels")
        found = np.asarray(image).reshape(image.height, image.width, channels)
    columns, rows, scale = _layout(count, data)
    if found.shape[:2] != (rows * (height * scale + GAP) - GAP, columns * (width * scale + GAP) - GAP):
        raise ValueError(f"it is {found.shape[1]}x{found.shape[0]} pixels, not a grid of {count} images")
    tops = np.arange(rows)[:, None] * (height * scale + GAP) + np.arange(height) * scale  # [rows, H]
    lefts = np.arange(columns)[:, None] * (width * scale + GAP) + np.arange(width) * scale
    cells = found[tops[:, None, :, None], lefts[None, :, None, :]]  # [rows, columns, H, W, C]
    images = cells.reshape(rows * columns, height, width, channels)[:count].transpose(0, 3, 1, 2)
    samples: NDArray[np.uint8] = np.round(images * ((data.levels - 1) / 255)).astype(np.uint8)
    if not np.array_equal(_canvas(samples, data, None), found):
        raise ValueError(f"it is no grid of {count} images of {data.levels} levels")
    return samples


def _layout(count: int, data: DataSpec, columns: int | None = None) -> tuple[int, int, int]:
    """Columns, rows, and pixels that a pixel of an image is enlarged to."""
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    return columns, rows, max(1, TARGET_PIXELS // (max(columns, rows) * max(data.shape[1:])))


def _canvas(samples: np.ndarray, data: DataSpec, columns: int | None) -> NDArray[np.uint8]:
    """The picture, uint8 ``[height, width, C]``."""
    _check(data)
    channels, height, width = data.shape
    columns, rows, scale = _layout(len(samples), data, columns)
    spread = np.round(samples.astype(np.float64) * (255 / (data.levels - 1))).astype(np.uint8)
    enlarged = spread.repeat(scale, axis=2).repeat(scale, axis=3)  # [n, C, H * scale, W * scale]
    cell_height, cell_width = height * scale + GAP, width * scale + GAP
    canvas: NDArray[np.uint8] = np.full((rows * cell_height - GAP, columns * cell_width - GAP, channels), 255, np.uint8)
    for index, image in enumerate(enlarged):
        top, left = index // columns * cell_height, index % columns * cell_width
        canvas[top : top + height * scale, left : left + width * scale] = image.transpose(1, 2, 0)
    return canvas


def _check(data: DataSpec) -> None:
    if not data.is_image or data.shape[0] not in GRID_CHANNELS:
        raise ValueError(f"a grid needs images of 1 or 3 channels, not shape {data.shape}")
