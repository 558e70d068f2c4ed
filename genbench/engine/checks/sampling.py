"""Checks of sampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genbench.engine.checks.state import DETERMINED
from genbench.engine.checks.subject import (
    NOT_CONDITIONAL,
    NOTHING_TO_TRAIN,
    STEPS,
    Blocked,
    Broken,
    Check,
    Subject,
    differing,
    named,
    needs,
)

N = 4
"""Samples that most checks draw: even, and more than one."""

LABELLED_STEPS = 30
"""Training steps before the samples of two classes are told apart."""

ASKED = 128
"""Samples of each of the two classes."""

TOLD_APART = 8.0
"""Standard errors between the two classes' samples from which on the order of labels is judged."""


def check_samples_have_the_promised_form(subject: Subject) -> str | None:
    """sample(n) gives uint8 [n, *shape] within the levels."""
    model = subject.trained()
    for position in range(4):
        subject.sample(model, N, position)
    return None


def check_any_number_of_samples_can_be_drawn(subject: Subject) -> str | None:
    """sample gives n samples for any n of 1 or more: 1, odd, larger than a batch."""
    model = subject.trained()
    subject.sample(model, N)  # what fails at any n is another check's business
    for n in (1, 2, 7, 2 * subject.batch_size + 1):
        try:
            subject.sample(model, n)
        except Blocked as error:
            raise Broken(
                f"with n = {n}: {error.measured}",
                f"a size fixed to the batch's, a squeeze() that drops n = 1, or BatchNorm in training mode; "
                f"{error.cause}",
            ) from error
    return None


def check_samples_repeat_from_their_stream(subject: Subject) -> str | None:
    """One position of the stream gives the same samples again, whatever was drawn between."""
    model = subject.trained()
    first = subject.sample(model, N)
    subject.sample(model, 2 * N, position=1)
    again = subject.sample(model, N)
    if not torch.equal(first, again):
        raise Broken(
            f"a second draw from the same position differs in {_share(first, again)} of its values",
            "sampling uses a generator of the plugin's own, or depends on earlier calls",
        )
    return None


def check_samples_differ_between_positions(subject: Subject) -> str | None:
    """Another position of the stream gives other samples."""
    model = subject.trained()
    if torch.equal(subject.sample(model, 2 * N), subject.sample(model, 2 * N, position=1)):
        raise Broken(
            f"two positions of the stream gave the same {2 * N} samples", "a seed or a noise vector is fixed in sample"
        )
    return None


@needs("samples_repeat_from_their_stream")
def check_samples_are_a_copy(subject: Subject) -> str | None:
    """What sample returns shares no memory with the model."""
    model = subject.trained()
    first = subject.sample(model, N)
    subject.seed("sample", 0)
    with torch.no_grad():
        model.sample(N, subject.labels(N)).fill_(0)
    if not torch.equal(first, subject.sample(model, N)):
        raise Broken(
            "writing into returned samples changed the next samples of the same position",
            "sample returns a view of a buffer that it uses again; return a copy, such as x.clone()",
        )
    return None


def check_sampling_leaves_the_state(subject: Subject) -> str | None:
    """Sampling changes nothing in the state."""
    model = subject.trained()
    before = subject.state(model)
    subject.sample(model, N)
    paths = differing(before, subject.state(model))
    if paths:
        raise Broken(f"sample changed {named(paths)}", "a BatchNorm is in training mode, or sample counts its calls")
    return None


