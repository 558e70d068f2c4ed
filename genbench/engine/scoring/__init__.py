"""Scoring: uint8 samples and nats in, the scores of a record out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from genbench.engine.contract import resolve
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.metrics import Material, Measured
from genbench.engine.scoring.reference import Reference
from genbench.errors import GenbenchError
from genbench.record import Score
from genbench.specs import EvaluatorSpec, MetricSpec

if TYPE_CHECKING:
    from genbench.engine.likelihood import LogProbs


def score(
    samples: NDArray[np.uint8],
    log_probs: LogProbs | None,
    evaluator: EvaluatorSpec,
    metrics: Sequence[MetricSpec],
    reference: Reference,
) -> dict[str, Score]:
    """Every metric that applies, by name; the samples pass through the evaluator once.

    Args:
        samples: uint8 ``[N, *shape]``.
        log_probs: nats of held-out examples, or None for a model without a likelihood.
        reference: of the same evaluator; see :func:`genbench.engine.scoring.reference.reference_for`.

    Raises:
        DataError: if the samples are not what the evaluator takes, or too few for a metric.
        GenbenchError: if a metric returns something other than promised.
    """
    features, logits = extract(load_evaluator(evaluator), samples)
    material = Material(features, logits, reference, log_probs)
    scores = {}
    for spec in metrics:
        measured = resolve(spec.function)(material)
        if measured is None:
            continue
        if not isinstance(measured, Measured):
            raise GenbenchError(f"metric {spec.name!r}: must return a Measured or None, not {measured!r}")
        scores[spec.name] = Score(
            value=measured.value,
            n=measured.n,
            direction=spec.direction,
            kind=measured.kind,
            unit=spec.unit,
            stderr=measured.stderr,
            fingerprint=measured.fingerprint,
        )
    return scores
