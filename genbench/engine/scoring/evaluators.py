"""Evaluators: frozen feature extractors, refused unless their weights are the declared ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.contract import resolve
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError
from genbench.specs import EvaluatorSpec

mend()  # evaluators subclass torch-fidelity's base class, whose package imports torchvision

PREPROCESSING_VERSION = 1
"""Raised whenever what happens between uint8 images and the extractor changes; a part of cache keys."""

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Evaluator:
    """A spec and its extractor, ready to use."""

    spec: EvaluatorSpec
    extractor: Any


@lru_cache(maxsize=4)
def load_evaluator(spec: EvaluatorSpec) -> Evaluator:
    """Check the weights' hash, then build the extractor on the CPU in evaluation mode.

    Raises:
        DataError: if the file cannot be read or has another hash. There are no other weights to fall back on.
    """
    path = Path(spec.weights)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"evaluator {spec.name!r}: its weights {path} cannot be read: {error.strerror}; "
            "install the package that brings it again"
        ) from None
    if found != spec.sha256:
        raise DataError(
            f"evaluator {spec.name!r}: {path} has the hash {found}, where {spec.sha256} is declared; scores of other "
            "weights could not be compared. Install the package that brings it again"
        )
    extractor = resolve(spec.factory)(spec.name, [spec.features, spec.logits], weights=spec.weights)
    extractor.requires_grad_(False)
    extractor.eval()
    return Evaluator(spec, extractor)


@torch.inference_mode()
def extract(evaluator: Evaluator, x: NDArray[np.uint8], batch_size: int | None = None) -> tuple[Features, Features]:
    """Features and logits in one pass.

    Every pass has the same batch size, the last one filled up with zeros, so that the last bits of an image's
    features do not depend on how many images there are.

    Args:
        x: uint8 ``[N, *shape]`` with values ``0 .. levels - 1``, N of 1 or more.
        batch_size: images a pass; the spec's unless given.

    Returns:
        float32 ``[N, d]`` and float32 ``[N, K]``.

    Raises:
        DataError: if the images are not what the evaluator takes, or it returns something other than promised.
    """
    spec = evaluator.spec
    _check_images(spec, x)
    size = batch_size or spec.batch_size
    parts: list[tuple[torch.Tensor, torch.Tensor]] = []
    for start in range(0, len(x), size):
        chunk = x[start : start + size]
        batch = np.zeros((size, *spec.shape), dtype=np.uint8)
        batch[: len(chunk)] = chunk
        features, logits = evaluator.extractor(torch.from_numpy(batch))
        parts.append((features[: len(chunk)], logits[: len(chunk)]))
    features, logits = (torch.cat(column) for column in zip(*parts, strict=True))
    _check_layer(spec, spec.features, features, (len(x), spec.dims))
    _check_layer(spec, spec.logits, logits, (len(x), logits.shape[-1]))
    return features.numpy(), logits.numpy()


def _check_images(spec: EvaluatorSpec, x: NDArray[Any]) -> None:
    if x.dtype != np.uint8 or x.shape[1:] != spec.shape or len(x) == 0:
        raise DataError(f"evaluator {spec.name!r}: takes uint8 [N, {_listed(spec.shape)}], not {x.dtype} {x.shape}")
    if int(x.max()) >= spec.levels:
        raise DataError(
            f"evaluator {spec.name!r}: takes values 0 .. {spec.levels - 1}, and the largest is {int(x.max())}"
        )


def _check_layer(spec: EvaluatorSpec, layer: str, values: torch.Tensor, shape: tuple[int, ...]) -> None:
    if values.dtype is not torch.float32 or tuple(values.shape) != shape:
        raise DataError(
            f"evaluator {spec.name!r}: layer {layer!r} must be float32 {shape}, not {values.dtype} "
            f"{tuple(values.shape)}"
        )
    if not bool(torch.isfinite(values).all()):
        raise DataError(f"evaluator {spec.name!r}: layer {layer!r} has values that are not finite")


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
