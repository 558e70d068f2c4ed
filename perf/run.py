"""The fixed cost of a run: what is spent beside training, sampling and scoring proper, broken down.

    python perf/run.py [--model vae] [--rounds 5] [--seconds 10]

Prints the median and the least time of each part of the way from the start of a run to the first step of its training,
and from the end of training to the first sample; what a call pays once; what the same would cost with a fresh process
that imports torch for each stage, the price without the fork server; and of a training of some seconds the share of a
core that its supervisor took.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from genbench.executors.context import Context, make_job
from genbench.executors.launcher import Launcher
from genbench.executors.prepare import make_context
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import supervise
from genbench.job import LOG, Job, outcome_file
from genbench.matrix import PlannedRun, choose
from genbench.plugins import discover
from genbench.selection import load_benchmark, select_model
from genbench.store import RunKey, Store

HERE = str(Path(__file__).parent)
BENCHMARK = "digits-smoke"


def seconds(*command: str) -> float:
    """Wall seconds of a process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def request(job: Job, stage: str, allowed: float = 600.0) -> StageRequest:
    """A stage that notes its times."""
    mark = outcome_file(job.folder, stage)
    arguments = {"stage": stage, "job": str(job.folder / "job.json")}
    work = {"task": "timed_stages:timed", "arguments": arguments, "outcome": str(mark),
            "sys_path": [HERE, *job.sys_path]}  # fmt: skip
    scratch, tells = str(job.folder / "scratch"), stage == "train"
    return StageRequest(stage, work, str(mark), scratch, tells, allowed, f"{allowed:g} s", job.budget.memory)


@contextmanager
def claimed(run: PlannedRun, context: Context) -> Iterator[Job]:
    """The job of a run in a claimed folder, as an executor makes it."""
    with context.store.claim(run.key, run.identity(context.benchmark)) as claim:
        assert claim is not None
        job = make_job(run, context, claim.folder)
        job.write()
        yield job


def supervised(job: Job, stages: list[StageRequest], launcher: Launcher) -> tuple[list[StageEnd], float]:
    """The ends of stages, and when the first was heard of."""
    heard: list[float] = []
    told = lambda *_: heard.append(time.monotonic())  # noqa: E731
    ends = supervise(Supervision(stages, str(job.folder / LOG), job.budget.threads), launcher, lambda: None, told)
    for end in ends:
        assert end.status == "ok", end.reason
    return ends, heard[0]


def one_run(run: PlannedRun, context: Context, launcher: Launcher) -> dict[str, float]:
    """Seconds of each part of a run's way to its first step, and from there to its first sample."""
    began = time.monotonic()
    with claimed(run, context) as job:
        ready = time.monotonic()
        ends, heard = supervised(job, [request(job, "train"), request(job, "evaluate")], launcher)
        ended = time.monotonic()
    train, evaluate = ([*(end.result or {})["times"].items()] for end in ends)
    points = [("claim and job file", ready), ("supervisor's start", heard), *train, *evaluate, ("ends told", ended)]
    parts: dict[str, float] = {}
    for index, ((name, at), before) in enumerate(zip(points, [began, *(at for _, at in points)], strict=False)):
        prefix = "train: " if 2 <= index < 2 + len(train) else "evaluate: " if 2 <= index < len(points) - 1 else ""
        parts[prefix + name] = at - before
    return parts


def told_apart(parts: dict[str, float]) -> Iterator[tuple[str, float]]:
    """The parts with what they are for, without the training and the sampling themselves."""
    words = {
        "claim and job file": "claim of the run, job file",
        "supervisor's start": "supervisor: process, imports, cores",
        "train: entered": "run server forked, stage forked",
        "train: job read": "job read",
        "train: torch prepared": "torch's settings",
        "train: data read": "data",
        "train: model built": "model imported and built",
        "train: first step": "the rest of the way to the first step",
        "evaluate: entered": "training's end judged, stage forked",
        "evaluate: job read": "job read",
        "evaluate: torch prepared": "torch's settings",
        "evaluate: state restored": "state restored",
        "evaluate: first sample": "the rest of the way to the first sample",
        "ends told": "evaluation's end judged, all processes gone",
    }
    for name, value in parts.items():
        if name in words:
            way = "evaluation" if name.startswith("evaluate") else "end" if name == "ends told" else "start"
            yield f"{way}: {words[name]}", value


