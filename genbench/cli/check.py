"""``genbench check``: does a model keep its contract?"""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from genbench.cli.completing import complete_models
from genbench.cli.options import benchmark_option, json_option, load_registry, print_json
from genbench.report.printable import printable, printable_lines

COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow", "not asked": None}
MOST_WIDTH = 116
"""Of what is told of a failure, on a terminal that is wider."""

Results = Sequence[Mapping[str, Any]]


@click.command("check")
@click.argument("model", metavar="MODEL|FILE", shell_complete=complete_models)
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

    MODEL is an installed model, with options in brackets if you like, or a Python file with a plugin in it, as for
    `genbench run`. Each check takes a few training steps; all of them take seconds. They run in a process of their own
    within the benchmark's limits of time and memory, and a check in which that ends has failed. Each failure says what
    was promised, what was measured, where, the likely cause, and where to read more. Exit status 3 if one fails. In a
    plugin's own tests, genbench.testing.parametrize_with_checks asks the same.

    \b
    Examples:
      genbench check dcgan
      genbench check 'my-model[width=8]' -b digits-smoke
      genbench check ./my_model.py
      genbench check ./my_models.py:flow
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
    results, missing = course.results, course.checks - len(course.results)
    if as_json:
        print_json(results)
    else:
        _print(f"{selected.name} on {benchmark}", results, missing)
    if course.lost is not None:
        raise HarnessError(f"{selected.name}: the checks came to no end: {course.lost}")
    if not as_json:
        click.echo(_next_step(model, benchmark, results, missing))
    return 3 if _failed(results) else 0


def _tell_group(group: str) -> None:
    """For a person who waits."""
    if sys.stderr.isatty():
        click.echo(f"checking {group} ...", err=True)


def _print(what: str, results: Results, missing: int) -> None:
    """A line a group, each failure and each remark in full, why checks were skipped, and the sum.

    Args:
        missing: the number of checks that were not come to.
    """
    for group, members in groupby(results, lambda result: result["group"]):
        found = list(members)
        click.echo(f"{group:13} {_counts(map(_verdict, found))}")
        for result in found:
            if result["verdict"] == "failed":
                _print_failure(result)
            elif result["verdict"] == "passed" and result["message"]:
                _print_remark(result)
        reasons = Counter(result["message"] for result in found if _verdict(result) == "skipped")
        for reason, count in reasons.items():
            click.echo(f"  {click.style('skipped', fg='yellow')} {count}: {printable(reason)}")
    seconds = sum(result["seconds"] for result in results)
    verdicts = [*map(_verdict, results), *["not asked"] * missing]
    click.echo(f"\n{what}: {_counts(verdicts)} in {seconds:.1f} s")


def _next_step(model: str, benchmark: str, results: Results, missing: int) -> str:
    """What to do now: what to mend first, or how to train the model."""
    typed = shlex.quote(model)
    if not _failed(results):
        return f"Next: genbench run {typed} --dev -b {shlex.quote(benchmark)}, scored on a fold of the training data"
    first = _failed(results)[0]
    unasked = missing + sum(_verdict(result) == "not asked" for result in results)
    rest = ""
    if unasked:
        rest = f"; {unasked} {'check' if unasked == 1 else 'checks'} could not be asked so far"
    where = f" ({first['where']})" if first["where"] else ""
    return f"Next: mend {first['name']}{where}, then genbench check {typed} -b {shlex.quote(benchmark)} again{rest}"


def _failed(results: Results) -> Results:
    return [result for result in results if result["verdict"] == "failed"]


def _verdict(result: Mapping[str, Any]) -> str:
    """As a person is told it: a check that could not be asked says nothing of the model, one that is skipped does."""
    blocked = result["verdict"] == "skipped" and result["message"].startswith("not asked")
    return "not asked" if blocked else str(result["verdict"])


def _print_failure(result: Mapping[str, Any]) -> None:
    from genbench.testing import explanation

    click.echo(f"  {click.style('FAILED', fg='red')} {result['name']}")
    for line in explanation(result):
        click.echo(_filled(line, 18))


def _print_remark(result: Mapping[str, Any]) -> None:
    click.echo(f"  {click.style('remark', fg='yellow')} {result['name']}")
    click.echo(_filled(result["message"], 4))


def _filled(line: str, indent: int) -> str:
    """A line folded to the terminal, its further ones behind ``indent`` spaces."""
    return textwrap.fill(
        printable_lines(line),
        min(MOST_WIDTH, shutil.get_terminal_size().columns),
        initial_indent=" " * 4,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _counts(verdicts: Iterable[str]) -> str:
    counts = Counter(verdicts)
    shown = (
        click.style(f"{counts[verdict]} {verdict}", fg=colour) for verdict, colour in COLOURS.items() if counts[verdict]
    )
    return ", ".join(shown)
