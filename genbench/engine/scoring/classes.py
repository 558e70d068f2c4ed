"""What a classifier's logits say of samples: Inception Score, class histogram, control by labels, intra-class KID."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.engine.scoring.kernel import kernel_distance
from genbench.engine.scoring.pairs import Array, Float64
from genbench.errors import DataError

IS_SPLITS, IS_SPLITS_FROM, IS_SEED = 10, 5000, 2020

Classes = NDArray[np.int64]


def inception_score(logits: Array, splits: int = 1) -> float:
    """Inception Score, Salimans et al. 2016 (arXiv:1606.03498): exp E KL(p(y|x) || p(y)), between 1 and K.

    Computed in logarithms throughout, so that a class of vanishing probability in every sample counts 0, not NaN.

    Args:
        logits: ``[N, K]`` of a calibrated classifier.
        splits: the mean over so many parts, shuffled with torch-fidelity's seed where there are more than one.
    """
    rows = torch.from_numpy(np.asarray(logits, np.float64))
    if splits > 1:
        rows = rows[torch.from_numpy(np.random.RandomState(IS_SEED).permutation(len(rows)))]
    log_p = rows.log_softmax(1)
    scores = []
    for part in range(splits):
        chunk = log_p[part * len(rows) // splits : (part + 1) * len(rows) // splits]
        log_marginal = chunk.logsumexp(0) - np.log(len(chunk))
        scores.append(float((chunk.exp() * (chunk - log_marginal)).sum(1).mean().exp()))
    return float(np.mean(scores))


def is_splits(n: int) -> int:
    """Into how many parts n samples are split for the Inception Score."""
    return IS_SPLITS if n >= IS_SPLITS_FROM else 1


def predicted_classes(logits: Array) -> Classes:
    """The most probable class of each row of ``[N, K]``, the first of equals: int64 ``[N]``."""
    classes: Classes = logits.argmax(axis=-1)
    return classes


def class_histogram(logits: Array) -> Float64:
    """The share of rows of ``[N, K]`` predicted to be of each class, float64 ``[K]``."""
    counts = np.bincount(predicted_classes(logits), minlength=logits.shape[1])
    histogram: Float64 = counts / len(logits)
    return histogram


def histogram_distance(generated: Float64, real: Float64) -> float:
    """Total variation between two class histograms ``[K]``: half the sum of |p - q|, between 0 and 1."""
    return float(np.abs(generated - real).sum() / 2)


def expected_histogram_distance(n: int, real: Float64) -> float:
    """The mean :func:`histogram_distance` of n independent draws from the histogram ``[K]`` itself.

    Half the sum over classes of E |B / n - p| with B binomial (n, p), in closed form: the mean absolute deviation of a
    binomial is 2 (1 - p)^(n - m) p^(m + 1) (m + 1) C(n, m + 1) with m the whole part of n p (de Moivre; Diaconis and
    Zabell 1991, doi:10.1214/ss/1177011699, theorem 1).
    """
    p = torch.from_numpy(real[(real > 0) & (real < 1)])
    above = (n * p).floor() + 1
    trials = torch.tensor(float(n), dtype=torch.float64)
    log_ways = (trials + 1).lgamma() - (above + 1).lgamma() - (trials - above + 1).lgamma()
    log_mass = log_ways + above * p.log() + torch.xlogy(trials - above, 1 - p)  # of m + 1 counts of a binomial, [K]
    deviations = 2 * above * (1 - p) * log_mass.exp()  # of counts
    return float(deviations.sum() / (2 * n))


def label_accuracy(logits: Array, labels: Classes) -> float:
    """The share of samples whose predicted class is the one that was asked for.

    Args:
        logits: ``[N, K]``.
        labels: int64 ``[N]``.
    """
    return float((predicted_classes(logits) == labels).mean())


@dataclass(frozen=True)
class IntraClass:
    """KID class by class.

    Attributes:
        value: the unweighted mean over the classes that could be compared.
        of_class: their KIDs.
        skipped: classes with fewer than 2 samples or real examples.
    """

    value: float
    of_class: dict[int, float]
    skipped: tuple[int, ...]


def intra_class_kernel_distance(
    generated: Array, labels: Classes, real: Array, real_labels: Classes, classes: int
) -> IntraClass:
    """The mean over classes of the KID between samples asked for a class and real examples of it.

    Intra-class FID (Miyato and Koyama 2018, arXiv:1802.05637, section 5) with KID in FID's place, which is unbiased at
    the small numbers that a class has.

    Args:
        generated, labels: ``[N, d]`` and the classes asked for, int64 ``[N]``.
        real, real_labels: ``[M, d]`` and int64 ``[M]``.
        classes: how many there are, K; labels are 0 to K - 1.

    Raises:
        DataError: if no class has 2 of both.
    """
    of_class: dict[int, float] = {}
    for label in range(classes):
        asked, known = generated[labels == label], real[real_labels == label]
        if min(len(asked), len(known)) >= 2:
            of_class[label] = kernel_distance(asked, known)
    if not of_class:
        raise DataError(f"intra-class KID needs 2 samples and 2 real examples of a class; none of {classes} has both")
    skipped = tuple(label for label in range(classes) if label not in of_class)
    return IntraClass(float(np.mean(list(of_class.values()))), of_class, skipped)
