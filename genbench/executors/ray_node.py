"""A node's side of the ray executor: a run carried out in a Ray worker process, and the desk that it reports to.

A worker process keeps what its runs share (registry, benchmark, fork server) for as long as it lives. It is ended by
Ray, mostly by SIGKILL; the fork server and the supervisors see that as the end of their harness, and end everything.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import platform
import queue
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import ray

from genbench.errors import GenbenchError
from genbench.executors.audits import Audits
from genbench.executors.launcher import Launcher
from genbench.executors.prepare import make_context
from genbench.executors.run import carry_out
from genbench.executors.shipping import (
    ShippedCall,
    ShippedRun,
    add_plugin_files,
    check_shared,
    rebuild_benchmark,
    rebuild_run,
    received_call,
)
from genbench.executors.supervision import Killed
from genbench.job import Stage
from genbench.matrix import Entry
from genbench.plugins import discover
from genbench.record import Status
from genbench.store import Store

Stop = Literal["cancel", "kill"]
SHARED_AUDITS = "audits"
"""In ``.work`` of the results folder: one verdict a model for all nodes, and nobody makes it twice."""
FIRST_PACE = 1.0
"""Seconds between two reports of a worker, until the desk says otherwise."""


class Desk:
    """Where workers report what their runs do, and learn that they are to stop. An actor on the driver's node.

    Its end, with the driver's or before, tells the workers that nobody waits for them any more.
    """

    def __init__(self) -> None:
        self._events: list[tuple[int, dict[str, Any]]] = []
        self._pace = FIRST_PACE
        self._stop: Stop | None = None
        self._changed = asyncio.Event()

    async def report(self, events: list[tuple[int, dict[str, Any]]]) -> float:
        """Take the news of runs, by their number; returns the seconds until the next report."""
        self._events += events
        return self._pace

    async def drain(self, pace: float) -> list[tuple[int, dict[str, Any]]]:
        """What has been reported since the last call, in its order."""
        self._pace = pace
        events, self._events = self._events, []
        return events

    async def stop(self, how: Stop) -> None:
        """Let all workers know that they are to stop."""
        self._stop = how
        self._changed.set()
        self._changed = asyncio.Event()

    async def stop_after(self, known: Stop | None) -> Stop | None:
        """How to stop, once that is another than is known already."""
        while self._stop == known:
            await self._changed.wait()
        return self._stop


class _Link:
    """A worker's connection to the desk, in a thread of its own.

    Attributes:
        desk: handle of the :class:`Desk`.
        stop: whether and how to stop; ``kill`` where the desk can't be reached.
        lost: whether it can't be, for good.
    """

    def __init__(self, desk: Any) -> None:
        self.stop: Stop | None = None
        self.desk = desk
        self.lost = False
        self._pace = FIRST_PACE
        self._news: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._keep, name="desk", daemon=True).start()

    def tell(self, number: int, event: dict[str, Any]) -> None:
        """Report an event soon; of a run's progress only the last word before each report is sent."""
        self._news.put((number, event))

    def _keep(self) -> None:
        try:
            stopping = self.desk.stop_after.remote(None)
            while True:
                if ray.wait([stopping], timeout=self._pace)[0]:
                    self.stop = ray.get(stopping)
                    stopping = self.desk.stop_after.remote(self.stop)
                if events := self._latest():
                    self._pace = ray.get(self.desk.report.remote(events))
        except Exception:  # of Ray: the driver, its node or the connection to it is lost
            self.stop, self.lost = "kill", True

    def _latest(self) -> list[tuple[int, dict[str, Any]]]:
        events: list[tuple[int, dict[str, Any]]] = []
        while not self._news.empty():
            number, event = self._news.get()
            if events and "progress" in event and events[-1][0] == number and "progress" in events[-1][1]:
                events.pop()
            events.append((number, event))
        return events


class _Worker:
    """What the runs of a call share in this process.

    Raises:
        GenbenchError: if what is installed here is not what the call was made with, the results folder is not the
            same, or data are missing.
    """

    def __init__(self, call: ShippedCall, desk: Any) -> None:
        os.environ.update(call.environment)
        check_shared(call)
        self.registry = discover()
        add_plugin_files(call, self.registry)
        benchmark = rebuild_benchmark(call, self.registry)
        self.entries: dict[str, Entry] = {}
        store = Store(Path(call.root))
        self.launcher = Launcher(benchmark.budget.threads, scoring=True)
        try:
            context = make_context(self.registry, benchmark, store, self.launcher, call.checkpoint_seconds)
        except BaseException:  # the next task of this process tries again, with a fork server of its own
            self.launcher.close()
            raise
        atexit.register(self.launcher.close)
        self.context = replace(context, audits=Audits(store.root / ".work" / SHARED_AUDITS))
        self.link = _Link(desk)

    def keep_up(self, call: ShippedCall, desk: Any) -> None:
        """Make sure that this process is linked to whoever sent it a run: the link may have been lost, or the run be of
        another course of the same call.

        Raises:
            GenbenchError: if a model's file is not there or does not work.
        """
        if self.link.lost or self.link.desk != desk:
            add_plugin_files(call, self.registry)
            self.link = _Link(desk)


_workers: dict[str, _Worker] = {}
"""By the call's token; of this process."""


def carry_out_here(call: dict[str, Any], number: int, run: dict[str, Any], desk: Any) -> dict[str, Any]:
    """Carry out a run; the body of a Ray task.

    Args:
        call, run: documents of a :class:`ShippedCall` and a :class:`ShippedRun`.
        number: of the run in its call.
        desk: handle of the :class:`Desk`.

    Returns:
        One of: ``record``, the record as JSON, or None where another harness holds the run; ``not_begun``, since the
        call is being stopped; ``killed``; ``refused``, why no run can be done here, with ``exit_code``. And ``node``.
    """
    answer: dict[str, Any] = {"node": platform.node()}
    try:
        received = received_call(call)
        worker = _worker(received, desk)
        worker.keep_up(received, desk)
        if worker.link.stop is not None:
            return answer | {"not_begun": True}
        return answer | {"record": _carry_out(worker, number, ShippedRun(**run))}
    except Killed:
        return answer | {"killed": True}
    except GenbenchError as error:
        return answer | {"refused": str(error), "exit_code": error.exit_code}


def _worker(call: ShippedCall, desk: Any) -> _Worker:
    if call.token not in _workers:
        for stale in _workers.values():  # of an earlier call that the same driver has made
            stale.launcher.close()
        _workers.clear()
        _workers[call.token] = _Worker(call, desk)
    return _workers[call.token]


def _carry_out(worker: _Worker, number: int, shipped: ShippedRun) -> str | None:
    context, link = worker.context, worker.link
    run = rebuild_run(shipped, context.benchmark, worker.registry, worker.entries)
    if context.benchmark.budget.device == "cuda":  # Ray has chosen the device of this task
        context = replace(context, visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES", ""))

    def retried(status: Status, reason: str | None, tries: int, most: int) -> None:
        link.tell(number, {"retried": [status, reason, tries, most]})

    worker.launcher.check_alive()
    link.tell(number, {"started": platform.node()})
    record = carry_out(run, context, worker.launcher, lambda: link.stop, _teller(link, number), retried)
    return None if record is None else record.to_json()


def _teller(link: _Link, number: int) -> Callable[[Stage, float], None]:
    return lambda stage, progress: link.tell(number, {"stage": stage, "progress": progress})


def documents(call: ShippedCall, runs: list[ShippedRun]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What :func:`carry_out_here` is given."""
    return asdict(call), [asdict(run) for run in runs]
