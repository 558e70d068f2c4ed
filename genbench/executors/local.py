"""The local executor: as many runs side by side as there are jobs, on one fork server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Literal, Protocol

from genbench.executors.context import Context
from genbench.executors.launcher import Launcher
from genbench.executors.run import carry_out
from genbench.job import Stage
from genbench.matrix import PlannedRun
from genbench.record import Record, Status


class Observer(Protocol):
    """Told of each run's life, from the executor's threads, one call at a time."""

    def started(self, run: PlannedRun) -> None: ...

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None: ...

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        """An attempt has ended for reasons that are not the model's, and another one follows.

        Args:
            tries: attempts that this call has made at the run, from 1.
            most: how many it makes at most.
        """
        ...

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        """``record`` is None where another harness holds the run or has taken it over."""
        ...


class LocalExecutor:
    """Runs on this machine.

    Args:
        launcher: the fork server that starts the processes.
        jobs: runs side by side.
    """

    def __init__(self, launcher: Launcher, jobs: int) -> None:
        self._launcher = launcher
        self.jobs = jobs
        self._stop: Literal["cancel", "kill"] | None = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``."""
        self._stop = self._stop or "cancel"

    def kill(self) -> None:
        """End everything at once and commit nothing; what was done so far stays for the next call."""
        self._stop = "kill"

    def execute(self, runs: Sequence[PlannedRun], context: Context, observer: Observer) -> None:
        """Carry out runs in order; returns when all have ended or the executor was cancelled.

        Raises:
            StoreError: if the results folder refuses; what is running then ends first.
            Killed: if :meth:`kill` was called.
            HarnessError: if no fork server can be kept; what was not begun is left for the next call.
        """
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="run") as pool:
            futures: set[Future[None]] = {pool.submit(self._one, run, context, observer) for run in runs}
            try:
                while futures:
                    # A bounded wait lets the main thread see signals.
                    done, futures = wait(futures, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            except BaseException:
                self.cancel()
                raise

    def _one(self, run: PlannedRun, context: Context, observer: Observer) -> None:
        if self._stop is not None:
            return
        self._launcher.check_alive()

        def tell(function: Callable[[], None]) -> None:
            with self._lock:
                function()

        tell(lambda: observer.started(run))
        record = carry_out(
            run,
            context,
            self._launcher,
            lambda: self._stop,
            lambda stage, progress: tell(lambda: observer.progressed(run, stage, progress)),
            lambda status, reason, tries, most: tell(lambda: observer.retried(run, status, reason, tries, most)),
        )
        tell(lambda: observer.finished(run, record))
