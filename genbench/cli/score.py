"""``genbench score``: samples made by anything take the same road as those of a run."""

from __future__ import annotations

from pathlib import Path

import click

from genbench.cli.options import (
    benchmark_option,
    dev_option,
    json_option,
    load_registry,
    reference_option,
    weights_option,
)
from genbench.report.printable import json_text


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
    from genbench.scored import score_file
    from genbench.selection import load_benchmark
    from genbench.supplies import supplied

    registry = load_registry()
    found = score_file(registry, supplied(load_benchmark(registry, benchmark, dev), weights, reference), samples, name)
    click.echo(json_text(found.document()) if as_json else str(found))
