"""The training process: the core's batches in, a state out, nothing spent beyond the budget."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from genbench.engine import compiler, device, rng, splits
from genbench.engine.batches import Batches
from genbench.engine.budget import Clock, Spending
from genbench.engine.checkpoint import save_state
from genbench.engine.contract import build, check_logs, prepare_torch
from genbench.engine.curve import Curve
from genbench.engine.environment import describe, peak_memory
from genbench.engine.flops import FlopMeter
from genbench.engine.parameters import count_parameters
from genbench.engine.progress import Progress
from genbench.engine.resume import Checkpoints, Training
from genbench.engine.tampering import Watch
from genbench.errors import Diverged, OverBudget
from genbench.job import RESUMED_AT, SCRATCH, TRAINING_CURVE, Job
from genbench.model import Model
from genbench.reading import sha256_of
from genbench.record import EndedBy


def train(job: Job) -> dict[str, Any]:
    """Train the model of a job until its budget is spent, and leave its states in the working folder.

    Where an earlier process left a checkpoint there, training goes on from it, and ends as if nothing had happened.

    Returns:
        What was spent, what the states are, where it ran, what global state the model changed (``warnings``), the step
        that it went on from (``resumed_at``) and the hashes of what it left (``files``): plain values for JSON.

    Raises:
        Diverged, InvalidOutput, OverBudget: as the model earns it. Anything else is the plugin's own error.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    device.cap_memory(job.budget)
    with Watch() as watch:
        return _train(job, watch)


def _train(job: Job, watch: Watch) -> dict[str, Any]:
    x, labels = splits.training(Path(job.data_folder), job.dev)
    model = build(job, watch)
    parameters = _counted(model, job)
    batch_size = int(job.model.config["batch_size"])
    batches = Batches(x, labels, batch_size, job.seed, torch.device(job.budget.device))
    spending = Spending(job.budget, batch_size, len(batches), job.max_epochs)
    if spending.useful_steps and batch_size > job.budget.images:
        raise OverBudget(f"one batch of {batch_size:,} images is more than the budget of {job.budget.images:,}")
    meter = FlopMeter(job.seed, tell_apart=not job.budget.compile)
    training = Training(spending, meter, Curve(), Clock(), watch, parameters)
    checkpoints = Checkpoints(job)
    model, resumed_at = checkpoints.resume(model, training, lambda: build(job, watch))
    if resumed_at is not None:  # told at once: an attempt that is cut short has gone on from there too
        (job.folder / RESUMED_AT).write_text(str(resumed_at))
    if job.budget.compile:
        compiler.compile_networks(model, job.folder / SCRATCH)

    ended_by = _spend_the_budget(job, model, batches, training, checkpoints)
    # Again, since a model may grow networks at its first step.
    parameters = max(training.parameters, _counted(model, job))
    if training.meter.uncounted:
        watch.note(f"the FLOPs of {', '.join(training.meter.uncounted)} were not counted, for want of a formula")

    for name in (TRAINING_CURVE, "curve.csv"):  # scoring completes the second, and may be begun anew
        training.curve.write(job.folder / name)
    with watch.over("state_dict"):
        state = model.state_dict()
    files = save_state(_finite(state), job.folder / "state")
    return {
        "spent": _spent(training, parameters, ended_by),
        "parameters": parameters,
        **_compiled(job, training),
        "milestones": training.milestones,
        "environment": describe(job.budget),
        "warnings": watch.warnings,
        "resumed_at": resumed_at,
        "files": {**training.files, **files, TRAINING_CURVE: sha256_of(job.folder / TRAINING_CURVE)},
    }


def _spend_the_budget(
    job: Job, model: Model, batches: Batches, training: Training, checkpoints: Checkpoints
) -> EndedBy:
    """Train on, up to the limit that ends it, which is returned."""
    spending, clock = training.spending, training.clock
    progress = Progress()
    clock.start()
    while (ended_by := spending.ended_by(clock.seconds)) is None:
        with _divergence_first(training.curve):
            _take_step(job, model, batches, training)
            progress.report(spending.progress)
            # The last milestone is the end of the budget: the final state, written when all is done.
            for fraction in job.milestones[len(training.milestones) : -1]:
                if spending.budget_share >= fraction:
                    with clock.paused():
                        _pass_milestone(fraction, job, model, training, checkpoints)
            if checkpoints.due(clock.seconds):
                with clock.paused():
                    checkpoints.save(model, training)
    clock.stop()
    training.curve.read()
    return ended_by


