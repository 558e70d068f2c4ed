"""What 10,000 runs on 100 nodes would need: costs a run measured here, and a simulation of the rest.

    python perf/scale.py [--runs 10000] [--nodes 100] [--cores 32] [--minutes 30] [--server 20000] [--no-ray]

First it measures, on this machine and without training anything: the file-system calls and the time of a claim and a
commit, of passing by a run that is done, of the plan and the sweep at the start of a call, of reading records for the
table, of the live view, and what Ray asks of a driver. Then it simulates a matrix on the cluster twice, event by event:
once as genbench did these things at first, once as it does them now. Assumptions are printed; one core is enough.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster_simulation import Cluster, Ways, Work, simulate

from genbench.record import Record, parse
from genbench.store import RunKey, Store

ROOT = Path(__file__).resolve().parent.parent
CALLS = ("open", "stat", "lstat", "fsync", "rename", "mkdir", "rmdir", "unlink", "link", "scandir", "listdir", "close")
"""Of the system, as the module ``os`` names them; those that a file server hears of."""
WIDTH = 66


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The calls of the file system in a block, by name."""
    found: Counter[str] = Counter()
    real = {name: getattr(os, name) for name in CALLS}

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            found[name] += 1
            return function(*arguments, **options)

        return call

    for name, function in real.items():
        setattr(os, name, counting(name, function))
    try:
        yield found
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def work_of(do: Callable[[int], object], times: int = 20) -> Work:
    """What a thing costs that is done again and again: counted once, timed in the middle of many."""
    with counted() as calls:
        do(0)
    seconds = []
    for turn in range(1, times):
        began = time.perf_counter()
        do(turn)
        seconds.append(time.perf_counter() - began)
    listings = calls.pop("listdir", 0)  # scandir is for folders of runs
    return Work(sum(calls.values()), listings, statistics.median(seconds))


def some_record() -> Record:
    """One of the published records, without files: what is measured needs a record of the usual size."""
    path = next((ROOT / "results" / "digits").glob("*/seed-0/record.json"))
    return dataclasses.replace(parse(path.read_text()), artifacts={})


def of_seed(record: Record, seed: int) -> Record:
    return dataclasses.replace(record, seed=seed)


def key_of(record: Record) -> RunKey:
    return RunKey(record.benchmark.name, record.model.name, record.seed)


def commit(store: Store, record: Record) -> None:
    with store.claim(key_of(record), "identity") as claim:
        assert claim is not None
        store.commit(claim, record)


def interrupt(store: Store, record: Record) -> None:
    """What a harness leaves that is killed."""
    try:
        with store.claim(key_of(record), "identity"):
            raise InterruptedError
    except InterruptedError:
        pass


def file_system(folder: Path) -> dict[str, Work]:
    """The costs of single runs in a results folder."""
    record, store = some_record(), Store(folder / "one")
    return {
        "claim and commit a run": work_of(lambda turn: commit(store, of_seed(record, turn))),
        "pass by a done run, claiming it": work_of(lambda turn: _pass_claiming(store, of_seed(record, turn))),
        "pass by a done run, reading it": work_of(lambda turn: store.read(key_of(of_seed(record, turn)))),
        "look for a record that is not there": work_of(lambda turn: store.read(key_of(of_seed(record, 10**6 + turn)))),
    }


def _pass_claiming(store: Store, record: Record) -> None:
    with store.claim(key_of(record), "identity") as claim:
        assert claim is not None
        store.read(key_of(record))


def sweeps(folder: Path) -> dict[int, tuple[float, float]]:
    """Seconds and listed entries of a sweep, by the number of runs that a killed call had under way."""
    found = {}
    for count in (100, 200, 400):
        record, store = some_record(), Store(folder / f"sweep-{count}")
        for seed in range(count):
            interrupt(store, of_seed(record, seed))
        entries = len(os.listdir(store.root / ".work"))
        with counted() as calls:
            began = time.perf_counter()
            store.sweep()
            seconds = time.perf_counter() - began
        found[count] = seconds, (calls["listdir"] + calls["scandir"]) * entries
    return found


