"""An executor held to its contract: what one of a plugin does wrong is told in words, and of whom.

Without this an executor that forgets a run would leave a matrix that looks done, and one that raises a traceback.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from genbench.errors import GenbenchError, SpecError
from genbench.executors.interface import OWN, MakeExecutor, Observer, Setting
from genbench.executors.launcher import HarnessError
from genbench.executors.supervision import Killed
from genbench.job import Stage
from genbench.matrix import PlannedRun
from genbench.plugins import Registered, told
from genbench.record import Record, Status

METHODS = ("execute", "cancel", "kill")


@contextmanager
def contracted(name: str, registered: Registered[str], make: MakeExecutor, setting: Setting) -> Iterator[HeldExecutor]:
    """The executor of a call, for as long as the call takes.

    Args:
        name: that it is registered under.
        make: what :func:`genbench.executors.interface.find_executor` found for it.

    Raises:
        GenbenchError: if it can't be made, or what was made is no executor.
        HarnessError: if it fails after that.
    """
    who = f"--executor {name} (of {registered.plugin.distribution} {registered.plugin.version})"
    entered = False
    try:
        manager: Any = make(setting)
        if not hasattr(manager, "__enter__") or not hasattr(manager, "__exit__"):
            raise SpecError(
                f"{who}: {registered.spec} gives {manager!r}, where a context manager is promised; is @contextmanager "
                "or a `return` missing?"
            )
        with manager as executor:
            entered = True
            yield HeldExecutor(executor, who)
    except (GenbenchError, Killed):
        raise
    except Exception as error:
        if registered.spec == OWN.get(name):
            raise  # a fault of genbench's own, whose traceback is wanted
        problem = f"{who}: {told(error, replace(registered.plugin, module=registered.spec))}"
        raise (HarnessError if entered else GenbenchError)(problem) from error


class HeldExecutor:
    """An executor whose word is checked; an :class:`~genbench.executors.interface.Executor`.

    Args:
        executor: what a plugin has made.
        who: that it is of, for people.

    Raises:
        SpecError: if it lacks a method, or the number of its jobs is none.
    """

    def __init__(self, executor: Any, who: str) -> None:
        lacking = [name for name in METHODS if not callable(getattr(executor, name, None))]
        if lacking:
            raise SpecError(f"{who}: {type(executor).__name__} has no method {' or '.join(lacking)}, as executors have")
        jobs = getattr(executor, "jobs", None)
        if not isinstance(jobs, int) or jobs < 1:
            raise SpecError(f"{who}: its `jobs` is {jobs!r}, where a whole number of runs side by side is promised")
        self.jobs = jobs
        self._executor = executor
        self._who = who
        self._stopped = False

    def execute(self, runs: Sequence[PlannedRun], observer: Observer) -> None:
        """Carry out runs; returns when each has ended, or the executor was cancelled.

        Raises:
            HarnessError: if it returned with runs that have not ended, or tells what can't be.
        """
        checked = _Checked(observer, self._who)
        self._executor.execute(runs, checked)
        left = [run for run in runs if run.key not in checked.ended]
        if left and not self._stopped:
            raise HarnessError(
                f"{self._who}: returned before {len(left)} of {len(runs)} runs had ended, {left[0].key} among them; "
                "what has a record is kept, and the same command does the others"
            )

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``."""
        self._stopped = True
        self._executor.cancel()

    def kill(self) -> None:
        """End everything at once and commit nothing."""
        self._stopped = True
        self._executor.kill()


class _Checked:
    """An observer that lets a run's life pass in its order only: begun once, and ended once."""

    def __init__(self, observer: Observer, who: str) -> None:
        self._observer = observer
        self._who = who
        self._begun: set[object] = set()
        self._lock = threading.RLock()
        self.ended: set[object] = set()

    def started(self, run: PlannedRun) -> None:
        with self._lock:
            if run.key in self._begun:
                raise HarnessError(f"{self._who}: tells twice that {run.key} begins")
            self._begun.add(run.key)
            self._observer.started(run)

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None:
        with self._under_way(run, "progress"):
            self._observer.progressed(run, stage, progress)

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        with self._under_way(run, "another attempt"):
            self._observer.retried(run, status, reason, tries, most)

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        with self._under_way(run, "the end"):
            self.ended.add(run.key)
            self._observer.finished(run, record)

    @contextlib.contextmanager
    def _under_way(self, run: PlannedRun, what: str) -> Iterator[None]:
        with self._lock:
            if run.key not in self._begun or run.key in self.ended:
                when = "after its end" if run.key in self.ended else "before its beginning"
                raise HarnessError(f"{self._who}: tells of {what} of {run.key} {when}")
            yield