def supervisors_share(run: PlannedRun, context: Context, launcher: Launcher, length: float) -> tuple[float, float]:
    """Shares of a core that a training's own processes and its supervisor take."""
    benchmark = context.benchmark.with_budget({"images": 10**9, "flops": None, "seconds": length})
    longer = Context(**{**vars(context), "benchmark": benchmark})
    seen: list[tuple[float, float]] = []

    def look() -> None:
        for child in psutil.Process().children():
            if "supervisor import main" in " ".join(child.cmdline()):
                spent = child.cpu_times()
                seen.append((time.monotonic(), spent.user + spent.system))

    with claimed(run, longer) as job:
        stages = [request(job, "train", length + 60)]
        supervision = Supervision(stages, str(job.folder / LOG), job.budget.threads)
        (end,) = supervise(supervision, launcher, look, lambda *_: None)
        assert end.status == "ok", end.reason
    # From when it had started to its last tenth of a second.
    (first, before), (last, after) = next(point for point in seen if point[0] > seen[0][0] + 1), seen[-2]
    return end.cpu_seconds / end.seconds, (after - before) / (last - first)


def once_a_call() -> Iterator[tuple[str, float]]:
    """What all runs of a call share."""
    yield "once a call: genbench --version", seconds(sys.executable, "-P", "-m", "genbench.cli", "--version")
    began = time.monotonic()
    with Launcher(threads=1, scoring=True) as launcher:
        launcher.call("timed_stages:entered", {}, [HERE])
        yield "once a call: fork server's imports, to score", time.monotonic() - began


def fresh_processes() -> Iterator[tuple[str, float]]:
    """What each stage would pay without the fork server."""
    yield "for comparison: fresh process, import torch", seconds(sys.executable, "-c", "import torch")
    code = "import genbench.engine.score, torch_fidelity.feature_extractor_base"
    yield "for comparison: fresh process, imports to score", seconds(sys.executable, "-c", code)


def command(model: str) -> Iterator[tuple[str, float]]:
    """Stages of a run as the command line makes it."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        arguments = ["run", model, "-b", BENCHMARK, "--seeds", "0", "--jobs", "1", "--results", folder]
        subprocess.run([sys.executable, "-P", "-m", "genbench.cli", *arguments], check=True, capture_output=True)
        taken = time.monotonic() - began
        (path,) = Path(folder).glob(f"{BENCHMARK}/{model}/*/record.json")
        for stage, value in json.loads(path.read_text())["cost"]["stage_seconds"].items():
            yield f"a run of {model}, as in its record: {stage}", value
        yield f"a run of {model}: the whole command", taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vae")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    if chosen.rounds < 1 or chosen.seconds < 2:
        parser.error("takes one round or more, and two seconds or more of training")
    registry = discover()
    benchmark = load_benchmark(registry, BENCHMARK)
    selected = select_model(registry, chosen.model)
    (entry,) = choose(benchmark, [selected])
    found: dict[str, list[float]] = {}

    def add(parts: Iterator[tuple[str, float]]) -> None:
        for name, value in parts:
            found.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder, Launcher(benchmark.budget.threads, scoring=True) as launcher:
        context = make_context(registry, benchmark, Store(Path(folder)), launcher)
        seeds = itertools.count()
        planned = lambda: PlannedRun(RunKey(benchmark.folder, selected.name, next(seeds)), entry, "new", None)  # noqa: E731
        one_run(planned(), context, launcher)  # warms the caches of files
        for _ in range(chosen.rounds):
            add(told_apart(one_run(planned(), context, launcher)))
        own, share = supervisors_share(planned(), context, launcher, chosen.seconds)
    for _ in range(chosen.rounds):
        add(once_a_call())
        add(fresh_processes())
        add(command("noise"))
    show(found)
    print(f"a training of {chosen.seconds:g} s: its own processes {own:.1%} of a core, its supervisor {share:.3%}")


def show(found: dict[str, list[float]]) -> None:
    """Print all figures, in milliseconds: the median, and the least, which a busy machine disturbs less."""
    ways = {
        "start: ": "start: from the claim to the first step",
        "evaluation: ": "evaluation: from the end of training to the first sample",
    }
    print(f"{'':62} {'median':>8} {'least':>8}")
    for prefix, name in ways.items():
        parts = [values for part, values in found.items() if part.startswith(prefix)]
        row(name, [sum(one) for one in zip(*parts, strict=True)])
    for name, values in found.items():
        row(f"  {name}", values)


def row(name: str, values: list[float]) -> None:
    print(f"{name:62} {statistics.median(values) * 1e3:8.1f} {min(values) * 1e3:8.1f} ms")


if __name__ == "__main__":
    main()
