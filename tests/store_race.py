"""Processes that claim and commit the same runs, killed at random: `python tests/store_race.py` does many rounds.

Each process goes through all runs in an order of its own, claims each, writes its files, and commits where no record
stands. A process that is killed is started again, until all runs are done. What must hold: no two processes that live
hold one run at once; each run is committed once; nothing is left in ``.work``.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import factories
import psutil

from genbench.errors import StoreError
from genbench.record import Attempt, Record
from genbench.replay import file_differences
from genbench.store import RunKey, Store

DOUBLE = 77
"""Exit code of a process that found another one at work on a run that it held."""
DEADLINE = 60.0
"""Seconds that a round may take."""


def run_of(number: int) -> RunKey:
    return RunKey("tiny", "toy", number)


def hold_alone(marker: Path) -> None:
    """Leave a mark that one holds a run; ends the process if one that lives has left one."""
    try:
        other = int(marker.read_text() or 0)
    except FileNotFoundError:
        other = 0
    with suppress(psutil.NoSuchProcess):
        if other and psutil.Process(other).status() != psutil.STATUS_ZOMBIE:
            os._exit(DOUBLE)
    draft = marker.with_name(f"{marker.name}.{os.getpid()}")
    draft.write_text(str(os.getpid()))
    draft.rename(marker)


def work(root: Path, runs: int, plain: Record, seed: int) -> None:
    """What a harness does, without the training."""
    store = Store(root / "results")
    dice = random.Random(seed)
    order = list(range(runs))
    dice.shuffle(order)
    left = set(order)
    while left:
        for number in order:
            key = run_of(number)
            with store.claim(key, f"identity {number}") as claim:
                if claim is None:
                    continue
                marker = root / f"held-{number}"
                hold_alone(marker)
                left.discard(number)
                if store.read(key) is None:
                    (claim.folder / "log.txt").write_text(claim.token * 50)
                    time.sleep(dice.random() * 0.002)
                    artifacts = claim.artifacts(["log.txt"])
                    attempt = Attempt("ok", None, claim.started, claim.started, claim.token)
                    record = replace(plain, seed=number, artifacts=artifacts, attempts=[*claim.attempts, attempt])
                    store.commit(claim, record, list(artifacts))
                    with (root / "commits").open("a") as log:
                        log.write(f"{number} {claim.token}\n")
                marker.unlink()
        time.sleep(0.001)


def start(root: Path, runs: int, plain: Record, seed: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work(root, runs, plain, seed)
        code = 0
    except StoreError as error:
        print(error, file=sys.stderr)
    finally:
        os._exit(code)


def race(processes: int, runs: int, kills: int, seed: int) -> int:
    """One round; returns how many processes were killed in it."""
    dice = random.Random(seed)
    killed = 0
    plain = factories.record()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        alive = {start(root, runs, plain, dice.getrandbits(32)) for _ in range(processes)}
        deadline = time.monotonic() + DEADLINE
        while alive:
            assert time.monotonic() < deadline, "the runs do not get done"
            time.sleep(dice.random() * 0.02)
            if killed < kills:
                os.kill(dice.choice(sorted(alive)), signal.SIGKILL)
            for child in sorted(alive):
                found, status = os.waitpid(child, os.WNOHANG)
                if not found:
                    continue
                alive.remove(child)
                code = os.waitstatus_to_exitcode(status)
                assert code in (0, -signal.SIGKILL), "two held one run" if code == DOUBLE else f"ended with {code}"
                killed += bool(code)
                if code or killed < kills:  # as many die as shall, however fast the machine
                    alive.add(start(root, runs, plain, dice.getrandbits(32)))
        _check(root, runs)
    return killed


def _check(root: Path, runs: int) -> None:
    store = Store(root / "results")
    loaded = store.load()
    assert loaded.unreadable == []
    assert [record.seed for record in loaded.records] == list(range(runs))
    for record in loaded.records:
        assert file_differences(root / "results" / run_of(record.seed).path, record) == []
    committed = (root / "commits").read_text().split("\n")[:-1]
    # A process may have been killed between its commit and its line, but no run has two.
    assert max(Counter(line.split()[0] for line in committed).values()) == 1
    tokens = {str(record.seed): record.attempts[-1].token for record in loaded.records}
    assert all(tokens[number] == token for number, token in map(str.split, committed))
    assert not (root / "results" / ".superseded").exists()
    assert not (root / "results" / ".quarantine").exists()
    store.sweep()
    left = {str(path): path.read_text()[:300] for path in (root / "results" / ".work").rglob("*") if path.is_file()}
    assert left == {}
    assert list((root / "results" / ".work").iterdir()) == []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    killed = 0
    for number in range(options.rounds):
        for processes in (2, 4):
            killed += race(processes, runs=6, kills=15, seed=number)
    print(f"{2 * options.rounds} rounds of 6 runs, {killed} processes killed; every run was committed once")


if __name__ == "__main__":
    main()
