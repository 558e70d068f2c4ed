"""Sums of probabilities, exact or estimated, and the sum over all of a space that is small enough."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from genbench.engine.audit.finding import (
    FALSE_ALARM,
    STANDARD_ERRORS,
    Unfit,
    failed,
    first_line,
    of_the_machine,
    passed,
)
from genbench.engine.audit.subject import EXAMPLES, RULED_OUT, Subject
from genbench.engine.audit.synthetic import hidden_source, narrow_source
from genbench.errors import InvalidOutput
from genbench.model import Model
from genbench.record import AuditFinding
from genbench.specs import DataSpec, LikelihoodKind

DIMENSIONS = 1 << 18
MOST = 1 << 15
REPLICATES = 16
"""Kinds that draw are averaged over as many draws as make ``DIMENSIONS`` dimensions, at most ``MOST`` in all and at
least ``REPLICATES`` for each example."""

LARGEST = 300.0
"""Nats beyond which a claimed probability counts as e^300: squares of it are still finite."""

SPACE_STEPS = 150
"""Training steps on a space of a few examples: enough for a code to be used."""


@dataclass(frozen=True)
class Mass:
    """A sum of probabilities, and what may be of it.

    Attributes:
        total: the sum over examples of exp(log_prob), for kinds that draw of their mean.
        limit: the most that it may be: 1 and what rounding and chance allow.
        rounding: what rounding alone allows.
    """

    total: float
    limit: float
    rounding: float


def mass_of(subject: Subject, model: Model, x: np.ndarray, prior: np.ndarray) -> Mass:
    """The probability that a model gives to the examples uint8 ``[X, *shape]``, all different.

    ``exact``: sum of exp(log_prob). ``importance``: each is the log of an unbiased estimate, so the mean over
    replicates of the sum of exp is that of P, within its standard error. ``bound``: E b <= log P, so the sum of
    exp(mean b) is, but for its standard error and for the bias of exp of a noisy mean, half its variance.
    """
    if subject.kind == "exact":
        nats = subject.nats(model, x, prior)
        # float32 sums of that size are right to a few units in the seventh digit; a probability of 0 is exact.
        rounding = 1e-4 + 1e-6 * float(np.abs(nats[nats > RULED_OUT]).max(initial=0.0))
        return Mass(float(np.exp(nats).sum()), 1.0 + rounding, rounding)
    draws_in_all = min(MOST, DIMENSIONS // x[0].size)
    replicates = max(REPLICATES, draws_in_all // len(x))
    draws = 2 if subject.kind == "bound" else 1
    repeated = np.repeat(x, replicates, axis=0)
    # In one order an example would always stand at the same place of a batch.
    order = subject.generator("mass", len(x)).permutation(len(repeated))
    nats = np.empty(len(repeated))
    nats[order] = subject.nats(model, repeated[order], prior, draws, chunk=256, position="mass")
    return estimated_mass(subject.kind, nats.reshape(len(x), replicates))


def estimated_mass(kind: LikelihoodKind, nats: np.ndarray) -> Mass:
    """The mass of replicates of each example's log_prob, float64 ``[X, R]``."""
    replicates = nats.shape[1]
    nats = np.minimum(nats, LARGEST)
    if kind == "importance":
        sums = np.exp(nats).sum(axis=0)  # [R]
        error = float(sums.std(ddof=1)) / math.sqrt(replicates)
        # By Markov's inequality a mean of what is never below 0, and 1 at most in expectation, exceeds 1 / a with
        # probability at most a, however skewed it is: a few huge weights do not hide behind their standard error.
        return Mass(float(sums.mean()), min(1.0 + 1e-4 + STANDARD_ERRORS * error, 1.0 / FALSE_ALARM), 1e-4)
    mean, variance = nats.mean(axis=1), nats.var(axis=1, ddof=1) / replicates  # [X] each
    mass = np.exp(mean)
    error = math.sqrt(float((mass**2 * variance).sum()))
    bias = float((mass * variance).sum()) / 2.0
    return Mass(float(mass.sum()), 1.0 + 1e-4 + bias + STANDARD_ERRORS * error, 1e-4)


def whole_space(subject: Subject, space: DataSpec) -> AuditFinding:
    """Train a little on a space of a few examples, and sum over all of them.

    Raises:
        Unfit: if the model can't be built, trained or scored at that size.
        InvalidOutput: if it can, and ``log_prob`` gives anything but finite nats.
    """
    name = name_of(space)
    source = narrow_source(space, by_class=True) if subject.job.conditional else hidden_source(space)
    x, labels = source.draw(EXAMPLES, subject.generator("tiny"))
    everything = np.array(list(itertools.product(range(space.levels), repeat=space.dims)), dtype=np.uint8)
    try:
        model = subject.fit(x, labels, space, steps=SPACE_STEPS)
        mass = mass_of(subject, model, everything.reshape(-1, *space.shape), source.label_prior)
    except InvalidOutput:
        raise
    except Exception as error:
        if of_the_machine(error):
            raise
        raise Unfit(f"can't be used on {_described(space)}: {first_line(error)}") from error
    found = f"over all {len(everything)} examples of {_described(space)} the probabilities sum to {mass.total:.6g}"
    if mass.total > mass.limit:
        return failed(name, f"{found}, which is more than 1 (limit {mass.limit:.6g})", mass.total, mass.limit)
    if subject.kind == "exact" and mass.total < 1.0 - mass.rounding:
        return failed(
            name,
            f"{found}, where those of a likelihood of kind exact sum to 1; are they in bits, of a wrong number of "
            "levels, or a bound?",
            mass.total,
            mass.limit,
        )
    return passed(name, found, mass.total, mass.limit)


def name_of(space: DataSpec) -> str:
    """How the finding of the sum over a space is called."""
    return f"sum over {_described(space)}"


def _described(space: DataSpec) -> str:
    return f"{'x'.join(map(str, space.shape))} with {space.levels} levels"
