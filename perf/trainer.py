"""What the core's trainer costs: its training clock against a bare loop of the same model, data and steps.

    python perf/trainer.py [MODEL ...] [--steps 700] [--rounds 5]

The bare loop gathers a random batch and calls train_step, nothing else. The two alternate in one process; the
ratio printed is the median over rounds of trainer / bare, with the least and the greatest. A whole run also writes
states, off the training clock; that time is printed apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import torch

from genbench import paths
from genbench.engine import data, rng, splits
from genbench.engine.contract import build, prepare_torch
from genbench.engine.train import train
from genbench.executors.run import Context, make_job
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
    context = Context(benchmark, metrics_of(registry, benchmark), Store(folder), str(materialised), "")
    return make_job(PlannedRun(RunKey("perf", model, 0), entry, "new", None), context)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    prepare_torch(1, "cpu")
    names = chosen.models or [name for name, entry in discover().models.items() if entry.spec.max_epochs is None]
    print(f"{'model':20} {'bare ms/step':>12} {'trainer':>9} {'ratio':>7}   least - greatest   off the clock")
    for name in names:
        ratios, bares, offs = [], [], []
        for _ in range(chosen.rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                job = job_of(name, chosen.steps, Path(folder))
                rng.seed_globals(0, "init")
                alone = bare(job, chosen.steps)
                began = time.perf_counter()
                clocked = train(dataclasses.replace(job))["spent"]["seconds"]
                offs.append(time.perf_counter() - began - clocked)
            bares.append(alone / chosen.steps)
            ratios.append(clocked / alone)
        ratios, bares = ratios[1:], bares[1:]  # the first round warms up
        ratio, step = statistics.median(ratios), statistics.median(bares) * 1e3
        print(
            f"{name:20} {step:12.2f} {step * ratio:9.2f} {ratio:7.3f}   {min(ratios):.3f} - {max(ratios):.3f}      "
            f"{statistics.median(offs):.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
