"""A job for a single task of a command, in a folder of its own that goes when the task is done."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genbench.benchmark import Benchmark
from genbench.errors import GenbenchError, SpecError
from genbench.executors.context import make_job
from genbench.executors.launcher import Launcher
from genbench.executors.prepare import make_context
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import Stop, supervise
from genbench.job import JOB, LOG, SCRATCH, Job, outcome_file
from genbench.matrix import PlannedRun, choose
from genbench.plugins import Registry
from genbench.selection import SelectedModel
from genbench.store import RunKey, Store


@dataclass(frozen=True)
class Task:
    """A prepared job and the process server that carries it out."""

    job: Job
    launcher: Launcher

    def call(self, target: str, seconds: float | None = None, **arguments: Any) -> Any:
        """Run a function of :mod:`genbench.engine.tasks` on the job, in a process of its own.

        Args:
            seconds: after which it is ended; None to wait for as long as it takes.
        """
        path = self.job.folder / JOB
        return self.launcher.call(
            f"genbench.engine.tasks:{target}", {"job": str(path), **arguments}, self.job.sys_path, seconds
        )

    def supervise(
        self, target: str, seconds: float, allowed: str, stop: Stop, **arguments: Any
    ) -> tuple[StageEnd, str]:
        """The same under a supervisor, within the memory of the benchmark's budget.

        Args:
            seconds: after which it is ended; shortly before, it says in its log where it stands.
            allowed: what those seconds are made of, for people.
            stop: asked a few times a second.

        Returns:
            How it ended, and what it printed. What the function returns must be a dict.

        Raises:
            GenbenchError: what the function refused, with its exit code.
            HarnessError: if no process could be started.
        """
        folder, outcome = self.job.folder, outcome_file(self.job.folder, target)
        request = StageRequest(
            name=target,
            work={
                "task": f"genbench.engine.tasks:{target}",
                "arguments": {"job": str(folder / JOB), **arguments},
                "outcome": str(outcome),
                "sys_path": self.job.sys_path,
                "seconds": seconds,
            },
            mark=str(outcome),
            cwd=str(folder / SCRATCH),
            progress=False,
            seconds=seconds,
            allowed=allowed,
            memory=self.job.budget.memory,
        )
        supervision = Supervision([request], str(folder / LOG), self.job.budget.threads)
        end = supervise(supervision, self.launcher, stop, lambda name, share: None)[-1]
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # no outcome, or none of ours
            found = json.loads(outcome.read_bytes())
            if found["status"] == "refused":
                error = GenbenchError(str(found["reason"]))
                error.exit_code = int(found["exit_code"])
                raise error
        log = folder / LOG
        return end, log.read_text(errors="replace") if log.is_file() else ""


@contextmanager
def task(
    registry: Registry, benchmark: Benchmark, model: SelectedModel, seed: int, config: Mapping[str, Any] | None = None
) -> Iterator[Task]:
    """A task on a model and a benchmark, its data in the cache.

    Args:
        registry: all that is installed.
        benchmark: whose data, evaluator and settings are used.
        model: what is built.
        seed: of its draws.
        config: the model's whole configuration, of an earlier run; by default that of today's declaration.

    Raises:
        GenbenchError: if the model can't be used on the data or has no such configuration, or data are missing.
    """
    (entry,) = choose(benchmark, [model])
    if config is not None:
        _check_fields(model, set(config), set(entry.identity.config))
        entry = dataclasses.replace(entry, identity=dataclasses.replace(entry.identity, config=dict(config)))
    if entry.problem is not None:
        raise SpecError(f"{model.name}: {entry.problem}")
    if entry.unsupported is not None:
        raise SpecError(f"{model.name} can't be used on {benchmark.dataset.name}: {entry.unsupported}")
    with tempfile.TemporaryDirectory(prefix="genbench-") as folder, Launcher(benchmark.budget.threads) as launcher:
        store = Store(Path(folder))
        context = make_context(registry, benchmark, store, launcher)
        run = PlannedRun(RunKey(benchmark.folder, model.name, seed), entry, "new", None)
        job = make_job(run, context, Path(folder))
        job.write()
        yield Task(job, launcher)


def _check_fields(model: SelectedModel, recorded: set[str], declared: set[str]) -> None:
    """A configuration from before a field came or went can't be built by today's code."""
    if recorded != declared:
        fields = ", ".join(sorted(recorded ^ declared))
        raise SpecError(
            f"{model.name}: its configuration has other fields than at that run ({fields}); install the version of "
            "the plugin that made it"
        )
