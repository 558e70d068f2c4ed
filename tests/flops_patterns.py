"""Runs whose steps differ, for the meter: what each step costs, and how many operations autograd records in it.

``python tests/flops_patterns.py [seeds] [steps ...]`` prints, for each pattern and length, how far the charge of whole
runs lies from the truth and which share of the steps is counted.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from genbench.engine.flops import FlopMeter

Cost = Callable[[int, int, random.Random], float]
"""FLOPs of a step: its number, the number of steps, and what is drawn for it."""

COSTS: dict[str, Cost] = {
    "all the same": lambda step, n, draw: 100,
    "one and two in turn": lambda step, n, draw: 100 * (1 + step % 2),
    "five critic steps, one of both": lambda step, n, draw: 100 if step % 6 < 5 else 230,
    "a penalty every 16": lambda step, n, draw: 250 if step % 16 == 0 else 100,
    "a penalty every 17": lambda step, n, draw: 250 if step % 17 == 0 else 100,
    "a penalty every 16 from step 500": lambda step, n, draw: 250 if step % 16 == 0 and step >= 500 else 100,
    "a penalty every 100 from step 300": lambda step, n, draw: 500 if step % 100 == 0 and step >= 300 else 100,
    "three in ten at random cost double": lambda step, n, draw: 200 if draw.random() < 0.3 else 100,
    "one in a hundred costs five times": lambda step, n, draw: 500 if draw.random() < 0.01 else 100,
    "a switch at step 1000": lambda step, n, draw: 270 if step >= 1000 else 100,
    "a switch in the middle": lambda step, n, draw: 270 if step >= n // 2 else 100,
    "a network that doubles three times": lambda step, n, draw: 100 * 2 ** (4 * step // n),
    "a curriculum that grows": lambda step, n, draw: 100 + 200 * step // n,
    "a curriculum that shrinks": lambda step, n, draw: 300 - 200 * step // n,
    "lengths at random": lambda step, n, draw: 10 * draw.randint(10, 40),
    "every step its own": lambda step, n, draw: round(100 * draw.lognormvariate(0, 0.5)),
    "a first step of ten": lambda step, n, draw: 1000 if step == 0 else 100,
}


@dataclass(frozen=True)
class Charged:
    """A whole run: its charge over its cost, less 1, and the share of its steps that were counted."""

    error: float
    counted: float


def steps_of(pattern: str, n: int, seed: int) -> Iterator[float]:
    """The cost of each step of a run."""
    draw = random.Random(f"{pattern}/{seed}")
    return (COSTS[pattern](step, n, draw) for step in range(n))


def charge(pattern: str, n: int, seed: int, hidden: bool) -> Charged:
    """Meter a run; where ``hidden``, autograd records equally many operations in all steps, else more in dearer ones,
    though by no means in proportion."""
    meter, charged, cost = FlopMeter(seed), 0.0, 0.0
    for step, flops in enumerate(steps_of(pattern, n, seed)):
        meter.take(step, 50 if hidden else 80 + round(flops) // 10, round(flops) if meter.counts(step) else None)
        assert meter.charge >= 0
        charged, cost = charged + meter.charge, cost + flops
    return Charged(charged / cost - 1, meter.counted / n)


def main() -> None:
    seeds, *lengths = [int(argument) for argument in sys.argv[1:]] or [10]
    lengths = lengths or [100, 400, 1875, 5000, 20_000]
    print("largest error, mean error, steps counted of runs of", ", ".join(f"{n:,}" for n in lengths), "steps")
    for hidden in (False, True):
        print("\nsizes that autograd's count does not show" if hidden else "\nwork that autograd's count shows")
        for pattern in COSTS:
            cells = []
            for n in lengths:
                runs = [charge(pattern, n, seed, hidden) for seed in range(seeds)]
                worst, mean = max(abs(run.error) for run in runs), statistics.mean(run.error for run in runs)
                counted = statistics.mean(run.counted for run in runs)
                cells.append(f"{worst:6.2%} {mean:+6.2%} {counted:4.0%}")
            print(f"{pattern:36}", "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
