"""Sample grids that a person can look at."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

from genbench.specs import DataSpec

GRID_CHANNELS = (1, 3)
"""Numbers of channels that a PNG without transparency shows."""

GAP = 2
TARGET_PIXELS = 640


def write_grid(samples: np.ndarray, data: DataSpec, path: Path, columns: int | None = None) -> None:
    """Write uint8 images ``[n, C, H, W]`` as one PNG, enlarged without smoothing, levels spread over 0 .. 255.

    Args:
        columns: images a row; by default a grid about as wide as high.

    Raises:
        ValueError: if the data are no images of 1 or 3 channels.
    """
    if not data.is_image or data.shape[0] not in GRID_CHANNELS:
        raise ValueError(f"a grid needs images of 1 or 3 channels, not shape {data.shape}")
    channels, height, width = data.shape
    columns = columns or math.ceil(math.sqrt(len(samples)))
    rows = math.ceil(len(samples) / columns)
    scale = max(1, TARGET_PIXELS // (max(columns, rows) * max(height, width)))
    spread = np.round(samples.astype(np.float64) * (255 / (data.levels - 1))).astype(np.uint8)
    enlarged = spread.repeat(scale, axis=2).repeat(scale, axis=3)  # [n, C, H * scale, W * scale]
    cell_height, cell_width = height * scale + GAP, width * scale + GAP
    canvas = np.full((rows * cell_height - GAP, columns * cell_width - GAP, channels), 255, np.uint8)
    for index, image in enumerate(enlarged):
        top, left = index // columns * cell_height, index % columns * cell_width
        canvas[top : top + height * scale, left : left + width * scale] = image.transpose(1, 2, 0)
    Image.fromarray(canvas if channels == 3 else canvas[:, :, 0]).save(path, optimize=False)
