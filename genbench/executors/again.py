"""Runs carried out again, in a folder of their own, to see whether they come out the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from genbench.benchmark import Benchmark
from genbench.errors import StoreError
from genbench.executors.launcher import Launcher
from genbench.executors.local import LocalExecutor
from genbench.executors.prepare import default_jobs, make_context
from genbench.job import Stage
from genbench.matrix import PlannedRun
from genbench.plugins import Registry
from genbench.record import Record, Status
from genbench.store import RunKey, Store


class _Listener:
    """Passes finished runs on; whoever watches runs of a matrix is not told of repetitions."""

    def __init__(self, tell: Callable[[RunKey, Record], None]) -> None:
        self._tell = tell

    def started(self, run: PlannedRun) -> None:
        """Nothing to tell yet."""

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None:
        """Nothing to tell yet."""

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        """What counts is how it ends."""

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        if record is None:  # no other harness knows the folder
            raise StoreError(f"{run.key}: the temporary folder of its repetition was removed while it ran")
        self._tell(run.key, record)


def run_again(
    registry: Registry,
    benchmark: Benchmark,
    runs: Sequence[PlannedRun],
    jobs: int | None,
    tell: Callable[[RunKey, Record], None],
) -> None:
    """Carry out runs of one benchmark in a temporary results folder.

    Args:
        jobs: runs side by side; by default as many as the cores hold.
        tell: called with each record as it is finished, one call at a time.

    Raises:
        GenbenchError: if data are missing, or the machine refuses.
    """
    with (
        tempfile.TemporaryDirectory(prefix="genbench-") as folder,
        Launcher(benchmark.budget.threads, scoring=True) as launcher,
    ):
        context = make_context(registry, benchmark, Store(Path(folder)), launcher)
        executor = LocalExecutor(launcher, jobs or default_jobs(benchmark.budget.threads))
        executor.execute(runs, context, _Listener(tell))
