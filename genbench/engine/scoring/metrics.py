"""The metrics: small functions of a :class:`Material`, each giving one number and what it hangs on.

The arithmetic is in the modules beside this one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from genbench.engine.scoring.classes import (
    class_histogram,
    expected_histogram_distance,
    histogram_distance,
    inception_score,
    intra_class_kernel_distance,
    is_splits,
)
from genbench.engine.scoring.classes import label_accuracy as accuracy
from genbench.engine.scoring.copying import CopyStatistic, duplicate_share
from genbench.engine.scoring.frechet import frechet_distance_at_infinity, frechet_distance_of_features
from genbench.engine.scoring.kernel import FULL_KID_BELOW, SUBSET_SEED, SUBSET_SIZE, SUBSETS
from genbench.engine.scoring.material import Material, Measured
from genbench.engine.scoring.modes import Modes, mode_ids, modes_of
from genbench.engine.scoring.neighbours import DENSITY_NEIGHBOURS, NEIGHBOURS
from genbench.errors import DataError


def fid(material: Material) -> Measured:
    """Frechet distance between samples and held-out data; biased upwards at small n, so n is fingerprinted."""
    real = material.reference.arrays
    value = frechet_distance_of_features(material.features, real.mean, real.factor)
    return Measured(value, material.n, fingerprint=material.fingerprint("fid/1"))


def fd_inf(material: Material) -> Measured:
    """Frechet distance extrapolated to infinitely many samples."""
    real = material.reference.arrays
    found = frechet_distance_at_infinity(material.features, real.mean, real.factor)
    details = {"intercept_stderr": found.stderr}
    sizes = [found.sizes[0], found.sizes[-1], len(found.sizes)]
    fingerprint = material.fingerprint("fd_inf/1", sizes=sizes, draws=found.draws)
    return Measured(found.value, material.n, fingerprint=fingerprint, details=details)


def kid(material: Material) -> Measured:
    """Kernel distance between samples and held-out data."""
    rule: dict[str, object] = {"estimator": "full U-statistic"}
    if min(material.n, len(material.reference.arrays.features)) >= FULL_KID_BELOW:
        rule = {"estimator": "subsets", "subsets": SUBSETS, "subset_size": SUBSET_SIZE, "seed": SUBSET_SEED}
    fingerprint = material.fingerprint("kid/1", kernel="poly3", **rule)
    return Measured(material.comparison.kernel_distance, material.n, fingerprint=fingerprint)


def inception_score_of(material: Material) -> Measured:
    """Inception Score of the samples; ``real`` in the fingerprint is that of the held-out data."""
    real = material.reference.arrays.logits
    # Rounded: the last bits differ between machines, which must not part their scores.
    real_score = round(inception_score(real, is_splits(len(real))), 4)
    value = inception_score(material.logits, is_splits(material.n))
    fingerprint = material.fingerprint("is/1", splits=is_splits(material.n), real=real_score)
    return Measured(value, material.n, fingerprint=fingerprint)


def precision(material: Material) -> Measured:
    """The share of samples within the manifold of the held-out data."""
    value = material.comparison.shares.precision
    return Measured(value, material.n, fingerprint=material.fingerprint("precision/1", k=NEIGHBOURS))


def recall(material: Material) -> Measured:
    """The share of held-out data within the manifold of the samples."""
    value = material.comparison.shares.recall
    return Measured(value, material.n, fingerprint=material.fingerprint("recall/1", k=NEIGHBOURS))


def density(material: Material) -> Measured:
    """How many balls around held-out data a sample lies in, over k."""
    value = material.comparison.shares.density
    return Measured(value, material.n, fingerprint=material.fingerprint("density/1", k=DENSITY_NEIGHBOURS))


def coverage(material: Material) -> Measured:
    """The share of held-out data with a sample in their ball."""
    value = material.comparison.shares.coverage
    return Measured(value, material.n, fingerprint=material.fingerprint("coverage/1", k=DENSITY_NEIGHBOURS))


def class_histogram_distance(material: Material) -> Measured:
    """Total variation between the classes that the evaluator sees in the samples and in the held-out data."""
    real = class_histogram(material.reference.arrays.logits)
    value = histogram_distance(class_histogram(material.logits), real)
    details = {"expected_of_real": expected_histogram_distance(material.n, real)}
    return Measured(value, material.n, fingerprint=material.fingerprint("class_histogram/1"), details=details)


def label_accuracy(material: Material) -> Measured | None:
    """The share of a conditional model's samples that the evaluator takes for the class that was asked for."""
    if material.labels is None:
        return None
    real = round(accuracy(material.reference.arrays.logits, _labels_of_real(material)), 4)
    value = accuracy(material.logits, material.labels)
    return Measured(value, material.n, fingerprint=material.fingerprint("label_accuracy/1", real=real))


