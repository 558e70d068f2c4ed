"""``genbench check``: does a model keep its contract?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.options import benchmark_option, json_option, load_registry, print_json
from genbench.errors import GenbenchError, VerificationFailed

if TYPE_CHECKING:
    from genbench.plugins import Registry
    from genbench.selection import SelectedModel

SIGNS = {"passed": ("ok", "green"), "failed": ("FAILED", "red"), "skipped": ("skipped", "yellow")}


@click.command("check")
@click.argument("model", metavar="MODEL|FILE")
@benchmark_option
@json_option
def command(model: str, benchmark: str, as_json: bool) -> int:
    """Check MODEL against the contract of genbench.model, on the data of a benchmark.

    MODEL is an installed model, with options in brackets if you like, or the path of a Python file with a plugin
    in it that registers one model. Each check takes a few training steps; all of them take seconds. Exit status
    3 if one fails.

    \b
    Examples:
      genbench check dcgan
      genbench check 'my-model[width=8]' -b digits-smoke
      genbench check ./my_model.py
    """
    from genbench.executors.launcher import HarnessError
    from genbench.executors.task import task
    from genbench.selection import load_benchmark

    registry = load_registry()
    selected = _select(registry, model)
    with task(registry, load_benchmark(registry, benchmark), selected, seed=0) as prepared:
        budget = prepared.job.budget
        try:
            results: list[dict[str, Any]] = prepared.call("check", seconds=budget.seconds + budget.grace)
        except HarnessError as error:
            raise VerificationFailed(f"{selected.name}: the checks came to no end: {error}") from None
    failed = [result for result in results if result["verdict"] == "failed"]
    if as_json:
        print_json(results)
    else:
        _print(selected.name, benchmark, results)
    return 3 if failed else 0


def _select(registry: Registry, model: str) -> SelectedModel:
    from genbench.plugins import add_file
    from genbench.selection import select_model

    if not model.endswith(".py"):
        return select_model(registry, model)
    plugin = add_file(registry, Path(model))
    names = [name for name, entry in registry.models.items() if entry.plugin is plugin]
    if len(names) != 1:
        raise GenbenchError(f"{model}: registers {len(names)} models ({', '.join(names) or 'none'}), not one")
    return select_model(registry, names[0])


def _print(model: str, benchmark: str, results: list[dict[str, Any]]) -> None:
    for result in results:
        sign, colour = SIGNS[result["verdict"]]
        click.echo(f"{click.style(f'{sign:8}', fg=colour)} {result['promise']}")
        if result["message"]:
            click.echo(f"         {result['name']}: {result['message']}")
    counts = {verdict: sum(result["verdict"] == verdict for result in results) for verdict in SIGNS}
    click.echo(f"\n{model} on {benchmark}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
