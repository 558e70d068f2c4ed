"""Samples made elsewhere: read from files under caps, never executed, nothing coerced."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from genbench.errors import GenbenchError
from genbench.specs import DataSpec

MAX_BYTES = 8 << 30
SAMPLES, LABELS = "samples", "labels"
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""Readers of an array's header by the version of its format; version 3.0 is for structured arrays alone."""


UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # zipfile's word for an encrypted member; its subclass NotImplementedError, for a method it lacks
    MemoryError,
)
"""What NumPy and zipfile raise for a file that is damaged, hostile or of another kind."""


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
        with np.load(path, allow_pickle=False) as arrays:
            if not {SAMPLES, LABELS} <= set(arrays):
                return None
            labels = np.asarray(arrays[LABELS])
    except UNREADABLE as error:
        raise GenbenchError(f"{path}: its {LABELS} are not readable: {error}") from None
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
        raise GenbenchError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            with path.open("rb") as stream:
                _check_header(path, stream)
            return np.asarray(np.load(path, allow_pickle=False))
        with zipfile.ZipFile(path) as archive:
            # Of what it claims to unpack to: a few bytes may stand for terabytes.
            _check_size(path, sum(entry.file_size for entry in archive.infolist()))
            for name in (name for name in archive.namelist() if name.endswith(".npy")):
                with archive.open(name) as member:
                    _check_header(path, member)
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays)
            if SAMPLES not in names and len(names) != 1:
                raise GenbenchError(f"{path}: holds the arrays {names}; which are the samples? Name them {SAMPLES!r}")
            return np.asarray(arrays[SAMPLES if SAMPLES in names else names[0]])
    except UNREADABLE as error:
        raise GenbenchError(f"{path}: not readable as {path.suffix}: {error}") from None


def _read_folder(path: Path, data: DataSpec) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    if not data.is_image or data.shape[0] not in (1, 3):
        raise GenbenchError(f"{path}: a folder of PNGs holds images, but the data have shape {data.shape}")
    files = sorted(entry for entry in path.iterdir() if entry.suffix.lower() == ".png")
    if not files:
        raise GenbenchError(f"{path}: holds no .png files")
    images = []
    for file in files:
        try:
            with Image.open(file, formats=["PNG"]) as image:
                if image.size != (data.shape[2], data.shape[1]):
                    raise GenbenchError(
                        f"{file}: is {image.size[0]}x{image.size[1]}, not {data.shape[2]}x{data.shape[1]} "
                        "pixels; nothing is resized"
                    )
                if image.mode != ("L" if data.shape[0] == 1 else "RGB"):
                    raise GenbenchError(
                        f"{file}: has mode {image.mode}, not {'L (grey)' if data.shape[0] == 1 else 'RGB'}"
                    )
                images.append(np.asarray(image).reshape(data.shape[1], data.shape[2], data.shape[0]).transpose(2, 0, 1))
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise GenbenchError(f"{file}: not a readable PNG: {error}") from None
    return np.stack(images)


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


def _check_header(path: Path, stream: IO[bytes]) -> None:
    """Refuse an array whose header claims more than is ever read: NumPy would allocate it before reading on."""
    read_header = HEADERS.get(np.lib.format.read_magic(stream))
    if read_header is not None:
        shape, _, dtype = read_header(stream)
        _check_size(path, math.prod(shape) * dtype.itemsize)


def _check_size(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise GenbenchError(f"{path}: would take {size >> 30} GiB of memory; at most {MAX_BYTES >> 30} GiB are read")