def views() -> dict[int, tuple[float, float]]:
    """CPU seconds of drawing the live view once and of one word of progress, by the number of runs shown."""
    from rich.console import Console
    from rich.progress import Progress

    from genbench.report.live import BARS

    found = {}
    for count in (BARS, 3200):
        console = Console(file=open(os.devnull, "w"), force_terminal=True, width=120, height=50)  # noqa: SIM115
        progress = Progress(console=console, auto_refresh=False)
        tasks = [progress.add_task(f"model seed {index} training", total=1.0) for index in range(count)]
        console.print(progress.make_tasks_table(progress.tasks[:1]))  # what is imported at first is no part of it
        began = time.process_time()
        console.print(progress.get_renderable())
        drawn = time.process_time() - began
        began = time.process_time()
        for task in tasks[:100]:
            progress.update(task, completed=0.5, description="model seed 0 training")
        found[count] = drawn, (time.process_time() - began) / min(count, 100)
    return found


def ray_costs(runs: int) -> dict[str, float]:
    """What Ray asks of a driver: of tasks that wait, of those that are under way, and of the desk."""
    import ray

    from genbench.executors.ray_node import Desk

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        document = ray.put({"as large": "x" * 4000})
        never = ray.remote(_nothing).options(num_cpus=64, max_retries=0)
        before, began = _resident(), time.perf_counter()
        references = [never.remote(document, number) for number in range(runs)]
        sent = (time.perf_counter() - began) / runs
        grown = (_resident() - before) / runs
        began = time.perf_counter()
        for _ in range(5):
            ray.wait(references[:3500], num_returns=3500, timeout=0.001, fetch_local=False)
        waited = (time.perf_counter() - began) / 5
        del references
        desk = ray.remote(Desk).options(num_cpus=0, max_concurrency=1000).remote()
        ray.get(desk.report.remote([]))
        event = [(7, {"stage": "train", "progress": 0.5})]
        began = time.perf_counter()
        ray.get([desk.report.remote(event) for _ in range(1000)])
        reported = (time.perf_counter() - began) / 1000
        return {"send": sent, "memory": grown, "wait": waited, "report": reported}
    finally:
        ray.shutdown()


def _nothing(document: object, number: int) -> int:
    return number


