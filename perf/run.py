"""The fixed cost of a run: what is spent beside training, sampling and scoring proper, broken down.

    python perf/run.py [--rounds 5]

Runs the model `noise`, which has nothing to train, on digits-smoke in a fresh results folder, and prints the median
seconds of each part: starting the command, the fork server's imports (once a call, shared by all its runs), and for
each run the stages' processes. Beside them, for the same three stages, what a fresh Python process that imports
torch costs each time: the price without the fork server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from genbench.executors.launcher import Launcher


def seconds(*command: str) -> float:
    """Wall seconds of a process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def server_start() -> float:
    """Wall seconds until a fork server that will score has answered for the first time."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Launcher(threads=1, scoring=True) as launcher:
        # Whatever the child does: it can start only once the server's imports are done.
        launcher.start({"stage": "train", "job": f"{folder}/job.json"}, Path(folder, "log"), Path(folder)).ended.wait()
        return time.perf_counter() - began


def stages(rounds: int) -> dict[str, list[float]]:
    """Wall seconds of the stages of runs of `noise`, whose training and sampling take no time."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-P", "-m", "genbench.cli", "run", "noise", "-b", "digits-smoke", "--jobs", "1"]
            subprocess.run([*command, "--results", folder], check=True, capture_output=True)
            for path in Path(folder).glob("digits-smoke/noise/*/record.json"):
                for stage, taken in json.loads(path.read_text())["cost"]["stage_seconds"].items():
                    found.setdefault(stage, []).append(taken)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    parts = {
        "command: genbench --version": lambda: seconds(sys.executable, "-P", "-m", "genbench.cli", "--version"),
        "fork server: imports, once a call": server_start,
        "a fresh process: import torch": lambda: seconds(sys.executable, "-c", "import torch"),
        "a fresh process: import all that scoring needs": lambda: seconds(
            sys.executable, "-c", "import genbench.engine.score, torch_fidelity.feature_extractor_base"
        ),
    }
    medians = {name: statistics.median(measure() for _ in range(rounds)) for name, measure in parts.items()}
    for name, value in medians.items():
        print(f"{name:50} {value:7.3f} s")
    run = {stage: statistics.median(values) for stage, values in stages(rounds).items()}
    for stage, value in run.items():
        print(f"{'a run with nothing to do: ' + stage:50} {value:7.3f} s")
    total = sum(run.values())
    _, _, torch_alone, scoring = medians.values()
    print(f"{'a run with nothing to do: all stages':50} {total:7.3f} s")
    print(
        f"{'without the fork server, imports alone':50} {2 * torch_alone + scoring:7.3f} s  "
        f"({(2 * torch_alone + scoring) / total:.1f} times as much)"
    )


if __name__ == "__main__":
    main()
