"""Checks of construction and training."""

from __future__ import annotations

import torch

from genbench.engine import rng
from genbench.engine.checks.subject import Broken, Check, Subject, differing, flat_state
from genbench.engine.parameters import count_parameters
from genbench.errors import InvalidOutput


def check_has_every_method(subject: Subject) -> str | None:
    """A model has train_step, sample, state_dict, load_state_dict, and log_prob if it declares a likelihood."""
    model = subject.fresh()
    wanted = ["train_step", "sample", "state_dict", "load_state_dict"]
    if subject.job.likelihood is not None:
        wanted.append("log_prob")
    missing = [name for name in wanted if not callable(getattr(model, name, None))]
    if missing:
        raise Broken(f"lacks {', '.join(missing)}; the contract is the docstring of genbench.model")
    if subject.job.likelihood is None and callable(getattr(model, "log_prob", None)):
        raise Broken(
            "has log_prob, but its spec declares likelihood=None, so it would never be scored; declare the kind"
        )
    return None


def check_fits_the_parameter_budget(subject: Subject) -> str | None:
    """A model holds no more parameters than the benchmark allows."""
    found, allowed = count_parameters(subject.fresh()), subject.job.budget.parameters
    if found > allowed:
        raise Broken(f"has {found:,} parameters where the benchmark allows {allowed:,}")
    return None


def check_is_built_the_same_twice(subject: Subject) -> str | None:
    """Two models built from one seed are the same in every bit."""
    paths = differing(flat_state(subject.fresh()), flat_state(subject.fresh()))
    if paths:
        raise Broken(
            f"two builds differ at {paths[:3]}; is something drawn from a generator of the plugin's own, or "
            "from the clock?"
        )
    return None


def check_training_logs_are_finite_scalars(subject: Subject) -> str | None:
    """train_step returns a dict of 0-d tensors, finite on ordinary data."""
    if not subject.trains:
        return "nothing to train (max_epochs=0)"
    try:
        logs = subject.train(subject.fresh())
    except InvalidOutput as error:
        raise Broken(str(error)) from None
    for step, entry in enumerate(logs):
        for name, value in entry.items():
            if not bool(torch.isfinite(value)):
                raise Broken(f"{name} is {float(value)} at step {step}; a run would end as diverged")
            if value.requires_grad:
                raise Broken(f"{name} still hangs on its graph, which keeps every step's memory; return value.detach()")
    return None


def check_training_changes_the_state(subject: Subject) -> str | None:
    """What is learnt is in state_dict."""
    if not subject.trains:
        return "nothing to train (max_epochs=0)"
    model = subject.fresh()
    before = flat_state(model)
    subject.train(model)
    if not differing(before, flat_state(model)):
        raise Broken("state_dict is the same before and after training; what is not in it is lost")
    return None


def check_batches_are_left_as_they_are(subject: Subject) -> str | None:
    """train_step does not write into its batch."""
    if not subject.trains:
        return "nothing to train (max_epochs=0)"
    batch = subject.batches.at(0)
    before = batch.x.clone()
    subject.fresh().train_step(batch, 0.0)
    if not torch.equal(before, batch.x):
        raise Broken("train_step changed batch.x in place; work on a copy, such as batch.x.float()")
    return None


def check_global_settings_are_left_alone(subject: Subject) -> str | None:
    """Training and sampling change no global setting of torch."""
    settings = {
        "the default dtype": torch.get_default_dtype,
        "the number of threads": torch.get_num_threads,
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
        "gradient mode": torch.is_grad_enabled,
        "cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
        "TF32": lambda: torch.backends.cuda.matmul.allow_tf32,
    }
    before = {name: read() for name, read in settings.items()}
    subject.sample(subject.trained(), 2)
    changed = [f"{name} ({before[name]} became {read()})" for name, read in settings.items() if read() != before[name]]
    if changed:
        raise Broken(f"changed {', '.join(changed)}; settings of the process belong to the core")
    return None


def check_training_depends_on_the_core_seed_alone(subject: Subject) -> str | None:
    """Two trainings under the same seeds end in the same bits."""
    if not subject.trains:
        return "nothing to train (max_epochs=0)"
    states = []
    for disturbance in (1, 2):
        # What the generators hold beforehand must not matter, since the core seeds them for each step.
        rng.seed_globals(disturbance, "train", "disturbance")
        model = subject.fresh()
        subject.train(model)
        states.append(flat_state(model))
    paths = differing(*states)
    if paths:
        raise Broken(
            f"two trainings differ at {paths[:3]}; draw from torch's, random's or NumPy's global generators only, "
            "inside the methods that the core calls"
        )
    return None


CHECKS: tuple[Check, ...] = (
    check_has_every_method,
    check_fits_the_parameter_budget,
    check_is_built_the_same_twice,
    check_training_logs_are_finite_scalars,
    check_training_changes_the_state,
    check_batches_are_left_as_they_are,
    check_global_settings_are_left_alone,
    check_training_depends_on_the_core_seed_alone,
)
