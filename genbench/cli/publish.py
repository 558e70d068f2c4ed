"""``genbench publish``: the leaderboard as a static page."""

from __future__ import annotations

from pathlib import Path

import click

from genbench.cli.options import benchmark_option, load_registry, results_option


@click.command("publish")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@benchmark_option
@results_option
def command(directory: Path, benchmark: str, results: Path) -> None:
    """Write the leaderboard of a benchmark into DIR as a static page, DIR/index.html.

    The page holds the table, a grid of samples of every model, what the metrics mean, where the runs took place
    and how to reproduce them. It needs no server and no network, and can be opened from disk. The table is
    written beside it as CSV, Markdown and JSON.

    DIR must be new, empty, or written by an earlier `genbench publish`, which is then replaced.

    \b
    Examples:
      genbench publish site/
      genbench publish site/digits -b digits --results results
    """
    from genbench.cli.table import read_leaderboard
    from genbench.report.site import write
    from genbench.selection import load_benchmark
    from genbench.store import Store

    registry = load_registry()
    store = Store(results)
    chosen = load_benchmark(registry, benchmark)
    board = read_leaderboard(store, chosen, registry, None, f"genbench run --all -b {benchmark}")
    definition = Path(benchmark) if benchmark.endswith(".toml") else None
    for problem in write(board, store, directory, definition=definition):
        click.echo(f"Warning: {problem}", err=True)
    click.echo(f"{directory / 'index.html'}: {len(board.rows)} models on {chosen.name}")