def intra_kid(material: Material) -> Measured | None:
    """The mean over classes of the KID between a conditional model's samples and held-out data of the class."""
    if material.labels is None or material.classes is None:
        return None
    real = material.reference.arrays
    found = intra_class_kernel_distance(
        material.features, material.labels, real.features, _labels_of_real(material), material.classes
    )
    details: dict[str, object] = {"of_class": {str(label): value for label, value in found.of_class.items()}}
    if found.skipped:  # which they are hangs on the seed, so it is no part of the fingerprint
        details["skipped"] = list(found.skipped)
    fingerprint = material.fingerprint("intra_kid/1", kernel="poly3", classes=material.classes)
    return Measured(found.value, material.n, fingerprint=fingerprint, details=details)


def modes_found(material: Material) -> Measured | None:
    """How many of the data's known modes, its classes, have a sample."""
    found = _modes(material)
    if found is None:
        return None
    return Measured(float(found.found), material.n, fingerprint=_modes_fingerprint(material, "modes_found/1", found))


def modes_kl(material: Material) -> Measured | None:
    """KL divergence of the samples' modes from the data's, in nats."""
    found = _modes(material)
    if found is None:
        return None
    return Measured(found.divergence, material.n, fingerprint=_modes_fingerprint(material, "modes_kl/1", found))


def nn_ratio(material: Material) -> Measured:
    """How far samples lie from training data, in units of how far they lie from held-out data."""
    return _of_copies(material, "nn_ratio/1", material.copying.nearest_ratio)


def authenticity(material: Material) -> Measured:
    """AuthPct of the samples less that of held-out data, in percentage points."""
    found = material.copying
    return _of_copies(material, "authenticity/1", found.authenticity, {"authpct": found.authpct})


def c_t(material: Material) -> Measured:
    """z-score of how much nearer to training data held-out data lie than samples do."""
    return _of_copies(material, "c_t/1", material.copying.c_t, {"cells": material.copying.cells})


def exact_copies(material: Material) -> Measured:
    """The share of samples that equal a training image in every pixel."""
    if material.training is None:
        raise DataError("copies can only be looked for where the training data are at hand")
    training, held_out = material.training()
    real = round(duplicate_share(held_out, training), 4)
    fingerprint = {**_of_data(material, "exact_copies/1"), "n": material.n, "real": real}
    return Measured(duplicate_share(material.samples, training), material.n, fingerprint=fingerprint)


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
    details = {}
    if scored.effective_draws is not None:
        effective = scored.effective_draws
        details = {"effective_draws": float(effective.mean()), "least_effective_draws": float(effective.min())}
    return Measured(float(-nats.mean() / scale), n, scored.kind, stderr, fingerprint, details)


def _of_copies(
    material: Material, metric: str, statistic: CopyStatistic, details: dict[str, float] | None = None
) -> Measured:
    """A statistic that is lower the more the samples copy, flagged beyond what held-out data show in their place."""
    found, source = material.copying, material.reference.source
    space = f"{source.evaluator}@{source.evaluator_sha256[:16]}" if material.is_second else "pixels"
    fingerprint = {**_of_data(material, metric), "space": space, "size": found.size, "training": found.training}
    null = {f"null_{percent}%": float(np.percentile(statistic.null, percent)) for percent in (1, 50, 99)}
    flag = None
    if statistic.flagged:
        flag = f"{statistic.value:.3g} is below {statistic.threshold:.3g}, the first percentile of honest held-out data"
    return Measured(
        statistic.value, found.size, fingerprint=fingerprint, details={**null, **(details or {})}, flag=flag
    )


def _of_data(material: Material, metric: str) -> dict[str, object]:
    """The fingerprint of a score that no evaluator had a part in."""
    source = material.reference.source
    return {"metric": metric, "data": source.data_sha256[:16], "split": source.split}


def _labels_of_real(material: Material) -> NDArray[np.int64]:
    labels, source = material.reference.arrays.labels, material.reference.source
    if not len(labels):
        raise DataError(
            f"the reference statistics of {source.evaluator} on the split {source.split!r} hold no labels, without "
            "which samples cannot be held to the classes asked for; export them anew"
        )
    return labels


def _modes(material: Material) -> Modes | None:
    """The modes of data whose classes are their modes: one logit a mode, or K a channel where there are K^C modes.

    The classes are the data's own or, where they carry none, those that the evaluator tells apart.
    """
    shares = material.class_shares()
    if shares is None:
        return None
    classes, logits = len(shares), material.logits.shape[1]
    for channels in (1, material.samples.shape[1]):
        if logits % channels == 0 and (logits // channels) ** channels == classes:
            # [N, C K] -> [N, C, K]
            return modes_of(mode_ids(material.logits.reshape(material.n, channels, -1)), shares)
    raise DataError(
        f"the data have {classes} modes; to tell them apart an evaluator needs as many logits, or K in each of the "
        f"{material.samples.shape[1]} channels with K^{material.samples.shape[1]} = {classes}, not {logits} in all"
    )


def _modes_fingerprint(material: Material, metric: str, found: Modes) -> dict[str, object]:
    """Of data without labels the modes are what the evaluator takes for them, which parts such scores from others."""
    seen = {"modes_of": "evaluator"} if material.classes is None else {}
    return material.fingerprint(metric, modes=found.modes, **seen)
