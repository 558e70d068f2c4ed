"""What a call would take: by finished runs of the same models on the same benchmark, else the budget's bounds."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.calls import Call
    from genbench.matrix import PlannedRun
    from genbench.record import Record


@dataclass(frozen=True)
class Expected:
    """What a run is expected to take.

    Attributes:
        train, total: seconds of its training, and of all its stages. Where nothing is known both are the training's
            bound, which evaluation and scoring come on top of.
        runs: finished ones that it is the median of; 0 where it is the bound.
    """

    train: float
    total: float
    runs: int

    @property
    def is_bound(self) -> bool:
        return not self.runs


@dataclass(frozen=True)
class Forecast:
    """What the runs to do are expected to take.

    Attributes:
        jobs: runs side by side; None where only the executor will know.
        runs: what each run to do is expected to take, by its key's text.
        known_seconds: of all stages of the runs that finished ones tell of, one after another.
        known_runs: how many these are.
        bound_seconds: of the training of the others at most, one after another.
        bound_runs: how many these are.
        wall_seconds: until all are done, side by side in their order; None where ``jobs`` is.
    """

    jobs: int | None
    runs: dict[str, Expected]
    known_seconds: float
    known_runs: int
    bound_seconds: float
    bound_runs: int
    wall_seconds: float | None


def forecast(call: Call) -> Forecast:
    """What the runs to do of a call are expected to take. Records in the results folder are read for it."""
    finished = call.store.load(call.benchmark.folder).records
    todo = call.todo
    by_model = {name: _expected(name, call.benchmark, finished) for name in {run.key.model for run in todo}}
    expected = {str(run.key): _of(run, by_model[run.key.model]) for run in todo}
    known = [each.total for each in expected.values() if each.total and not each.is_bound]
    bound = [each.total for each in expected.values() if each.is_bound]
    jobs = jobs_of(call)
    wall = None if jobs is None else packed([each.total for each in expected.values()], jobs)
    return Forecast(jobs, expected, sum(known), len(known), sum(bound), len(bound), wall)


def jobs_of(call: Call) -> int | None:
    """Runs side by side, as far as it can be known without starting anything: devices and clusters are not asked."""
    if call.jobs is not None:
        return call.jobs
    if call.executor != "local" or call.benchmark.budget.device != "cpu":
        return None
    from genbench.executors.prepare import default_jobs

    return default_jobs(call.benchmark.budget.threads)


def packed(seconds: Sequence[float], jobs: int) -> float:
    """When runs are done that begin in their order, each as soon as one of ``jobs`` places is free."""
    free = [0.0] * max(1, min(jobs, len(seconds)))
    for each in seconds:
        heapq.heappush(free, heapq.heappop(free) + each)
    return max(free)


def _of(run: PlannedRun, model: Expected) -> Expected:
    """Of one run: one that the data do not suit, or whose declaration is wrong, is over at once."""
    over_at_once = run.entry.unsupported is not None or run.entry.problem is not None
    return Expected(0.0, 0.0, max(1, model.runs)) if over_at_once else model


def _expected(model: str, benchmark: Benchmark, finished: Sequence[Record]) -> Expected:
    alike = [
        record
        for record in finished
        if record.status == "ok" and record.model.name == model and record.benchmark.digest == benchmark.digest
    ]
    took = [
        (record.cost["train_seconds"], sum(record.cost["stage_seconds"].values()))
        for record in alike
        if "train_seconds" in record.cost and record.cost.get("stage_seconds")
    ]
    if not took:
        return Expected(benchmark.budget.seconds, benchmark.budget.seconds, 0)
    train, total = (statistics.median(each) for each in zip(*took, strict=True))
    return Expected(train, total, len(took))
