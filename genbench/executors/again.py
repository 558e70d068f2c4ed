"""Runs carried out again, in a folder of their own, to see whether they come out the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.benchmark import Benchmark
from genbench.disk import Disk
from genbench.errors import StoreError
from genbench.executors.assembly import scores_of
from genbench.executors.context import Context, make_job
from genbench.executors.interface import Setting
from genbench.executors.launcher import Launcher
from genbench.executors.local import local
from genbench.executors.prepare import make_context
from genbench.executors.stages import carry_out_stages
from genbench.job import TRAINING_CURVE, Stage, outcome_file, write_json
from genbench.matrix import PlannedRun
from genbench.plugins import Registry
from genbench.record import Record, Score, Status
from genbench.store import RunKey, Store
from genbench.versions import versions

STATE = ("state.safetensors", "state.json")


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


@contextmanager
def _elsewhere(registry: Registry, benchmark: Benchmark) -> Iterator[tuple[Path, Launcher, Context]]:
    """A temporary results folder, processes to work in, and what runs of the benchmark need there."""
    with (
        tempfile.TemporaryDirectory(prefix="genbench-") as folder,
        Launcher(benchmark.budget.threads, scoring=True) as launcher,
    ):
        yield Path(folder), launcher, make_context(registry, benchmark, Store(Path(folder)), launcher)


def run_again(
    registry: Registry,
    benchmark: Benchmark,
    runs: Sequence[PlannedRun],
    jobs: int | None,
    tell: Callable[[RunKey, Record], None],
) -> None:
    """Carry out runs of one benchmark in a temporary results folder.

    Args:
        jobs: runs side by side; by default as many as the machine has room for.
        tell: called with each record as it is finished, one call at a time.

    Raises:
        GenbenchError: if data are missing, or the machine refuses.
    """
    with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
        setting = Setting(registry, benchmark, Store(Path(folder)), jobs)
        with local(setting) as executor:
            executor.execute(runs, _Listener(tell))


@dataclass(frozen=True)
class Resampled:
    """What a state gave when it was evaluated and scored again.

    Attributes:
        folder: holds ``samples.npz``, and ``nats.npz`` of a model with a likelihood; goes when the call returns.
        problem: why it gave nothing, or None.
        scores: with their repeats.
        environment: of the evaluation.
    """

    folder: Path
    problem: str | None
    scores: dict[str, Score]
    environment: dict[str, Any]


def sample_again(
    registry: Registry,
    benchmark: Benchmark,
    runs: Sequence[tuple[PlannedRun, Record, Path]],
    tell: Callable[[int, Resampled], None],
) -> None:
    """Evaluate and score the states of finished runs, as the run itself did after its training.

    The stage ``train`` stands as finished in a folder of the run's own, with the submitted state for what it left; what
    follows is the run's usual way, the audit of the likelihood included. Milestones have no states and are left out.

    Args:
        runs: each with its record, and the folder that its state stands in.
        tell: called with the number of each run and what came of it.

    Raises:
        GenbenchError: if data are missing, or the machine refuses.
    """
    with _elsewhere(registry, benchmark) as (folder, launcher, context):
        for index, (run, record, source) in enumerate(runs):
            work = folder / str(index)
            work.mkdir()
            tell(index, _sampled(run, record, source, work, context, launcher))
            Disk().remove_tree(work)


def _sampled(
    run: PlannedRun, record: Record, source: Path, work: Path, context: Context, launcher: Launcher
) -> Resampled:
    job = make_job(run, context, work)
    job.write()
    for name in STATE:
        Disk().adopt(source / name, work / name, copy=True)
    (work / TRAINING_CURVE).write_text("step,images,flops,seconds\n")  # scoring adds its rows to it
    trained = {"milestones": [], "spent": record.spent, "environment": record.environment, "parameters": 0}
    mark = {"status": "ok", "reason": None, "result": trained, "files": {}, "versions": versions()}
    write_json(outcome_file(work, "train"), mark)
    outcome = carry_out_stages(job, context.audits, launcher, lambda: None, lambda stage, share: None)
    environment = outcome.results.get("evaluate", {}).get("environment", {})
    if outcome.status != "ok":
        return Resampled(work, f"{outcome.status}: {outcome.reason}", {}, environment)
    scores, _ = scores_of(job, outcome)
    return Resampled(work, None, scores, environment)
