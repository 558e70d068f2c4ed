"""The metrics: small functions of a :class:`Material`, each giving one number and what it hangs on.

The arithmetic is in :mod:`genbench.engine.scoring.features`, whose functions are offered here too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.features import (
    FULL_KID_BELOW,
    NEIGHBOURS,
    SUBSET_SEED,
    SUBSET_SIZE,
    SUBSETS,
    Float64,
    frechet_distance,
    frechet_distance_of_factors,
    inception_score,
    is_splits,
    kernel_distance,
    kernel_distance_of_subsets,
    kernel_mean_between,
    kernel_mean_within,
    neighbour_radii,
    precision_recall,
    shares_within,
    square_root_factor,
)
from genbench.engine.scoring.reference import Reference

if TYPE_CHECKING:
    from genbench.engine.likelihood import LogProbs

__all__ = [
    "Material",
    "Measured",
    "bits_per_dim",
    "fid",
    "frechet_distance",
    "inception_score",
    "inception_score_of",
    "kernel_distance",
    "kid",
    "precision",
    "precision_recall",
    "recall",
]


@dataclass(frozen=True)
class Material:
    """All that a metric may look at: N samples seen by the evaluator, M real examples, the likelihoods.

    Attributes:
        features: float32 ``[N, d]`` of the samples.
        logits: float32 ``[N, K]`` of the samples.
        reference: the same of the held-out data, with their statistics.
        log_probs: nats of held-out examples, or None for a model without a likelihood.
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    reference: Reference
    log_probs: LogProbs | None = None

    @cached_property
    def mean(self) -> Float64:
        """float64 ``[d]``."""
        mean: Float64 = self.features.mean(axis=0, dtype=np.float64)
        return mean

    @cached_property
    def factor(self) -> Float64:
        """F with F^T F the covariance of the features, float64 ``[min(N, d), d]``."""
        return square_root_factor(self.features)

    @cached_property
    def precision_and_recall(self) -> tuple[float, float]:
        real = self.reference.arrays
        return shares_within(self.features, real.features, neighbour_radii(self.features), real.radii)

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
    """

    value: float
    n: int
    kind: str = "metric"
    stderr: float | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)


def fid(material: Material) -> Measured:
    """Frechet distance between samples and held-out data; biased upwards at small n, so n is fingerprinted."""
    real = material.reference.arrays
    value = frechet_distance_of_factors(material.mean, material.factor, real.mean, real.factor)
    return Measured(value, len(material.features), fingerprint=material.fingerprint("fid/1"))


def kid(material: Material) -> Measured:
    """Kernel distance between samples and held-out data; see :func:`kernel_distance`."""
    generated, real = material.features, material.reference.arrays
    if min(len(generated), len(real.features)) < FULL_KID_BELOW:
        within = kernel_mean_within(generated) + float(real.kernel_mean)
        value = within - 2 * kernel_mean_between(generated, real.features)
        rule: dict[str, object] = {"estimator": "full U-statistic"}
    else:
        value = kernel_distance_of_subsets(generated, real.features)
        rule = {"estimator": "subsets", "subsets": SUBSETS, "subset_size": SUBSET_SIZE, "seed": SUBSET_SEED}
    return Measured(value, len(generated), fingerprint=material.fingerprint("kid/1", kernel="poly3", **rule))


def inception_score_of(material: Material) -> Measured:
    """Inception Score of the samples; ``real`` in the fingerprint is that of the held-out data."""
    n, real = len(material.logits), material.reference.arrays.logits
    # Rounded: the last bits differ between machines, which must not part their scores.
    real_score = round(inception_score(real, is_splits(len(real))), 4)
    value = inception_score(material.logits, is_splits(n))
    return Measured(value, n, fingerprint=material.fingerprint("is/1", splits=is_splits(n), real=real_score))


def precision(material: Material) -> Measured:
    """The share of samples within the manifold of the held-out data."""
    value, _ = material.precision_and_recall
    return Measured(value, len(material.features), fingerprint=material.fingerprint("precision/1", k=NEIGHBOURS))


def recall(material: Material) -> Measured:
    """The share of held-out data within the manifold of the samples."""
    _, value = material.precision_and_recall
    return Measured(value, len(material.features), fingerprint=material.fingerprint("recall/1", k=NEIGHBOURS))


def bits_per_dim(material: Material) -> Measured | None:
    """-mean log2 P(x) / D over held-out examples, with its standard error; None without a likelihood."""
    scored = material.log_probs
    if scored is None:
        return None
    nats, scale = np.asarray(scored.nats, np.float64), scored.dims * math.log(2)
    n = len(nats)
    stderr = float(nats.std(ddof=1) / math.sqrt(n) / scale) if n > 1 else None
    source = material.reference.source
    fingerprint = {
        "metric": "bits_per_dim/1",
        "data": source.data_sha256[:16],
        "split": source.split,
        "n": n,
        "dims": scored.dims,
        "estimator": scored.kind,
        "draws": scored.draws,
    }
    return Measured(float(-nats.mean() / scale), n, scored.kind, stderr, fingerprint)
