"""``genbench verify``: are results what their records say, and do they come out the same again?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.options import (
    json_option,
    load_registry,
    reference_option,
    results_option,
    weights_option,
)
from genbench.errors import GenbenchError, NothingSelected, StoreError
from genbench.report.printable import json_text, printable

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.matrix import PlannedRun
    from genbench.plugins import Registry
    from genbench.record import Record
    from genbench.replay import Difference
    from genbench.store import RunKey, Store

SHOWN = 5


@dataclass
class Verdict:
    """What was found of one run.

    Attributes:
        run, folder: which one and where.
        checked: ``files``, or ``files and retraining``.
        problems: why it could not be verified; empty if it could.
        differences: what is not as its record says.
    """

    run: str
    folder: str
    checked: str = "files"
    problems: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.problems and not self.differences


@click.command("verify")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--retrain",
    is_flag=True,
    help="Train, sample and score again from the record, and compare the hashes of weights, samples and likelihoods, "
    "and every score.",
)
@click.option(
    "-b",
    "--benchmark",
    metavar="BENCHMARK",
    help="Name or .toml file of the runs' benchmark; by default the installed one of the name in each record.",
)
@weights_option
@reference_option
@click.option("--jobs", type=click.IntRange(1), help="Runs side by side.  [default: as many as the cores hold]")
@results_option
@json_option
def command(
    runs: tuple[str, ...],
    retrain: bool,
    benchmark: str | None,
    weights: tuple[Path, ...],
    reference: tuple[Path, ...],
    jobs: int | None,
    results: Path,
    as_json: bool,
) -> int:
    """Verify RUNs: that their files are those that their records name, and with --retrain that they come out again.

    RUN is a run (digits/dcgan/seed-0), a model's runs (digits/dcgan), a benchmark's (digits), or the folder of a run.
    A repetition is identical on a machine of the same class (processor's instruction set, thread count, torch build);
    elsewhere the last bits differ, and this command says so rather than guess how much is too much. Exit status 3 if a
    run is not verified.

    \b
    Examples:
      genbench verify digits
      genbench verify digits/vae/seed-3 --retrain
      genbench verify digits-smoke --retrain --json
    """
    from genbench.errors import RecordError
    from genbench.replay import LINK, place_of, place_problems
    from genbench.store import RECORD, Store, read_record

    store = Store(results)
    found: list[tuple[Verdict, Record | None]] = []
    for folder in _folders(store, runs):
        if folder.is_symlink():
            found.append((Verdict(place_of(store, folder), str(folder), problems=[LINK]), None))
            continue
        verdict, record = Verdict(place_of(store, folder), str(folder)), None
        try:
            record = read_record(folder / RECORD)
            verdict.run = record.run
            verdict.problems += place_problems(folder, record)
            verdict.differences = _files(verdict, folder, record)
        except RecordError as error:
            verdict.problems.append(f"its record is unreadable: {error}")
        except OSError as error:
            raise StoreError(f"{folder}: cannot be read: {error.strerror or error}") from None
        found.append((verdict, record))
    if retrain:
        _retrain(
            [(verdict, record) for verdict, record in found if record is not None], benchmark, weights, reference, jobs
        )
    verdicts = [verdict for verdict, _ in found]
    if as_json:
        click.echo(json_text([{"verified": verdict.good, **asdict(verdict)} for verdict in verdicts]))
    else:
        for line in _lines(verdicts):
            click.echo(line)
    return 0 if all(verdict.good for verdict in verdicts) else 3


def _files(verdict: Verdict, folder: Path, record: Record) -> list[Difference]:
    """What of the run's files is not as its record says; a file that can't be looked at is a problem of this run."""
    from genbench.replay import file_differences

    try:
        return file_differences(folder, record)
    except OSError as error:
        verdict.problems.append(f"a file that its record names cannot be read: {error.strerror or error}")
        return []


def _folders(store: Store, runs: tuple[str, ...]) -> list[Path]:
    """The folders of all runs that the arguments name, each once, and the links that stand among them."""
    from genbench.replay import links

    folders: dict[Path, None] = {}
    for text in runs:
        linked = links(store, text)
        try:
            runs_of_it = store.find_all(text)
        except GenbenchError:
            if not linked:
                raise
            runs_of_it = []
        folders |= dict.fromkeys([*runs_of_it, *linked])
    if not folders:
        raise NothingSelected("no run is selected")
    return list(folders)


def _retrain(
    found: list[tuple[Verdict, Record]],
    name_or_path: str | None,
    weights: tuple[Path, ...],
    references: tuple[Path, ...],
    jobs: int | None,
) -> None:
    """Do the runs again, benchmark by benchmark, and note in the verdicts where they came out otherwise."""
    from genbench.executors.again import run_again
    from genbench.replay import differences
    from genbench.supplies import supplied

    registry = load_registry()
    for benchmark, planned in _planned(registry, found, name_or_path).values():
        # One run may be given in several copies; it is done once.
        copies: dict[RunKey, list[tuple[Verdict, Record]]] = {}
        for run, verdict, record in planned:
            copies.setdefault(run.key, []).append((verdict, record))

        def tell(key: RunKey, again: Record, of: dict[RunKey, list[tuple[Verdict, Record]]] = copies) -> None:
            for verdict, record in of[key]:
                verdict.checked = "files and retraining"
                verdict.differences += differences(record, again)
                click.echo(printable(f"{record.run}: {'identical' if verdict.good else 'differs'}"), err=True)

        runs = list({run.key: run for run, _, _ in planned}.values())
        run_again(registry, supplied(benchmark, weights, references), runs, jobs, tell)
        for _, verdict, _ in planned:
            if verdict.checked == "files":
                verdict.problems.append("its repetition did not come to an end")


def _planned(
    registry: Registry, found: list[tuple[Verdict, Record]], name_or_path: str | None
) -> dict[str, tuple[Benchmark, list[tuple[PlannedRun, Verdict, Record]]]]:
    """The runs that can be done again, by the benchmark's digest; the others' verdicts say why not."""
    from genbench.replay import benchmark_of, plan_again

    planned: dict[str, tuple[Benchmark, list[tuple[PlannedRun, Verdict, Record]]]] = {}
    for verdict, record in found:
        try:
            benchmark = benchmark_of(registry, record, name_or_path)
            run = plan_again(registry, benchmark, record)
        except GenbenchError as error:
            verdict.problems.append(str(error).removeprefix(f"{record.run}: "))
        else:
            planned.setdefault(benchmark.digest, (benchmark, []))[1].append((run, verdict, record))
    return planned


def _lines(verdicts: list[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        yield printable(f"{verdict.run}: {'verified' if verdict.good else 'NOT verified'} ({verdict.checked})")
        for problem in verdict.problems:
            yield f"  {printable(problem)}"
        for entry in verdict.differences[:SHOWN]:
            yield "  " + printable(f"{entry.field}: recorded {entry.recorded}, found {entry.found}")
        if len(verdict.differences) > SHOWN:
            yield f"  and {len(verdict.differences) - SHOWN} more; --json has all"
    good = sum(verdict.good for verdict in verdicts)
    yield f"{good} of {len(verdicts)} runs verified"
