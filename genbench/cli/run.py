"""``genbench run``: the matrix of models and seeds, trained, scored and shown."""

from __future__ import annotations

import math
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    load_registry,
    print_json,
    reference_option,
    results_option,
    weights_option,
)
from genbench.errors import GenbenchError, NothingSelected, StoreError
from genbench.report.printable import printable

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.executors.local import LocalExecutor
    from genbench.matrix import PlannedRun, Rerun
    from genbench.plugins import Registry
    from genbench.record import Record
    from genbench.store import Store


def _parse_seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """``0,1,2`` or ``0-4``, or both, as a sorted list of distinct seeds."""
    if value is None:
        return None
    seeds: set[int] = set()
    for part in value.split(","):
        first, dash, last = part.partition("-")
        if (
            not first.isdecimal()
            or (dash and not last.isdecimal())
            or int(last or first) - int(first) not in range(10**4)
        ):
            raise click.BadParameter(f"{value!r} is no list of seeds; write 0,1,2 or 0-4", ctx, param)
        seeds.update(range(int(first), int(last or first) + 1))
    return sorted(seeds)


def _parse_checkpoint(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Seconds; NaN and infinity would pass for a number of them."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of seconds", ctx, param)
    return value


@click.command("run")
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "everything", is_flag=True, help="All installed models.")
@benchmark_option
@click.option("--seeds", callback=_parse_seeds, help="Some of the benchmark's seeds only: 0,1,2 or 0-4.")
@click.option("--jobs", type=click.IntRange(1), help="Runs side by side; by default one a core.")
@click.option(
    "--checkpoint",
    type=click.FloatRange(0),
    callback=_parse_checkpoint,
    metavar="SECONDS",
    help="Time between checkpoints of a training, at least; by default 10. With 0 after every step, which is for tests "
    "and can more than double the time that a run takes.",
)
@results_option
@dev_option
@budget_option
@weights_option
@reference_option
@click.option("--rerun", type=click.Choice(["failed", "all"]), help="Also do again what has failed, or everything.")
@click.option("--dry-run", is_flag=True, help="Print the matrix and its budget, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON on stdout instead of the table.")
def command(
    models: tuple[str, ...],
    everything: bool,
    benchmark: str,
    seeds: list[int] | None,
    jobs: int | None,
    checkpoint: float | None,
    results: Path,
    dev: bool,
    budget: tuple[str, ...],
    weights: tuple[Path, ...],
    reference: tuple[Path, ...],
    rerun: Rerun | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Train MODELs under the benchmark's budget and seeds, score them, and print the table.

    A MODEL is a name from `genbench list models`, with options in brackets where its configuration is to
    differ: 'dcgan[width=128]'. Runs that are finished are kept and skipped; runs whose code or benchmark has
    changed since are moved to .superseded and done again. Ctrl-C ends what is running and keeps what is
    finished; the same command goes on from there. A second Ctrl-C does not wait.

    \b
    Examples:
      genbench run --all
      genbench run vae 'vae[latent=4]' --seeds 0-2
      genbench run my-model --dev --budget images=20000
      genbench run --all -b digits-smoke --jobs 1 --json
    """
    from genbench.matrix import choose, plan
    from genbench.selection import load_benchmark, parse_budget, select_model
    from genbench.store import Store
    from genbench.supplies import supplied

    registry = load_registry()
    chosen = supplied(load_benchmark(registry, benchmark, dev, parse_budget(budget)), weights, reference)
    if everything:
        models = (*sorted(registry.models), *(model for model in models if model not in registry.models))
    if not models:
        raise NothingSelected("no model is selected; name some (see `genbench list models`), or use --all")
    # By their canonical names: one model may have been named in two spellings.
    selected = {model.name: model for model in (select_model(registry, text) for text in models)}
    entries = choose(chosen, selected.values())
    picked = _seeds(chosen, seeds)
    store = Store(results)
    if not dry_run:
        store.check_writable()
        store.sweep()
    runs = plan(store, chosen, entries, picked, rerun)
    if dry_run:
        _print_matrix(chosen, runs, store, as_json)
        return 0
    if rerun is None:
        _refuse_newer(store, runs)

    interrupted = _execute(registry, chosen, runs, store, jobs, checkpoint)
    records = _records(store, runs)
    if as_json:
        print_json([asdict(record) for record in records])
    else:
        _print_table(chosen, registry, records)
    if interrupted is not None:
        return interrupted
    # A model that `--all` brought along and that declares itself unfit for the data is no failure.
    fine = ("ok", "unsupported") if everything else ("ok",)
    return 0 if len(records) == len(runs) and all(record.status in fine for record in records) else 1


def _seeds(benchmark: Benchmark, wanted: Sequence[int] | None) -> list[int]:
    if wanted is None:
        return benchmark.file.seeds
    unknown = sorted(set(wanted) - set(benchmark.file.seeds))
    if unknown:
        raise GenbenchError(f"--seeds: {benchmark.name} has the seeds {benchmark.file.seeds}, not {unknown}")
    return list(wanted)


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


def _records(store: Store, runs: Sequence[PlannedRun]) -> list[Record]:
    """The records that there are; of those that can't be read it is told why."""
    from genbench.errors import RecordError

    records = []
    for run in runs:
        try:
            record = store.read(run.key)
        except RecordError as error:
            # Its run was not begun, as after Ctrl-C, or somebody has changed the record since.
            click.echo(printable(f"{run.key}: its record is unreadable ({error}); it is passed over"), err=True)
        else:
            records += [record] if record is not None else []
    return records


def _print_matrix(benchmark: Benchmark, runs: Sequence[PlannedRun], store: Store, as_json: bool) -> None:
    """What would be done: each run and why, and the most that it may cost."""
    from genbench.interrupted import going_on

    budget, adopting = benchmark.budget, going_on(store.root, runs, benchmark)
    if as_json:
        planned = [
            {
                "run": str(run.key),
                "state": run.state,
                "goes_on": run.key in adopting,
                "unsupported": run.entry.unsupported,
                "problem": run.problem or run.entry.problem,
            }
            for run in runs
        ]
        benchmark_document = {"name": benchmark.folder, "digest": benchmark.digest}
        print_json({"benchmark": benchmark_document, "budget": asdict(budget), "runs": planned})
        return
    flops = "no FLOP limit" if budget.flops is None else f"{budget.flops / 1e12:g} TFLOP"
    click.echo(
        f"{benchmark.folder} (digest {benchmark.digest}): {budget.images:,} images or {flops} a run, at most "
        f"{budget.seconds:g} s of training on {budget.threads} thread(s) of {budget.device}"
    )
    width = max(len(str(run.key)) for run in runs)
    for run in runs:
        state: str = run.state
        if run.entry.unsupported:
            state = f"unsupported: {run.entry.unsupported}"
        elif run.key in adopting:
            state = "interrupted; goes on" if run.state in ("new", "retry") else f"{run.state}, interrupted; goes on"
        if (problem := run.problem or run.entry.problem) is not None:
            state += f": {problem}"
        click.echo(f"  {printable(str(run.key)):{width}}  {printable(state)}")
    todo = [run for run in runs if run.state != "done"]
    click.echo(
        f"{len(todo)} of {len(runs)} runs to do; at most {len(todo) * budget.seconds / 3600:.1f} hours of training "
        "one after another"
    )


def _execute(
    registry: Registry,
    benchmark: Benchmark,
    runs: Sequence[PlannedRun],
    store: Store,
    jobs: int | None,
    checkpoint: float | None,
) -> int | None:
    """Do what is to be done; returns 130 or 143 if a signal ended it early, else None."""
    todo = [run for run in runs if run.state != "done"]
    kept = len(runs) - len(todo)
    if not todo:
        click.echo(f"All {kept} runs are done already; --rerun failed or --rerun all does them again.", err=True)
        return None
    from genbench.cli.data import announce_download
    from genbench.executors.launcher import Launcher
    from genbench.executors.local import LocalExecutor
    from genbench.executors.prepare import default_jobs, make_context
    from genbench.executors.supervision import Killed
    from genbench.interrupted import going_on
    from genbench.report.live import live_view

    stale = Counter(run.key.model for run in todo if run.state == "stale")
    for model, count in stale.items():
        click.echo(
            f"{model}: its code, configuration or benchmark has changed since {count} of its runs; they are run again "
            "and the old records move to .superseded",
            err=True,
        )
    for run in todo:
        if run.state == "unreadable":
            click.echo(
                printable(
                    f"{run.key}: its record is unreadable ({run.problem}); it moves to .quarantine and is run again"
                ),
                err=True,
            )
    if adopting := going_on(store.root, todo, benchmark):
        them = (
            "1 run goes on from where it was"
            if len(adopting) == 1
            else f"{len(adopting)} runs go on from where they were"
        )
        click.echo(f"{them} interrupted, unless another genbench is at work there", err=True)
    with Launcher(benchmark.budget.threads, scoring=True) as launcher:
        announce_download(benchmark.dataset)
        context = make_context(registry, benchmark, store, launcher, checkpoint)
        executor = LocalExecutor(launcher, jobs or default_jobs(benchmark.budget.threads))
        with (
            _signals(executor) as received,
            live_view(registry, todo, kept, executor.jobs, stopping=lambda: bool(received)) as observer,
        ):
            try:
                executor.execute(todo, context, observer)
            except Killed:
                click.echo("Quit at once; the same command goes on from the last checkpoints.", err=True)
    return 128 + received[0] if received else None


@contextmanager
def _signals(executor: LocalExecutor) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM ends the runs in order; a second one does not wait for them."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            executor.kill()
            return
        executor.cancel()
        click.echo(
            "Stopping: what is running ends now, what is finished is kept; the same command goes on from the last "
            "checkpoints. Once more to quit at once.",
            err=True,
        )

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_table(benchmark: Benchmark, registry: Registry, records: Sequence[Any]) -> None:
    from genbench.cli.table import print_leaderboard

    print_leaderboard(benchmark, registry, records)
