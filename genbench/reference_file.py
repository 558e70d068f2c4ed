"""The file of reference statistics: one format for the cache, for ``genbench reference export`` and ``--reference``.

A safetensors file with the arrays, and metadata that say what they were made of, by which genbench, and a hash of it
all. The hash shows damage; it is no signature.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import MOST_NAMED, DataError
from genbench.files import write_whole
from genbench.tensor_file import Layout, read_layout, refuse_constant, unique

Float64 = NDArray[np.float64]

FORMAT = 2
"""Raised whenever the arrays mean something else."""

PREPROCESSING_VERSION = 1
"""Raised whenever what happens between uint8 images and the extractor changes."""

KEY = "genbench reference"
"""Of the file's metadata: JSON with ``source``, ``sha256`` and ``genbench``, the version that wrote it."""

MAX_BYTES = 4 << 30
"""Of a file that is read: 100,000 examples with 4,096 features, and some."""


MAX_NAME = 256
"""Characters of each name in a :class:`Source`."""


@dataclass(frozen=True)
class Source:
    """What a reference was made of: all that its numbers depend on.

    Attributes:
        data_sha256, split: the real examples.
        evaluator, evaluator_sha256, layer: what looked at them.
        preprocessing, format: versions of the code in between.
    """

    data_sha256: str
    split: str
    evaluator: str
    evaluator_sha256: str
    layer: str
    preprocessing: int = PREPROCESSING_VERSION
    format: int = FORMAT

    @property
    def key(self) -> str:
        """32 hex digits that name it in the cache."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Arrays:
    """What is kept of M real examples, d features and K classes of the evaluator.

    Attributes:
        features: float32 ``[M, d]``.
        logits: float32 ``[M, K]``; ``[M, 0]`` where the evaluator has none.
        labels: int64 ``[M]``; ``[0]`` where the data have none.
        mean: float64 ``[d]``.
        cov: float64 ``[d, d]``, with divisor M - 1.
        factor: float64 ``[min(M, d), d]``, F with F^T F = cov.
        radii: float32 ``[M]``, the distance to the third nearest neighbour: precision and recall.
        wide_radii: float32 ``[M]``, the distance to the fifth: density and coverage.
        kernel_mean: float64 ``[]``, the mean of KID's kernel over all pairs of different examples.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    mean: Float64
    cov: Float64
    factor: Float64
    radii: NDArray[np.float32]
    wide_radii: NDArray[np.float32]
    kernel_mean: Float64


@dataclass(frozen=True)
class Reference:
    """Arrays and what they were made of."""

    source: Source
    arrays: Arrays

    @cached_property
    def subset_means(self) -> dict[int, Float64]:
        """Means of KID's kernel within subsets, by number of samples, for as long as this object lives."""
        return {}

    @property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) of the source, and of names, types, shapes and values of all arrays."""
        digest = hashlib.sha256(json.dumps(asdict(self.source), sort_keys=True).encode() + b"\n")
        for name, value in sorted(vars(self.arrays).items()):
            array = np.ascontiguousarray(value).reshape(np.shape(value))  # the former alone makes [] into [1]
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()


def read_header(path: Path) -> Source:
    """What a file says that it was made of; its arrays are not read.

    Raises:
        DataError: if it is no file of reference statistics.
    """
    return _source(path, read_metadata(path))


def read_reference(path: Path) -> Reference:
    """The reference in a file, every promise about its arrays checked.

    Raises:
        DataError: if it is no such file, of another format, too large, damaged, or not of the promised shapes.
    """
    metadata = read_metadata(path)
    source = _source(path, metadata)
    reference = Reference(source, _arrays(path))
    if reference.digest != metadata.get("sha256"):
        raise DataError(f"{path}: its content does not have the hash that it promises; it was damaged or changed")
    return reference


def write_reference(path: Path, reference: Reference) -> None:
    """Under another name first, then renamed: nobody reads half a file.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors.numpy import save

    from genbench import __version__

    about = {"source": asdict(reference.source), "sha256": reference.digest, "genbench": __version__}
    metadata = {KEY: json.dumps(about, sort_keys=True)}  # one key: safetensors writes several in any order
    content = {name: np.asarray(array, order="C") for name, array in vars(reference.arrays).items()}
    write_whole(path, save(content, metadata))


def _layout(path: Path) -> Layout:
    """What the file says that it holds, from its header alone."""
    try:
        if not path.is_file():
            raise DataError(f"{path}: {'is no file' if path.exists() else 'no such file'}")
        return read_layout(path, MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(f"{path}: is no safetensors file, or was cut short: {error}") from None


def read_metadata(path: Path) -> dict[str, Any]:
    """``source``, ``sha256`` and ``genbench`` (the version that wrote it) as the file has them, unchecked.

    Raises:
        DataError: if it is no file of reference statistics.
    """
    metadata = _layout(path).metadata
    if KEY not in metadata:
        raise DataError(f"{path}: is a safetensors file, but not one of reference statistics (no {KEY!r})")
    try:
        about = json.loads(metadata[KEY], object_pairs_hook=unique, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise DataError(f"{path}: does not say in the expected form what it was made of")
    return about


def _source(path: Path, metadata: dict[str, Any]) -> Source:
    raw = metadata.get("source")
    kinds = {entry.name: int if entry.name in ("preprocessing", "format") else str for entry in fields(Source)}
    if not isinstance(raw, dict) or {name: type(value) for name, value in raw.items()} != kinds:
        raise DataError(f"{path}: does not say in the expected form what it was made of")
    if any(len(value) > MAX_NAME for value in raw.values() if isinstance(value, str)):
        raise DataError(f"{path}: names of more than {MAX_NAME} characters say what it was made of")
    source = Source(**raw)
    if source.format != FORMAT:
        raise DataError(f"{path}: has format {source.format}, and this genbench reads format {FORMAT}; export it anew")
    return source


def _arrays(path: Path) -> Arrays:
    from safetensors import SafetensorError, safe_open

    layout = _layout(path).tensors
    _check_layout(path, layout)
    try:
        with safe_open(path, "np") as file:
            arrays = Arrays(**{name: file.get_tensor(name) for name in layout})
    except (SafetensorError, OSError, ValueError, MemoryError) as error:
        raise DataError(f"{path}: its arrays cannot be read: {error}") from None
    for name, array in vars(arrays).items():
        if not np.isfinite(array).all():
            raise DataError(f"{path}: {name} has values that are not finite")
    return arrays


def _check_layout(path: Path, layout: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    features = layout.get("features", ("", ()))[1]
    m, d = features if len(features) == 2 else (0, 0)
    logits = layout.get("logits", ("", ()))[1]
    classes = logits[1] if len(logits) == 2 else 0
    labelled = m if layout.get("labels", ("", ()))[1] != (0,) else 0
    promised = {
        "features": ("F32", (m, d)),
        "logits": ("F32", (m, classes)),
        "labels": ("I64", (labelled,)),
        "mean": ("F64", (d,)),
        "cov": ("F64", (d, d)),
        "factor": ("F64", (min(m, d), d)),
        "radii": ("F32", (m,)),
        "wide_radii": ("F32", (m,)),
        "kernel_mean": ("F64", ()),
    }
    if layout != promised:
        wrong = sorted(name for name in {*layout, *promised} if layout.get(name) != promised.get(name))
        shown = {name: name if name in promised else ascii(name[:80]) for name in wrong[:MOST_NAMED]}
        found = ", ".join(f"{text} {layout.get(name, 'missing')}" for name, text in shown.items())
        raise DataError(f"{path}: its arrays are not those of reference statistics: {found}")
