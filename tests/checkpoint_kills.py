"""A training that dies at an operation on the disk, as by SIGKILL, and goes on, ends as an undisturbed one.

``python tests/checkpoint_kills.py`` goes through every operation; the tests through every third.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainings import EVERY, control, finish, outcome, saved_every, short_job

from genbench.disk import Calls
from genbench.engine import checkpoint
from genbench.engine.train import train
from genbench.job import Job

STEPS = 12


def dying(job: Job, at: int | None) -> int:
    """Train a job, dying at one of the operations on the disk; returns their number so far.

    Without ``at`` it comes to its end. What dies is a copy of this process, so that nothing is tidied up.
    """
    child = os.fork()
    if child == 0:
        count = itertools.count()

        def counted(operation: Callable[..., Any]) -> Callable[..., Any]:
            def operate(*arguments: Any) -> Any:
                if next(count) == at:
                    os._exit(0)
                return operation(*arguments)

            return operate

        for name in ("create", "write", "sync", "sync_folder", "rename", "unlink"):
            setattr(Calls, name, counted(getattr(Calls, name)))
        checkpoint.save_file = counted(checkpoint.save_file)
        with saved_every(EVERY):
            train(job)
        os._exit(next(count))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sweep(folder: Path, every: int) -> int:
    """Let a training die at every so manieth of its operations on the disk; returns the number of all of them.

    Raises:
        AssertionError: if one that went on differs from the undisturbed one, or lost more than a checkpoint's worth.
    """

    def fresh(number: int) -> Job:
        return short_job(folder / str(number), "marginals", steps=STEPS)

    wanted = control(folder, model="marginals", steps=STEPS)
    operations = dying(fresh(-1), None)
    resumed = []
    for at in range(0, operations, every):
        job = fresh(at)
        dying(job, at)
        result = finish(job)
        assert outcome(job, result) == wanted, f"killed at operation {at}"
        resumed.append(result["resumed_at"])
    assert set(resumed) == {None, 5, 10}
    assert resumed == sorted(resumed, key=lambda step: step or 0), "a later end never costs more"
    return operations


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{sweep(Path(scratch), every=1)} operations: each training ended as the undisturbed one")