def _take_step(job: Job, model: Model, batches: Batches, training: Training) -> None:
    """Hand the model its next batch, charge what it spent and take its logs."""
    spending, meter, curve = training.spending, training.meter, training.curve
    step = spending.steps
    batch = batches.at(step)
    rng.seed_globals(job.seed, "train", step)
    eager = compiler.eagerly(job.budget.compile, meter.counts(step))
    with training.watch.over("train_step", step), device.precision(job.budget), eager, meter.step(step):
        logs = model.train_step(batch, spending.progress)
    spending.charge(meter.charge)
    curve.add(step, check_logs(logs))
    curve.close_row(spending.progress, step + 1, spending.images, spending.flops, training.clock.seconds)


@contextmanager
def _divergence_first(curve: Curve) -> Iterator[None]:
    """Let the divergence of an earlier step, whose logs may not be read yet, win over the error that it led to.

    When logs are read hangs on when a checkpoint was due, and the status of a run must not.

    Raises:
        Diverged: if a figure of a step taken is not finite, from the error.
    """
    try:
        yield
    except BaseException as error:
        try:
            curve.read()
        except Diverged as diverged:
            raise diverged from error
        except RuntimeError:  # a device that failed tells nothing more
            traceback.print_exc()
        raise


def _compiled(job: Job, training: Training) -> dict[str, float]:
    """What compiling took, where the benchmark has it: in this process, and so again in one that a run went on in."""
    if not job.budget.compile:
        return {}
    seconds = compiler.seconds()
    if seconds == 0:
        training.watch.note("compile = true compiled nothing: train_step calls no network that the model holds")
    return {"compile_seconds": seconds}


def _spent(training: Training, parameters: int, ended_by: EndedBy) -> dict[str, Any]:
    """What a training has spent: a counterpart to each limit of the budget."""
    device_memory = device.peak_memory()
    return {
        "images": training.spending.images,
        "steps": training.spending.steps,
        "flops": training.spending.flops,
        "seconds": training.clock.seconds,
        "memory": peak_memory(),
        **({} if device_memory is None else {"device_memory": device_memory}),
        "parameters": parameters,
        "threads": torch.get_num_threads(),
        "ended_by": ended_by,
    }


def _pass_milestone(fraction: float, job: Job, model: Model, training: Training, checkpoints: Checkpoints) -> None:
    """Write the state of a milestone, and note where it stands."""
    began = time.monotonic()
    with training.watch.over("state_dict"):
        state = model.state_dict()
    training.files |= save_state(state, job.folder / f"state-{len(training.milestones)}")
    training.milestones.append(_position(training.spending, training.clock, fraction))
    checkpoints.took(time.monotonic() - began)


def _counted(model: Model, job: Job) -> int:
    """The model's parameters, if the benchmark allows so many."""
    parameters = count_parameters(model)
    if parameters > job.budget.parameters:
        raise OverBudget(
            f"the model has {parameters:,} parameters where the benchmark allows {job.budget.parameters:,}"
        )
    return parameters


def _position(spending: Spending, clock: Clock, fraction: float) -> dict[str, Any]:
    return {
        "fraction": fraction,
        "step": spending.steps,
        "images": spending.images,
        "flops": spending.flops,
        "seconds": clock.seconds,
    }


def _finite(state: Any) -> Any:
    """The state, unless a tensor in it is NaN or infinite.

    Losses can stay finite while weights do not (a logged mean of a clamped loss, say).
    """

    def visit(value: Any, path: str) -> None:
        if isinstance(value, torch.Tensor) and value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
            raise Diverged(f"the trained state holds NaN or infinity at {path}")
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{path}/{key}" if path else str(key))

    visit(state, "")
    return state
