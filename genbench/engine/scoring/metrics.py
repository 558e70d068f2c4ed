"""The metrics: small functions of a :class:`Material`, each giving one number and what it hangs on.

The arithmetic is in :mod:`genbench.engine.scoring.features`, whose functions are offered here too.
"""

from __future__ import annotations

import math

import numpy as np

from genbench.engine.scoring.features import (
    FULL_KID_BELOW,
    NEIGHBOURS,
    SUBSET_SEED,
    SUBSET_SIZE,
    SUBSETS,
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
)
from genbench.engine.scoring.material import Material, Measured

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
    value, _ = _precision_and_recall(material)
    return Measured(value, len(material.features), fingerprint=material.fingerprint("precision/1", k=NEIGHBOURS))


def recall(material: Material) -> Measured:
    """The share of held-out data within the manifold of the samples."""
    _, value = _precision_and_recall(material)
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


def _precision_and_recall(material: Material) -> tuple[float, float]:
    real = material.reference.arrays
    return shares_within(material.features, real.features, neighbour_radii(material.features), real.radii)
