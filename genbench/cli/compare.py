"""``genbench compare``: two models, two versions of one, or two results folders, metric by metric."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_contenders, complete_metrics
from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    division_option,
    json_option,
    load_registry,
    results_option,
)
from genbench.report.printable import json_text

if TYPE_CHECKING:
    from genbench.comparing import ComparisonReport
    from genbench.specs import Division


@click.command("compare")
@click.argument("a", shell_complete=complete_contenders)
@click.argument("b", shell_complete=complete_contenders)
@benchmark_option
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="SCORE",
    shell_complete=complete_metrics,
    help="Compare this score only, such as fid. May be repeated; p-values are corrected over those that are compared.",
)
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="A is the baseline and B the candidate: exit 3 if B is significantly worse in a ranked score, has a seed that "
    "is not ok where A's is, or lacks a score of A's or has a warning that A's has not; exit 5 if that can't be told.",
)
@results_option
@click.option(
    "--results-b",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the results of B, where it is another.  [default: that of A]",
)
@division_option
@dev_option
@budget_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(["rich", "md", "json"]),
    default="rich",
    show_default=True,
    help="rich: for a terminal, fitted to its width. md: for a comment on a pull request.",
)
@json_option
def command(
    a: str,
    b: str,
    benchmark: str,
    metrics: tuple[str, ...],
    fail_on_regression: bool,
    results: Path,
    results_b: Path | None,
    division: Division,
    dev: bool,
    budget: tuple[str, ...],
    format_: str,
    as_json: bool,
) -> int | None:
    """Compare the models A and B, as they stand in the results of one benchmark.

    For each metric: both means over seeds, their difference (the ratio, for scores on a log scale) with a 95 %
    interval, Welch's test with Holm's correction over the metrics tested, and the probability that a seed of A is
    better than one of B. A verdict needs 5 seeds of each; scores without a better or worse, tests of copying among
    them, have none. What was not measured in the same way is not compared, with the
    reason; a model with failed seeds is not tested, since the seeds that are left would flatter it.

    A and B are written as in the table, or as the Python file of a model that is not installed. MODEL@VERSION is a
    version of a model, also one that newer runs have superseded: VERSION is that of its plugin, or the first 6 hex
    digits or more of its code's hash. With --results-b they may be the same model of two folders. If A and B are
    results folders, all models in both are compared, with one correction over all tests.

    \b
    Examples:
      genbench compare dcgan wgan-gp
      genbench compare vae 'vae[latent=16]' --metric fid --metric bits_per_dim
      genbench compare my-model@1.2.0 my-model --fail-on-regression
      genbench compare my-model my-model --results baseline --results-b results
      genbench compare baseline/ results/ --json
    """
    from genbench.comparing import carry_out
    from genbench.selection import load_benchmark, parse_budget

    registry = load_registry()
    chosen = load_benchmark(registry, benchmark, dev, parse_budget(budget), division)
    report = carry_out(registry, chosen, a, b, results, results_b, metrics, fail_on_regression)
    _show(report, "json" if as_json else format_)
    return report.verdict.exit_code if report.verdict else None


def _show(report: ComparisonReport, format_: str) -> None:
    if format_ == "json":
        click.echo(json_text(report.document()))
    elif format_ == "md":
        click.echo(report.markdown(), nl=False)
    else:
        from genbench.report.comparison import print_report
        from genbench.report.console import console

        print_report(report, console())
