"""One call of ``genbench run`` or :func:`genbench.run`: from what was asked for to records.

Both are thin on top of this module: they read what a person gave them, and show what comes of it. What is said on the
way goes to ``say``, a line at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from genbench.errors import GenbenchError, NothingSelected, RecordError, StoreError
from genbench.report.printable import printable

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.executors.interface import Observer
    from genbench.matrix import PlannedRun, Rerun
    from genbench.plugins import Registry
    from genbench.record import Record
    from genbench.signals import Signals
    from genbench.store import Store

Say = Callable[[str], None]
MakeView = Callable[["Sequence[PlannedRun]", int, int], "AbstractContextManager[Observer]"]
"""Makes what is told of each run's life, from the runs to do, the number of those done before, and that of jobs."""


@dataclass(frozen=True)
class Call:
    """What is to be run, where it is written, and how it is carried out.

    Attributes:
        benchmark: with the files that a person gave for its evaluators.
        runs: the matrix, done runs among it, each with what is known of it.
        store: the results folder.
        everything: whether all installed models were asked for. One that declares itself unfit for the data is then
            no failure.
        jobs: runs side by side; None for as many as the executor has room for.
        checkpoint: seconds between checkpoints of a training, at least; None for the usual.
        executor: name of what carries it out, and ``executor_options`` what that is told.
    """

    benchmark: Benchmark
    runs: tuple[PlannedRun, ...]
    store: Store
    everything: bool = False
    jobs: int | None = None
    checkpoint: float | None = None
    executor: str = "local"
    executor_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def todo(self) -> list[PlannedRun]:
        """The runs that are not done."""
        return [run for run in self.runs if run.state != "done"]

    def is_good(self, records: Sequence[Record]) -> bool:
        """Whether ``records`` are those of all runs, and all of them are fine."""
        fine = ("ok", "unsupported") if self.everything else ("ok",)
        return len(records) == len(self.runs) and all(record.status in fine for record in records)


def make_call(
    registry: Registry,
    benchmark: Benchmark,
    store: Store,
    models: Sequence[str],
    everything: bool = False,
    seeds: Sequence[int] | None = None,
    rerun: Rerun | None = None,
    dry: bool = False,
    jobs: int | None = None,
    checkpoint: float | None = None,
    executor: str = "local",
    executor_options: Mapping[str, str] | None = None,
) -> Call:
    """The matrix of models and seeds, with what the results folder knows of each run.

    Args:
        models: as a person writes them, such as ``vae[latent=16]``; with ``everything``, in addition to all.
        seeds: None for the benchmark's own.
        rerun: what is done again although it has ended.
        executor, executor_options: the name of what carries it out, and what that is told.
        dry: look only. Otherwise the folder is written to, to prove that it can be, and what dead harnesses have left
            in it of runs that are over is removed.

    Raises:
        NothingSelected: if no model is named, or no seed.
        GenbenchError: for a model, option or seed that is not known.
        StoreError: if the results folder refuses, or holds a record that a newer genbench wrote.
    """
    from genbench.matrix import choose, plan
    from genbench.selection import select_model

    if everything:
        models = (*sorted(registry.models), *(model for model in models if model not in registry.models))
    registry.find("executors", executor)  # a misspelt one is told before anything else is done
    if not models:
        raise NothingSelected("no model is selected; name some (see `genbench list models`), or use --all")
    # By their canonical names: one model may have been named in two spellings.
    selected = {model.name: model for model in (select_model(registry, text) for text in models)}
    entries = choose(benchmark, selected.values())
    picked = _seeds(benchmark, seeds)
    if not dry:
        store.check_writable()
        store.sweep()
    runs = plan(store, benchmark, entries, picked, rerun)
    if not dry and rerun is None:
        _refuse_newer(store, runs)
    return Call(benchmark, tuple(runs), store, everything, jobs, checkpoint, executor, executor_options or {})


