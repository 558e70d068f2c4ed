"""``genbench reference``: statistics of the real data as files, to keep, to look at and to pass on."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from genbench.cli.completing import complete_evaluators
from genbench.cli.options import (
    benchmark_option,
    dev_option,
    json_option,
    load_registry,
    print_json,
    weights_option,
)
from genbench.errors import DataError
from genbench.report.printable import printable_lines


@click.group("reference")
def command() -> None:
    """Write the statistics of a benchmark's real data to a file, or say what is in such a file.

    They are cached by content anyway. A file lets others score against the very same numbers, with
    `genbench run --reference FILE` or `genbench score --reference FILE`, also where the evaluator would take hours.

    \b
    Examples:
      genbench reference export -b digits digits-test.safetensors
      genbench reference show digits-test.safetensors
    """


@command.command("export", short_help="Write reference statistics to a file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@benchmark_option
@dev_option
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="What models are scored against, or what they are trained on.",
)
@click.option(
    "--evaluator",
    metavar="NAME",
    shell_complete=complete_evaluators,
    help="Which of the benchmark's evaluators; by default the first.",
)
@weights_option
def export(file: Path, benchmark: str, dev: bool, split: str, evaluator: str | None, weights: tuple[Path, ...]) -> None:
    """Write what the benchmark's evaluator says of its real data to FILE, a safetensors file that says what it is.

    An earlier file of `genbench reference export` is replaced; any other file is left alone.
    """
    from genbench import paths
    from genbench.executors.launcher import Launcher
    from genbench.executors.prepare import make_context
    from genbench.selection import load_benchmark
    from genbench.store import Store
    from genbench.supplies import evaluators_of, supplied

    if not file.parent.is_dir():
        raise click.BadParameter(f"the folder {file.parent} does not exist", param_hint="FILE")
    _refuse_to_overwrite(file)
    registry = load_registry()
    chosen = supplied(load_benchmark(registry, benchmark, dev), weights)
    names = [spec.name for spec in evaluators_of(chosen)]
    if evaluator is not None and evaluator not in names:
        raise DataError.unknown(f"evaluator of {chosen.name}", evaluator, names)
    with tempfile.TemporaryDirectory(prefix="genbench-") as folder, Launcher(chosen.budget.threads) as launcher:
        context = make_context(registry, chosen, Store(Path(folder)), launcher)
        (spec,) = (spec for spec in evaluators_of(context.benchmark) if spec.name == (evaluator or names[0]))
        arguments = {
            "evaluator": asdict(spec),
            "data_sha256": chosen.dataset.sha256,
            "data_folder": context.data_folder,
            "dev": dev,
            "split": split,
            "threads": chosen.budget.threads,
            "cache": str(paths.reference_cache()),
            "target": str(file.resolve()),
        }
        launcher.call("genbench.engine.scoring.reference:export_reference", arguments)
    click.echo(_text(_describe(file)), err=True)


@command.command("show")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Check FILE and print what it was made of."""
    described = _describe(file)
    if as_json:
        print_json(described)
    else:
        click.echo(_text(described))


def _refuse_to_overwrite(file: Path) -> None:
    from genbench.reference_file import read_metadata

    if not file.exists():
        return
    try:
        read_metadata(file)
    except DataError:
        raise DataError(
            f"{file}: exists and holds no reference statistics, so it is not overwritten; give another name"
        ) from None


def _describe(file: Path) -> dict[str, Any]:
    from genbench.reference_file import read_metadata, read_reference

    reference = read_reference(file)
    (m, d), classes = reference.arrays.features.shape, reference.arrays.logits.shape[1]
    return {
        "file": str(file),
        **asdict(reference.source),
        "examples": m,
        "features": d,
        "logits": classes,
        "labelled": len(reference.arrays.labels) > 0,
        "sha256": reference.digest,
        "genbench": str(read_metadata(file).get("genbench")),
    }


def _text(described: dict[str, Any]) -> str:
    lines = [f"{described['file']}: reference statistics, intact"]
    for key, value in described.items():
        if key != "file":
            lines.append(printable_lines(f"  {key:16} {value}"))
    return "\n".join(lines)
