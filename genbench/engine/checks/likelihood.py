"""Checks of the likelihood's form. Whether its numbers flatter is the audit's business."""

from __future__ import annotations

import torch

from genbench.engine.checks.subject import (
    NO_LIKELIHOOD,
    NOT_CONDITIONAL,
    STEPS,
    Blocked,
    Broken,
    Check,
    Subject,
    differing,
    named,
    needs,
)

EXAMPLES = 6
UNSEEN = 64

ROUNDING = 1e-4
"""Share of a log_prob by which kernels for other batch sizes may round otherwise; a leak is far larger."""


def check_log_probs_have_the_promised_form(subject: Subject) -> str | None:
    """log_prob gives one finite float an example."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    _demand_finite(subject.log_prob(subject.trained(), subject.examples(EXAMPLES)), "training examples")
    return None


def check_unseen_examples_have_a_probability(subject: Subject) -> str | None:
    """log_prob is finite on examples that the model has not been trained on."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    _demand_finite(subject.log_prob(subject.trained(), subject.examples(UNSEEN, skip=STEPS)), "unseen examples")
    return None


def check_exact_log_probs_are_at_most_zero(subject: Subject) -> str | None:
    """An exact log_prob is the logarithm of a probability, at most 0."""
    if reason := _not_exact(subject):
        return reason
    values = subject.log_prob(subject.trained(), subject.examples(EXAMPLES))
    if float(values.max()) > 1e-3:
        raise Broken(
            f"a training example got {float(values.max()):.4g} nats, a probability above 1",
            "the sign is that of a loss, or a density on [0, 1]^D is not yet a mass: subtract D log(levels)",
        )
    return None


def check_any_number_of_examples_can_be_scored(subject: Subject) -> str | None:
    """log_prob takes any number of examples: 1, odd, more than a training batch."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    model = subject.trained()
    subject.log_prob(model, subject.examples(EXAMPLES))  # what fails at any B is another check's business
    for n in (1, 3, subject.batch_size + 1):
        try:
            subject.log_prob(model, subject.examples(n))
        except Blocked as error:
            raise Broken(
                f"with {n} examples: {error.measured}",
                f"a size fixed to the batch's, or a squeeze() that drops B = 1; {error.cause}",
            ) from error
    return None


def check_exact_log_probs_repeat(subject: Subject) -> str | None:
    """An exact log_prob is the same at each call."""
    if reason := _not_exact(subject):
        return reason
    model, x = subject.trained(), subject.examples(EXAMPLES)
    first, second = subject.log_prob(model, x), subject.log_prob(model, x, position=1)
    if not torch.equal(first, second):
        raise Broken(
            f"two calls differ by up to {float((first - second).abs().max()):.3g} nats",
            "an exact likelihood draws nothing; is a dropout active, or is it of kind importance?",
        )
    return None


@needs("exact_log_probs_repeat")
def check_exact_log_probs_do_not_depend_on_the_batch(subject: Subject) -> str | None:
    """An exact log_prob of an example does not depend on what else is in the batch."""
    if reason := _not_exact(subject):
        return reason
    model, x, labels = subject.trained(), subject.examples(EXAMPLES), subject.labels(EXAMPLES)
    together = subject.log_prob(model, x)
    alone = torch.cat(
        [
            subject.log_prob(model, x[index : index + 1], labels=None if labels is None else labels[index : index + 1])
            for index in range(EXAMPLES)
        ]
    )
    gap = ((together - alone).abs() / together.abs().clamp(min=1.0)).max()
    if float(gap) > ROUNDING:
        raise Broken(
            f"alone and in a batch of {EXAMPLES} an example's log_prob differs by a share of {float(gap):.3g}",
            "a BatchNorm is in training mode, or a mean is taken over the batch",
        )
    return None


def check_drawn_log_probs_repeat_from_their_stream(subject: Subject) -> str | None:
    """A log_prob that draws gives the same values again from the same position of the stream."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    if subject.job.likelihood == "exact":
        return "of kind exact, which draws nothing"
    model, x = subject.trained(), subject.examples(EXAMPLES)
    first = subject.log_prob(model, x)
    subject.log_prob(model, x, position=1)
    again = subject.log_prob(model, x)
    if not torch.equal(first, again):
        raise Broken(
            f"two calls at one position differ by up to {float((first - again).abs().max()):.3g} nats",
            "log_prob draws from a generator of the plugin's own, or depends on earlier calls",
        )
    return None


def check_log_prob_leaves_the_state(subject: Subject) -> str | None:
    """log_prob changes nothing in the state."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    model = subject.trained()
    before = subject.state(model)
    subject.log_prob(model, subject.examples(EXAMPLES))
    paths = differing(before, subject.state(model))
    if paths:
        raise Broken(
            f"log_prob changed {named(paths)}",
            "it learns from what it scores, or a BatchNorm is in training mode: held-out data would enter the model",
        )
    return None


def check_log_prob_leaves_its_examples(subject: Subject) -> str | None:
    """log_prob does not write into the examples or the labels that it is given."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    model, x, labels = subject.trained(), subject.examples(EXAMPLES), subject.labels(EXAMPLES)
    given, asked = x.clone(), None if labels is None else labels.clone()
    with subject.owned_by("log_probs_have_the_promised_form"), torch.no_grad():
        subject.seed("likelihood", 0)
        model.log_prob(given, asked)
    if not torch.equal(x, given) or (labels is not None and asked is not None and not torch.equal(labels, asked)):
        raise Broken("log_prob changed its arguments in place", "work on a copy, such as x.float()")
    return None


def check_log_prob_hears_its_labels(subject: Subject) -> str | None:
    """A conditional log_prob is that of x given the label."""
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    if not subject.job.conditional:
        return NOT_CONDITIONAL
    assert subject.data.classes is not None
    model, x = subject.trained(), subject.examples(EXAMPLES)
    given = [
        subject.log_prob(model, x, labels=torch.full((EXAMPLES,), label, device=subject.device))
        for label in (0, subject.data.classes - 1)
    ]
    if torch.equal(*given):
        raise Broken(
            f"{EXAMPLES} examples have the same log_prob given the first class and given the last",
            "log_prob does not use its labels; the core averages over the classes itself, so give log P(x | label)",
        )
    return None


def _demand_finite(values: torch.Tensor, what: str) -> None:
    wrong = ~torch.isfinite(values)
    if bool(wrong.any()):
        raise Broken(
            f"{int(wrong.sum())} of {len(values)} {what} got {float(values[wrong][0])}",
            "every image needs a probability above 0: smooth counts, and stay in log space instead of log(exp(...))",
        )


def _not_exact(subject: Subject) -> str | None:
    if subject.job.likelihood is None:
        return NO_LIKELIHOOD
    return None if subject.job.likelihood == "exact" else f"of kind {subject.job.likelihood}, not exact"


CHECKS: tuple[Check, ...] = (
    check_log_probs_have_the_promised_form,
    check_unseen_examples_have_a_probability,
    check_exact_log_probs_are_at_most_zero,
    check_any_number_of_examples_can_be_scored,
    check_exact_log_probs_repeat,
    check_exact_log_probs_do_not_depend_on_the_batch,
    check_drawn_log_probs_repeat_from_their_stream,
    check_log_prob_leaves_the_state,
    check_log_prob_leaves_its_examples,
    check_log_prob_hears_its_labels,
)
