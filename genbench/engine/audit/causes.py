"""From how large an excess is to the mistake that most often makes one of that size."""

from __future__ import annotations

import math

import numpy as np

from genbench.engine.audit.synthetic import Source

CLOSE = 0.08
"""Relative distance at which a size counts as that of a known mistake."""


def likely_cause(log_prob: float, log_q: float, source: Source) -> str:
    """The likely cause of a mean log_prob above the mean log q, both in nats an example."""
    dims, levels = source.data.dims, source.data.levels
    ratio, excess = log_prob / log_q, log_prob - log_q
    for factor, cause in (
        (1.0 / (dims * math.log(2.0)), "bits per dimension instead of nats an example?"),
        (1.0 / dims, "a mean over dimensions instead of a sum?"),
        (1.0 / math.log(10.0), "log10 instead of the natural logarithm?"),
        (math.log(2.0), "a conversion to or from bits, by ln 2?"),
    ):
        if abs(ratio / factor - 1.0) < CLOSE:
            return f"It is {ratio:.3g} times what it should be: {cause}"
    each = excess / dims
    for size, cause in (
        (math.log(levels), f"is D log(levels) missing, with levels = {levels}, for a density on [0, 1]^D?"),
        (math.log(levels - 1) if levels > 2 else math.inf, "is it a density on [0, 1]^D, not a mass?"),
        (math.log(levels / 2) if levels > 2 else math.inf, "is it a density on [-1, 1]^D, not a mass?"),
        (math.log((levels - 1) / 2) if levels > 3 else math.inf, "is it a density on [-1, 1]^D, not a mass?"),
    ):
        if abs(each / size - 1.0) < CLOSE:
            return f"It is {each:.3g} nats too high in each dimension: {cause}"
    occurs = source.prior[source.prior > 0]
    entropy = float(-(occurs * np.log(occurs)).sum())
    if len(occurs) > 1 and abs(excess / entropy - 1.0) < 2 * CLOSE:
        return f"It is too high by the {entropy:.3g} nats of the class: is the label used without its probability?"
    if abs(each / math.log(levels / (levels - 1)) - 1.0) < 0.5:
        return f"It is {each:.3g} nats too high in each dimension: is {levels - 1} used for {levels} levels?"
    return f"It is {excess:.3g} nats too high, {each:.3g} in each dimension: is a term lost or a factor too small?"
