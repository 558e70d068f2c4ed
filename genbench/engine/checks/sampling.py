"""Checks of sampling."""

from __future__ import annotations

import torch

from genbench.engine import rng
from genbench.engine.checks.subject import Broken, Check, Subject, differing, flat_state
from genbench.errors import InvalidOutput


def check_samples_have_the_promised_form(subject: Subject) -> str | None:
    """sample(n) gives uint8 [n, *shape] within the levels, for n of 1, 2 and 7."""
    model = subject.trained()
    for n in (1, 2, 7):
        try:
            subject.sample(model, n)
        except InvalidOutput as error:
            raise Broken(f"with n = {n}: {error}") from None
    return None


def check_samples_repeat_from_their_stream(subject: Subject) -> str | None:
    """One position of the stream gives the same samples again, whatever was drawn between."""
    model = subject.trained()
    first = subject.sample(model, 5)
    subject.sample(model, 3, position=1)
    if not torch.equal(first, subject.sample(model, 5)):
        raise Broken("a second draw from the same stream differs; sampling must not depend on earlier calls")
    return None


def check_samples_differ_between_positions(subject: Subject) -> str | None:
    """Another position of the stream gives other samples."""
    model = subject.trained()
    if torch.equal(subject.sample(model, 8), subject.sample(model, 8, position=1)):
        raise Broken("two positions of the stream gave the same 8 samples; is a seed fixed inside sample?")
    return None


def check_sampling_leaves_the_state(subject: Subject) -> str | None:
    """Sampling changes nothing in the state."""
    model = subject.trained()
    before = flat_state(model)
    subject.sample(model, 4)
    paths = differing(before, flat_state(model))
    if paths:
        raise Broken(f"sample changed {paths[:3]}; is a BatchNorm left in training mode?")
    return None


def check_a_reloaded_model_samples_the_same(subject: Subject) -> str | None:
    """A model and its copy by way of the state draw the same samples."""
    model = subject.fresh()
    subject.train(model)
    one, other = subject.reload(model), subject.reload(model)
    if not torch.equal(subject.sample(one, 5), subject.sample(other, 5)):
        raise Broken("two copies of one state drew different samples; what sampling needs must be in state_dict")
    if getattr(model, "prepare_for_eval", None) is None and not torch.equal(
        subject.sample(model, 5), subject.sample(one, 5)
    ):
        raise Broken(
            "the model and its reloaded copy drew different samples; something that sampling uses is not in state_dict"
        )
    return None


def check_labels_are_heard(subject: Subject) -> str | None:
    """A conditional model's samples depend on the labels."""
    if not subject.job.conditional:
        return "not conditional"
    assert subject.data.classes is not None
    model = subject.trained()
    drawn = []
    for label in (0, subject.data.classes - 1):
        rng.seed_globals(subject.job.seed, "sample")
        drawn.append(model.sample(16, torch.full((16,), label, device=subject.device)))
    if torch.equal(*drawn):
        raise Broken("samples for the first and the last class are the same; are labels used in sample?")
    return None


CHECKS: tuple[Check, ...] = (
    check_samples_have_the_promised_form,
    check_samples_repeat_from_their_stream,
    check_samples_differ_between_positions,
    check_sampling_leaves_the_state,
    check_a_reloaded_model_samples_the_same,
    check_labels_are_heard,
)
