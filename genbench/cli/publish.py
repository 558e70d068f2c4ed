"""``genbench publish``: the leaderboards of a results folder as a static site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_benchmarks
from genbench.cli.options import load_registry, results_option
from genbench.errors import NothingSelected

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.report.site import Entry
    from genbench.store import Store


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
    from genbench.report.site import write
    from genbench.store import Store

    registry = load_registry()
    store = Store(results)
    published: list[str] = []
    entries = _entries(store, registry, benchmarks, published)
    for problem in write(entries, store, directory, registry, nearest=not no_nearest):
        click.echo(f"Warning: {problem}", err=True)
    click.echo(f"{directory / 'index.html'}: {', '.join(published)}")


def _entries(store: Store, registry: Registry, benchmarks: tuple[str, ...], published: list[str]) -> Iterator[Entry]:
    """What is to be published, one leaderboard at a time; ``published`` grows by what each holds.

    Raises:
        NothingSelected: if there is nothing.
    """
    from genbench.leaderboard import from_registry
    from genbench.report import legend
    from genbench.report.site import Entry

    missing = []
    for benchmark, definition in _benchmarks(store, registry, benchmarks):
        loaded = store.load(benchmark.folder)
        scale = store.load(benchmark.name) if benchmark.division == "open" else None
        board = from_registry(benchmark, registry, loaded, scale=scale)
        if not loaded.records or not board.rows:
            name = definition or benchmark.name
            lines = [f"no results of {benchmark.folder} in {store.root}; get some with `genbench run --all -b {name}`"]
            missing.append("\n".join([*lines, *legend.omissions(board)]))
            continue
        published.append(f"{len(board.rows)} model{'s' * (len(board.rows) > 1)} on {benchmark.folder}")
        yield Entry(board, loaded.verifications, definition)
    if not published:
        raise NothingSelected(
            "\n".join(missing) or f"no results in {store.root}; get some with `genbench run --all -b digits`"
        )
    for line in missing:
        click.echo(f"Warning: {line}", err=True)


def _benchmarks(
    store: Store, registry: Registry, benchmarks: tuple[str, ...]
) -> Iterator[tuple[Benchmark, Path | None]]:
    """The benchmarks that are named, or those of all folders of results, each with its file if it is not installed.

    Both divisions of a benchmark are published; what is not installed, and runs of --dev and --budget, are told.
    """
    from genbench.selection import load_benchmark

    folders = store.benchmarks()
    for text in benchmarks:
        definition = Path(text) if text.endswith(".toml") else None
        yield load_benchmark(registry, text), definition
        opened = load_benchmark(registry, text, division="open")
        if opened.folder in folders:
            yield opened, definition
    for folder in [] if benchmarks else folders:
        name, _, variant = folder.partition("+")
        if variant not in ("", "open"):
            click.echo(f"{folder}: not published: runs of --dev and --budget never are", err=True)
            continue
        if name not in registry.benchmarks:
            click.echo(
                f"Warning: {folder}: not published: no such benchmark is installed; -b takes its .toml file", err=True
            )
            continue
        yield load_benchmark(registry, name, division="open" if variant else "closed"), None
