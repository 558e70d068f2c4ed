"""``genbench compare``: two models, metric by metric."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    json_option,
    load_registry,
    results_option,
)
from genbench.errors import GenbenchError, NothingSelected
from genbench.report.printable import json_text

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.comparison import Side
    from genbench.store import Store


@click.command("compare")
@click.argument("a")
@click.argument("b")
@benchmark_option
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="SCORE",
    help="Compare this score only, such as fid. May be repeated; p-values are corrected over those that are compared.",
)
@results_option
@click.option(
    "--results-b",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the results of B, where it is another.  [default: that of A]",
)
@dev_option
@budget_option
@json_option
def command(
    a: str,
    b: str,
    benchmark: str,
    metrics: tuple[str, ...],
    results: Path,
    results_b: Path | None,
    dev: bool,
    budget: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare the models A and B, as they stand in the results of one benchmark.

    For each metric: both means over seeds, their difference (the ratio, for scores on a log scale) with a 95 %
    interval, Welch's test with Holm's correction over the metrics tested, and the probability that a seed of A is
    better than one of B. A verdict needs 5 seeds of each; scores without a better or worse, tests of copying among
    them, have none. What was not measured in the same way is not compared,
    with the reason; a model with failed seeds is not tested, since the seeds that are left would flatter it.

    A and B are written as in the table. With --results-b they may be the same model of two folders.

    \b
    Examples:
      genbench compare dcgan wgan-gp
      genbench compare vae 'vae[latent=16]' -b digits --metric fid --metric bits_per_dim
      genbench compare dcgan dcgan --results-b other/results --json
    """
    from genbench.columns import columns_of
    from genbench.comparison import compare
    from genbench.leaderboard import anchors_of, metrics_of
    from genbench.report.legend import shortened
    from genbench.selection import load_benchmark, parse_budget
    from genbench.store import Store

    registry = load_registry()
    chosen = load_benchmark(registry, benchmark, dev, parse_budget(budget))
    specs, plugins = metrics_of(chosen, registry)
    known = [column.key for column in columns_of(chosen, specs, plugins, ())]
    for metric in metrics:
        if metric not in known:
            raise GenbenchError.unknown(f"score of {chosen.name}", metric, known)
    if a == b and results_b is None:
        raise click.UsageError(f"A and B are both {a!r}; name two models, or a second folder with --results-b")
    known_points = anchors_of(registry)
    left = _side(Store(results), chosen, a, results_b is not None, known_points)
    right = _side(Store(results_b or results), chosen, b, results_b is not None, known_points)
    comparison = compare(chosen, specs, left, right, plugins, metrics)
    if not comparison.metrics:
        reasons = ["  " + shortened(f"{entry.title}: {entry.reason}") for entry in comparison.refused]
        lines = [f"{left.name} and {right.name} have no score that can be compared", *reasons]
        raise NothingSelected("\n".join(lines))
    if as_json:
        from genbench.report.comparison import document

        click.echo(json_text(document(comparison)))
        return
    from genbench.report.comparison import print_comparison
    from genbench.report.console import console

    print_comparison(comparison, console())


def _side(store: Store, benchmark: Benchmark, model: str, with_folder: bool, anchors: Sequence[str]) -> Side:
    """The records of a model, by the name that a person gives, options in any order.

    Raises:
        GenbenchError: if there is no such model, naming the nearest.
        NothingSelected: if the folder has no records, or none of this model belongs to the benchmark or is ok.
    """
    from genbench.comparison import side_of
    from genbench.report.legend import shortened
    from genbench.selection import model_string, parse_model

    loaded = store.load(benchmark.folder)
    known = {record.model.name for record in loaded.records}
    if not known:
        hint = f"get some with `genbench run --all -b {benchmark.name}`"
        raise NothingSelected(f"no results of {benchmark.folder} in {store.root}; {hint}")
    wanted = model if model in known else model_string(*parse_model(model))
    if wanted not in known:
        raise GenbenchError.unknown(f"model (in {store.root / benchmark.folder})", model, known)
    name = f"{wanted} ({store.root})" if with_folder else wanted
    side = side_of(benchmark, loaded, wanted, name, anchors)
    if not side.good:
        reasons = ["  " + shortened(f"{entry.run}: {entry.reason}") for entry in side.left_out]
        reasons += ["  " + shortened(f"{record.run}: {record.status}: {record.reason}") for record in side.records]
        raise NothingSelected("\n".join([f"{name} has no run that can be compared on {benchmark.folder}:", *reasons]))
    return side
