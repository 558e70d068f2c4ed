"""What the core's trainer costs: its training clock against a bare loop of the same model, data and steps.

    python perf/trainer.py [MODEL ...] [--steps 700] [--rounds 5]

The bare loop gathers a random batch and calls train_step, nothing else. The two alternate in one process; the
ratio printed is the median over rounds of trainer / bare, with the least and the greatest. A whole run also writes
states, off the training clock; that time is printed apart.

Whole loops drift apart by several per cent on a shared machine, so the cost is also taken in parts, as shares of the
model's own step:

- core: the core's own time a step, from training a model that does nothing;
- counting: what a counted step takes beyond another, times the share of the steps that a training counts;
- checkpoints: what writing one takes, times how often one is due. They are written off the training clock.

Beside a supervisor, whose share perf/run.py gives, counting and checkpoints are to stay under 2 % together.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import torch

from genbench import paths
from genbench.engine import data, rng, splits
from genbench.engine import train as training
from genbench.engine.batches import Batches
from genbench.engine.budget import Clock, Spending
from genbench.engine.contract import build, prepare_torch
from genbench.engine.curve import Curve
from genbench.engine.flops import FlopCounter, FlopMeter
from genbench.engine.resume import COST_SHARE, Checkpoints, Training
from genbench.engine.tampering import Watch
from genbench.engine.train import train
from genbench.executors.audits import Audits
from genbench.executors.context import Context, make_job
from genbench.job import Job
from genbench.matrix import PlannedRun, choose, metrics_of
from genbench.model import Batch
from genbench.plugins import discover
from genbench.selection import load_benchmark, select_model
from genbench.store import RunKey, Store


def job_of(model: str, steps: int, folder: Path) -> Job:
    """A job of ``steps`` steps on digits, with no limit but the images."""
    registry = discover()
    benchmark = load_benchmark(registry, "digits")
    (entry,) = choose(benchmark, [select_model(registry, model)])
    images = steps * int(entry.identity.config["batch_size"])
    benchmark = benchmark.with_budget({"images": images, "flops": None, "seconds": 3600.0})
    materialised = data.materialise(benchmark.dataset, paths.data_cache())
    context = Context(
        benchmark, *metrics_of(registry, benchmark), Store(folder), str(materialised), "", Audits(folder / "audits")
    )
    return make_job(PlannedRun(RunKey("perf", model, 0), entry, "new", None), context, folder)


def bare(job: Job, steps: int) -> float:
    """Seconds of a loop with nothing of the core's in it."""
    x, labels = splits.training(Path(job.data_folder), dev=False)
    images = torch.from_numpy(x)
    classes = None if labels is None else torch.from_numpy(labels)
    batch_size = int(job.model.config["batch_size"])
    model = build(job)
    began = time.perf_counter()
    for step in range(steps):
        index = torch.randint(len(images), (batch_size,))
        model.train_step(Batch(images[index], None if classes is None else classes[index]), step / steps)
    return time.perf_counter() - began


class Nothing:
    """A model whose steps take no time: what is left is the core's own."""

    def __init__(self, *_: object) -> None:
        self.log = torch.zeros(())

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        return {"loss": self.log, "other": self.log}

    def state_dict(self) -> dict[str, object]:
        return {}


class Remembered(FlopMeter):
    """A meter that can be asked afterwards."""

    last: FlopMeter

    def __init__(self, seed: int, tell_apart: bool = True) -> None:
        super().__init__(seed, tell_apart)
        Remembered.last = self


def in_parts(job: Job, steps: int) -> tuple[float, float]:
    """Shares of a plain step: the core's own time, and that of counting, for a run of so many steps."""
    spent = train(dataclasses.replace(job, factory=f"{Nothing.__module__}:Nothing"))["spent"]
    with mock.patch.object(training, "FlopMeter", Remembered):
        train(job)
    share = Remembered.last.counted / steps
    x, labels = splits.training(Path(job.data_folder), dev=False)
    batches = Batches(x, labels, int(job.model.config["batch_size"]), job.seed, torch.device("cpu"))
    model = build(job)
    times: dict[bool, list[float]] = {False: [], True: []}
    for step in range(60):
        batch, counted = batches.at(step), bool(step % 2)
        began = time.perf_counter()
        with FlopCounter() if counted else contextlib.nullcontext():
            model.train_step(batch, 0.1)
        times[counted].append(time.perf_counter() - began)
    plain, counted_step = (statistics.median(times[kind]) for kind in (False, True))
    return spent["seconds"] / spent["steps"] / plain, share * (counted_step - plain) / plain


def checkpoint_seconds(job: Job) -> float:
    """Seconds that a checkpoint of the model takes, moments of its optimisers included; the median of 9."""
    x, labels = splits.training(Path(job.data_folder), dev=False)
    batch_size = int(job.model.config["batch_size"])
    batches = Batches(x, labels, batch_size, job.seed, torch.device("cpu"))
    model = build(job)
    spending = Spending(job.budget, batch_size, len(batches), None)
    position = Training(spending, FlopMeter(job.seed), Curve(), Clock(), Watch(), 0)
    checkpoints, times = Checkpoints(job), []
    for step in range(9):
        model.train_step(batches.at(step), 0.1)
        spending.charge(0.0)
        began = time.perf_counter()
        checkpoints.save(model, position)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    prepare_torch(1, "cpu")
    names = chosen.models or [name for name, entry in discover().models.items() if entry.spec.max_epochs is None]
    print(
        f"{'model':20} {'bare ms/step':>12} {'trainer':>9} {'ratio':>7}   least - greatest   off the clock"
        "   a checkpoint   in parts: core + counting + checkpoints"
    )
    for name in names:
        ratios, bares, offs = [], [], []
        for _ in range(chosen.rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                job = job_of(name, chosen.steps, Path(folder))
                rng.seed_globals(0, "init")
                alone = bare(job, chosen.steps)
                began = time.perf_counter()
                clocked = train(job)["spent"]["seconds"]
                offs.append(time.perf_counter() - began - clocked)
            bares.append(alone / chosen.steps)
            ratios.append(clocked / alone)
        with tempfile.TemporaryDirectory() as folder:
            job = job_of(name, chosen.steps, Path(folder))
            own, counting = in_parts(job, chosen.steps)
            writing = checkpoint_seconds(job)
        checkpointing = writing / max(job.checkpoint_seconds, writing / COST_SHARE)
        ratios, bares = ratios[1:], bares[1:]  # the first round warms up
        ratio, step = statistics.median(ratios), statistics.median(bares) * 1e3
        print(
            f"{name:20} {step:12.2f} {step * ratio:9.2f} {ratio:7.3f}   {min(ratios):.3f} - {max(ratios):.3f}      "
            f"{statistics.median(offs):.2f} s       {writing * 1e3:7.1f} ms     {own:.2%} + {counting:.2%} + "
            f"{checkpointing:.2%} = {own + counting + checkpointing:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
