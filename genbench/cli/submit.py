"""``genbench submit``: a bundle of runs, or of samples from outside, that somebody else can verify."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_benchmarks, complete_runs
from genbench.cli.options import json_option, load_registry, results_option, weights_option
from genbench.errors import GenbenchError, VerificationFailed
from genbench.report.printable import json_text, printable, printable_lines

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.submission.pack import Chosen


@click.command("submit")
@click.argument("runs", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="New folder of the bundle."
)
@click.option("--state", is_flag=True, help="Add each run's last state, from which level 2 samples again.")
@click.option("--incomplete", is_flag=True, help="Submit a model although seeds are missing; verify tells so.")
@click.option("--note", default="", metavar="TEXT", help="Words to whoever reads the manifest.")
@click.option(
    "--scrub", multiple=True, metavar="WORD", help="A further name that must not be in the bundle. May be repeated."
)
@click.option(
    "--samples",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Samples that were made outside genbench: .npz, .npy or a folder of PNGs, once a seed. They go into the open "
    "division.",
)
@click.option("--name", metavar="NAME", help="Of the model that made the --samples.")
@click.option("--reference", "citation", metavar="TEXT", help="Where the --samples come from: a paper, or an address.")
@click.option(
    "-b",
    "--benchmark",
    metavar="BENCHMARK",
    shell_complete=complete_benchmarks,
    help="Name or .toml file; for --samples what they are scored against, else by default that of the records.",
)
@weights_option
@click.option(
    "--reference-statistics", "statistics", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE", help="Reference statistics for scoring --samples, as --reference of other commands.",
)  # fmt: skip
@results_option
@json_option
def command(
    runs: tuple[str, ...],
    output: Path,
    state: bool,
    incomplete: bool,
    note: str,
    scrub: tuple[str, ...],
    samples: tuple[Path, ...],
    name: str | None,
    citation: str | None,
    benchmark: str | None,
    weights: tuple[Path, ...],
    statistics: tuple[Path, ...],
    results: Path,
    as_json: bool,
) -> None:
    """Make a bundle of finished RUNs for `genbench verify`: records, samples, likelihoods, curves and logs.

    RUN is a model's runs (digits/dcgan), a benchmark's (digits), or a single run. All seeds of a model go along.
    User names, host names and absolute paths are taken out of texts for people; where they stand in anything else, the
    bundle is refused and the place is named. The bundle is verified to level 0 before it is told of.

    \b
    Examples:
      genbench submit digits/my-model -o my-submission
      genbench submit digits/my-model --state -o my-submission
      genbench submit --samples s0.npz --samples s1.npz -b digits -o out \\
        --name my-flow --reference "Me, 2026"
    """
    from genbench.submission.bundle import MANIFEST
    from genbench.submission.pack import check_complete, pack
    from genbench.submission.scrub import of_this_machine

    registry = load_registry()
    scrubber = of_this_machine(results, scrub)
    with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
        if samples:
            chosen_benchmark, chosen = _outside(
                registry, runs, benchmark, samples, name, citation, weights, statistics, Path(folder)
            )
        else:
            if not runs:
                raise GenbenchError("name the runs to submit, such as digits/my-model, or give --samples")
            if name is not None or citation is not None:
                raise GenbenchError("--name and --reference are for --samples; a run's record has its model's own")
            chosen_benchmark, chosen = _finished(registry, runs, benchmark, results)
        if not incomplete:
            check_complete(chosen_benchmark, chosen)
        manifest = pack(output, chosen_benchmark, chosen, scrubber, note, state, incomplete)
    _check(registry, output, benchmark)
    size = sum(entry.bytes for entry in manifest.files.values())
    if as_json:
        click.echo(json_text({"bundle": str(output), "runs": len(chosen), "files": len(manifest.files), "bytes": size}))
        return
    told = f"{len(chosen)} runs of {chosen_benchmark.folder}, {len(manifest.files)} files, {size / 1e6:.1f} MB"
    click.echo(printable(f"{output}: {told}; {MANIFEST} names them all"))
    click.echo(printable(f"See what others will: genbench verify {output}"))


def _finished(
    registry: Registry, runs: tuple[str, ...], name_or_path: str | None, results: Path
) -> tuple[Benchmark, list[Chosen]]:
    """The runs of a results folder that are named, and their benchmark."""
    from genbench.replay import benchmark_of
    from genbench.store import Store
    from genbench.submission.pack import choose_runs

    store = Store(results)
    folders = dict.fromkeys(folder for run in runs for folder in store.find_all(run))
    chosen = choose_runs(list(folders), runs)
    record = chosen[0].record
    benchmark = benchmark_of(registry, record, name_or_path)
    if benchmark.digest != record.benchmark.digest:
        raise GenbenchError(
            f"{record.run}: is of another definition of {benchmark.name} (digest {record.benchmark.digest}) than the "
            f"one here ({benchmark.digest}); give the run's own with -b, or run it again"
        )
    return benchmark, chosen


def _outside(
    registry: Registry,
    runs: tuple[str, ...],
    name_or_path: str | None,
    samples: tuple[Path, ...],
    name: str | None,
    citation: str | None,
    weights: tuple[Path, ...],
    statistics: tuple[Path, ...],
    folder: Path,
) -> tuple[Benchmark, list[Chosen]]:
    """Samples from outside, scored."""
    from genbench.selection import load_benchmark
    from genbench.submission.outside import outside_runs
    from genbench.supplies import supplied

    if runs or name_or_path is None or name is None or citation is None:
        raise GenbenchError("--samples goes with -b, --name and --reference, and without runs")
    benchmark = supplied(load_benchmark(registry, name_or_path, division="open"), weights, statistics)
    return benchmark, outside_runs(registry, benchmark, samples, name, citation, folder)


def _check(registry: Registry, output: Path, name_or_path: str | None) -> None:
    """Level 0, so that what is wrong is told to who can mend it.

    Raises:
        VerificationFailed: with what was found.
    """
    from genbench.store import Store
    from genbench.submission.levels import carry_out
    from genbench.submission.verify import open_bundle

    target = open_bundle(output)
    carry_out(registry, [target], 0, name_or_path, Store(output / "nothing"))
    verdicts = [each for each in (target.whole, *target.verdicts) if each is not None]
    failures = [f"{verdict.run}: {finding}" for verdict in verdicts for finding in verdict.failures]
    if failures:
        raise VerificationFailed(printable_lines("\n".join([f"{output}: does not pass level 0:", *failures[:20]])))
    for line in (f"{verdict.run}: {finding}" for verdict in verdicts for finding in verdict.warnings):
        click.echo(printable(line), err=True)
