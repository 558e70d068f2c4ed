"""The ray executor: runs as tasks of Ray core, on the nodes of a cluster that share the results folder.

Ray places tasks by CPUs, devices and memory, and notices lost nodes. It repeats nothing: a run whose node is lost is
sent again here, and goes on from its last checkpoint there, as another attempt in its record.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from genbench import paths
from genbench.claims import as_store_error
from genbench.errors import GenbenchError
from genbench.executors.audits import Audits
from genbench.executors.context import Context
from genbench.executors.interface import Observer, Setting
from genbench.executors.launcher import HarnessError
from genbench.executors.ray_connection import connected, first_line, shared_token
from genbench.executors.ray_node import FIRST_PACE, Desk, carry_out_here, documents
from genbench.executors.room import Room, places_in
from genbench.executors.run import ATTEMPTS, give_up
from genbench.executors.shipping import ship_call, ship_run
from genbench.executors.supervision import Killed
from genbench.matrix import PlannedRun, metrics_of
from genbench.record import parse

CHECKPOINT_SECONDS = 60.0
"""Between checkpoints, where nobody says: a thousand runs write them to one file server."""
TICK_SECONDS = 0.2
LOOK_SECONDS = 10.0
"""Between two looks at the nodes, of which some may have come or gone."""
TOUCH_SECONDS = 600.0
"""Between two signs of life at the token, which sweeps of other harnesses remove when it is an hour old."""
REPORTS_A_SECOND = 200
"""That the desk is asked to take at most, from all workers together."""
HELD_SECONDS, HELD_TRIES = 15.0, 8
"""How often a run is sent again whose node was lost and that is held still: file servers keep locks for a while."""
KILL_SECONDS = 10.0
"""That workers have to end everything, once they are told to."""
QUEUED_SECONDS = 5.0
"""After a call was cancelled, that a task may still wait for a worker to learn of it."""
LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, RaySystemError, ObjectLostError)
"""What became of a task whose worker or node has gone; of the last one its answer went with it."""


@contextmanager
def ray_cluster(setting: Setting) -> Iterator[RayExecutor]:
    """The executor of a call on a Ray cluster.

    Its option ``address`` names the cluster: ``auto`` for the one that this machine belongs to, ``local`` for one that
    is started on this machine alone and ends with the call. By default the variable ``RAY_ADDRESS``, else ``auto``.

    Raises:
        GenbenchError: for another option; if there is no such cluster, or it has no room for a run.
        StoreError: if the results folder refuses.
    """
    if setting.checkpoint_seconds is None:
        setting = replace(setting, checkpoint_seconds=CHECKPOINT_SECONDS)
    with connected(setting), shared_token(setting.store.root) as token:
        yield RayExecutor(setting, token)


@dataclass
class _Sent:
    """A run that has been sent.

    Attributes:
        number: of the run in its call.
        tries: how often it was lost before.
        held: how often it was found held since it was lost.
        not_before: on the monotonic clock, when it may be sent again.
        started: whether a worker has begun it.
    """

    number: int
    tries: int = 0
    held: int = 0
    not_before: float = 0.0
    started: bool = field(default=False)


class RayExecutor:
    """Runs on the nodes of a Ray cluster; an :class:`~genbench.executors.interface.Executor`.

    No more tasks are with Ray at a time than there is room for and a few to come, so that ten thousand runs cost the
    driver no more than those that are under way.

    Args:
        setting: of the call.
        token: as of :class:`~genbench.executors.shipping.ShippedCall`.

    Raises:
        GenbenchError: if no node has room for a run.
    """

    def __init__(self, setting: Setting, token: str) -> None:
        self._setting = setting
        self._token = token
        self._need = Room.for_run(setting.benchmark.budget)
        self._stop: Literal["cancel", "kill"] | None = None
        self._roomless = False
        self.jobs = self._most()
        if not self.jobs:
            raise GenbenchError(
                f"no node of the Ray cluster has room for a run of {setting.benchmark.name}, which needs "
                f"{self._need}; the nodes have: {'; '.join(map(str, _rooms())) or 'none is there'}"
            )

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``."""
        self._stop = self._stop or "cancel"

    def kill(self) -> None:
        """End everything at once and commit nothing; what was done so far stays for the next call."""
        self._stop = "kill"

    def execute(self, runs: Sequence[PlannedRun], observer: Observer) -> None:
        """Carry out runs in order; returns when all have ended or the executor was cancelled.

        Raises:
            StoreError: if the results folder refuses.
            GenbenchError: if a node refuses, being of other software, say, or without the data.
            Killed: if :meth:`kill` was called.
            HarnessError: if Ray can't go on.
        """
        try:
            _Course(self, self._setting, self._token, runs, observer).follow()
        except RayError as error:
            raise HarnessError(f"Ray cannot go on: {first_line(error)}; the same command goes on") from error

    @property
    def stop(self) -> Literal["cancel", "kill"] | None:
        """Whether and how it was told to stop."""
        return self._stop

    def _most(self) -> int:
        return self._at_most_jobs(places_in(_rooms(), self._need))

    def _at_most_jobs(self, count: int) -> int:
        return count if self._setting.jobs is None else min(count, self._setting.jobs)

    def window(self) -> int:
        """How many tasks may be with Ray: as many as there is room for now, and a tenth more, to be there in time."""
        most = self._most()
        if not most and not self._roomless:
            self._setting.say(
                "No node of the Ray cluster has room for a run any more; waiting for one to come (Ctrl-C ends the call)"
            )
        self._roomless = not most
        return self._at_most_jobs(most + max(1, most // 10))

    @property
    def need(self) -> Room:
        """What a run needs."""
        return self._need


class _Course:
    """One course of runs through the cluster.

    Args:
        executor: asked whether to stop, and for how many tasks there is room.
    """

    def __init__(
        self, executor: RayExecutor, setting: Setting, token: str, runs: Sequence[PlannedRun], observer: Observer
    ) -> None:
        self._executor, self._setting, self._runs, self._observer = executor, setting, runs, observer
        self._root, self._token = setting.store.root, token
        shipped = ship_call(setting, list(runs), token)
        call, self._documents = documents(shipped, [ship_run(run, setting.benchmark) for run in runs])
        self._call = ray.put(call)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._desk: Any = (
            ray.remote(Desk)
            .options(num_cpus=0, max_restarts=0, max_concurrency=100_000, scheduling_strategy=here)
            .remote()
        )
        once = {"max_retries": 0, "retry_exceptions": False}
        self._task = ray.remote(carry_out_here).options(**executor.need.of_task(), **once)
        self._waiting: deque[_Sent] = deque(_Sent(number) for number in range(len(runs)))
        self._sent: dict[Any, _Sent] = {}
        self._by_number: dict[int, _Sent] = {}
        self._told: Literal["cancel", "kill"] | None = None
        self._told_at = 0.0
        self._failure: GenbenchError | None = None
        self._window = executor.window()
        self._looked = self._touched = time.monotonic()

    def follow(self) -> None:
        """Until all runs have ended, or all that were under way after a stop."""
        try:
            while self._waiting or self._sent:
                self._look()
                if self._stopping():
                    break
                self._send()
                self._receive()
        finally:
            with contextlib.suppress(RayError):
                ray.kill(self._desk)
        if self._failure is not None:
            raise self._failure
        if self._executor.stop == "kill":
            raise Killed

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked, self._window = now, self._executor.window()
        if now - self._touched > TOUCH_SECONDS:
            self._touched = now
            with as_store_error(self._root):
                os.utime(self._root / ".work" / self._token)

    def _stopping(self) -> bool:
        """Tell the workers to stop where that is asked for; True once nothing is left to wait for."""
        wanted = self._wanted()
        if wanted is None:
            return False
        if wanted != self._told:
            self._told, self._told_at = wanted, time.monotonic()
            self._waiting.clear()
            ray.get(self._desk.stop.remote(wanted))
        waited = time.monotonic() - self._told_at
        if waited > QUEUED_SECONDS:
            for reference, sent in self._sent.items():
                if not sent.started:
                    ray.cancel(reference)
        if wanted == "kill" and waited > KILL_SECONDS:
            for reference in self._sent:
                ray.cancel(reference, force=True)
            return True
        return not self._sent

    def _wanted(self) -> Literal["cancel", "kill"] | None:
        """How the course is to end: as a person asked, or in order after a failure."""
        return self._executor.stop or ("cancel" if self._failure is not None else None)

    def _send(self) -> None:
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            if len(self._sent) >= self._window:
                return
            sent = self._waiting.popleft()
            if sent.not_before > now:
                self._waiting.append(sent)
                continue
            document = self._documents[sent.number]
            reference = self._task.remote(self._call, sent.number, document, self._desk)
            self._sent[reference] = sent
            self._by_number[sent.number] = sent

    def _receive(self) -> None:
        """Take what workers report and what tasks return; waits a moment for it."""
        references = list(self._sent)
        if not references:
            time.sleep(TICK_SECONDS)
            return
        done, _ = ray.wait(references, num_returns=len(references), timeout=TICK_SECONDS, fetch_local=False)
        pace = max(FIRST_PACE, len(references) / REPORTS_A_SECOND)
        for number, event in ray.get(self._desk.drain.remote(pace)):
            if (sent := self._by_number.get(number)) is not None:
                self._tell(sent, event)
        for reference in done:
            sent = self._sent.pop(reference)
            del self._by_number[sent.number]
            try:
                self._ended(sent, ray.get(reference))
            except TaskCancelledError as error:
                self._lost(sent, error)  # by us, and it had not begun; else by a Ctrl-C that its worker got
            except RayTaskError as error:
                self._failure = self._failure or HarnessError(f"on a node: {first_line(error)}")
            except RayActorError:
                raise
            except LOST as error:
                self._lost(sent, error)

    def _tell(self, sent: _Sent, event: Mapping[str, Any]) -> None:
        run = self._runs[sent.number]
        self._started(sent)
        match event:
            case {"progress": progress, "stage": stage}:
                self._observer.progressed(run, stage, progress)
            case {"retried": [status, reason, tries, most]}:
                self._observer.retried(run, status, reason, tries, most)

    def _started(self, sent: _Sent) -> None:
        if not sent.started:
            sent.started = True
            if not sent.tries:
                self._observer.started(self._runs[sent.number])

    def _ended(self, sent: _Sent, answer: Mapping[str, Any]) -> None:
        if "refused" in answer:
            refusal = GenbenchError(f"node {answer['node']}: {answer['refused']}")
            refusal.exit_code = answer["exit_code"]
            self._failure = self._failure or refusal
        elif answer.get("not_begun") or answer.get("killed"):
            self._lost(sent, None)  # as it was told, or since it could not reach the desk any more
        elif answer["record"] is None and sent.tries and sent.held < HELD_TRIES and self._wanted() is None:
            sent.held += 1
            sent.not_before = time.monotonic() + HELD_SECONDS
            self._waiting.append(sent)
        else:
            self._started(sent)
            record = answer["record"]
            self._observer.finished(self._runs[sent.number], None if record is None else parse(record))

    def _lost(self, sent: _Sent, error: RayError | None) -> None:
        """A run's worker or node has gone: it is sent again, or given up."""
        run, reason = self._runs[sent.number], f"its node was lost: {first_line(error)}"
        if self._wanted() is not None:
            return  # what it did stays for the next call
        self._started(sent)
        sent.tries, sent.started = sent.tries + 1, False
        if sent.tries < ATTEMPTS:
            self._observer.retried(run, "lost", reason, sent.tries, ATTEMPTS)
            self._waiting.appendleft(sent)
            return
        self._observer.finished(run, give_up(run, _bare_context(self._setting), reason))


def _rooms() -> list[Room]:
    """What the living nodes of the cluster have in all."""
    nodes: Any = ray.nodes  # which has no types
    return [Room.of_node(node["Resources"]) for node in nodes() if node["Alive"]]


def _bare_context(setting: Setting) -> Context:
    """For records of runs that nothing is left of here: it names no data, of which the driver needs none."""
    metrics = metrics_of(setting.registry, setting.benchmark)
    return Context(setting.benchmark, *metrics, setting.store, "", "", Audits(paths.audit_cache()))
