"""What values a score can have at all, by metric: the one place where these bounds stand."""

from __future__ import annotations

import math
from collections.abc import Mapping

ROUNDING = 1e-6
"""By how much a computed value may lie beyond its bound, in the score's unit."""

BOUNDS: Mapping[str, tuple[float, float]] = {
    "fid": (0.0, math.inf),
    "fd_inf": (-math.inf, math.inf),  # an intercept, which may fall below 0
    "kid": (-1.0, math.inf),  # unbiased; a squared distance whose estimate may fall a little below 0
    "intra_kid": (-1.0, math.inf),
    "is": (1.0, 1e6),  # exp of a mutual information: from 1 to the number of classes
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "density": (0.0, math.inf),
    "coverage": (0.0, 1.0),
    "class_histogram": (0.0, 1.0),  # a total variation
    "modes_found": (0.0, 1e9),
    "modes_kl": (0.0, math.inf),
    "bits_per_dim": (0.0, math.inf),  # of discrete data: no probability is above 1
    "bits_per_letter": (0.0, math.inf),
    "label_accuracy": (0.0, 1.0),
    "invalid_words": (0.0, 1.0),
    "distinct_words": (0.0, 1.0),
    "new_words": (0.0, 1.0),
    "nn_ratio": (0.0, math.inf),
    "authenticity": (-100.0, 100.0),  # a difference of percentages
    "c_t": (-math.inf, math.inf),
    "exact_copies": (0.0, 1.0),
}
"""Metric of genbench to the least and the most that it can be, from its definition in ``docs/metrics.md``. Those of
third parties may be any finite number."""


def why_out_of_bounds(name: str, value: float) -> str | None:
    """The bounds that a score's value is out of, as text; None where it is within, or nobody has declared any.

    Args:
        name: the score's key in a record; ``fid@evaluator`` has the bounds of ``fid``.
    """
    low, high = BOUNDS.get(name.partition("@")[0], (-math.inf, math.inf))
    slack = ROUNDING * max(1.0, abs(value) if math.isfinite(value) else 1.0)
    if math.isfinite(value) and low - slack <= value <= high + slack:
        return None
    return f"{low:g} to {high:g}"
