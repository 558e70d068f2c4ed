"""Checks of the likelihood's form. Whether its numbers flatter is the audit's business."""

from __future__ import annotations

import torch

from genbench.engine.checks.subject import Broken, Check, Subject

NONE = "declares no likelihood"
EXAMPLES = 6


def check_log_probs_are_finite_and_at_most_zero(subject: Subject) -> str | None:
    """log_prob gives one finite number of nats an example, on training data at most 0 for kind exact."""
    if subject.job.likelihood is None:
        return NONE
    values = subject.log_prob(subject.trained(), _examples(subject))
    if not bool(torch.isfinite(values).all()):
        raise Broken(
            f"gave {values.tolist()} on {EXAMPLES} training examples; every test example needs a probability above 0"
        )
    if subject.job.likelihood == "exact" and float(values.max()) > 1e-3:
        raise Broken(
            f"gave {float(values.max()):.4g} nats, a probability above 1; a density on [0, 1]^D becomes a mass by "
            "subtracting D log(levels)"
        )
    return None


def check_exact_log_probs_repeat(subject: Subject) -> str | None:
    """An exact log_prob is the same at each call."""
    if subject.job.likelihood != "exact":
        return NONE if subject.job.likelihood is None else f"of kind {subject.job.likelihood}, which may draw"
    model, x = subject.trained(), _examples(subject)
    first, second = subject.log_prob(model, x), subject.log_prob(model, x, position=1)
    if not torch.equal(first, second):
        raise Broken(
            f"two calls differ by up to {float((first - second).abs().max()):.3g} nats; an exact likelihood draws "
            "nothing (is a dropout active, or is it of kind importance?)"
        )
    return None


def check_exact_log_probs_do_not_depend_on_the_batch(subject: Subject) -> str | None:
    """An exact log_prob of an example does not depend on what else is in the batch."""
    if subject.job.likelihood != "exact":
        return NONE if subject.job.likelihood is None else f"of kind {subject.job.likelihood}, which may draw"
    model, x = subject.trained(), _examples(subject)
    together = subject.log_prob(model, x)
    alone = torch.cat([_alone(subject, model, x, index) for index in range(len(x))])
    # Kernels for other batch sizes may round otherwise; a leak between examples is far larger.
    gap = (together - alone).abs() / together.abs().clamp(min=1.0)
    if float(gap.max()) > 1e-4:
        raise Broken(
            f"alone and in a batch of {len(x)} an example's log_prob differs by a share of {float(gap.max()):.3g}; "
            "is a BatchNorm in training mode?"
        )
    return None


def _alone(subject: Subject, model: object, x: torch.Tensor, index: int) -> torch.Tensor:
    labels = subject.labels(len(x))
    with torch.no_grad():
        found: torch.Tensor = model.log_prob(  # type: ignore[attr-defined]
            x[index : index + 1], None if labels is None else labels[index : index + 1]
        )
    return found.detach().to("cpu", torch.float64)


def _examples(subject: Subject) -> torch.Tensor:
    """``EXAMPLES`` training examples, uint8 ``[EXAMPLES, *shape]``."""
    return torch.cat([batch.x for batch in subject.batches.first(EXAMPLES)])[:EXAMPLES]


CHECKS: tuple[Check, ...] = (
    check_log_probs_are_finite_and_at_most_zero,
    check_exact_log_probs_repeat,
    check_exact_log_probs_do_not_depend_on_the_batch,
)
