"""What ``genbench doctor --calibrate BENCHMARK`` does: the calibration ladder, climbed and judged."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.options import load_registry, print_json
from genbench.report.printable import printable

if TYPE_CHECKING:
    from genbench.calibration import Calibration

ASK_SECONDS = 1.0
RUNG_WIDTH, SCORE_WIDTH = 32, 17
"""Of columns on a terminal."""
TELL_PERCENT = 10
"""How much must have been done for another line on stderr."""


def calibrate_benchmark(
    benchmark: str, draws: int, alarms: int, weights: Sequence[Path], as_markdown: bool, as_json: bool
) -> int:
    """Climb the ladder in a process of its own and print what was found.

    Returns:
        3 if a claim does not hold or a metric gave no values, else 0.
    """
    from genbench.calibration import Calibration
    from genbench.executors.task import task
    from genbench.selection import load_benchmark, select_model
    from genbench.supplies import supplied

    registry = load_registry()
    chosen = supplied(load_benchmark(registry, benchmark), weights)
    # A task carries a model; what is measured here does not depend on it.
    with (
        task(registry, chosen, select_model(registry, "noise"), seed=0) as prepared,
        _told(prepared.job.folder, f"calibrating {chosen.folder}"),
    ):
        measured = prepared.call("calibrate", draws=draws, alarms=alarms)
    specs = {name: registry.metrics[name].spec for name in chosen.file.metrics}
    calibration = Calibration(chosen.folder, measured, specs)
    if as_json:
        print_json(calibration.as_dict())
    elif as_markdown:
        from genbench.report.calibration import markdown

        click.echo(markdown(calibration), nl=False)
    else:
        _print(calibration)
    return _conclude(calibration)


def _print(calibration: Calibration) -> None:
    from genbench.report.calibration import plain, sections
    from genbench.report.console import console, print_table

    columns = max(1, (console().width - RUNG_WIDTH) // SCORE_WIDTH)
    for section in sections(calibration, columns):
        if section.title:
            click.echo(f"\n{section.title}\n{plain(section.words)}")
        click.echo()
        rows = [[plain(cell) for cell in row] for row in section.rows]
        print_table(console(), rows, [plain(name) for name in section.header])


def _conclude(calibration: Calibration) -> int:
    """The last line, on stderr; and the exit status."""
    held, failed, broken = calibration.held(), calibration.failed(), calibration.unmeasured()
    click.echo(f"{sum(entry.verified is True for entry in held)} of {len(held)} claims verified.", err=True)
    for entry in failed:
        assert entry.verdict is not None
        click.echo(
            f"{entry.metric}: declares {entry.claim}, and z is {entry.verdict.z:.1f} ({entry.verdict.found}); change "
            "the declaration, not the number",
            err=True,
        )
    for metric, problem in broken.items():
        click.echo(printable(f"{metric}: gave no values: {problem}"), err=True)
    return 3 if failed or broken else 0


@contextlib.contextmanager
def _told(folder: Path, what: str) -> Iterator[None]:
    """Say on stderr how far the worker is, each time that another tenth is done."""
    from genbench.rungs import PROGRESS

    ended = threading.Event()

    def watch() -> None:
        told = -1
        while not ended.wait(ASK_SECONDS):
            with contextlib.suppress(OSError, ValueError):  # there is none yet, or half of one
                share = float((folder / PROGRESS).read_text())
                step = int(100 * share) // TELL_PERCENT
                if step > told:
                    told = step
                    print(f"{what}: {step * TELL_PERCENT} %", file=sys.stderr, flush=True)

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
