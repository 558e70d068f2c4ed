"""Material: all that a metric may look at; and Measured: what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.features import Float64, square_root_factor
from genbench.engine.scoring.reference import Reference

if TYPE_CHECKING:
    from genbench.engine.likelihood import LogProbs


@dataclass(frozen=True)
class Space:
    """Images as points of one space, for questions of distance to the training data.

    Attributes:
        name: ``pixels``, or the evaluator's whose features these are.
        samples, training, held_out: float32 ``[N, d]``, ``[T, d]``, ``[M, d]``.
    """

    name: str
    samples: NDArray[np.float32]
    training: NDArray[np.float32]
    held_out: NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """All that a metric may look at: N samples seen by an evaluator, M real examples, the likelihoods.

    Attributes:
        samples: uint8 ``[N, *shape]``.
        labels: int64 ``[N]``, the classes that a conditional model was asked for, else None.
        features: float32 ``[N, d]`` of the samples.
        logits: float32 ``[N, K]`` of the samples; ``[N, 0]`` where the evaluator has none.
        reference: the same of the held-out data, with their statistics.
        log_probs: nats of held-out examples, or None for a model without a likelihood.
        second: the same samples seen by the benchmark's second evaluator, or None where it has none.
        spaces: gives the spaces in which copies of the training data are looked for. Called by what needs them, since
            they hold the training data.
    """

    samples: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    reference: Reference
    log_probs: LogProbs | None = None
    second: Material | None = None
    spaces: Callable[[], tuple[Space, ...]] = tuple

    @cached_property
    def mean(self) -> Float64:
        """float64 ``[d]``."""
        mean: Float64 = self.features.mean(axis=0, dtype=np.float64)
        return mean

    @cached_property
    def factor(self) -> Float64:
        """F with F^T F the covariance of the features, float64 ``[min(N, d), d]``."""
        return square_root_factor(self.features)

    def fingerprint(self, metric: str, **parameters: object) -> dict[str, Any]:
        """What a score of features must share with another to be compared with it."""
        source = self.reference.source
        return {
            "metric": metric,
            "evaluator": f"{source.evaluator}@{source.evaluator_sha256[:16]}",
            "preprocessing": source.preprocessing,
            "data": source.data_sha256[:16],
            "split": source.split,
            "reference_n": len(self.reference.arrays.features),
            "n": len(self.features),
            **parameters,
        }


@dataclass(frozen=True)
class Measured:
    """What a metric gives.

    Attributes:
        value: the number.
        n: samples or examples that it was computed from.
        kind: for likelihoods ``exact``, ``iwae``, ``bound`` or ``estimate``; else ``metric``.
        stderr: standard error over examples where the value is a mean over them.
        fingerprint: what a number must share to be compared with this one.
        details: what helps to read it.
        flag: a warning that belongs to it, or None.
    """

    value: float
    n: int
    kind: str = "metric"
    stderr: float | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    flag: str | None = None
