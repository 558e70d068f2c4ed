"""What the core's trainer costs: its training clock against a bare loop of the same model, data and steps.

    python perf/trainer.py [MODEL ...] [--steps 700] [--rounds 5]

The bare loop gathers a random batch and calls train_step, nothing else. The two alternate in one process; the
ratio printed is the median over rounds of trainer / bare, with the least and the greatest. A whole run also writes
states, off the training clock; that time is printed apart.

Whole loops drift apart by several per cent on a shared machine, so the cost is also taken in parts: the core's own time
a step, from training a model that does nothing, and what a counted step takes beyond another, times the share of the
steps that are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import torch

from genbench import paths
from genbench.engine import data, rng, splits
from genbench.engine.batches import Batches
from genbench.engine.contract import build, prepare_torch
from genbench.engine.flops import FlopCounter, FlopMeter
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


def in_parts(job: Job, steps: int) -> tuple[float, float]:
    """Shares of a plain step: the core's own time, and that of counting, for a run of so many steps."""
    spent = train(dataclasses.replace(job, factory=f"{Nothing.__module__}:Nothing"))["spent"]
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
    meter = FlopMeter(job.seed)
    share = sum(meter.counts(step) for step in range(steps)) / steps
    return spent["seconds"] / spent["steps"] / plain, share * (counted_step - plain) / plain


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
        "   in parts: core + counting"
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
            own, counting = in_parts(job_of(name, chosen.steps, Path(folder)), chosen.steps)
        ratios, bares = ratios[1:], bares[1:]  # the first round warms up
        ratio, step = statistics.median(ratios), statistics.median(bares) * 1e3
        print(
            f"{name:20} {step:12.2f} {step * ratio:9.2f} {ratio:7.3f}   {min(ratios):.3f} - {max(ratios):.3f}      "
            f"{statistics.median(offs):.2f} s          {own:.2%} + {counting:.2%} = {own + counting:.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
