"""``genbench list``: what is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from genbench.cli.options import json_option, load_registry, print_json

if TYPE_CHECKING:
    from genbench.listings import Kind

KINDS = ("models", "benchmarks", "datasets", "evaluators", "metrics", "plugins")


@click.command("list")
@click.argument(
    "what",
    type=click.Choice(KINDS),
    default="models",
)
@click.option("--probe", is_flag=True, help="Probe plugins of others again, whatever an earlier probe has found.")
@json_option
def command(what: Kind, probe: bool, as_json: bool) -> None:
    """List what is installed: models, benchmarks, datasets, evaluators, metrics or plugins.

    Plugins that can't be used are listed with the cause. Nothing is trained or downloaded, and PyTorch is not
    imported. A plugin of another distribution is first loaded by a process of its own, under a time limit; what
    comes of that is remembered until the plugin changes.

    \b
    Examples:
      genbench list                      models
      genbench list benchmarks
      genbench list plugins              also those that do not work, and why
      genbench list plugins --probe      and ask each of them again
      genbench list models --json | jq -r '.[].name'
    """
    from genbench.listings import listing

    if probe:
        from genbench.verdicts import forget

        forget()
    found = listing(load_registry(), what)
    if as_json:
        print_json(list(found))
        return
    from genbench.report.console import console, print_table

    if not found:
        click.echo(f"No {what} installed.")
        return
    styles = ["red" if entry.get("problem") else "" for entry in found]
    print_table(console(), found.rows(), found.header, styles)
