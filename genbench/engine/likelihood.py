"""From a model's ``log_prob`` to one number of nats an example, whatever its kind and conditioning.

A conditional likelihood is made comparable by marginalising over the classes; the true labels never reach it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
        effective_draws: for ``iwae`` the effective sample size of each example's weights, float64 ``[N]`` in
            [1, K * classes]: (sum w)^2 / sum w^2 (Kong 1992), over draws, and over classes with their prior
            weights. Near 1 a single draw decides the number, and more draws would tighten it. None for other kinds.
        examples: which of the held-out examples these are, int64 ``[N]``, rising; None where nobody has said.
    """

    nats: np.ndarray
    kind: ScoredKind
    draws: int
    dims: int
    effective_draws: np.ndarray | None = None
    examples: np.ndarray | None = None


def log_probs(
    model: Model,
    kind: LikelihoodKind,
    x: torch.Tensor,
    class_log_prior: Sequence[float] | None,
    draws: int,
    chunk: int,
    seed: int,
    impossible: float | None = None,
) -> LogProbs | None:
    """Score examples in batches of ``chunk``.

    Memory grows with ``chunk`` and, for conditional bounds, the number of classes, but not with ``draws``.

    Args:
        model: with a ``log_prob`` of the given kind.
        x: uint8 ``[N, *shape]`` on the model's device.
        class_log_prior: log p(y) of each class for a conditional model, else None.
        draws: K.
        seed: of the stream ``likelihood``; the position of a call is (batch, label, draw).
        impossible: the nats that a probability of 0 counts as, for synthetic data that a model may rule out; by
            default -inf is refused, since no other example could make up for it.

    Returns:
        The combined nats; None for a conditional model of kind ``estimate``, since averaging an estimate
        over classes would mean nothing.

    Raises:
        InvalidOutput: if ``log_prob`` returns anything but a finite float an example.
    """
    if kind == "estimate" and class_log_prior is not None:
        return None
    parts, effective = [], []
    for batch, examples in enumerate(x.split(chunk)):

        def call(label: int | None, draw: int, batch: int = batch, examples: torch.Tensor = examples) -> torch.Tensor:
            labels = None if label is None else torch.full((len(examples),), label, device=examples.device)
            rng.seed_globals(seed, "likelihood", batch, -1 if label is None else label, draw)
            given = model.log_prob(examples, labels)
            if impossible is not None and isinstance(given, torch.Tensor) and given.dtype.is_floating_point:
                given = given.double().masked_fill(given == -math.inf, impossible)
            return check_log_prob(given, len(examples), certain=kind == "exact")

        # An unconditional model is one class that is certain.
        classes = [(None, 0.0)] if class_log_prior is None else _that_occur(class_log_prior)
        if kind == "importance":
            weights = _weights(call, classes, draws)
            parts.append(weights.log_mean(draws))
            effective.append(weights.effective())
        elif kind == "bound" and class_log_prior is not None:
            parts.append(_marginal_bound(call, classes, draws))
        elif class_log_prior is not None:
            parts.append(torch.stack([call(label, 0) + log_prior for label, log_prior in classes]).logsumexp(0))
        else:
            parts.append(call(None, 0) if kind == "exact" else _mean(call, None, range(draws)))
    return LogProbs(
        nats=torch.cat(parts).numpy(),
        kind=SCORED[kind],
        draws=1 if kind == "exact" else draws,
        dims=math.prod(x.shape[1:]),
        effective_draws=torch.cat(effective).numpy() if effective else None,
    )


SCORED: dict[LikelihoodKind, ScoredKind] = {
    "exact": "exact",
    "importance": "iwae",
    "bound": "bound",
    "estimate": "estimate",
}

Call = Callable[[int | None, int], torch.Tensor]
"""``log_prob`` of one batch for (label, draw): float64 ``[B]``."""

Classes = Sequence[tuple[int | None, float]]
"""Labels and the logarithms of their prior probabilities."""


class Weights(NamedTuple):
    """Running sums of importance weights, in logarithms, float64 ``[B]`` each."""

    log_sum: torch.Tensor
    log_sum_of_squares: torch.Tensor

    def log_mean(self, draws: int) -> torch.Tensor:
        """IWAE-K (Burda et al., arXiv:1509.00519, equation 8): the log of the mean weight."""
        return self.log_sum - math.log(draws)

    def effective(self) -> torch.Tensor:
        """(sum w)^2 / sum w^2."""
        return (2.0 * self.log_sum - self.log_sum_of_squares).exp()


def _weights(call: Call, classes: Classes, draws: int) -> Weights:
    """All weights p(y) w_k(x | y), added up as they come."""
    sums: Weights | None = None
    for label, log_prior in classes:
        for draw in range(draws):
            log_weight = call(label, draw) + log_prior
            if sums is None:
                sums = Weights(log_weight, 2.0 * log_weight)
            else:
                sums = Weights(
                    torch.logaddexp(sums.log_sum, log_weight),
                    torch.logaddexp(sums.log_sum_of_squares, 2.0 * log_weight),
                )
    assert sums is not None
    return sums


def _marginal_bound(call: Call, classes: Classes, draws: int) -> torch.Tensor:
    """A lower bound in expectation of log sum_y p(y) P(x | y) from bounds b_y of log P(x | y), ``[B]``.

    Noise inside a logsumexp would inflate a bound. So a guess r of the posterior comes from one half of the draws,
    and sum_y r_y (b_y + log p(y) - log r_y), a bound for any r that b is independent of, takes b from the other.
    """
    half = max(1, draws // 2)
    log_prior = torch.tensor([log_prior for _, log_prior in classes], dtype=torch.float64)[:, None]  # [Y, 1]
    rough = torch.stack([_mean(call, label, range(half)) for label, _ in classes])  # [Y, B]
    fresh = torch.stack([_mean(call, label, range(half, max(draws, half + 1))) for label, _ in classes])
    log_r = (rough + log_prior).log_softmax(0)
    return (log_r.exp() * (fresh + log_prior - log_r)).sum(0)


def _mean(call: Call, label: int | None, positions: range) -> torch.Tensor:
    total = call(label, positions[0])
    for draw in positions[1:]:
        total = total + call(label, draw)
    return total / len(positions)


def _that_occur(class_log_prior: Sequence[float]) -> list[tuple[int | None, float]]:
    return [(label, log_prior) for label, log_prior in enumerate(class_log_prior) if log_prior > -math.inf]
