"""``genbench table``: the leaderboard of a benchmark."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from genbench.cli.completing import complete_metrics, complete_model_lists
from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    division_option,
    load_registry,
    results_option,
)
from genbench.report.printable import json_text

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.leaderboard import Leaderboard
    from genbench.plugins import Registry
    from genbench.record import Record

FORMATS = ("rich", "md", "csv", "latex", "json")


@click.command("table")
@benchmark_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="rich",
    show_default=True,
    help="rich: for a terminal, fitted to its width. csv and json: unrounded. latex: for the package booktabs.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--sort",
    metavar="KEY",
    shell_complete=complete_metrics,
    help="Score or cost to sort by.  [default: fid, or the benchmark's first score]",
)
@click.option(
    "--columns",
    metavar="A,B,...",
    help="Keys of the columns to show, such as fid,is,train_seconds, or all; on a terminal that is too narrow, below "
    "each other. For rich, md and latex.  [default: all; on a terminal those that are read first, if it is too narrow]",
)
@click.option(
    "--models",
    metavar="A,B,...",
    shell_complete=complete_model_lists,
    help="Contenders to show: names with options, or patterns such as '*gan'. Ranks stay those of the whole table.",
)
@division_option
@click.option(
    "--verified",
    type=click.IntRange(0, 3),
    metavar="LEVEL",
    help="Show only contenders whose runs `genbench verify` has accepted at this level, 0 to 3, or a higher one.",
)
@results_option
@dev_option
@budget_option
def command(
    benchmark: str,
    format_: str,
    as_json: bool,
    sort: str | None,
    columns: str | None,
    models: str | None,
    division: Literal["closed", "open"],
    verified: int | None,
    results: Path,
    dev: bool,
    budget: tuple[str, ...],
) -> None:
    """Show the leaderboard of a benchmark: one row a model, its mean over seeds with a 95 % interval.

    Only records of the benchmark as it is now defined are used (records carry its digest); what is left out is
    told, with the reason. Reference points of the scale (train-copy, marginals, noise) stand apart, and are marked
    with a dagger. A model with failed or missing seeds shows how many are ok, has no interval, and stands last.

    Intervals are Student's t over seeds; of logarithms for FID, whose mean is then geometric. A number in
    parentheses is a rank, 1 + the number of contenders that are significantly better; ranks need 5 seeds. A
    likelihood behind <= is an upper bound on bits/dim; estimates that are no bounds have a column of their own and
    a ~. A likelihood that failed its audit is withheld; ! marks a number with a warning, such as of copying.

    --dev and --budget show the runs that were made with the same options. Those are no leaderboard.

    \b
    Examples:
      genbench table
      genbench table -b digits --sort bits_per_dim
      genbench table --columns fid,kid,train_seconds
      genbench table --models 'vae,*gan' --sort samples_per_second
      genbench table --format latex > table.tex
      genbench table --format csv | column -s, -t
      genbench table --json | jq '.rows[] | {model, fid: .scores.fid.mean}'
    """
    from genbench.collector import without_collector
    from genbench.results import Results
    from genbench.selection import load_benchmark, parse_budget
    from genbench.tables import read_leaderboard, selected

    format_ = "json" if as_json else format_
    if columns is not None and format_ in ("csv", "json"):
        raise click.UsageError(f"--columns is for the formats rich, md and latex; {format_} always has all columns")
    atexit.register(gc.freeze)  # what was read need not be looked through once more when the process ends
    with without_collector():
        registry = load_registry()
        chosen = load_benchmark(registry, benchmark, dev, parse_budget(budget), division)
        board = read_leaderboard(
            Results(results), chosen, registry, sort, _run_command(benchmark, dev, budget, division)
        )
        _show(selected(board, models, verified), format_, columns)


def print_leaderboard(benchmark: Benchmark, registry: Registry, records: Sequence[Record]) -> None:
    """The table of ``records`` on the terminal, as ``genbench run`` ends with."""
    from genbench.leaderboard import from_registry
    from genbench.results import Loaded

    _show(from_registry(benchmark, registry, Loaded(list(records), [])), "rich")


def _show(board: Leaderboard, format_: str, columns: str | None = None) -> None:
    from genbench.report import legend, text

    if format_ == "rich":
        from genbench.report.console import console
        from genbench.report.terminal import print_leaderboard

        print_leaderboard(board, console(), columns)
    elif format_ == "json":
        click.echo(json_text(text.document(board)))
    elif format_ == "csv":
        click.echo(text.comma_separated(board), nl=False)
        for line in legend.omissions(board):
            click.echo(line, err=True)
    else:
        board = board if columns is None else board.view(columns)
        click.echo(text.markdown(board) if format_ == "md" else text.latex(board), nl=False)


def _run_command(benchmark: str, dev: bool, budget: tuple[str, ...], division: str) -> str:
    if division == "open":
        return f"genbench submit --samples FILE -b {benchmark} --name NAME --reference TEXT -o DIR"
    return " ".join(["genbench run --all -b", benchmark, *["--dev"] * dev, *(f"--budget {item}" for item in budget)])
