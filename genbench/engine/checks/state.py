"""Checks of the state, which is all that survives a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from genbench.engine.checkpoint import unflatten
from genbench.engine.checks.subject import (
    NOTHING_TO_TRAIN,
    STEPS,
    Broken,
    Check,
    Subject,
    differing,
    named,
    needs,
)

DETERMINED = ("is_built_the_same_twice", "training_depends_on_the_core_seed_alone")
"""Where these fail, no two trainings are the same."""


def check_state_can_be_written(subject: Subject) -> str | None:
    """state_dict holds only what safetensors and JSON can: tensors, numbers, strings, and dicts with string keys."""
    model = subject.fresh()
    subject.train(model)
    subject.save(model, subject.job.folder / "checked-write")
    return None


def check_state_survives_the_disk(subject: Subject) -> str | None:
    """state_dict comes back from safetensors and JSON as it was."""
    model = subject.fresh()
    subject.train(model)
    paths = differing(subject.state(model), subject.state(subject.through_disk(model)))
    if paths:
        raise Broken(
            f"after saving and loading, the state differs at {named(paths)}",
            "load_state_dict does not take up all that state_dict gives",
        )
    return None


@needs(*DETERMINED, "state_survives_the_disk")
def check_resumed_training_equals_uninterrupted(subject: Subject) -> str | None:
    """Training 2k steps equals training k, saving, loading into a fresh model, and training k, bit for bit."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    first = subject.fresh()
    subject.train(first)
    resumed = subject.through_disk(first)
    subject.train(resumed, first=STEPS)
    paths = differing(subject.uninterrupted, subject.state(resumed))
    if paths:
        raise Broken(
            f"the training resumed after {STEPS} steps differs at {named(paths)}",
            "optimiser moments, averages, buffers and step counters belong in the state",
        )
    return None


@needs(*DETERMINED)
def check_reading_the_state_changes_nothing(subject: Subject) -> str | None:
    """Training on after state_dict equals training on without it; milestones are taken in the midst of training."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    model = subject.fresh()
    subject.train(model)
    subject.state(model)
    subject.train(model, first=STEPS)
    paths = differing(subject.uninterrupted, subject.state(model))
    if paths:
        raise Broken(
            f"with state_dict called after {STEPS} steps, training ends elsewhere at {named(paths)}",
            "state_dict changes the model: does it reset a counter, swap in averaged weights, or leave eval mode on?",
        )
    return None


def check_loading_makes_a_copy(subject: Subject) -> str | None:
    """A loaded state belongs to its giver: training on does not write into it."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    first = subject.fresh()
    subject.train(first)
    tensors, tree = subject.flat(first)
    before = {path: tensor.clone() for path, tensor in tensors.items()}
    second = subject.fresh()
    with subject.owned_by("state_survives_the_disk"):
        second.load_state_dict(unflatten(tensors, tree))
    subject.train(second, first=STEPS)
    paths = [path for path, tensor in tensors.items() if tensor.numpy().tobytes() != before[path].numpy().tobytes()]
    if paths:
        raise Broken(
            f"training after load_state_dict changed {named(paths)} of the state that was loaded",
            "tensors are taken over instead of copied; use copy_() or clone()",
        )
    return None


def check_a_foreign_state_is_refused(subject: Subject) -> str | None:
    """load_state_dict raises KeyError, ValueError or RuntimeError for a state that is not of this model."""
    model = subject.fresh()
    subject.train(model)
    tensors, tree = subject.flat(model)
    if not tensors:
        return "its state holds no tensors"
    wider = {
        path: torch.cat([tensor, tensor], -1) if tensor.dim() else tensor.repeat(2) for path, tensor in tensors.items()
    }
    foreign: dict[str, Mapping[str, Any]] = {
        "an empty state": {},
        "a state of twice as wide tensors": unflatten(wider, tree),
    }
    for what, state in foreign.items():
        try:
            subject.fresh().load_state_dict(state)
        except (KeyError, ValueError, RuntimeError):
            continue
        except Exception as error:
            raise Broken(
                f"{what} raised {type(error).__name__}: {error}",
                "check names and shapes first, and raise KeyError, ValueError or RuntimeError saying what differs",
            ) from error
        raise Broken(
            f"{what} was taken without complaint",
            "a model would be scored with weights that are not its own; compare names and shapes, or use copy_()",
        )
    return None


@needs(*DETERMINED, "reading_the_state_changes_nothing")
def check_preparing_leaves_training_alone(subject: Subject) -> str | None:
    """prepare_for_eval fits what sampling needs, and training on after it equals training on without it."""
    model = subject.fresh()
    if getattr(model, "prepare_for_eval", None) is None:
        return "has no prepare_for_eval"
    subject.train(model)
    trained = subject.state(model)
    subject.prepare(model)
    fitted = set(differing(trained, subject.state(model)))
    prepared_logs = _values(subject.train(model, first=STEPS))
    whole = subject.fresh()
    learnt = set(differing(subject.state(whole), trained)) if subject.trains else set()
    subject.train(whole)
    logs = _values(subject.train(whole, first=STEPS))
    if logs != prepared_logs:
        raise Broken(
            f"the first step after prepare_for_eval logs {prepared_logs[0]}, without it {logs[0]}",
            "it trains weights on, leaves a module in eval mode, or reseeds a schedule",
        )
    # What it fits may change; the rest may not. Without logs nothing else would show a changed weight.
    paths = [path for path in differing(subject.state(whole), subject.state(model)) if path not in fitted]
    paths += [] if any(logs) else sorted(fitted & learnt)
    if paths:
        raise Broken(
            f"training on after prepare_for_eval ends elsewhere at {named(paths)}",
            "prepare_for_eval changes what training uses; keep what it fits apart from the weights",
        )
    return None


def _values(logs: list[dict[str, torch.Tensor]]) -> list[dict[str, float]]:
    return [{name: float(value) for name, value in entry.items()} for entry in logs]


CHECKS: tuple[Check, ...] = (
    check_state_can_be_written,
    check_state_survives_the_disk,
    check_resumed_training_equals_uninterrupted,
    check_reading_the_state_changes_nothing,
    check_loading_makes_a_copy,
    check_a_foreign_state_is_refused,
    check_preparing_leaves_training_alone,
)
