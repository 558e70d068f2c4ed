"""Checks of training."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from genbench.engine import rng
from genbench.engine.checks import process
from genbench.engine.checks.subject import (
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
from genbench.engine.tampering import Watch

ENDS_OF_PROGRESS = (0.0, 0.5, 1.0 - 1e-9)


def check_training_logs_are_finite_scalars(subject: Subject) -> str | None:
    """train_step returns a dict of 0-d tensors, finite on ordinary data."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    for step, entry in enumerate(subject.train(subject.fresh())):
        for name, value in entry.items():
            if not bool(torch.isfinite(value)):
                raise Broken(
                    f"{name!r} is {float(value)} at step {step}",
                    "a run would end as diverged; is a logarithm taken of 0, or is the learning rate too large?",
                )
    return None


def check_training_logs_hold_no_graph(subject: Subject) -> str | None:
    """What train_step returns is detached."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    for step, entry in enumerate(subject.train(subject.fresh())):
        attached = [name for name, value in entry.items() if value.requires_grad]
        if attached:
            raise Broken(
                f"{', '.join(map(repr, attached))} of step {step} requires grad",
                "it still hangs on its graph and keeps the step's activations in memory; return value.detach()",
            )
    return None


def check_training_works_at_every_progress(subject: Subject) -> str | None:
    """train_step works from progress 0 to just below 1."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    subject.train(subject.fresh())  # what fails at ordinary progress is another check's business
    for progress in ENDS_OF_PROGRESS:
        model = subject.fresh()
        try:
            logs = subject.step(model, 0, progress=progress)
        except Blocked as error:
            raise Broken(
                f"at progress {progress!r}: {error.measured}",
                f"a schedule does not cover the whole of [0, 1); {error.cause}",
            ) from error
        wrong = [name for name, value in logs.items() if not bool(torch.isfinite(value))]
        if wrong:
            raise Broken(
                f"at progress {progress!r}, {wrong[0]!r} is {float(logs[wrong[0]])}",
                "a schedule divides by progress or by 1 - progress",
            )
    return None


def check_training_changes_the_state(subject: Subject) -> str | None:
    """What is learnt is in state_dict."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    model = subject.fresh()
    before = subject.state(model)
    subject.train(model)
    if not differing(before, subject.state(model)):
        raise Broken(
            f"state_dict is the same before and after {STEPS} training steps",
            "what is not in it is lost when training ends; put the weights in",
        )
    return None


def check_training_keeps_the_state_finite(subject: Subject) -> str | None:
    """A trained state holds no NaN and no infinity in its tensors."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    model = subject.fresh()
    subject.train(model)
    state = subject.state(model)
    wrong = [
        path
        for path, value in state.items()
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all()
    ]
    if wrong:
        raise Broken(
            f"{named(wrong)} holds NaN or infinity after {STEPS} steps",
            "a run would end as diverged, even with finite losses; start a running best from a finite number",
        )
    return None


@needs("training_changes_the_state")
def check_training_learns_from_its_batch(subject: Subject) -> str | None:
    """What is learnt depends on the batch that train_step is given."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    states = []
    for first in (0, 1):
        model = subject.fresh()
        for step in range(STEPS):
            subject.step(model, step, subject.batches.at(first * STEPS + step))
        states.append(subject.state(model))
    if not differing(*states):
        raise Broken(
            f"{STEPS} steps on other batches lead to the same state",
            "does train_step read batch.x, or data of its own? Each step learns from exactly one batch, the core's",
        )
    return None


def check_batches_are_left_as_they_are(subject: Subject) -> str | None:
    """train_step does not write into its batch."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    batch = subject.batches.at(0)
    x, labels = batch.x.clone(), None if batch.labels is None else batch.labels.clone()
    subject.step(subject.fresh(), 0, batch)
    if not torch.equal(x, batch.x):
        raise Broken("train_step changed batch.x in place", "work on a copy, such as batch.x.float()")
    if labels is not None and batch.labels is not None and not torch.equal(labels, batch.labels):
        raise Broken("train_step changed batch.labels in place", "work on a copy, such as batch.labels.clone()")
    return None


@needs("is_built_the_same_twice")
def check_training_depends_on_the_core_seed_alone(subject: Subject) -> str | None:
    """Two trainings under the same seeds end in the same bits."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    states = []
    for disturbance in (1, 2):
        # What the generators hold beforehand must not matter, since the core seeds them for each step.
        rng.seed_globals(disturbance, "train", "disturbance")
        model = subject.fresh()
        subject.train(model)
        states.append(subject.state(model))
    paths = differing(*states)
    if paths:
        raise Broken(
            f"two trainings from one seed differ at {named(paths)}",
            "draw from torch's, random's or NumPy's global generators only, inside the methods that the core calls",
        )
    return None


def check_global_settings_are_left_alone(subject: Subject) -> str | None:
    """No method changes a setting of the process: dtype, threads, determinism, working folder, environment."""
    before, subject.watch = process.settings(), Watch()
    try:
        _live(subject)
        built = [note for note in subject.watch.warnings if " changed " in note]
    finally:
        after, subject.watch = process.settings(), None
    if built:
        raise Broken("; ".join(built), "settings of the process belong to the core; use contexts of your own instead")
    changed = [name for name, value in after.items() if value != before[name]]
    if changed:
        values = "" if changed[0].startswith("the env") else f" ({before[changed[0]]} became {after[changed[0]]})"
        raise Broken(
            f"changed {changed[0]}{values}" + (f", and also {', '.join(changed[1:])}" if changed[1:] else ""),
            "settings of the process belong to the core; use dtypes, devices and contexts of your own instead",
        )
    return None


def check_no_files_are_left_behind(subject: Subject) -> str | None:
    """Training, sampling and likelihood write nothing into the working folder."""
    before = os.getcwd()
    with TemporaryDirectory(prefix="genbench-") as folder:
        os.chdir(folder)
        try:
            _live(subject)
            found = sorted(path.name for path in Path(folder).rglob("*") if "__pycache__" not in path.parts)
        finally:
            os.chdir(before)
    if found:
        raise Broken(
            f"wrote {', '.join(found[:3])}",
            "state_dict is all that survives, and curves are the core's; leave out logs and checkpoints of your own",
        )
    return None


def _live(subject: Subject) -> None:
    """Everything once: build, train, save, load, prepare, sample, score."""
    model = subject.fresh()
    subject.train(model)
    model = subject.reload(model)
    subject.sample(model, 2)
    if subject.job.likelihood is not None:
        subject.log_prob(model, subject.examples(2))


CHECKS: tuple[Check, ...] = (
    check_training_logs_are_finite_scalars,
    check_training_logs_hold_no_graph,
    check_training_works_at_every_progress,
    check_training_changes_the_state,
    check_training_keeps_the_state_finite,
    check_training_learns_from_its_batch,
    check_batches_are_left_as_they_are,
    check_training_depends_on_the_core_seed_alone,
    check_global_settings_are_left_alone,
    check_no_files_are_left_behind,
)
