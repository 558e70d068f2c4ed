"""``genbench publish``: the leaderboards of a results folder as a static site."""

from __future__ import annotations

from pathlib import Path

import click

from genbench.cli.completing import complete_benchmarks
from genbench.cli.options import load_registry, results_option, say


@click.command("publish")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "-b",
    "--benchmark",
    "benchmarks",
    multiple=True,
    metavar="BENCHMARK",
    shell_complete=complete_benchmarks,
    help="Name of an installed benchmark, or the path of a .toml file. May be repeated.  [default: every benchmark "
    "that the results folder has runs of]",
)
@click.option(
    "--no-nearest",
    is_flag=True,
    help="Leave out the training examples nearest to each model's samples, which take the data and some seconds.",
)
@results_option
def command(directory: Path, benchmarks: tuple[str, ...], no_nearest: bool, results: Path) -> None:
    """Write the leaderboards of a results folder into DIR as a static site, DIR/index.html.

    There is a page for all benchmarks, one for each, one for each model and one for each run: tables, charts of
    quality against compute, samples, what the metrics mean, where the runs took place, and the commands that make
    them again. The site needs no server and no network, and can be opened from disk. Each table is written beside its
    page as CSV, Markdown, LaTeX and JSON.

    DIR must be new, empty, or written by an earlier `genbench publish`, whose files are then replaced; other files in
    it, such as .git, are left alone.

    \b
    Examples:
      genbench publish site/
      genbench publish site/ -b digits -b ./mine.toml --results results
    """
    from genbench.publishing import publish
    from genbench.store import Store

    told = publish(load_registry(), Store(results), directory, benchmarks, not no_nearest, say)
    click.echo(f"{directory / 'index.html'}: {', '.join(told)}")
