"""Material: all that a metric may look at; and Measured: what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.comparison import Comparison, compare
from genbench.engine.scoring.copying import Copying, copying
from genbench.engine.scoring.pairs import Float64
from genbench.engine.scoring.reference import Reference, real_side_of
from genbench.errors import DataError

if TYPE_CHECKING:
    from genbench.engine.likelihood import LogProbs


@dataclass(frozen=True)
class Space:
    """Images as points of one space, for questions of distance to the training data.

    Attributes:
        samples, training, held_out: float32 ``[N, d]``, ``[T, d]``, ``[M, d]``.
    """

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
        classes: how many the data have, or None.
        class_shares: gives the share of each class among the training data, float64 ``[classes]``: that of their
            labels or, where they have none, of the classes that the evaluator sees in them. None where it sees none.
        space: gives the space in which copies of the training data are looked for: of pixels, or for the second
            evaluator of its features. Called by what needs it, since it holds the training data.
        is_second: whether this is how the second evaluator sees the samples.
        cache: a folder for what is the same for all samples, or None.
        training: gives the training and the held-out examples, uint8 ``[T, *shape]`` and ``[M, *shape]``.
    """

    samples: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    reference: Reference
    log_probs: LogProbs | None = None
    second: Material | None = None
    classes: int | None = None
    class_shares: Callable[[], Float64 | None] = lambda: None
    space: Callable[[], Space] | None = None
    is_second: bool = False
    cache: Path | None = None
    training: Callable[[], tuple[NDArray[np.uint8], NDArray[np.uint8]]] | None = None

    @property
    def n(self) -> int:
        """N, the number of samples."""
        return len(self.samples)

    @cached_property
    def comparison(self) -> Comparison:
        """KID, precision, recall, density and coverage, which share their distances."""
        return compare(self.features, self.reference.arrays.features, real_side_of(self.reference, self.n, self.cache))

    @cached_property
    def copying(self) -> Copying:
        """What is found of copies of the training data.

        Raises:
            DataError: if the training data are not at hand.
        """
        if self.space is None:
            raise DataError("copies can only be looked for where the training data are at hand")
        space = self.space()
        return copying(space.samples, space.training, space.held_out, self.cache)

    def fingerprint(self, metric: str, **parameters: object) -> dict[str, Any]:
        """What a score of features must share with another to be compared with it."""
        source = self.reference.source
        return {
            "metric": metric,
            "evaluator": f"{source.evaluator}@{source.evaluator_sha256[:16]}",
            "layer": source.layer,
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
