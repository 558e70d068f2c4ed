"""``genbench check``: does a model keep its contract?"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from itertools import groupby
from typing import Any

import click

from genbench.cli.options import benchmark_option, json_option, load_registry, print_json
from genbench.report.printable import printable, printable_lines

COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}
WIDTH = 116


@click.command("check")
@click.argument("model", metavar="MODEL|FILE")
@benchmark_option
@click.option(
    "--seconds",
    type=click.FloatRange(1.0, 1e6),
    metavar="S",
    help="Time for all checks together; by default that of the benchmark's budget with its grace.",
)
@json_option
def command(model: str, benchmark: str, seconds: float | None, as_json: bool) -> int:
    """Check MODEL against the contract of genbench.model, on the data of a benchmark.

    MODEL is an installed model, with options in brackets if you like, or the path of a Python file with a plugin
    in it that registers one model. Each check takes a few training steps; all of them take seconds. They run in a
    process of their own within the benchmark's limits of time and memory, and a check in which that ends has
    failed. Exit status 3 if one fails. In a plugin's own tests, genbench.testing.parametrize_with_checks asks the
    same.

    \b
    Examples:
      genbench check dcgan
      genbench check 'my-model[width=8]' -b digits-smoke
      genbench check ./my_model.py
    """
    from genbench.executors.checking import carry_out_checks
    from genbench.executors.launcher import HarnessError
    from genbench.executors.task import task
    from genbench.selection import load_benchmark
    from genbench.testing import select

    registry = load_registry()
    selected = select(registry, model)
    with task(registry, load_benchmark(registry, benchmark), selected, seed=0) as prepared:
        course = carry_out_checks(prepared, seconds, _tell_group)
    results = course.results
    if as_json:
        print_json(results)
    else:
        _print(f"{selected.name} on {benchmark}", results, course.checks - len(results))
    if course.lost is not None:
        raise HarnessError(f"{selected.name}: the checks came to no end: {course.lost}")
    return 3 if any(result["verdict"] == "failed" for result in results) else 0


def _tell_group(group: str) -> None:
    """For a person who waits."""
    if sys.stderr.isatty():
        click.echo(f"checking {group} ...", err=True)


def _print(what: str, results: list[dict[str, Any]], missing: int) -> None:
    """A line a group, each failure in full, and why checks were skipped.

    Args:
        missing: the number of checks that were not come to.
    """
    for group, members in groupby(results, lambda result: result["group"]):
        found = list(members)
        click.echo(f"{group:13} {_counts(found)}")
        for result in found:
            if result["verdict"] == "failed":
                _print_failure(result)
        reasons = Counter(result["message"] for result in found if result["verdict"] == "skipped")
        for reason, count in reasons.items():
            click.echo(f"  {click.style('skipped', fg='yellow')} {count}: {printable(reason)}")
    seconds = sum(result["seconds"] for result in results)
    rest = f", {missing} not asked" if missing else ""
    click.echo(f"\n{what}: {_counts(results)}{rest} in {seconds:.1f} s")


def _print_failure(result: dict[str, Any]) -> None:
    from genbench.testing import explanation

    click.echo(f"  {click.style('FAILED', fg='red')} {result['name']}")
    for line in explanation(result):
        click.echo(textwrap.fill(printable_lines(line), WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 18))


def _counts(results: list[dict[str, Any]]) -> str:
    counts = Counter(result["verdict"] for result in results)
    shown = (click.style(f"{counts[verdict]} {verdict}", fg=COLOURS[verdict]) for verdict in COLOURS if counts[verdict])
    return ", ".join(shown)
