"""``genbench verify``: are results what their records say, and do they come out the same again?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.completing import complete_benchmarks, complete_runs
from genbench.cli.options import (
    json_option,
    load_registry,
    reference_option,
    results_option,
    weights_option,
)
from genbench.errors import GenbenchError, NothingSelected
from genbench.report.printable import json_text, printable

if TYPE_CHECKING:
    from genbench.store import Store
    from genbench.submission.verdict import Verdict
    from genbench.submission.verify import Target

SHOWN = 5


@click.command("verify")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...", shell_complete=complete_runs)
@click.option(
    "--level",
    type=click.IntRange(0, 3),
    metavar="LEVEL",
    default=1,
    show_default=True,
    help="0: files, hashes and bounds. 1: score the samples again. 2: sample the state again. 3: train again. Each "
    "level holds those below it; the first two run no code that was submitted.",
)
@click.option(
    "--accept",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RESULTS",
    help="Write what reached the level into this folder of results, with the recomputed scores and a "
    "verification.json beside each record. What stands there is never overwritten.",
)
@click.option(
    "-b",
    "--benchmark",
    metavar="BENCHMARK",
    shell_complete=complete_benchmarks,
    help="Name or .toml file of the runs' benchmark; by default the installed one of the name in each record.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The Python file of a model that is not installed, for levels 2 and 3, which run its code. May be repeated.",
)
@weights_option
@reference_option
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Runs side by side at level 3.  [default: as many as the cores hold]",
)
@results_option
@json_option
def command(
    targets: tuple[str, ...],
    level: int,
    accept: Path | None,
    benchmark: str | None,
    files: tuple[Path, ...],
    weights: tuple[Path, ...],
    reference: tuple[Path, ...],
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Verify TARGETs, level by level.

    TARGET is a run (digits/dcgan/seed-0), a model's runs (digits/dcgan), a benchmark's (digits), the folder of a run,
    or a bundle of `genbench submit`. On a machine of the class that a run was made on (processor, threads, versions)
    everything comes out identical; elsewhere scores are held to stated tolerances and prediction intervals. Exit status
    3 if a run does not reach the level, 4 if it does and was not accepted.

    \b
    Examples:
      genbench verify digits
      genbench verify digits/vae/seed-3 --level 3
      genbench verify submissions/my-model --accept results
      genbench verify submissions/my-model --level 3 --file ./my_model.py
    """
    from genbench.single_file import add_file
    from genbench.store import Store
    from genbench.submission.accept import LEAST_LEVEL
    from genbench.submission.levels import carry_out

    if accept is not None and level < LEAST_LEVEL:
        raise GenbenchError(f"--accept needs level {LEAST_LEVEL} or more: what is shown are recomputed scores")
    opened = _open(Store(results), targets, level)
    registry = load_registry()
    for file in files:
        add_file(registry, file)
    known = Store(accept if accept is not None else results)
    groups = carry_out(registry, opened, level, benchmark, known, weights, reference, jobs)
    verdicts = [each for target in opened for each in (target.whole, *target.verdicts) if each is not None]
    good = [verdict.level is not None and verdict.level >= level for verdict in verdicts]
    if accept is not None:
        from genbench.submission.accept import accept as take_in

        accepted = [each for group in groups for each in take_in(group.benchmark, group.verdicts, level, accept)]
        for each in accepted:
            click.echo(printable(each.text), err=True)
    if as_json:
        click.echo(json_text([verdict.as_dict(level) for verdict in verdicts]))
    else:
        for line in _lines(verdicts, level):
            click.echo(line)
    if not all(good):
        return 3
    return 4 if accept is not None and not all(each.stands for each in accepted) else 0


def _open(store: Store, targets: tuple[str, ...], level: int) -> list[Target]:
    """The bundles and runs that the arguments name, each run once."""
    from genbench.replay import links
    from genbench.submission.bundle import MANIFEST, is_bundle
    from genbench.submission.verify import open_bundle, open_runs

    bundles: dict[Path, None] = {}
    folders: dict[Path, None] = {}
    all_linked: list[Path] = []
    for text in targets:
        path = Path(text)
        if path.is_dir() and is_bundle(path):
            bundles[path] = None
            continue
        linked = links(store, text)
        try:
            found = store.find_all(text)
        except GenbenchError:
            if path.is_dir() and not linked:
                raise GenbenchError(
                    f"{text}: is no bundle of genbench submit, for it has no {MANIFEST}, and no run either"
                ) from None
            if not linked:
                raise
            found = []
        folders |= dict.fromkeys([*found, *linked])
        all_linked += linked
    if not bundles and not folders:
        raise NothingSelected("no run is selected")
    opened = [open_bundle(path) for path in bundles]
    return [*opened, open_runs(store, list(folders), all_linked, level)] if folders else opened


def _lines(verdicts: Sequence[Verdict], level: int) -> Iterator[str]:
    from genbench.submission.verdict import told

    for verdict in verdicts:
        good = verdict.level is not None and verdict.level >= level
        if verdict.is_bundle and good:
            continue  # a bundle with nothing to be said of it
        yield printable(f"{verdict.run}: {'verified' if good else 'NOT verified'} ({told(verdict.level)})")
        for finding in verdict.failures[:SHOWN]:
            yield f"  {printable(str(finding))}"
        if len(verdict.failures) > SHOWN:
            yield f"  and {len(verdict.failures) - SHOWN} more; --json has all"
    warned: dict[str, list[str]] = {}
    for verdict in verdicts:
        for finding in verdict.warnings:
            warned.setdefault(str(finding), []).append(verdict.run)
    for text, of in warned.items():
        yield printable(f"{of[0]}{f' and {len(of) - 1} more' if len(of) > 1 else ''}: {text}")
    runs = [verdict for verdict in verdicts if not verdict.is_bundle]
    reached = sum(verdict.level is not None and verdict.level >= level for verdict in runs)
    yield f"{reached} of {len(runs)} runs verified to level {level}"
