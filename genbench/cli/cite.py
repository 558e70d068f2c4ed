"""``genbench cite``: what a table rests on, as BibTeX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.completing import complete_model_lists
from genbench.cli.options import (
    benchmark_option,
    division_option,
    json_option,
    load_registry,
    print_json,
    results_option,
)

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.bibliography import Bibliography
    from genbench.specs import Division


@click.command("cite")
@benchmark_option
@click.option(
    "--models",
    metavar="A,B,...",
    shell_complete=complete_model_lists,
    help="Cite these models only, with or without results; all: every installed one.  [default: those of the table]",
)
@results_option
@division_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the BibTeX to a file.  [default: print it]",
)
@json_option
def command(
    benchmark: str, models: str | None, results: Path, division: Division, output: Path | None, as_json: bool
) -> None:
    """Cite what a benchmark's table rests on: genbench, the data, the evaluators, the metrics and the models' papers.

    The models are those with records of the benchmark in the results folder, and their papers are those that the
    records name; the papers of models without results are those that are installed. Each work stands once, with a
    comment on what uses it, and its key stays the same from table to table.

    \b
    Examples:
      genbench cite -o references.bib
      genbench cite -b words --models ngram,transformer
      genbench cite --json | jq -r '.entries[].key'
    """
    from genbench.bibliography import bibtex
    from genbench.citing import cited
    from genbench.selection import load_benchmark
    from genbench.store import Store

    if as_json and output is not None:
        raise click.UsageError("--output is for BibTeX; --json goes to stdout")
    registry = load_registry()
    chosen = load_benchmark(registry, benchmark, division=division)
    found, any_model = cited(registry, chosen, Store(results), models)
    _tell(found, chosen, results, any_model)
    if as_json:
        print_json(_document(found, chosen))
    elif output is not None:
        output.write_text(bibtex(found, chosen), encoding="utf-8")
        click.echo(f"{len(found.entries) + 1} entries in {output}", err=True)
    else:
        click.echo(bibtex(found, chosen), nl=False)


def _tell(found: Bibliography, benchmark: Benchmark, results: Path, any_model: bool) -> None:
    """What is not in the bibliography as it ought to be, on stderr."""
    from genbench.bibliography import listed
    from genbench.report.printable import printable

    if not any_model:
        told = f"no results of {benchmark.folder} in {results}: no model is cited; --models names some"
        click.echo(printable(told), err=True)
    if found.without:
        click.echo(printable(f"no paper is named by {listed(found.without)}"), err=True)
    for each in found.unread:
        told = f"{each.comment}: not of the form AUTHORS, TITLE, YEAR, so that it is a note: {each.work.text}"
        click.echo(printable(told), err=True)


def _document(found: Bibliography, benchmark: Benchmark) -> dict[str, Any]:
    from dataclasses import asdict

    from genbench import __version__
    from genbench.bibliography import AUTHORS, TITLE, bibtex

    return {
        "benchmark": {"name": benchmark.name, "digest": benchmark.digest},
        "genbench": {"authors": list(AUTHORS), "title": TITLE, "version": __version__},
        "entries": [
            {"key": each.key, **asdict(each.work), "uses": [asdict(use) for use in each.uses]} for each in found.entries
        ],
        "without_reference": [asdict(use) for use in found.without],
        "not_of_the_form": [each.key for each in found.unread],
        "bibtex": bibtex(found, benchmark),
    }
