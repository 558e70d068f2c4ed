"""The contract between genbench and a model. This is all that a plugin author has to know.

A model is an ordinary class. It is built as ``factory(config, data, device)`` with the resolved
configuration (your dataclass), a :class:`~genbench.specs.DataSpec` and a ``torch.device``, and has the methods
below. It need not inherit from anything.

**uint8 in, uint8 out, nats in between.** Images come as uint8 in ``0 .. levels - 1`` and samples leave in
the same form; normalisation, dequantisation and rounding are the model's own affair. Likelihoods are in nats
of the *discrete* data. Only the core turns nats into bits/dim.

**The core owns randomness.** Around each call it seeds torch's default generators (CPU and CUDA), Python's
``random`` and NumPy's global generator from (seed, stream, position). Draw freely from them and never seed
anything yourself: then a resumed run equals an uninterrupted one.

**The state is all that survives.** Training, sampling and likelihood happen in different processes. What is
not in ``state_dict`` is lost, schedules' counters and optimiser moments included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = Mapping[str, Any]
"""A nested dict whose keys are strings and whose leaves are tensors, numbers, strings, booleans or None."""


@dataclass(frozen=True)
class Batch:
    """One full batch of training data.

    Attributes:
        x: uint8 ``[B, *shape]`` with values ``0 .. levels - 1``, on the model's device.
        labels: int64 ``[B]``, or None where the data carry none. Unconditional models may ignore them.
    """

    x: Tensor
    labels: Tensor | None


class Model(Protocol):
    """What a model does. Every method is called by the core, never by the plugin."""

    def train_step(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Learn from exactly one batch.

        Any subset of the networks may be updated; what depends on the step (critic steps, lazy penalties)
        counts in the state. Data-dependent initialisation belongs in the first call, its flag in the state.

        Args:
            batch: the next batch in the core's order; always ``config.batch_size`` examples.
            progress: the share of the budget that is spent, in [0, 1). Drive schedules with it.

        Returns:
            Losses and other figures for the curve, a name and a 0-d tensor each. A NaN or an infinity ends
            the run as ``diverged``. May be empty. The names ``step``, ``images``, ``flops``, ``seconds`` and
            ``n``, and those that begin with ``score:``, are genbench's own and refused.
        """
        ...

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Draw ``n`` samples, with no gradient and without changing the model.

        Args:
            n: 1 or more.
            labels: int64 ``[n]`` for a conditional model, else None.

        Returns:
            uint8 ``[n, *shape]`` with values ``0 .. levels - 1``.
        """
        ...

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x) of discrete examples, in nats, summed over dimensions. Left out by models without one.

        The spec's ``likelihood`` says what the number is:

        - ``exact``: log P(x) itself, the same at each call and whatever else is in the batch;
        - ``importance``: the log of an unbiased one-draw estimate of P(x), such as log p(x, z) - log q(z | x)
          with z ~ q of a VAE, or the density of a uniformly dequantised flow. The core calls it K times and
          averages inside the log (IWAE, arXiv:1509.00519);
        - ``bound``: at most log P(x) in expectation; averaged outside the log;
        - ``estimate``: anything else. It stands apart in tables.

        A density on [0, 1]^D becomes a mass by subtracting D log(levels).

        Args:
            x: uint8 ``[B, *shape]``.
            labels: int64 ``[B]`` for a conditional model, which then gives log P(x | label), else None.

        Returns:
            float ``[B]``.
        """
        ...

    def state_dict(self) -> State:
        """All that the model is: weights, averages, optimiser moments, counters."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Become the model that gave this state. Tensors arrive on the CPU.

        Raises:
            KeyError, ValueError, RuntimeError: if the state is not one of this model.
        """
        ...


class PreparesForEval(Protocol):
    """The optional method of a model that fits something to the training data before it is evaluated."""

    def prepare_for_eval(self, batches: Iterator[Batch]) -> None:
        """Fit what sampling needs (a mixture on codes, BatchNorm statistics), once, before samples are taken.

        Args:
            batches: training batches in the core's order, at least one epoch of them; take what you need.
        """
        ...
