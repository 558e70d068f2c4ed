"""Evaluators: frozen feature extractors, refused unless their weights are the declared ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.blame import message_of, place_of
from genbench.engine.contract import resolve
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError
from genbench.specs import EvaluatorSpec
from genbench.supplies import check_weights

mend()  # evaluators subclass torch-fidelity's base class, whose package imports torchvision

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
        DataError: if the file cannot be read, has another hash, or is not what the extractor can load. There are no
            other weights to fall back on.
    """
    check_weights(spec)
    layers = [spec.features] if spec.logits is None else [spec.features, spec.logits]
    try:
        extractor = resolve(spec.factory)(spec.name, layers, weights=spec.weights)
    except Exception as error:
        place = place_of(error)
        raise DataError(
            f"evaluator {spec.name!r}: {spec.weights} has the declared hash, but {spec.factory} cannot load it: "
            f"{message_of(error)}" + (f" at {place}" if place else "")
        ) from error
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
        float32 ``[N, d]`` and float32 ``[N, K]``; ``[N, 0]`` for an evaluator without logits.

    Raises:
        DataError: if the images are not what the evaluator takes, or it returns something other than promised.
    """
    spec = evaluator.spec
    _check_images(spec, x)
    size = batch_size or spec.batch_size
    features: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    for start in range(0, len(x), size):
        chunk = x[start : start + size]
        batch = np.zeros((size, *spec.shape), dtype=np.uint8)
        batch[: len(chunk)] = chunk
        layers = evaluator.extractor(torch.from_numpy(as_rgb(batch, spec.levels) if spec.rgb else batch))
        _check_layers(spec, layers)
        features.append(layers[0][: len(chunk)])
        logits.append(torch.zeros(len(chunk), 0) if spec.logits is None else layers[1][: len(chunk)])
    all_features, all_logits = torch.cat(features), torch.cat(logits)
    _check_layer(spec, spec.features, all_features, (len(x), spec.dims))
    _check_layer(spec, spec.logits or "none", all_logits, (len(x), all_logits.shape[-1]))
    return all_features.numpy(), all_logits.numpy()


def as_rgb(x: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Images in the form that extractors of photographs take; the one preprocessing of real and generated images.

    Level v of L becomes 255 v / (L - 1), rounded half up in whole numbers: (510 v + L - 1) // (2 (L - 1)). Grey is
    repeated in three channels. Resizing is the extractor's own.

    Args:
        x: uint8 ``[N, C, H, W]`` with C of 1 or 3 and values ``0 .. levels - 1``.

    Returns:
        uint8 ``[N, 3, H, W]`` in 0 .. 255.
    """
    if levels < 256:
        top = levels - 1
        x = ((510 * np.arange(levels) + top) // (2 * top)).astype(np.uint8)[x]
    return x if x.shape[1] == 3 else np.repeat(x, 3, axis=1)


def _check_images(spec: EvaluatorSpec, x: NDArray[Any]) -> None:
    if x.dtype != np.uint8 or x.shape[1:] != spec.shape or len(x) == 0:
        raise DataError(f"evaluator {spec.name!r}: takes uint8 [N, {_listed(spec.shape)}], not {x.dtype} {x.shape}")
    if int(x.max()) >= spec.levels:
        raise DataError(
            f"evaluator {spec.name!r}: takes values 0 .. {spec.levels - 1}, and the largest is {int(x.max())}"
        )


def _check_layers(spec: EvaluatorSpec, layers: object) -> None:
    wanted = 1 if spec.logits is None else 2
    tensors = isinstance(layers, tuple | list) and all(isinstance(layer, torch.Tensor) for layer in layers)
    if not tensors or len(layers) != wanted:  # type: ignore[arg-type]
        asked = spec.features if spec.logits is None else f"{spec.features} and {spec.logits}"
        found = type(layers).__name__
        if isinstance(layers, tuple | list):
            found += f" of {len(layers)}: {', '.join(type(layer).__name__ for layer in layers[:4])}"
        raise DataError(
            f"evaluator {spec.name!r}: forward must return a tuple of {wanted} tensor{'s' * (wanted > 1)}, the layers "
            f"{asked}, not {found}"
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
