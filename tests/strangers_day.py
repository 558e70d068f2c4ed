"""A stranger's day: a plugin of each kind written by `genbench new`, built as a wheel, installed, listed, used, tested.

    python tests/strangers_day.py [KIND]...

Takes some minutes, so the default tests do not call it; they render each kind and load what it brings. Here every step
is taken as a person would, in processes of their own: `genbench new`, a wheel, `pip install --no-deps --target`, and
then `genbench list`, `check`, `data verify`, `run`, `table`, `score`, `doctor`, and the project's own tests. Each
step's seconds are told. Exits 1 at the first step that does not do what it should, showing what it printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from genbench.cli.new import KINDS

SCORED = 600
"""Samples that the trial of a metric scores."""
SHOWN = 3000
"""Characters of a failed step's output."""


class Day:
    """One plugin's: a folder to work in, and the environment in which what is installed there is found."""

    def __init__(self, kind: str, home: Path) -> None:
        self.kind, self.name, self.home = kind, f"my-{kind}", home
        self.project = home / self.name
        self.site = home / "site"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.site),
            "GENBENCH_CACHE": str(home / "cache"),
            "GENBENCH_RESULTS": str(home / "results"),
            "NO_COLOR": "1",
            "OMP_NUM_THREADS": "1",
        }

    def step(self, *command: str, cwd: Path | None = None) -> str:
        """Call a Python command and return its stdout; ends the program if it fails."""
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=cwd or self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        words = " ".join(command).replace("-m genbench.cli", "genbench").replace(str(self.home), ".")
        print(f"  {time.monotonic() - began:6.1f} s  {words}", flush=True)
        if done.returncode != 0:
            sys.exit(f"exit status {done.returncode}\n{(done.stdout + done.stderr)[-SHOWN:]}")
        return done.stdout

    def genbench(self, *arguments: str) -> str:
        return self.step("-m", "genbench.cli", *arguments)

    def install(self) -> None:
        self.genbench("new", str(self.project), "--kind", self.kind)
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
        self.step(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(self.home), str(self.project))
        (wheel,) = self.home.glob("*.whl")
        self.step(*pip, "install", "--no-deps", "--no-index", "--target", str(self.site), str(wheel))

    def listed(self) -> None:
        table = json.loads(self.genbench("list", KINDS[self.kind].table, "--json"))
        expect(self.name in {entry["name"] for entry in table}, f"{self.name} is not listed")

    def rows(self, benchmark: str, *models: str) -> dict[str, dict]:
        """Run models on a benchmark's first seed and return the table's rows."""
        self.genbench("run", *models, "-b", benchmark, "--seeds", "0")
        table = json.loads(self.genbench("table", "-b", benchmark, "--format", "json"))
        rows = {row["model"]: row for row in table["rows"]}
        expect(set(models) <= set(rows), f"{models} are not all in the table, which has {sorted(rows)}")
        return rows


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(otherwise)


def model(day: Day) -> None:
    day.genbench("check", day.name)
    rows = day.rows("digits-smoke", day.name, "marginals")
    expect("bits_per_dim" in rows[day.name]["scores"], "the model has no likelihood in the table")


def dataset(day: Day) -> None:
    day.genbench("data", "verify", day.name)
    day.rows(str(day.project / f"{day.name}-trial.toml"), "marginals", "train-copy")


def metric(day: Day) -> None:
    trial = str(day.project / f"{day.name}-trial.toml")
    rows = day.rows(trial, "marginals", "noise")
    values = {name: row["scores"][day.name]["mean"] for name, row in rows.items()}
    expect(values["marginals"] < values["noise"], f"the metric orders noise before marginals: {values}")
    day.genbench("doctor", "--calibrate", trial)
    score_something(day, trial)


def evaluator(day: Day) -> None:
    trial = str(day.project / f"{day.name}-trial.toml")
    rows = day.rows(trial, "marginals", "noise")
    values = {name: row["scores"]["fid"]["mean"] for name, row in rows.items()}
    expect(values["marginals"] < values["noise"], f"FID orders noise before marginals: {values}")
    day.genbench("doctor")
    day.step("-m", f"genbench_{day.name.replace('-', '_')}.extractor")  # by itself, as a recipe of weights imports it
    score_something(day, trial)


def benchmark(day: Day) -> None:
    day.genbench("run", "--all", "-b", day.name, "--dry-run")
    day.rows(day.name, "marginals", "train-copy")


def score_something(day: Day, trial: str) -> None:
    samples = np.random.default_rng(0).integers(0, 17, (SCORED, 1, 8, 8)).astype(np.uint8)
    np.savez(day.home / "samples.npz", samples=samples)
    found = json.loads(day.genbench("score", str(day.home / "samples.npz"), "-b", trial, "--json"))
    expect("fid" in found["scores"], "the samples have no FID")


USES = {"model": model, "dataset": dataset, "metric": metric, "evaluator": evaluator, "benchmark": benchmark}


def main(kinds: list[str]) -> None:
    for kind in kinds or list(USES):
        began = time.monotonic()
        print(kind)
        with tempfile.TemporaryDirectory(prefix="strangers-day-") as folder:
            day = Day(kind, Path(folder))
            day.install()
            day.listed()
            USES[kind](day)
            day.step("-m", "pytest", "-q", "-p", "no:cacheprovider", str(day.project))
        print(f"  {time.monotonic() - began:6.1f} s  in all")


if __name__ == "__main__":
    main(sys.argv[1:])
