"""Scoring: uint8 samples and nats in, the scores of a record out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.contract import resolve
from genbench.engine.data import Examples
from genbench.engine.scoring.classes import class_histogram
from genbench.engine.scoring.copying import looked_at
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.keeping import arithmetic, kept
from genbench.engine.scoring.material import Material, Measured, Space
from genbench.engine.scoring.modes import mode_distribution
from genbench.engine.scoring.pairs import Float64
from genbench.engine.scoring.reference import Reference
from genbench.errors import GenbenchError
from genbench.record import Score
from genbench.specs import DataSpec, EvaluatorSpec, MetricSpec

if TYPE_CHECKING:
    from genbench.engine.likelihood import LogProbs

Seen = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Features ``[N, d]`` and logits ``[N, K]`` of samples."""


@dataclass(frozen=True)
class Bench:
    """What samples are scored with; the same for all runs of a benchmark.

    Attributes:
        data: of the samples.
        evaluator, reference: the extractor, and what it says of the held-out data.
        second, second_reference: of the second evaluator, or None.
        second_training: what the second evaluator says of the training data; called when needed.
        training, held_out: the examples; called when needed.
        cache: a folder for what is the same for all samples.
    """

    data: DataSpec
    evaluator: EvaluatorSpec
    reference: Reference
    second: EvaluatorSpec | None
    second_reference: Reference | None
    second_training: Callable[[], Reference]
    training: Callable[[], Examples]
    held_out: Callable[[], Examples]
    cache: Path | None = None


def look_at(
    samples: NDArray[np.uint8], labels: NDArray[np.int64] | None, log_probs: LogProbs | None, bench: Bench
) -> Material:
    """Pass samples through the benchmark's evaluators, each once.

    Args:
        samples: uint8 ``[N, *shape]``.
        labels: int64 ``[N]`` that a conditional model was asked for, else None.
        log_probs: nats of held-out examples, or None for a model without a likelihood.

    Raises:
        DataError: if the samples are not what an evaluator takes.
    """
    second = None
    if bench.second is not None and bench.second_reference is not None:
        second = extract(load_evaluator(bench.second), samples)
    return material_of(samples, labels, log_probs, extract(load_evaluator(bench.evaluator), samples), second, bench)


def material_of(
    samples: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    log_probs: LogProbs | None,
    seen: Seen,
    seen_second: Seen | None,
    bench: Bench,
) -> Material:
    """The material of samples whose features and logits are known, of the second evaluator too where there is one."""

    def pixels() -> Space:
        sets = (samples, bench.training()[0], bench.held_out()[0])
        chosen = looked_at(*map(len, sets))  # before the images become points of four times the size
        return Space(*(_points(x[index], bench.data) for x, index in zip(sets, chosen, strict=True)))

    second = None
    if seen_second is not None and bench.second_reference is not None:
        reference, features = bench.second_reference, seen_second[0]

        def second_space() -> Space:
            return Space(features, bench.second_training().arrays.features, reference.arrays.features)

        second = Material(
            samples, labels, *seen_second, reference, space=second_space, is_second=True, cache=bench.cache
        )

    def class_shares() -> Float64 | None:
        labels = bench.training()[1]
        return _shares_seen(bench) if labels is None else mode_distribution(labels, bench.data.classes or 0)

    return Material(
        samples=samples,
        labels=labels,
        features=seen[0],
        logits=seen[1],
        reference=bench.reference,
        log_probs=log_probs,
        second=second,
        classes=bench.data.classes,
        class_shares=class_shares,
        space=pixels,
        cache=bench.cache,
        training=lambda: (bench.training()[0], bench.held_out()[0]),
    )


def _shares_seen(bench: Bench) -> Float64 | None:
    """The share of each class that the evaluator sees in training data without labels, float64 ``[K]``, kept.

    None for an evaluator without logits, or whose classes are those of other data.
    """
    spec, source = bench.evaluator, bench.reference.source
    if spec.logits is None or spec.rgb:
        return None
    name = f"shares-{source.key}-{arithmetic()}.npy"  # the split scored against tells that trained on too
    path = None if bench.cache is None else bench.cache / name
    shape = (bench.reference.arrays.logits.shape[1],)
    return kept(path, shape, lambda: class_histogram(extract(load_evaluator(spec), bench.training()[0])[1]))


def score(material: Material, metrics: Sequence[MetricSpec]) -> dict[str, Score]:
    """Every metric that applies, by name; with ``@<evaluator>`` behind it where it is the second evaluator's.

    Raises:
        DataError: if there are too few samples for a metric.
        GenbenchError: if a metric returns something other than promised, such as a value that is not finite. Details
            that are not finite are left out and named.
    """
    scores = {}
    for spec in metrics:
        views: dict[str, Material] = {spec.name: material}
        if spec.both_evaluators and material.second is not None:
            views[f"{spec.name}@{material.second.reference.source.evaluator}"] = material.second
        for name, view in views.items():
            measured = resolve(spec.function)(view)
            if measured is not None:
                scores[name] = _score(spec, measured)
    return scores


def _score(spec: MetricSpec, measured: Any) -> Score:
    if not isinstance(measured, Measured):
        raise GenbenchError(f"metric {spec.name!r}: must return a Measured or None, not {measured!r}")
    if not math.isfinite(measured.value):
        raise GenbenchError(f"metric {spec.name!r}: gives {measured.value}, which no record can hold")
    details = {name: value for name, value in measured.details.items() if _is_finite(value)}
    if left_out := sorted(measured.details.keys() - details.keys()):
        details["not_finite"] = left_out
    return Score(
        value=measured.value,
        n=measured.n,
        direction=spec.direction,
        kind=measured.kind,
        unit=spec.unit,
        stderr=measured.stderr,
        fingerprint=measured.fingerprint,
        details=details,
        flag=measured.flag,
    )


def _is_finite(value: object) -> bool:
    """Whether JSON can hold all numbers of a detail."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _points(x: NDArray[np.uint8], data: DataSpec) -> NDArray[np.float32]:
    """uint8 ``[N, *shape]`` as float32 ``[N, D]`` in [0, 1].

    The levels of a text are no quantities. There each is an axis of its own, ``[N, D * levels]``, and the square of a
    distance is twice the number of symbols that differ.
    """
    if not data.is_image:
        return np.eye(data.levels, dtype=np.float32)[x].reshape(len(x), -1)
    return x.reshape(len(x), -1).astype(np.float32) / np.float32(data.levels - 1)
