"""Ranks over seeds: who is significantly better than whom, all pairs of a column tested at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genbench import student
from genbench.specs import Direction
from genbench.statistics import ALPHA, SAME, moments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

LEAST = -1100
"""Below the exponent of any float: that of a group of zeros, which has none."""


def ranks(
    groups: Sequence[Sequence[float]], direction: Direction, log_scale: bool = False, alpha: float = ALPHA
) -> list[int]:
    """For each group of seeds, 1 + the number of groups that are significantly better.

    All pairs are tested by :func:`welch` and the p-values corrected together by :func:`holm`. Groups that cannot be
    told apart may share a rank.

    Args:
        groups: one a contender, of at least two values each.
        direction: ``lower`` or ``higher``.
        log_scale: test logarithms, for the pairs whose values are all positive.
        alpha: the chance of any false separation that is accepted.

    Raises:
        ValueError: if a group has fewer than two values, or ``direction`` is ``none``, by which nothing is better.
    """
    if direction == "none" or any(len(group) < 2 for group in groups):
        raise ValueError("ranks need a direction and two values a group or more")
    import numpy as np

    first, second = np.triu_indices(len(groups), 1)
    difference, p = _all_pairs(groups, log_scale)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order])
    parted = order[adjusted <= alpha]
    worse = np.where((difference[parted] < 0) == (direction == "lower"), second[parted], first[parted])
    return [int(1 + count) for count in np.bincount(worse, minlength=len(groups))]


def _all_pairs(groups: Sequence[Sequence[float]], log_scale: bool) -> tuple[Array, Array]:
    """What :func:`welch` finds of all pairs (i, j), i < j, in the order of ``numpy.triu_indices``, at once.

    Returns:
        mean_i - mean_j, on the pair's scale and up to a positive factor; and p: float64, one a pair.
    """
    import numpy as np

    first, second = np.triu_indices(len(groups), 1)
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    positive = np.array([log_scale and min(group) > 0 for group in groups])
    logs = positive[first] & positive[second]
    plain, exponents = _group_moments(groups, log_scale=False)
    of_logs, _ = _group_moments([group if good else [1.0] for group, good in zip(groups, positive, strict=True)], True)
    top = np.maximum(exponents[first], exponents[second])
    means, errors = [], []
    for side in (first, second):
        shift = exponents[side] - top  # both in parts of the power of two above the pair's largest value
        means.append(np.where(logs, of_logs[side, 0], np.ldexp(plain[side, 0], shift)))
        errors.append(np.where(logs, of_logs[side, 1], np.ldexp(plain[side, 1], 2 * shift)) / sizes[side])
    difference, error = means[0] - means[1], np.sqrt(errors[0] + errors[1])
    rounding = SAME * np.maximum(np.maximum(abs(means[0]), abs(means[1])), logs)
    known = error <= rounding
    p = np.where(abs(difference) <= rounding, 1.0, 0.0)
    total = (errors[0] + errors[1])[~known]
    share_a, share_b = errors[0][~known] / total, errors[1][~known] / total
    degrees = 1 / (share_a**2 / (sizes[first][~known] - 1) + share_b**2 / (sizes[second][~known] - 1))
    p[~known] = student.tails(difference[~known] / error[~known], degrees)
    return difference, p


def _group_moments(groups: Sequence[Sequence[float]], log_scale: bool) -> tuple[Array, Any]:
    """Mean and sample variance of each group, ``[groups, 2]``, in parts of a power of two of its own; its exponent."""
    import numpy as np

    if log_scale:
        return np.array([moments([math.log(value) for value in group]) for group in groups]), None
    exponents = [math.frexp(largest)[1] if (largest := max(map(abs, group))) else LEAST for group in groups]
    scaled = [[math.ldexp(x, -exponent) for x in group] for group, exponent in zip(groups, exponents, strict=True)]
    return np.array([moments(group) for group in scaled]), np.array(exponents)
