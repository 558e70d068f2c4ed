"""``genbench score``: samples made by anything take the same road as those of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genbench.cli.options import (
    benchmark_option,
    dev_option,
    json_option,
    load_registry,
    reference_option,
    weights_option,
)
from genbench.errors import GenbenchError
from genbench.report.printable import json_text, printable, printable_lines


@click.command("score")
@click.argument("samples", type=click.Path(path_type=Path))
@benchmark_option
@click.option("--name", default="samples", show_default=True, help="What to call them in the output.")
@dev_option
@weights_option
@reference_option
@json_option
def command(
    samples: Path,
    benchmark: str,
    name: str,
    dev: bool,
    weights: tuple[Path, ...],
    reference: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Score SAMPLES, an .npz, an .npy or a folder of PNGs, against a benchmark's held-out data.

    Arrays are uint8 of the benchmark's shape; an .npz holds them as `samples`, and may hold the classes that they were
    asked for as `labels`, which label accuracy and intra-class KID then judge. As many as the benchmark scores
    are taken, from the first on, since scores of another number can't be compared. The samples stand outside the
    table: nobody knows what was spent on them.

    \b
    Examples:
      genbench score samples.npz -b digits --name my-diffusion
      genbench score folder-of-pngs/ --json
    """
    from genbench.columns import columns_of
    from genbench.executors.task import task
    from genbench.leaderboard import metrics_of
    from genbench.selection import load_benchmark, select_model
    from genbench.supplies import supplied

    if not samples.exists():
        raise GenbenchError(f"{samples}: no such file or folder")
    registry = load_registry()
    chosen = supplied(load_benchmark(registry, benchmark, dev), weights, reference)
    # A task carries a model; what is scored here does not depend on it.
    with task(registry, chosen, select_model(registry, "noise"), seed=0) as prepared:
        found = prepared.call("score_file", samples=str(samples.resolve()))
    scores: dict[str, dict[str, Any]] = found["scores"]
    if as_json:
        click.echo(json_text({"name": name, "benchmark": {"name": chosen.folder, "digest": chosen.digest}, **found}))
        return
    specs, plugins = metrics_of(chosen, registry)
    columns = {column.key: column for column in columns_of(chosen, specs, plugins, scores)}
    titles = {key: column.title for key, column in columns.items()}
    width = max((len(titles.get(metric, metric)) for metric in scores), default=0)
    used = chosen.file.samples.n
    click.echo(f"{printable(name)} on {chosen.folder} (digest {chosen.digest}): {used} of {found['given']} samples")
    for metric, score in scores.items():
        better = columns[metric].better if metric in columns else score["direction"]
        remarks = [] if better == "none" else [f"{better} is better"]
        remarks += [f"may be copying: {score['flag']}"] if score["flag"] else []
        real = score["fingerprint"].get("real")
        if isinstance(real, int | float):
            remarks.append(f"real data {real:.4g}")
        beside = f"  ({'; '.join(remarks)})" if remarks else ""
        click.echo(printable_lines(f"  {titles.get(metric, metric):{width}}  {score['value']:.5g}{beside}"))
