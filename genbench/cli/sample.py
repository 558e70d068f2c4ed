"""``genbench sample``: more samples from a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from genbench.cli.options import load_registry, results_option
from genbench.errors import GenbenchError, StoreError


@click.command("sample")
@click.argument("run")
@click.option("-n", "n", type=click.IntRange(1), default=64, show_default=True, help="Number of samples.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .png (a grid), a .txt (of texts: one a line), or an .npz (uint8 array `samples`, and `labels` of a "
    "conditional model).",
)
@click.option(
    "-b",
    "--benchmark",
    metavar="BENCHMARK",
    help="Name or .toml file of the run's benchmark; by default the installed one of the name in its record.",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the samples; by default the run's own.")
@results_option
def command(run: str, n: int, output: Path, benchmark: str | None, seed: int | None, results: Path) -> None:
    """Draw samples from the final state of RUN, given as benchmark/model/seed-k or as its folder.

    The model is built with the configuration, and sampled under the budget, that stand in the run's record.

    \b
    Examples:
      genbench sample digits/dcgan/seed-0 -o grid.png
      genbench sample digits/vae/seed-3 -n 5000 -o vae.npz
      genbench sample words/ngram/seed-0 -o words.txt
      genbench sample mine/vae/seed-3 -b ./mine.toml -o grid.png
    """
    from genbench.errors import RecordError
    from genbench.executors.task import task
    from genbench.plugins import code_sha256
    from genbench.replay import benchmark_of
    from genbench.report.printable import printable
    from genbench.selection import select_model
    from genbench.store import RECORD, Store, read_record

    if output.suffix not in (".png", ".txt", ".npz"):
        raise click.BadParameter(f"{str(output)!r} must end in .png, .txt or .npz", param_hint="--output")
    if not output.parent.is_dir():
        raise click.BadParameter(f"the folder {output.parent} does not exist", param_hint="--output")
    folder = Store(results).find(run)
    try:
        record = read_record(folder / RECORD)
    except (RecordError, OSError) as error:
        raise StoreError(f"{folder / RECORD}: unreadable: {printable(str(error))}") from None
    of = printable(record.run)
    if not (folder / "state.json").is_file():
        raise GenbenchError(f"{of} is {record.status} and left no state to sample from")
    registry = load_registry()
    model = select_model(registry, record.model.name)
    if code_sha256(model.registered.spec, model.registered.plugin) != record.model.code_sha256:
        click.echo(f"Warning: the code of {model.name} has changed since this run; its samples may differ", err=True)
    restored = benchmark_of(registry, record, benchmark)
    if restored.digest != record.benchmark.digest:
        click.echo(
            f"Warning: the benchmark {restored.name} (digest {restored.digest}) is not that of this run "
            f"({printable(record.benchmark.digest)}); its samples may differ",
            err=True,
        )
    chosen = record.seed if seed is None else seed
    with task(registry, restored, model, chosen, config=record.model.config) as prepared:
        prepared.call("sample", state=str((folder / "state").resolve()), n=n, output=str(output.resolve()))
    click.echo(f"{n} samples of {of} in {output}", err=True)
