"""A command called failures, and an observer that keeps the log of every failed run: a plugin in one file."""

import os
import shutil
from pathlib import Path

import click

from genbench import hookimpl

KEEP = "GENBENCH_FAILURES"


@click.command("failures")
@click.option("--results", type=click.Path(path_type=Path), default="results", envvar="GENBENCH_RESULTS")
def failures(results):
    """List the runs that failed, with their reasons. Exit status 5 if there is none."""
    from genbench import load_results  # pandas is imported here, not by every genbench command

    frame = load_results(results)
    failed = frame[~frame["status"].isin(["ok", "unsupported"])].drop_duplicates(["benchmark", "model", "seed"])
    for row in failed.itertuples():
        click.echo(f"{row.benchmark}/{row.model}/seed-{row.seed}: {row.status}: {row.reason}")
    return 0 if len(failed) else 5


@hookimpl
def register_commands():
    return [failures]


@hookimpl
def run_finished(record, folder):
    """Copy the log of a run that failed to the folder that ``GENBENCH_FAILURES`` names, if it names one."""
    kept, log = os.environ.get(KEEP), folder / "log.txt"
    if kept and record.status not in ("ok", "unsupported") and log.is_file():
        Path(kept).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, Path(kept) / f"{folder.parent.name}-{folder.name}.txt")