@needs(*DETERMINED, "sampling_leaves_the_state")
def check_sampling_leaves_training_alone(subject: Subject) -> str | None:
    """Training on after sampling equals training on without it."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    model = subject.fresh()
    subject.train(model)
    if not _sampled(subject, model):
        return "samples only after prepare_for_eval"
    subject.train(model, first=STEPS)
    paths = differing(subject.uninterrupted, subject.state(model))
    if paths:
        raise Broken(
            f"after {STEPS} more steps the state differs at {named(paths)}",
            "sample leaves a module in eval mode, or gradients, caches or requires_grad other than it found them",
        )
    return None


def _sampled(subject: Subject, model: object) -> bool:
    """Whether a model that was not prepared could be sampled from."""
    try:
        subject.sample(model, N)  # type: ignore[arg-type]
    except Blocked:
        if getattr(model, "prepare_for_eval", None) is None:
            raise
        return False
    return True


@needs("samples_repeat_from_their_stream", "training_changes_the_state")
def check_a_reloaded_model_samples_the_same(subject: Subject) -> str | None:
    """A model and its copy by way of the state draw the same samples."""
    model = subject.fresh()
    subject.train(model)
    one, other = subject.reload(model), subject.reload(model)
    first = subject.sample(one, N)
    if not torch.equal(first, subject.sample(other, N)):
        raise Broken(
            "two copies of one state drew different samples",
            "what sampling needs is drawn when the model is built or prepared, from a generator of the plugin's own",
        )
    if getattr(model, "prepare_for_eval", None) is None:
        own = subject.sample(model, N)
        if not torch.equal(own, first):
            raise Broken(
                f"the model and its reloaded copy differ in {_share(own, first)} of their samples' values",
                "something that sampling uses is not in state_dict, or not taken up by load_state_dict",
            )
    return None


def check_labels_are_heard(subject: Subject) -> str | None:
    """A conditional model's samples depend on the labels."""
    if not subject.job.conditional:
        return NOT_CONDITIONAL
    model = subject.trained()
    first, last = (subject.sample(model, 4 * N, labels=_full(subject, 4 * N, label)) for label in _two(subject))
    if torch.equal(first, last):
        raise Broken(
            f"{4 * N} samples asked of the first class and of the last are the same",
            "sample does not use its labels; a model that needs none is declared conditional=False",
        )
    return None


def check_labels_are_answered_in_order(subject: Subject) -> str | None:
    """Sample i of a conditional model is of the class labels[i], in whatever order the labels come."""
    if not subject.job.conditional:
        return NOT_CONDITIONAL
    model = subject.trained(LABELLED_STEPS)
    low, high = _two(subject)
    # Mean of each class from one set of samples; distances along their difference from two others, so that noise
    # in the means can't make a difference.
    means = [_drawn(subject, model, _full(subject, ASKED, label), 0).mean(0) for label in (low, high)]
    direction = means[1] - means[0]
    if float(direction.norm()) == 0:
        return f"its samples of two classes can't be told apart after {LABELLED_STEPS} steps"
    alone = [_drawn(subject, model, _full(subject, ASKED, label), 1) @ direction for label in (low, high)]
    gap, error = _gap(alone[0], alone[1])
    if gap < TOLD_APART * error:
        return f"its samples of two classes can't be told apart after {LABELLED_STEPS} steps"
    order = torch.randperm(2 * ASKED, generator=torch.Generator().manual_seed(0))
    labels = torch.cat([_full(subject, ASKED, low), _full(subject, ASKED, high)])[order.to(subject.device)]
    mixed = _drawn(subject, model, labels, 2) @ direction
    found, _ = _gap(mixed[labels.cpu() == low], mixed[labels.cpu() == high])
    if found < 0.5 * gap:
        raise Broken(
            f"asked apart, samples of classes {low} and {high} lie {gap:.3g} from each other; asked in a mixed "
            f"order, {found:.3g}",
            "samples come back sorted by class or in another order than their labels; sample i answers labels[i]",
        )
    return None


def _gap(low: Tensor, high: Tensor) -> tuple[float, float]:
    """Difference of two means, and its standard error."""
    error = math.sqrt(float(low.var()) / len(low) + float(high.var()) / len(high))
    return float(high.mean() - low.mean()), error


def _drawn(subject: Subject, model: object, labels: Tensor, position: int) -> Tensor:
    drawn = subject.sample(model, len(labels), position, labels)  # type: ignore[arg-type]
    return drawn.flatten(1).to(torch.float64)  # [n, D]


def _full(subject: Subject, n: int, label: int) -> Tensor:
    return torch.full((n,), label, device=subject.device)


def _two(subject: Subject) -> tuple[int, int]:
    """The first class and the last."""
    assert subject.data.classes is not None
    return 0, subject.data.classes - 1


def _share(first: Tensor, second: Tensor) -> str:
    return f"{float((first != second).double().mean()):.1%}"


CHECKS: tuple[Check, ...] = (
    check_samples_have_the_promised_form,
    check_any_number_of_samples_can_be_drawn,
    check_samples_repeat_from_their_stream,
    check_samples_differ_between_positions,
    check_samples_are_a_copy,
    check_sampling_leaves_the_state,
    check_sampling_leaves_training_alone,
    check_a_reloaded_model_samples_the_same,
    check_labels_are_heard,
    check_labels_are_answered_in_order,
)
