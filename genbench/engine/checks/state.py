"""Checks of the state, which is all that survives a process."""

from __future__ import annotations

from genbench.engine.checks.subject import STEPS, Broken, Check, Subject, differing, flat_state
from genbench.errors import InvalidOutput


def check_state_survives_the_disk(subject: Subject) -> str | None:
    """state_dict comes back from safetensors and JSON as it was."""
    model = subject.fresh()
    subject.train(model)
    try:
        copy = subject.through_disk(model)
    except InvalidOutput as error:
        raise Broken(str(error)) from None
    paths = differing(flat_state(model), flat_state(copy))
    if paths:
        raise Broken(
            f"after saving and loading, the state differs at {paths[:3]}; does load_state_dict take all of it?"
        )
    return None


def check_resumed_training_equals_uninterrupted(subject: Subject) -> str | None:
    """Training 2k steps equals training k, saving, loading into a fresh model, and training k, bit for bit."""
    if not subject.trains:
        return "nothing to train (max_epochs=0)"
    whole = subject.fresh()
    subject.train(whole, steps=2 * STEPS)
    first = subject.fresh()
    subject.train(first, steps=STEPS)
    resumed = subject.through_disk(first)
    subject.train(resumed, first=STEPS, steps=STEPS)
    paths = differing(flat_state(whole), flat_state(resumed))
    if paths:
        raise Broken(
            f"the resumed training differs at {paths[:3]}; optimiser moments, averages and counters belong in the state"
        )
    return None


CHECKS: tuple[Check, ...] = (check_state_survives_the_disk, check_resumed_training_equals_uninterrupted)
