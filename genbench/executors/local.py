"""The local executor: as many runs side by side as this machine has room for, on one fork server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Literal

from genbench.executors.context import Context
from genbench.executors.devices import Devices, visible_devices
from genbench.executors.interface import Observer, Setting, refuse_unknown
from genbench.executors.launcher import Launcher
from genbench.executors.prepare import default_jobs, make_context
from genbench.executors.run import carry_out
from genbench.matrix import PlannedRun


@contextmanager
def local(setting: Setting) -> Iterator[LocalExecutor]:
    """The executor of a call on this machine, with its fork server. It has no options.

    Raises:
        GenbenchError: for an option; if data are missing, there is no device, or the machine refuses.
    """
    from genbench.data_files import download_notice

    refuse_unknown("local", setting.options, [])
    budget = setting.benchmark.budget
    with ExitStack() as after, Launcher(budget.threads, scoring=True) as launcher:
        if notice := download_notice(setting.benchmark.dataset):
            setting.say(notice)
        context = make_context(setting.registry, setting.benchmark, setting.store, launcher, setting.checkpoint_seconds)
        devices = None
        if budget.device == "cuda":
            devices = Devices(visible_devices(launcher), budget.runs_per_device)
            after.callback(devices.close)  # when the fork server has ended, and all that it started
        yield LocalExecutor(launcher, context, setting.jobs or default_jobs(budget.threads), devices)


class LocalExecutor:
    """Runs on this machine; an :class:`~genbench.executors.interface.Executor`.

    Args:
        launcher: the fork server that starts the processes.
        context: what all runs share.
        jobs: runs side by side.
        devices: where each run gets a place; None for runs that need no device. There are no more jobs than places.
    """

    def __init__(self, launcher: Launcher, context: Context, jobs: int, devices: Devices | None = None) -> None:
        self._launcher = launcher
        self._context = context
        self._devices = devices
        self.jobs = jobs if devices is None else min(jobs, devices.places)
        self._stop: Literal["cancel", "kill"] | None = None

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``."""
        self._stop = self._stop or "cancel"

    def kill(self) -> None:
        """End everything at once and commit nothing; what was done so far stays for the next call."""
        self._stop = "kill"

    def execute(self, runs: Sequence[PlannedRun], observer: Observer) -> None:
        """Carry out runs in order; returns when all have ended or the executor was cancelled.

        Raises:
            StoreError: if the results folder refuses; what is running then ends first.
            Killed: if :meth:`kill` was called.
            HarnessError: if no fork server can be kept; what was not begun is left for the next call.
        """
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="run") as pool:
            futures: set[Future[None]] = {pool.submit(self._one, run, observer) for run in runs}
            try:
                while futures:
                    # A bounded wait lets the main thread see signals.
                    done, futures = wait(futures, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            except BaseException:
                self.cancel()
                raise

    def _one(self, run: PlannedRun, observer: Observer) -> None:
        if self._devices is None:
            self._carry_out(run, self._context, observer)
            return
        with self._devices.one(lambda: self._stop is not None) as device:
            if device is not None:
                context = replace(self._context, visible_devices=device.name, held=device.claim)
                self._carry_out(run, context, observer)

    def _carry_out(self, run: PlannedRun, context: Context, observer: Observer) -> None:
        if self._stop is not None:
            return
        self._launcher.check_alive()
        observer.started(run)
        record = carry_out(
            run,
            context,
            self._launcher,
            lambda: self._stop,
            lambda stage, progress: observer.progressed(run, stage, progress),
            lambda status, reason, tries, most: observer.retried(run, status, reason, tries, most),
        )
        observer.finished(run, record)
