"""The conformance kit in a process of its own: what it found, also where the model ends that process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genbench.executors.launcher import HarnessError
from genbench.executors.protocol import StageEnd
from genbench.executors.task import Task
from genbench.report.printable import printable

TOLD = "checks.jsonl"
MODELS_OWN = ("timeout", "crashed", "failed", "oom_host", "oom_device")
"""Statuses of a process of the checks that the model under check has brought about."""
CAUSES = {
    "timeout": "a loop without end, a wait for something that never comes, or too slow for the time (--seconds gives "
    "more)",
    "crashed": "compiled code that reads or writes where it must not",
    "failed": "something ends the process: os._exit, or an error that is no Exception",
    "oom_host": "tensors or graphs that are kept from step to step, or sizes that grow with the data",
    "oom_device": "tensors or graphs that are kept from step to step, or sizes that grow with the data",
}

OnGroup = Callable[[str], None]


@dataclass
class Course:
    """How far the checks came.

    Attributes:
        results: a dict of :class:`~genbench.engine.checks.Result` each. The check in which the model ended the process
            is the last one, and has failed.
        checks: how many there are in all.
        lost: why the process ended, where that is not the model's doing; or None.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    checks: int = 0
    lost: str | None = None


def carry_out_checks(task: Task, seconds: float | None, on_group: OnGroup) -> Course:
    """Ask every check of a task's model, within the benchmark's limits of time and memory.

    Args:
        seconds: for all of them; None for those of the budget and its grace.
        on_group: told the name of each group of checks when it begins.

    Raises:
        GenbenchError: if the model can't be checked here.
        HarnessError: if no process could be started, or it ended before the first check.
    """
    budget, told = task.job.budget, task.job.folder / TOLD
    allowed = f"{budget.seconds:g} s and {budget.grace:g} s of grace" if seconds is None else f"{seconds:g} s"
    seconds = budget.seconds + budget.grace if seconds is None else seconds
    group = ""

    def look() -> None:
        nonlocal group
        running = _read(told)[1]
        if running is not None and running["group"] != group:
            group = running["group"]
            on_group(group)

    end, log = task.supervise("check", seconds, allowed, look, told=str(told))
    course, running = _read(told)
    if end.status == "ok":
        return course
    if not course.checks:
        raise HarnessError(f"the checks could not begin: {end.reason}\n{log}")
    if running is None or end.status not in MODELS_OWN:
        course.lost = end.reason or end.status
        return course
    measured, cause = _explained(end, seconds, log)
    course.results.append(
        {
            **running,
            "verdict": "failed",
            "message": f"{measured}; {cause}",
            "measured": measured,
            "cause": cause,
            "where": "",  # the cause says where it stood
            "seconds": max(0.0, end.seconds - sum(result["seconds"] for result in course.results)),
        }
    )
    return course


def _read(told: Path) -> tuple[Course, dict[str, Any] | None]:
    """What has been told so far, and of the check that runs its name, group, promise and where to read more."""
    course, running = Course(), None
    try:
        lines = told.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        lines = []
    for line in lines[:-1]:  # the last one may still be being written
        match json.loads(line):
            case {"checks": int(count)}:
                course.checks = count
            case {"begun": dict(about)}:
                running = about
            case {"result": dict(result)}:
                course.results.append(result)
                running = None
    return course, running


def _explained(end: StageEnd, seconds: float, log: str) -> tuple[str, str]:
    """What was measured of a check in which the process ended, and what most likely brought that about."""
    from genbench.engine.blame import place_in

    if end.status == "timeout":
        measured = f"did not come to an end within {seconds:g} s"
    else:
        measured = f"the process {(end.reason or '').removeprefix('check').lstrip(': ').partition('; see ')[0]}"
    place = place_in(log)
    where = f"it stood at {place}: " if place is not None else ""
    words = printable(log.strip().rpartition("\n")[2])[:200] if end.status == "failed" else ""
    return measured, f"{where}{CAUSES[end.status]}" + (f"; its last words: {words}" if words else "")
