"""From a model's ``log_prob`` to one number of nats an example, whatever its kind and conditioning.

A conditional likelihood is made comparable by marginalising over the classes; the true labels never reach it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from genbench.engine import rng
from genbench.engine.contract import check_log_prob
from genbench.model import Model
from genbench.specs import LikelihoodKind

ScoredKind = Literal["exact", "iwae", "bound", "estimate"]


@dataclass(frozen=True)
class LogProbs:
    """log P(x) of the scored examples, or what stands for it.

    Attributes:
        nats: float64 ``[N]``, summed over dimensions.
        kind: ``exact``; ``iwae`` and ``bound`` are lower bounds in expectation; ``estimate`` is no bound.
        draws: K, the draws an example and class; 1 for ``exact``.
        dims: D, for bits/dim.
    """

    nats: np.ndarray
    kind: ScoredKind
    draws: int
    dims: int


def log_probs(
    model: Model,
    kind: LikelihoodKind,
    x: torch.Tensor,
    class_log_prior: Sequence[float] | None,
    draws: int,
    chunk: int,
    seed: int,
) -> LogProbs | None:
    """Score examples in batches of ``chunk``.

    Args:
        model: with a ``log_prob`` of the given kind.
        x: uint8 ``[N, *shape]`` on the model's device.
        class_log_prior: log p(y) of each class for a conditional model, else None.
        draws: K.
        seed: of the stream ``likelihood``; the position of a call is (batch, label, draw).

    Returns:
        The combined nats; None for a conditional model of kind ``estimate``, since averaging an estimate
        over classes would mean nothing.
    """
    if kind == "estimate" and class_log_prior is not None:
        return None
    parts = []
    for batch, examples in enumerate(x.split(chunk)):

        def call(label: int | None, draw: int, batch: int = batch, examples: torch.Tensor = examples) -> torch.Tensor:
            labels = None if label is None else torch.full((len(examples),), label, device=examples.device)
            rng.seed_globals(seed, "likelihood", batch, -1 if label is None else label, draw)
            return check_log_prob(model.log_prob(examples, labels), len(examples), certain=kind == "exact")

        if class_log_prior is None:
            parts.append(_combine(kind, call, None, draws))
        else:
            parts.append(_marginalise(kind, call, class_log_prior, draws))
    scored: dict[LikelihoodKind, ScoredKind] = {
        "exact": "exact",
        "importance": "iwae",
        "bound": "bound",
        "estimate": "estimate",
    }
    nats = torch.cat(parts).numpy()
    return LogProbs(nats, scored[kind], 1 if kind == "exact" else draws, math.prod(x.shape[1:]))


Call = Callable[[int | None, int], torch.Tensor]
"""``log_prob`` of one batch for (label, draw): float64 ``[B]``."""


def _combine(kind: LikelihoodKind, call: Call, label: int | None, draws: int, first: int = 0) -> torch.Tensor:
    """Draws ``first .. first + draws - 1`` of one batch and label into one number an example, ``[B]``."""
    if kind == "exact":
        return call(label, 0)
    drawn = torch.stack([call(label, draw) for draw in range(first, first + draws)])  # [K, B]
    if kind == "importance":
        # IWAE-K (Burda et al., arXiv:1509.00519, eq. 8): the log of the mean weight.
        return drawn.logsumexp(0) - math.log(draws)
    return drawn.mean(0)


def _marginalise(kind: LikelihoodKind, call: Call, class_log_prior: Sequence[float], draws: int) -> torch.Tensor:
    """log sum_y p(y) P(x | y), or a bound of it, ``[B]``."""
    labels = [label for label, log_prior in enumerate(class_log_prior) if log_prior > -math.inf]
    log_prior = torch.tensor([class_log_prior[label] for label in labels], dtype=torch.float64)  # [Y]
    if kind != "bound":
        given = torch.stack([_combine(kind, call, label, draws) for label in labels])  # [Y, B]
        return (given + log_prior[:, None]).logsumexp(0)
    # Noise inside a logsumexp would inflate a bound. So the posterior r comes from one set of draws, and
    # sum_y r_y (b_y + log p(y) - log r_y), a bound for any r, takes b from an independent set.
    half = max(1, draws // 2)
    rough = torch.stack([_combine(kind, call, label, half) for label in labels])  # [Y, B]
    fresh = torch.stack([_combine(kind, call, label, max(1, draws - half), first=half) for label in labels])
    log_r = (rough + log_prior[:, None]).log_softmax(0)
    return (log_r.exp() * (fresh + log_prior[:, None] - log_r)).sum(0)