def _resident() -> float:
    """Bytes of resident memory of this process at its peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def row(what: str, *values: str) -> None:
    print(f"  {what:{WIDTH}}" + "".join(f"{value:>18}" for value in values), flush=True)


def tell(given: argparse.Namespace, folder: Path) -> None:
    cluster = Cluster(given.runs, given.nodes * given.cores, given.minutes * 60, given.server)
    print("Measured here: file-system calls, listings of .work, milliseconds on this disk")
    works = file_system(folder)
    for what, work in works.items():
        row(what, f"{work.calls:g}", f"{work.listings:g}", f"{work.seconds * 1e3:.1f} ms")
    print("Sweep at the start of a call, after a killed one: runs under way, entries listed, time")
    swept = sweeps(folder)
    for count, (seconds, entries) in swept.items():
        row(f"{count} runs", f"{entries:,.0f}", f"{seconds * 1e3:.0f} ms")
    read = works["pass by a done run, reading it"].seconds
    absent = works["look for a record that is not there"].seconds
    row(f"plan of {cluster.runs:,} runs, none done", f"{absent * cluster.runs:.1f} s")
    row(f"plan of {cluster.runs:,} runs, all done; as much again for the table", f"{read * cluster.runs:.1f} s")
    print("Live view: runs shown, CPU time of drawing it once, and of a word of progress")
    drawn = views()
    for count, (once, word) in drawn.items():
        row(f"{count} bars", f"{once * 1e3:.1f} ms", f"{word * 1e6:.0f} us")
    costs = {"send": 0.0, "memory": 0.0, "wait": 0.0, "report": 0.0}
    if not given.no_ray:
        costs = ray_costs(cluster.runs)
        print("Ray, of the driver: sending a task, memory of one that waits, a look at 3,500, a report to the desk")
        row("", f"{costs['send'] * 1e6:.0f} us", f"{costs['memory'] / 1024:.1f} KiB",
            f"{costs['wait'] * 1e3:.1f} ms", f"{costs['report'] * 1e6:.0f} us")  # fmt: skip
    compare(cluster, works["claim and commit a run"], swept, drawn, costs)


def compare(
    cluster: Cluster,
    claim: Work,
    swept: dict[int, tuple[float, float]],
    drawn: dict[int, tuple[float, float]],
    costs: dict[str, float],
) -> None:
    """The two simulations side by side."""
    few, many = min(drawn), max(drawn)
    first = Ways(dataclasses.replace(claim, listings=claim.listings + 2), 30.0, 60.0, 10.0, None, 5.0, many, 3.0)
    now = Ways(claim, 0.0, 0.6, 60.0, 1.1, 200 / cluster.slots, few, 0.0)
    print(
        f"\nSimulated: {cluster.runs:,} runs of {cluster.seconds / 60:g} minutes in the mean on {cluster.slots:,} "
        f"cores;\na file server of {cluster.server:,.0f} calls a second and {cluster.bandwidth / 1e9:g} GB/s; states "
        f"of {cluster.state / 1e6:g} MB; {cluster.models} models, audits of {cluster.audit:g} s"
    )
    row("", "at first", "now")
    entries, left = 2 * cluster.slots, min(cluster.runs, cluster.slots)
    both = (first, now)
    row("calls a second for progress, all runs", *(f"{cluster.slots * ways.progress_calls:,.0f}" for ways in both))
    row("calls a second while the models are audited",
        *(f"{cluster.slots * ways.audit_tries:,.0f}" for ways in both))  # fmt: skip
    row("checkpoints, GB a second",
        *(f"{cluster.slots * cluster.state / ways.checkpoint_seconds / 1e9:.1f}" for ways in both))  # fmt: skip
    row("entries of .work listed by a sweep after a kill",
        *(f"{(1 + left * ways.sweep_listings) * entries:,.0f}" for ways in both))  # fmt: skip
    row("entries of .work listed for a run", *(f"{ways.claim.listings * entries:,.0f}" for ways in both))
    row("reports to the driver a second", *(f"{cluster.slots * ways.reports:,.0f}" for ways in both))
    row("the desk's core, busy with them", *(f"{cluster.slots * ways.reports * costs['report']:.1%}" for ways in both))
    row("a core, busy with drawing the live view 10 times a second; 4 times",
        f"{10 * drawn[many][0]:.0%}", f"{4 * drawn[few][0]:.0%}")  # fmt: skip
    waiting = [cluster.runs if ways.queue is None else min(cluster.runs, ways.queue * cluster.slots) for ways in both]
    row("driver's memory for tasks, MiB", *(f"{count * costs['memory'] / (1 << 20):,.0f}" for count in waiting))
    driver = costs["send"] + 5 * costs["report"]
    outcomes = [simulate(cluster, ways, driver) for ways in both]
    row("file server asked for, of what it can (over 100%: it breaks)", *(f"{each['server']:.0%}" for each in outcomes))
    row("the same while the models are audited", *(f"{each['peak']:.0%}" for each in outcomes))
    row("driver busy with tasks", *(f"{each['driver']:.1%}" for each in outcomes))
    row("hours until all is done", *(f"{each['hours']:.2f}" for each in outcomes))
    row("efficiency against no waiting at all", *(f"{each['efficiency']:.1%}" for each in outcomes))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--cores", type=int, default=32, help="of a node; a run has one")
    parser.add_argument("--minutes", type=float, default=30.0, help="of a run, in the mean")
    parser.add_argument("--server", type=float, default=20_000.0, help="calls a second of the file server")
    parser.add_argument("--no-ray", action="store_true", help="leave out what needs Ray")
    with tempfile.TemporaryDirectory(prefix="genbench-scale-") as folder:
        tell(parser.parse_args(), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
