"""The main test: on data from a q that is known, no distribution is better than q itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv

from genbench.engine.audit.causes import likely_cause
from genbench.engine.audit.finding import FALSE_ALARM, STANDARD_ERRORS, Unfit, failed, passed
from genbench.engine.audit.subject import EXAMPLES, RULED_OUT, Subject
from genbench.engine.audit.synthetic import Source
from genbench.errors import Diverged
from genbench.model import Model
from genbench.record import AuditFinding

FRESH = 512
FEWEST = 64
FRESH_DIMENSIONS = 1 << 17
"""Fresh examples that a likelihood is measured on; of large images no more than make ``FRESH_DIMENSIONS``, but
``FEWEST``: the standard error in bits/dim is of the number of dimensions in all."""

DRAWS = 8
"""K for kinds that draw."""


@dataclass(frozen=True)
class Excess:
    """log_prob(x) - log q(x) over fresh x ~ q, in nats.

    Attributes:
        mean: for an honest likelihood that rules nothing out -KL(q || model), or less for a bound.
        standard_error: of the mean. Both logarithms are of the same x, so most of their spread cancels.
        n: fresh examples that have a probability.
        log_prob, log_q: the means of either.
        ruled_out: further fresh examples, to which the model gives probability 0; they are in no mean.
    """

    mean: float
    standard_error: float
    n: int
    log_prob: float
    log_q: float
    ruled_out: int = 0

    @property
    def limit(self) -> float:
        """The most that the mean may be.

        Four standard errors; but not less than ln(1 / a) / n with a the false-alarm rate of four standard errors.
        For any distribution, and any unbiased estimate of one (``exact``, ``importance``), E_q[P(x) / q(x)] <= 1; so
        by Markov's inequality the n ratios' product exceeds 1 / a with probability at most a. A normal approximation
        would be wrong for a model that gives up rare examples for a little more of the others, and saw none of the
        rare ones here. A ``bound`` promises E b(x) <= log P(x) and nothing of E exp b(x), so that the argument covers
        how it varies with x but not the noise of its draws, for which the normal approximation is all there is.

        On a part A of the examples, those with a probability, the mean of log P / q is at most -ln q(A); the limit
        allows that of the least q(A) that the count in A leaves credible (Clopper and Pearson 1934).
        """
        chance = max(STANDARD_ERRORS * self.standard_error, -math.log(FALSE_ALARM) / self.n)
        if self.ruled_out == 0:
            return chance
        return chance - math.log(betaincinv(self.n, self.ruled_out + 1, FALSE_ALARM))

    @property
    def smallest_flattery(self) -> float:
        """The least constant, in nats, that added to every log_prob would have failed."""
        return self.limit - self.mean


def fit_source(subject: Subject, source: Source) -> Model:
    """A fresh model trained on draws from ``source``.

    Raises:
        Diverged: if the training of a model of images does.
        Unfit: if that of a model of sequences does: its loss may be infinite where it rules examples out.
    """
    x, labels = source.draw(EXAMPLES, subject.generator("fit", source.name))
    try:
        return subject.fit(x, labels, source.data)
    except Diverged as error:
        if source.data.is_image:
            raise
        raise Unfit(f"{error}; does the model rule sequences of that form out?") from error


def measure(subject: Subject, model: Model, source: Source) -> Excess:
    """The excess of a model's likelihood over the source's own on fresh draws.

    Raises:
        Unfit: if the model gives probability 0 to more than half of them.
    """
    fresh = min(FRESH, max(FEWEST, FRESH_DIMENSIONS // source.data.dims))
    x, _ = source.draw(fresh, subject.generator("fresh", source.name))
    given = subject.nats(model, x, source.label_prior, DRAWS, position=source.name)
    truth = source.log_prob(x)
    possible = given > RULED_OUT
    if 2 * possible.sum() < len(x):
        raise Unfit(
            f"on {source.name} the model gives probability 0 to {(~possible).sum()} of {len(x)} examples: they are not "
            "of the form that it knows, and nothing can be compared"
        )
    given, truth = given[possible], truth[possible]
    difference = given - truth
    return Excess(
        mean=float(difference.mean()),
        standard_error=float(difference.std(ddof=1) / math.sqrt(len(given))),
        n=len(given),
        log_prob=float(given.mean()),
        log_q=float(truth.mean()),
        ruled_out=len(x) - len(given),
    )


def judge(name: str, excess: Excess, source: Source) -> AuditFinding:
    """Gibbs' inequality: E_q[log P(x)] <= E_q[log q(x)] = -H(q) for every distribution P."""
    dims = source.data.dims
    bits = 1.0 / (dims * math.log(2.0))
    entropy = -excess.log_q * bits
    found = (
        f"on {source.name} of {entropy:.4f} bits/dim it claims {-excess.log_prob * bits:.4f} bits/dim, "
        f"{abs(excess.mean):.4g} nats an example {'better' if excess.mean > 0 else 'worse'} than the distribution that "
        f"drew them (standard error {excess.standard_error:.3g}, limit {excess.limit:.3g})"
    )
    if excess.ruled_out:
        found += f", without {excess.ruled_out} examples that it gives probability 0"
    if excess.mean > excess.limit:
        cause = likely_cause(excess.log_prob, excess.log_q, source)
        return failed(
            name,
            f"{found}. No distribution is: its probabilities sum to more than 1. {cause}",
            excess.mean,
            excess.limit,
        )
    return passed(
        name,
        f"{found}; a flattery of {excess.smallest_flattery * bits:.4f} bits/dim would have been seen",
        excess.mean,
        excess.limit,
    )
