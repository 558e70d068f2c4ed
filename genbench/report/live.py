"""Progress of a call, on stderr: live bars on a terminal, a plain line for each run elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.columns import INCEPTION
from genbench.job import Stage
from genbench.matrix import PlannedRun
from genbench.plugins import Registry, told
from genbench.record import Record, Status
from genbench.report import legend
from genbench.report.printable import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

STAGE_WORDS: dict[Stage, str] = {
    "audit": "auditing its likelihood",
    "train": "training",
    "evaluate": "sampling",
    "score": "scoring",
    "measure": "measuring",
}
STAGE_SHARES: dict[Stage, tuple[float, float]] = {
    "audit": (0.0, 0.0),
    "train": (0.0, 0.9),
    "evaluate": (0.9, 0.98),
    "score": (0.98, 1.0),
    "measure": (1.0, 1.0),
}
"""Where on a run's bar a stage begins and ends."""

BARS = 24
"""Of single runs, at most: a cluster has thousands under way, and drawing them takes longer than there is time."""

TITLES = {"bits_per_dim": "bits/dim", "bits_per_letter": "bits/letter"}
"""Scores that people know by another name than their key."""


class Remaining:
    """An estimate of the time left, from the durations of finished runs of the same model.

    Args:
        runs: all that is to be done.
        jobs: runs side by side.
    """

    def __init__(self, runs: Sequence[PlannedRun], jobs: int) -> None:
        self._open = {str(run.key): run.key.model for run in runs}
        self._jobs = min(jobs, max(1, len(runs)))
        self._durations: dict[str, list[float]] = {}
        self._done: dict[str, float] = {}

    def progressed(self, run: PlannedRun, share: float) -> None:
        self._done[str(run.key)] = share

    def finished(self, run: PlannedRun, seconds: float | None) -> None:
        """``seconds`` is None for a run that was left to another harness."""
        self._open.pop(str(run.key), None)
        if seconds is not None:
            self._durations.setdefault(run.key.model, []).append(seconds)

    @property
    def seconds(self) -> float | None:
        """None until a run has finished."""
        if not self._durations:
            return None
        means = {model: sum(times) / len(times) for model, times in self._durations.items()}
        overall = sum(means.values()) / len(means)
        left = sum(means.get(model, overall) * (1 - self._done.get(key, 0.0)) for key, model in self._open.items())
        return left / self._jobs


