"""``genbench run --dry-run``: the matrix, what its runs are given, and what they are expected to take."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.options import print_json
from genbench.report.printable import printable

if TYPE_CHECKING:
    from genbench.calls import Call
    from genbench.forecast import Expected, Forecast
    from genbench.matrix import PlannedRun
    from genbench.store import RunKey


def print_matrix(call: Call, as_json: bool) -> None:
    """What would be done: each run and why, with what, and how long it may take."""
    from genbench.forecast import forecast
    from genbench.interrupted import going_on

    adopting = going_on(call.store.root, call.runs, call.benchmark)
    expected = forecast(call)
    if as_json:
        print_json(_document(call, adopting, expected))
        return
    benchmark, budget = call.benchmark, call.benchmark.budget
    flops = "no FLOP limit" if budget.flops is None else f"{budget.flops / 1e12:g} TFLOP"
    click.echo(
        f"{benchmark.folder} (digest {benchmark.digest}): {budget.images:,} images or {flops} a run, at most "
        f"{budget.seconds:g} s of training"
    )
    click.echo(f"Each run has {_given(call)}; executor {call.executor}, {_side_by_side(call, expected.jobs)}")
    names = {run.key: printable(str(run.key)) for run in call.runs}
    width = max(map(len, names.values()))
    for run in call.runs:
        time = _time(expected.runs.get(str(run.key)))
        click.echo(f"  {names[run.key]:{width}}  {printable(_state(run, adopting))}{time}")
    click.echo(f"{len(call.todo)} of {len(call.runs)} runs to do{_sum(expected)}")


def _document(call: Call, adopting: Collection[RunKey], expected: Forecast) -> dict[str, Any]:
    benchmark = call.benchmark
    runs = []
    for run in call.runs:
        each = expected.runs.get(str(run.key))
        runs.append({
            "run": str(run.key), "state": run.state, "goes_on": run.key in adopting,
            "unsupported": run.entry.unsupported, "problem": run.problem or run.entry.problem,
            "expected": None if each is None else asdict(each) | {"is_bound": each.is_bound},
        })  # fmt: skip
    summary = {key: value for key, value in asdict(expected).items() if key != "runs"}
    return {
        "benchmark": {"name": benchmark.folder, "digest": benchmark.digest},
        "budget": asdict(benchmark.budget),
        "executor": call.executor,
        "expected": summary,
        "runs": runs,
    }


def _given(call: Call) -> str:
    budget = call.benchmark.budget
    parts = [f"{budget.threads} thread{'s' * (budget.threads != 1)}", f"{budget.memory >> 20:,} MiB of memory"]
    if budget.device != "cpu":
        share = "a device" if budget.runs_per_device == 1 else f"a device that {budget.runs_per_device} runs share"
        memory = "" if budget.device_memory is None else f" ({budget.device_memory >> 20:,} MiB of it)"
        parts.append(f"{share} of {budget.device}{memory}")
    return ", ".join(parts)


def _side_by_side(call: Call, jobs: int | None) -> str:
    if jobs is not None:
        bounded = call.executor != "local" or call.benchmark.budget.device != "cpu"  # by nodes or devices, unasked here
        return f"{'at most ' * bounded}{jobs} side by side"
    return f"as many side by side as {'there are devices' if call.executor == 'local' else 'it has room for'}"


def _state(run: PlannedRun, adopting: Collection[RunKey]) -> str:
    state: str = run.state
    if run.entry.unsupported:
        state = f"unsupported: {run.entry.unsupported}"
    elif run.key in adopting:
        state = "interrupted; goes on" if run.state in ("new", "retry") else f"{run.state}, interrupted; goes on"
    problem = run.problem or run.entry.problem
    return state if problem is None else f"{state}: {problem}"


def _time(each: Expected | None) -> str:
    if each is None or each.total == 0:
        return ""
    if each.is_bound:
        return f"; at most {_duration(each.train)} of training"
    runs = "a finished run" if each.runs == 1 else f"{each.runs} finished runs"
    return f"; about {_duration(each.total)}, {_duration(each.train)} of it training, by {runs}"


def _sum(expected: Forecast) -> str:
    parts = []
    if expected.known_seconds:
        parts.append(f"about {_duration(expected.known_seconds)} for {_runs(expected.known_runs)} by finished ones")
    if expected.bound_runs:
        parts.append(f"at most {_duration(expected.bound_seconds)} of training for {_runs(expected.bound_runs)}")
    if not parts:
        return ""
    told = f": {' and '.join(parts)}, one after another"
    if expected.wall_seconds is not None and expected.jobs != 1:
        most = "at most " if expected.bound_runs else "about "
        told += f"; {most}{_duration(expected.wall_seconds)} with {expected.jobs} side by side"
    return told


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "under 1 s"
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
