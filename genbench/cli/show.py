"""``genbench show``: one run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_runs
from genbench.cli.options import json_option, load_registry, results_option
from genbench.report.printable import json_text, printable

if TYPE_CHECKING:
    from genbench.record import Record


@click.command("show")
@click.argument("run", shell_complete=complete_runs)
@results_option
@json_option
def command(run: str, results: Path, as_json: bool) -> None:
    """Show all that is known of one RUN: scores, milestones, what was spent and where it ran, and the verdict of its
    likelihood audit; then what all seeds of its model say together.

    RUN is written BENCHMARK/MODEL/seed-SEED, or is the path of the run's folder. Failed runs are shown with
    their reason; the log beside the record has more.

    \b
    Examples:
      genbench show digits/dcgan/seed-0
      genbench show 'digits/vae[latent=16]/seed-3'
      genbench show results/digits/vae/seed-0 --json | jq .scores.fid
    """
    from genbench.runs import find_run

    folder, record = find_run(results, run)
    if as_json:
        click.echo(json_text({"folder": str(folder), **asdict(record)}))
        return
    from genbench.report.console import console
    from genbench.report.run import print_record, print_seeds, print_spelled
    from genbench.report.spelled import SPELLED, read_spelled

    metrics = load_registry().metrics
    copying = [name for name, entry in metrics.items() if entry.spec.group == "copying"]
    print_record(record, console(), copying)
    if SPELLED in record.artifacts:
        try:
            print_spelled(read_spelled(folder, record), console())
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or error
            click.echo(f"{printable(str(folder / SPELLED))} is not shown: {printable(str(why))}", err=True)
    log_scales = {name: entry.spec.log_scale for name, entry in metrics.items()}
    print_seeds(siblings(folder, record), log_scales, console())
    click.echo(f"\nFolder: {printable(str(folder))}")


def siblings(folder: Path, record: Record) -> list[Record]:
    """The readable records of all seeds of a run's model under the same definition, the run's own among them."""
    from genbench.errors import RecordError
    from genbench.store import RECORD, read_record

    found = []
    for path in folder.parent.glob(f"seed-*/{RECORD}"):
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            continue  # a link may lead anywhere, and a named pipe would be waited for
        try:
            other = read_record(path)
        except (RecordError, OSError):
            continue  # `genbench table` tells of it
        if (other.benchmark, other.model.name) == (record.benchmark, record.model.name):
            found.append(other)
    return sorted(found, key=lambda entry: entry.seed)