def execute(call: Call, registry: Registry, say: Say, view: MakeView, signals: Signals) -> None:
    """Do what is to be done; returns when all has ended, or what was running when a signal came.

    Raises:
        GenbenchError: if nothing can be run: no data, no weights, no space.
        HarnessError: if genbench's own processes can't be kept, or the executor does not do what it promised.
    """
    todo = call.todo
    kept = len(call.runs) - len(todo)
    if not todo:
        all_of_them = "The run is" if kept == 1 else f"All {kept} runs are"
        say(f"{all_of_them} done already; --rerun failed or --rerun all does them again.")
        return
    from genbench.executors.contract import contracted
    from genbench.executors.interface import Setting, find_executor
    from genbench.executors.supervision import Killed

    make_executor = find_executor(registry, call.executor)
    registered = registry.find("executors", call.executor)
    _announce(call, say)
    setting = Setting(registry, call.benchmark, call.store, call.jobs, call.checkpoint, call.executor_options, say)
    with (
        contracted(call.executor, registered, make_executor, setting) as executor,
        signals.stopping(executor),
        view(todo, kept, executor.jobs) as observer,
    ):
        try:
            executor.execute(todo, observer)
        except Killed:
            say("Quit at once; the same command goes on from the last checkpoints.")


def records_of(call: Call, say: Say) -> list[Record]:
    """The records of a call's runs.

    A record that can't be read is told with the reason. One that stood there before, of a run that was to be done again
    and was not, as after Ctrl-C, is no record of this call.
    """
    records, from_before = [], 0
    for run in call.runs:
        try:
            record = call.store.read(run.key)
        except RecordError as error:
            # Its run was not begun, as after Ctrl-C, or somebody has changed the record since.
            say(printable(f"{run.key}: its record is unreadable ({error}); it is passed over"))
            continue
        if record is not None and run.state != "done" and record == run.record:
            from_before += 1
        elif record is not None:
            records.append(record)
    if from_before:
        one = "1 run was not done again; its record from before stands, and is not shown here"
        many = f"{from_before} runs were not done again; their records from before stand, and are not shown here"
        say(one if from_before == 1 else many)
    return records


def _seeds(benchmark: Benchmark, wanted: Sequence[int] | None) -> list[int]:
    if wanted is None:
        return benchmark.file.seeds
    if not wanted:
        raise NothingSelected(f"no seed is selected; {benchmark.name} has the seeds {benchmark.file.seeds}")
    unknown = sorted(set(wanted) - set(benchmark.file.seeds))
    if unknown:
        raise GenbenchError(f"--seeds: {benchmark.name} has the seeds {benchmark.file.seeds}, not {unknown}")
    return sorted(set(wanted))


def _refuse_newer(store: Store, runs: Sequence[PlannedRun]) -> None:
    """A record that a newer genbench wrote is no broken one, to be set aside without being asked.

    Raises:
        StoreError: naming the first such run.
    """
    from genbench.newer import newer_schema
    from genbench.record import SCHEMA
    from genbench.store import RECORD

    unreadable = [run for run in runs if run.state == "unreadable"]
    found = {run.key: schema for run in unreadable if (schema := newer_schema(store.root / run.key.path / RECORD))}
    if found:
        key, schema = next(iter(found.items()))
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise StoreError(
            f"{key}{more}: its record was written by a newer genbench (schema {schema}; this one reads {SCHEMA}). "
            "Upgrade genbench, name another folder with --results, or give --rerun failed to set the record aside in "
            ".quarantine and do the run again"
        )


def _announce(call: Call, say: Say) -> None:
    """Which runs have a record that moves away, and which go on from where they were interrupted."""
    from genbench.interrupted import going_on

    stale = Counter(run.key.model for run in call.todo if run.state == "stale")
    for model, count in stale.items():
        say(
            f"{model}: its code, configuration or benchmark has changed since {count} of its runs; they are run again "
            "and the old records move to .superseded"
        )
    for run in call.todo:
        if run.state == "unreadable":
            told = f"{run.key}: its record is unreadable ({run.problem}); it moves to .quarantine and is run again"
            say(printable(told))
    if adopting := going_on(call.store.root, call.todo, call.benchmark):
        them = (
            "1 run goes on from where it was"
            if len(adopting) == 1
            else f"{len(adopting)} runs go on from where they were"
        )
        say(f"{them} interrupted, unless another genbench is at work there")
