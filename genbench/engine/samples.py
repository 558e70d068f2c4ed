"""Samples made elsewhere: read from files under caps, never executed, nothing coerced."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from genbench.engine.arrays import read_npy, read_npz
from genbench.errors import GenbenchError
from genbench.foreign_files import read_regular
from genbench.png import GREY, RGB, PngError, essential
from genbench.specs import DataSpec

SAMPLES, LABELS = "samples", "labels"
MAX_FILES = 1_000_000
"""Of a folder of PNGs."""
MAX_OTHER_BYTES = 1 << 20
"""Of a PNG, beyond its pixels: text and profiles, which are not read."""


def load_samples(path: Path, data: DataSpec) -> np.ndarray:
    """Samples from an ``.npz`` (its array ``samples``, or its only one), an ``.npy``, or a folder of PNGs.

    Args:
        data: what each sample must look like. PNGs hold the levels themselves: 0 .. ``levels - 1``.

    Returns:
        uint8 ``[n, *shape]``, PNGs in the order of their names.

    Raises:
        GenbenchError: saying what was promised and found.
    """
    try:
        if path.is_dir():
            samples = _read_folder(path, data)
        elif path.suffix in (".npz", ".npy"):
            samples = _read_array(path)
        else:
            raise GenbenchError(
                f"{path}: {'no such file' if not path.exists() else 'must be .npz, .npy or a folder of PNGs'}"
            )
    except OSError as error:
        raise GenbenchError(f"{path}: cannot be read: {error.strerror or error}") from None
    return _check(path, samples, data)


def load_labels(path: Path, count: int, data: DataSpec) -> np.ndarray | None:
    """The classes that samples were asked for: the array ``labels`` beside ``samples`` in an ``.npz``.

    Args:
        path: a file that :func:`load_samples` has read.
        count: of the samples, n.

    Returns:
        int64 ``[n]`` in 0 .. ``classes - 1``, or None where there are none.

    Raises:
        GenbenchError: saying what was promised and found.
    """
    if path.is_dir() or path.suffix != ".npz":
        return None
    try:
        labels = read_npz(path, LABELS, beside=SAMPLES)
    except (OSError, ValueError, MemoryError) as error:
        raise GenbenchError(f"{path}: its {LABELS} are not readable: {_said(error)}") from None
    if labels is None:
        return None
    if data.classes is None:
        raise GenbenchError(f"{path}: holds {LABELS}, but the data have no classes; leave them out")
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise GenbenchError(
            f"{path}: {LABELS} must be whole numbers of shape {(count,)}, one a sample, not {labels.dtype} "
            f"{labels.shape}"
        )
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < data.classes:
        raise GenbenchError(
            f"{path}: {LABELS} must lie in 0 .. {data.classes - 1}, not {int(labels.min())} .. {int(labels.max())}"
        )
    return labels.astype(np.int64)


def _read_array(path: Path) -> np.ndarray:
    if not path.is_file():
        raise GenbenchError(f"{path}: {'is no file' if path.exists() else 'no such file'}")
    try:
        samples = read_npy(path) if path.suffix == ".npy" else read_npz(path, SAMPLES)
    except (OSError, ValueError, MemoryError) as error:
        raise GenbenchError(f"{path}: not readable as {path.suffix}: {_said(error)}") from None
    assert samples is not None  # only an array that must stand beside another may be missing
    return samples


def _said(error: BaseException) -> str:
    """What an error says, without the path that the message begins with anyway."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _read_folder(path: Path, data: DataSpec) -> np.ndarray:
    if not data.is_image or data.shape[0] not in (1, 3):
        raise GenbenchError(f"{path}: a folder of PNGs holds images, but the data have shape {data.shape}")
    files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() == ".png")
    if not files:
        raise GenbenchError(f"{path}: holds no .png files")
    if len(files) > MAX_FILES:
        raise GenbenchError(f"{path}: holds {len(files)} .png files, and at most {MAX_FILES} are read")
    samples = np.empty((len(files), *data.shape), np.uint8)
    for index, file in enumerate(files):
        samples[index] = _read_png(file, data)
    return samples


def _read_png(file: Path, data: DataSpec) -> np.ndarray:
    """One picture, uint8 ``[C, H, W]``."""
    from PIL import Image, UnidentifiedImageError

    channels, height, width = data.shape
    try:
        content = read_regular(file, MAX_OTHER_BYTES + 4 * data.dims, follow=False)
        png = essential(content, most_pixels=1 << 24)
        if (png.width, png.height) != (width, height):
            raise GenbenchError(f"{file}: is {png.width}x{png.height}, not {width}x{height} pixels; nothing is resized")
        with Image.open(io.BytesIO(png.content), formats=["PNG"]) as image:
            if png.colour != (GREY if channels == 1 else RGB) or png.depth != 8:
                wanted = "L (grey)" if channels == 1 else "RGB"
                raise GenbenchError(f"{file}: has mode {image.mode} of {png.depth} bits, not {wanted} of 8")
            return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    except (OSError, PngError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise GenbenchError(f"{file}: not a readable PNG: {_said(error)}") from None


def _check(path: Path, samples: np.ndarray, data: DataSpec) -> np.ndarray:
    if samples.dtype != np.uint8:
        raise GenbenchError(f"{path}: samples must be uint8 in 0 .. {data.levels - 1}, not {samples.dtype}")
    if samples.shape[1:] != data.shape or samples.ndim != len(data.shape) + 1:
        raise GenbenchError(f"{path}: samples must have shape {('n', *data.shape)}, not {samples.shape}")
    if samples.size and int(samples.max()) >= data.levels:
        index = [int(axis) for axis in np.argwhere(samples >= data.levels)[0]]
        raise GenbenchError(
            f"{path}: values must lie in 0 .. {data.levels - 1}; at index {index} stands {int(samples[tuple(index)])}"
        )
    return np.ascontiguousarray(samples)
