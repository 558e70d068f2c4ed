"""How long ``genbench --help`` and ``genbench list`` take beside the least that a click program can take.

    python perf/startup.py [rounds]

Whole processes, timed in turns so that a busy machine slows all alike. Prints the median of each in milliseconds
and its ratio to ``python -c 'import click'``. The first round fills the caches and is not counted.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

GENBENCH = shutil.which("genbench", path=str(Path(sys.executable).parent)) or "genbench"
COMMANDS = {
    "python -c 'import click'": [sys.executable, "-c", "import click"],
    "genbench --help": [GENBENCH, "--help"],
    "genbench list": [GENBENCH, "list"],
    "genbench list --json": [GENBENCH, "list", "--json"],
}


def seconds(command: list[str]) -> float:
    """Wall-clock seconds of one process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for index in range(rounds + 1):
        for name, command in COMMANDS.items():
            taken = seconds(command)
            if index:
                times[name].append(taken)
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = next(iter(medians.values()))
    print(f"(a) start-up, medians of {rounds} rounds")
    for name, median in medians.items():
        print(f"    {name:26} {1000 * median:7.1f} ms   {median / base:5.2f} x")


if __name__ == "__main__":
    main()
