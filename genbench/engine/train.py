"""The training process: the core's batches in, a state out, nothing spent beyond the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from genbench.engine import rng, splits
from genbench.engine.batches import Batches
from genbench.engine.budget import Clock, Spending
from genbench.engine.checkpoint import save_state
from genbench.engine.contract import build, check_logs, prepare_torch
from genbench.engine.curve import Curve
from genbench.engine.environment import describe, peak_memory
from genbench.engine.flops import FlopMeter
from genbench.engine.parameters import count_parameters
from genbench.engine.progress import Progress
from genbench.errors import Diverged, OverBudget
from genbench.job import Job
from genbench.model import Model


def train(job: Job) -> dict[str, Any]:
    """Train the model of a job until its budget is spent, and leave its states in the working folder.

    Returns:
        What was spent, what the states are, and where it ran: plain values for JSON.

    Raises:
        Diverged, InvalidOutput, OverBudget: as the model earns it. Anything else is the plugin's own error.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    x, labels = splits.training(Path(job.data_folder), job.dev)
    model = build(job)
    parameters = _counted(model, job)
    batch_size = int(job.model.config["batch_size"])
    batches = Batches(x, labels, batch_size, job.seed, torch.device(job.budget.device))
    spending = Spending(job.budget, batch_size, len(batches), job.max_epochs)
    if spending.useful_steps and batch_size > job.budget.images:
        raise OverBudget(f"one batch of {batch_size:,} images is more than the budget of {job.budget.images:,}")
    meter, curve, clock = FlopMeter(job.seed), Curve(), Clock()
    progress = Progress(job.folder, "train")
    milestones: list[dict[str, Any]] = []

    clock.start()
    while (ended_by := spending.ended_by(clock.seconds)) is None:
        step = spending.steps
        batch = batches.at(step)
        rng.seed_globals(job.seed, "train", step)
        with meter.step(step):
            logs = check_logs(model.train_step(batch, spending.progress))
        spending.charge(meter.charge)

        curve.add(step, logs)
        curve.close_row(spending.progress, step + 1, spending.images, spending.flops, clock.seconds)
        progress.report(spending.progress)
        # The last milestone is the end of the budget: the final state, written below.
        due = [fraction for fraction in job.milestones[len(milestones) : -1] if spending.budget_share >= fraction]
        for fraction in due:
            with clock.paused():
                save_state(model.state_dict(), job.folder / f"state-{len(milestones)}")
            milestones.append(_position(spending, clock, fraction))
    clock.stop()
    # Again, since a model may grow networks at its first step.
    parameters = max(parameters, _counted(model, job))

    curve.read()
    curve.write(job.folder / "curve.csv")
    save_state(_finite(model.state_dict()), job.folder / "state")
    return {
        "spent": {
            "images": spending.images,
            "steps": spending.steps,
            "flops": spending.flops,
            "seconds": clock.seconds,
            "memory": peak_memory(),
            "ended_by": ended_by,
        },
        "parameters": parameters,
        "milestones": milestones,
        "environment": describe(job.budget),
    }


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