class View:
    """An observer that keeps count, tells plugins, and hands sentences to a printer.

    Args:
        runs: all that is to be done.
        kept: finished runs of earlier calls.
        jobs: runs side by side.
        root: the results folder.
        say: prints a line.
        stopping: whether what runs is being ended; nothing is then said of the time left.
    """

    def __init__(
        self,
        registry: Registry,
        runs: Sequence[PlannedRun],
        kept: int,
        jobs: int,
        root: Path,
        say: Callable[[str], None],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.remaining = Remaining(runs, jobs)
        self._registry = registry
        self._total = len(runs)
        self._count = 0
        self._root = root.absolute()
        self._say = say
        self._stopping = stopping
        self._began: dict[str, float] = {}
        already = f"; {kept} done already" if kept else ""
        say(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} to do, {jobs} side by side{already}")

    def started(self, run: PlannedRun) -> None:
        self._began[str(run.key)] = time.monotonic()
        self._tell("run_started", **_names(run))

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None:
        first, last = STAGE_SHARES[stage]
        self.remaining.progressed(run, first + (last - first) * (progress if stage == "train" else 0.0))
        self._tell("run_progressed", **_names(run), stage=stage, progress=progress)

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        self._say(f"{run.key}  {status} (attempt {tries} of {most}): {reason}; tried again")

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        seconds = time.monotonic() - self._began[str(run.key)]
        self.remaining.finished(run, seconds if record is not None else None)
        self._count += 1
        self._say(f"[{self._count}/{self._total}] {run.key}  {_verdict(record)}  {seconds:.1f} s{self._left()}")
        if record is not None:
            self._tell("run_finished", record=record, folder=self._root / run.key.path)

    def _left(self) -> str:
        left = None if self._stopping() else self.remaining.seconds
        return f"  (about {_duration(left)} left)" if left and self._count < self._total else ""

    def _tell(self, hook: str, **arguments: Any) -> None:
        """Call an observer hook of every plugin; an observer's error is told and changes nothing."""
        for impl in getattr(self._registry.manager.hook, hook).get_hookimpls():
            try:
                impl.function(*(arguments[name] for name in impl.argnames))
            except (Exception, SystemExit) as error:
                self._say(f"observer {impl.plugin_name} failed in {hook}: {told(error)}")


class LiveView(View):
    """Bars for the runs in progress and for the whole, above them a line for each run that ended."""

    def __init__(self, progress: Progress, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._all = progress.add_task("all runs", total=self._total, left="")

    def started(self, run: PlannedRun) -> None:
        super().started(run)
        shown = len(self._bars) < BARS
        self._bars[str(run.key)] = self._progress.add_task(_label(run, "starting"), total=1.0, left="", visible=shown)

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None:
        super().progressed(run, stage, progress)
        first, last = STAGE_SHARES[stage]
        completed = first + (last - first) * (progress if stage == "train" else 0.0)
        self._progress.update(
            self._bars[str(run.key)], completed=completed, description=_label(run, STAGE_WORDS[stage])
        )
        self._update_all()

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        self._progress.remove_task(self._bars.pop(str(run.key)))
        if (following := next(itertools.islice(self._bars.values(), BARS - 1, None), None)) is not None:
            self._progress.update(following, visible=True)
        super().finished(run, record)
        self._update_all()

    def _update_all(self) -> None:
        left = self.remaining.seconds
        words = "stopping" if self._stopping() else f"{_duration(left)} left" if left else ""
        self._progress.update(self._all, completed=self._count, left=words)

    def _left(self) -> str:
        return ""


@contextmanager
def live_view(
    registry: Registry,
    runs: Sequence[PlannedRun],
    kept: int,
    jobs: int,
    root: Path,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[View]:
    """The view that fits stderr: live on a terminal, plain lines elsewhere. For its arguments see :class:`View`."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield View(registry, runs, kept, jobs, root, _print, stopping)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as progress:
        yield LiveView(progress, registry, runs, kept, jobs, root, lambda line: _print_above(console, line), stopping)


def _print_above(console: Console, line: str) -> None:
    console.print(one_line(line), markup=False, highlight=False, emoji=False)


def _print(line: str) -> None:
    # Progress that can't be told (a full disk behind 2>file) must not end a run.
    with contextlib.suppress(OSError):
        print(one_line(line), file=sys.stderr, flush=True)


def _names(run: PlannedRun) -> dict[str, Any]:
    return {"benchmark": run.key.benchmark, "model": run.key.model, "seed": run.key.seed}


def _label(run: PlannedRun, word: str) -> str:
    return printable(f"{run.key.model} seed {run.key.seed} {word}")


def _verdict(record: Record | None) -> str:
    if record is None:
        return "skipped: another genbench is doing it"
    if record.status in ("lost", "harness_error"):
        count = _counted(len(record.attempts), "attempt")
        return f"{record.status}: {record.reason} ({count}; the next call tries again)"
    if record.status != "ok":
        return f"{record.status}: {record.reason}"
    withheld = legend.withheld(record)
    named = [
        f"{title} {record.scores[name].value:.3g}"
        for name, title in (("fid", _fid(record)), *TITLES.items())
        if name in record.scores and name not in withheld
    ]
    outcome = ["ok"]
    if record.warnings:
        outcome.append(_counted(len(record.warnings), "warning"))
    if withheld:
        outcome.append(f"{', '.join(TITLES.get(name, name) for name in withheld)} withheld")
    return "  ".join([", ".join(outcome), *named])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _fid(record: Record) -> str:
    """As the column is called: with the evaluator's name where it is not that of the literature."""
    score = record.scores.get("fid")
    evaluator = str(score.fingerprint.get("evaluator", "")).partition("@")[0] if score else ""
    return f"FID [{evaluator}]" if evaluator not in ("", INCEPTION) else "FID"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
