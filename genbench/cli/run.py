"""``genbench run``: the matrix of models and seeds, trained, scored and shown."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_executors, complete_models, complete_seeds
from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    load_registry,
    print_json,
    reference_option,
    results_option,
    say,
    weights_option,
)

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.matrix import Rerun
    from genbench.plugins import Registry
    from genbench.record import Record

SEED_DIGITS = 10
MOST_SEEDS = 10_000
"""In a range such as ``0-4``."""
SHOWN = 40
"""Characters of what was typed that an error repeats."""


def _parse_seeds(ctx: click.Context, param: click.Parameter, value: str | None) -> list[int] | None:
    """``0,1,2`` or ``0-4``, or both, as a sorted list of distinct seeds."""
    if value is None:
        return None
    seeds: set[int] = set()
    for part in value.split(","):
        first, dash, last = part.partition("-")
        ends = [first, last] if dash else [first, first]
        # Python makes no number of thousands of digits; a benchmark's seeds have ten at most.
        if not all(end.isdecimal() and len(end) <= SEED_DIGITS for end in ends):
            raise _no_seeds(value, ctx, param)
        low, high = map(int, ends)
        if high - low not in range(MOST_SEEDS):
            raise _no_seeds(value, ctx, param)
        seeds.update(range(low, high + 1))
    return sorted(seeds)


def _no_seeds(value: str, ctx: click.Context, param: click.Parameter) -> click.BadParameter:
    shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
    return click.BadParameter(f"{shown!r} is no list of seeds; write 0,1,2 or 0-4", ctx, param)


def _parse_checkpoint(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Seconds; NaN and infinity would pass for a number of them."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of seconds", ctx, param)
    return value


@click.command("run")
@click.argument("models", nargs=-1, metavar="[MODEL]...", shell_complete=complete_models)
@click.option("--all", "everything", is_flag=True, help="All installed models.")
@benchmark_option
@click.option(
    "--seeds",
    callback=_parse_seeds,
    metavar="SEEDS",
    shell_complete=complete_seeds,
    help="Some of the benchmark's seeds only: 0,1,2 or 0-4.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Runs side by side; by default as many as cores, or devices, or a cluster's nodes have room for.",
)
@click.option(
    "--executor",
    default="local",
    metavar="NAME",
    shell_complete=complete_executors,
    help="What carries out the runs: local (by default), ray, or one of a plugin.",
)
@click.option(
    "--executor-option",
    "executor_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Told to the executor, such as address=auto to ray; may be given several times.",
)
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
@click.option("--dry-run", is_flag=True, help="Print the matrix, what its runs get and may take, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON on stdout instead of the table.")
def command(
    models: tuple[str, ...],
    everything: bool,
    benchmark: str,
    seeds: list[int] | None,
    jobs: int | None,
    executor: str,
    executor_options: tuple[str, ...],
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
    differ: 'vae[latent=16]'. Or it is a Python file with a plugin in it, which need not be installed:
    ./my_model.py, './my_model.py[width=8]', or ./my_model.py:name where it registers several.

    Runs that are finished are kept and skipped; runs whose code or benchmark has changed since are moved to
    .superseded and done again. Ctrl-C ends what is running and keeps what is finished; the same command goes on
    from there. A second Ctrl-C does not wait.

    \b
    Examples:
      genbench run --all
      genbench run vae 'vae[latent=4]' --seeds 0-2
      genbench run my-model --dev --budget images=20000
      genbench run ./my_model.py --dev
      genbench run --all -b digits-smoke --jobs 1 --json
      genbench run --all --executor ray --results /shared/results
    """
    from genbench.calls import execute, make_call, records_of
    from genbench.cli.dry_run import print_matrix
    from genbench.executors.interface import parse_options
    from genbench.report.live import live_view
    from genbench.selection import load_benchmark, parse_budget
    from genbench.signals import Signals
    from genbench.store import Store
    from genbench.supplies import supplied

    registry = load_registry()
    chosen = supplied(load_benchmark(registry, benchmark, dev, parse_budget(budget)), weights, reference)
    call = make_call(
        registry,
        chosen,
        Store(results),
        models,
        everything,
        seeds,
        rerun,
        dry_run,
        jobs=jobs,
        checkpoint=checkpoint,
        executor=executor,
        executor_options=parse_options(executor_options),
    )
    if dry_run:
        print_matrix(call, as_json)
        return 0
    signals = Signals((signal.SIGINT, signal.SIGTERM), say)
    execute(
        call,
        registry,
        say,
        lambda todo, kept, side_by_side: live_view(
            registry, todo, kept, side_by_side, call.store.root, stopping=lambda: bool(signals.received)
        ),
        signals,
    )
    records = records_of(call, say)
    if as_json:
        print_json([asdict(record) for record in records])
    elif records:  # none where another harness does all of them
        _print_table(chosen, registry, records)
    if signals.received:
        return 128 + signals.received[0]
    return 0 if call.is_good(records) else 1


def _print_table(benchmark: Benchmark, registry: Registry, records: Sequence[Record]) -> None:
    from genbench.cli.table import print_leaderboard

    print_leaderboard(benchmark, registry, records)
