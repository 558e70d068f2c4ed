"""Reference material: what an evaluator says of the held-out data, cached by content."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from genbench.engine.data import Examples
from genbench.engine.scoring.evaluators import PREPROCESSING_VERSION, extract, load_evaluator
from genbench.engine.scoring.features import Float64, kernel_mean_within, neighbour_radii, square_root_factor
from genbench.specs import EvaluatorSpec

FORMAT = 1
"""Raised whenever the cached arrays mean something else."""


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
    """What is cached of M real examples, d features and K classes.

    Attributes:
        features: float32 ``[M, d]``.
        logits: float32 ``[M, K]``.
        mean: float64 ``[d]``.
        cov: float64 ``[d, d]``, with divisor M - 1.
        factor: float64 ``[min(M, d), d]``, F with F^T F = cov.
        radii: float32 ``[M]``, the distance to the third nearest neighbour.
        kernel_mean: float64 ``[]``, the mean of KID's kernel over all pairs of different examples.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    mean: Float64
    cov: Float64
    factor: Float64
    radii: NDArray[np.float32]
    kernel_mean: Float64


@dataclass(frozen=True)
class Reference:
    """Arrays and what they were made of."""

    source: Source
    arrays: Arrays


def reference_from(source: Source, features: NDArray[np.float32], logits: NDArray[np.float32]) -> Reference:
    """The reference of M real examples (at least 4, for the third neighbour) from their features and logits."""
    mean = features.mean(axis=0, dtype=np.float64)
    arrays = Arrays(
        features=features,
        logits=logits,
        mean=mean,
        cov=np.atleast_2d(np.cov(features, rowvar=False, dtype=np.float64)),
        factor=square_root_factor(features),
        radii=neighbour_radii(features),
        kernel_mean=np.array(kernel_mean_within(features)),
    )
    return Reference(source, arrays)


def reference_for(
    evaluator: EvaluatorSpec, data_sha256: str, split: str, examples: Callable[[], Examples], cache: Path
) -> Reference:
    """The reference of a split, from ``<cache>/<key>.safetensors`` where it stands there intact.

    Otherwise it is computed and kept; a folder that cannot be written only costs the time again.

    Args:
        data_sha256, split: name the examples.
        examples: gives them, ``(x, labels)``; called on a miss only.

    Raises:
        DataError: if the evaluator's weights are not the declared ones, or the examples not what it takes.
    """
    source = Source(data_sha256, split, evaluator.name, evaluator.sha256, evaluator.features)
    path = cache / f"{source.key}.safetensors"
    cached = _read(path)
    if cached is not None:
        return Reference(source, cached)
    features, logits = extract(load_evaluator(evaluator), examples()[0])
    reference = reference_from(source, features, logits)
    _write(path, reference.arrays)
    return reference


def _digest(arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Arrays | None:
    """The cached arrays, or None if there are none, or not those that were written."""
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            promised = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    if promised != _digest(arrays) or set(arrays) != {entry.name for entry in fields(Arrays)}:
        return None
    return Arrays(**arrays)


def _write(path: Path, arrays: Arrays) -> None:
    """Under another name first, then renamed: no process reads half a file."""
    content = {name: np.asarray(array, order="C") for name, array in vars(arrays).items()}
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as stream:
            draft = Path(stream.name)
            stream.write(save(content, {"sha256": _digest(content)}))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        if draft is not None:
            draft.unlink(missing_ok=True)
