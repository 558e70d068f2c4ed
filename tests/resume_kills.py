"""Kill the processes of a harness, and the harness, at random moments, and see that nothing shows in the results.

    python tests/resume_kills.py [--kills 60] [--benchmark digits-smoke] [--seed 0] [MODEL ...]

First every run of the benchmark is done undisturbed. Then it is done again in another folder, with short pauses between
checkpoints, while something is killed every second or so (SIGKILL); a harness that died is called again, as its user
would. In the end every record must equal the undisturbed one but for the volatile fields; the hashes of weights and
samples stand in it. If all runs are done before there were enough kills, another folder is begun.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from genbench.record import Record
from genbench.stable import stable
from genbench.store import Store

VICTIMS = ("worker", "worker", "worker", "supervisor", "supervisor", "run server", "fork server", "harness", "harness")
"""What is killed, the parts of a run more often than those that all runs share."""


def start(models: Sequence[str], benchmark: str, results: Path, *options: str) -> subprocess.Popen[bytes]:
    """A harness doing the runs."""
    command = [sys.executable, "-P", "-m", "genbench.cli", "run", *(models or ["--all"]), "-b", benchmark]
    with Path(results.parent, results.name + ".log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--results", str(results), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def processes(harness: subprocess.Popen[bytes]) -> dict[str, list[psutil.Process]]:
    """The processes of a harness by what they are."""
    found: dict[str, list[psutil.Process]] = {
        "harness": [],
        "supervisor": [],
        "fork server": [],
        "run server": [],
        "worker": [],
    }
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(harness.pid)
        found["harness"] = [root]
        for child in root.children():
            with contextlib.suppress(psutil.Error):
                line = " ".join(child.cmdline())
                if "genbench.executors.supervisor" in line:
                    found["supervisor"].append(child)
                elif "genbench.engine.forkserver" in line:
                    found["fork server"].append(child)
                    for server in child.children():
                        found["run server"].append(server)
                        found["worker"] += server.children()
    return found


def where(victim: psutil.Process) -> str:
    """The run and stage that a worker is at, as far as its folder tells."""
    try:
        attempt = re.search(r"\.work/([^/]+)\.[0-9a-f]{16}", victim.cwd())
    except psutil.Error:
        return ""
    return attempt[1] if attempt else ""


def disturb(
    models: Sequence[str],
    benchmark: str,
    results: Path,
    runs: int,
    wanted: int,
    chance: random.Random,
    checkpoint: str,
) -> list[tuple[str, str]]:
    """Do so many runs with up to ``wanted`` kills; returns what was killed, and at which run where that is known."""
    kills: list[tuple[str, str]] = []
    harness = start(models, benchmark, results, "--checkpoint", checkpoint)
    quiet_since = time.monotonic()
    while True:
        kind = chance.choice(VICTIMS)
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = harness.wait(chance.uniform(0.05, 1.0))
            if code >= 0:
                if is_done(results, runs):
                    return kills
                if code not in (0, 1):
                    raise SystemExit(f"genbench run ended with {code}; see {results}.log")
            harness = start(models, benchmark, results, "--checkpoint", checkpoint)
            continue
        if time.monotonic() - quiet_since > 600:
            raise SystemExit(f"the runs did not come to their end in 600 s; see {results}.log")
        alive = processes(harness)
        # Most kills while something is at work: starting up takes longer than much of what follows.
        if len(kills) >= wanted or not alive[kind] or (not alive["worker"] and chance.random() < 0.9):
            continue
        victim = chance.choice(alive[kind])
        place = where(victim)
        with contextlib.suppress(psutil.Error):
            victim.kill()
            kills.append((kind, place))
            quiet_since = time.monotonic()


def is_done(results: Path, runs: int) -> bool:
    """Whether no run is left that a further call would go on with."""
    records = Store(results).load().records
    return len(records) == runs and all(
        record.status not in ("lost", "harness_error", "cancelled") for record in records
    )


def by_run(results: Path) -> dict[str, Record]:
    loaded = Store(results).load()
    assert not loaded.unreadable, loaded.unreadable
    return {record.run: record for record in loaded.records}


def differing(control: dict[str, Record], found: dict[str, Record]) -> list[str]:
    """Runs that are missing or not the same."""
    return [run for run in control if run not in found or stable(found[run]) != stable(control[run])]


def leftovers(results: Path) -> list[str]:
    """What stands in the working folder after all is done."""
    work = results / ".work"
    return sorted(entry.name for entry in work.iterdir()) if work.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--benchmark", default="digits-smoke")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", default="0.1", help="seconds between checkpoints")
    parser.add_argument("--keep", type=Path, help="folder for results and logs, kept")
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    with contextlib.ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if start(chosen.models, chosen.benchmark, folder / "control").wait() != 0:
            raise SystemExit(f"the undisturbed runs failed; see {folder / 'control.log'}")
        control, kills, wrong, resumed, rounds = by_run(folder / "control"), list[tuple[str, str]](), 0, 0, 0
        while len(kills) < chosen.kills:
            rounds += 1
            results = folder / f"disturbed-{rounds}"
            began = time.monotonic()
            kills += disturb(
                chosen.models,
                chosen.benchmark,
                results,
                len(control),
                chosen.kills - len(kills),
                chance,
                chosen.checkpoint,
            )
            found = by_run(results)
            different, left = differing(control, found), leftovers(results)
            resumed += sum(attempt.resumed_at is not None for record in found.values() for attempt in record.attempts)
            wrong += len(different) + len(left)
            print(
                f"round {rounds}: {len(found)} runs in {time.monotonic() - began:.0f} s, {len(kills)} kills so far, "
                f"{len(different)} records differ {different or ''}, left behind: {left or 'nothing'}",
                flush=True,
            )
        kinds = ", ".join(f"{count} of a {kind}" for kind, count in Counter(kind for kind, _ in kills).most_common())
        hit = {place for _, place in kills if place}
        print(
            f"{len(kills)} kills ({kinds}), workers of {len(hit)} runs hit, {resumed} attempts resumed training midway"
        )
        print("every record equals the undisturbed one" if not wrong else f"{wrong} FAULTS")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
