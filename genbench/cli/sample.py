"""``genbench sample``: more samples from a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from genbench.cli.completing import complete_benchmarks, complete_runs
from genbench.cli.options import load_registry, results_option, say


@click.command("sample")
@click.argument("run", shell_complete=complete_runs)
@click.option("-n", "n", type=click.IntRange(1), metavar="N", default=64, show_default=True, help="Number of samples.")
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
    shell_complete=complete_benchmarks,
    help="Name or .toml file of the run's benchmark; by default the installed one of the name in its record.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The Python file of the run's model, where that is not installed.",
)
@click.option("--seed", type=click.IntRange(0), metavar="SEED", help="Seed of the samples; by default the run's own.")
@results_option
def command(
    run: str, n: int, output: Path, benchmark: str | None, file: Path | None, seed: int | None, results: Path
) -> None:
    """Draw samples from the final state of RUN, given as benchmark/model/seed-k or as its folder.

    The model is built with the configuration, and sampled under the budget, that stand in the run's record.

    \b
    Examples:
      genbench sample digits/dcgan/seed-0 -o grid.png
      genbench sample digits/vae/seed-3 -n 5000 -o vae.npz
      genbench sample words/ngram/seed-0 -o words.txt
      genbench sample mine/vae/seed-3 -b ./mine.toml -o grid.png
      genbench sample digits+dev/my-model/seed-0 --file ./my_model.py -o grid.png
    """
    from genbench.drawing import draw
    from genbench.report.printable import printable
    from genbench.runs import read_run
    from genbench.store import Store

    if output.suffix not in (".png", ".txt", ".npz"):
        raise click.BadParameter(f"{str(output)!r} must end in .png, .txt or .npz", param_hint="--output")
    if not output.parent.is_dir():
        raise click.BadParameter(f"the folder {output.parent} does not exist", param_hint="--output")
    folder, record = read_run(Store(results), run)
    draw(load_registry(), folder, record, output, n, benchmark, file, seed, lambda line: say(f"Warning: {line}"))
    say(f"{n} samples of {printable(record.run)} in {output}")
