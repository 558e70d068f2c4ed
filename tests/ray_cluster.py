"""The ray executor on a real cluster of three nodes on this machine: a head without CPUs, and two workers.

    python tests/ray_cluster.py [--folder DIR] [equal] [node] [driver] [stop] [scaling]

``equal``: the records are those of the local executor, up to the volatile fields. ``node``: a raylet is killed while a
run trains on its node; there is exactly one record a run, equal to the local one, that run's with a lost attempt, and
no process is left. ``driver``: the driver is killed by SIGKILL; nothing is left running, and the same command goes on
from the checkpoints to the same records. ``stop``: Ctrl-C once commits what is under way as cancelled, twice commits
nothing; both leave nothing running, and the next call goes on to the same records. ``scaling``: the same runs with one
worker and with two, in turn; it needs two free cores, and tells the efficiency T1 / (2 T2). Without names all but the
last are done. It takes some minutes.

It needs genbench[ray]. Exit code 0 if all that was promised was seen.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

from genbench.ledger import read_ledger
from genbench.record import Record
from genbench.stable import stable
from genbench.store import Store

MARK = "GENBENCH_RAY_CLUSTER"
"""Environment variable by which every process of this script's clusters is found again."""
CHEAP = ("noise", "marginals", "vae", "mlp-gan")
LONG = ("vae", "mlp-gan")
LONG_BUDGET = ("--budget", "images=40000", "--budget", "flops=none", "--budget", "seconds=600", "--checkpoint", "0.5")
"""Of runs that are to be interrupted: some seconds of training at least."""
SCALED = (
    "vae", "beta-vae", "mlp-gan", "dcgan", "cvae", "hvae", "ae-gmm", "cgan", "acgan", "sngan", "sagan", "wgan-gp",
    "rnn-gan", "crnn-gan",
)  # fmt: skip
"""As many that the start of a call, some ten seconds, is a small part of what two workers take."""
NODE_MEMORY = 8 << 30
PATIENCE = 600.0
"""Seconds that anything may take here before it is taken for hung."""
EFFICIENCY = 0.85


class Broken(AssertionError):
    """Something that was promised did not hold."""


def command(results: Path, models: Sequence[str], *options: str) -> list[str]:
    start = [sys.executable, "-P", "-m", "genbench.cli", "run", *models, "-b", "digits-smoke"]
    return [*start, "--results", str(results), *options]


def environment() -> dict[str, str]:
    return {**os.environ, MARK: str(os.getpid())}


@contextmanager
def cluster() -> Iterator[tuple[Cluster, tuple[str, ...]]]:
    """A cluster of two worker nodes with a core each, and the options that name it."""
    os.environ[MARK] = str(os.getpid())
    # Ray's default of 15 makes runs slow beside anything else; it writes its variables so.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, memory=NODE_MEMORY)
        made.wait_for_nodes()
        yield made, ("--executor", "ray", "--executor-option", f"address={made.address}")
    finally:
        made.shutdown()
        del os.environ[MARK]


@contextmanager
def driver(results: Path, models: Sequence[str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A driver under way, with its output in a file beside the results; it is ended with the block."""
    with Path(f"{results}.log").open("ab") as log:
        process = subprocess.Popen(
            command(results, models, *options),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def do(results: Path, models: Sequence[str], *options: str) -> float:
    """Carry the runs out; returns the seconds that it took."""
    began = time.monotonic()
    with driver(results, models, *options) as process:
        code = process.wait(PATIENCE)
    if code != 0:
        raise Broken(f"genbench run ended with {code}:\n{Path(f'{results}.log').read_text()}")
    return time.monotonic() - began


def wait_until(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What the condition gives, once it is something."""
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            raise Broken(f"waited {patience:g} s in vain: {what}")
        time.sleep(0.2)
    return found


def records(results: Path) -> dict[str, Record]:
    loaded = Store(results).load()
    if loaded.unreadable:
        raise Broken(f"unreadable: {loaded.unreadable}")
    return {record.run: record for record in loaded.records}


def workers() -> list[psutil.Process]:
    """genbench's processes below this script's clusters: fork servers, run servers, stages, supervisors."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            ours = process.environ().get(MARK) == str(os.getpid())
        except psutil.Error:
            continue
        if ours and ("genbench.engine.forkserver" in line or "genbench.executors.supervisor" in line):
            found.append(process)  # run servers and stages are forks of the fork server, and have its command line
    return found


def supervisors() -> list[psutil.Process]:
    return [process for process in workers() if "genbench.executors.supervisor" in " ".join(process.cmdline())]


def training(results: Path) -> list[Path]:
    """The folders of attempts that have a checkpoint, and so train."""
    work = results / ".work"
    if not work.is_dir():
        return []
    return [path for path in work.iterdir() if read_ledger(path) is not None and any(path.glob("checkpoint*"))]


def two_train(process: subprocess.Popen[bytes], results: Path) -> None:
    """Wait until two runs of a driver train.

    Raises:
        Broken: if it ends before.
    """

    def train() -> bool:
        if process.poll() is not None:
            log = Path(f"{results}.log").read_text()
            raise Broken(f"genbench run ended with {process.returncode} before two runs trained:\n{log}")
        return len(training(results)) >= 2 and len(supervisors()) >= 2

    wait_until("two runs train", train)


def same_as_local(results: Path, local: dict[str, Record]) -> str:
    found = records(results)
    if found.keys() != local.keys():
        raise Broken(f"other runs than the local executor's: {sorted(found.keys() ^ local.keys())}")
    for run, record in found.items():
        if stable(record) != stable(local[run]):
            raise Broken(f"{run}: its record differs from the local executor's")
    # The token of a driver that was killed goes with a sweep when it is an hour old.
    names = [path.name for path in (results / ".work").iterdir()]
    leftover = [name for name in names if name != "audits" and not name.startswith("probe-")]
    if leftover:
        raise Broken(f"left in .work: {leftover}")
    heaps = [results / heap for heap in (".superseded", ".quarantine") if (results / heap).exists()]
    if heaps:
        raise Broken(f"a record was replaced or set aside: {heaps}")
    return f"{len(found)} records, equal to the local executor's"


def nothing_left(patience: float = 20.0) -> None:
    wait_until("genbench's processes end", lambda: not workers(), patience)


def equal(folder: Path) -> str:
    do(folder / "equal-local", CHEAP)
    with cluster() as (_, options):
        do(folder / "equal-ray", CHEAP, *options)
        nothing_left()
    return same_as_local(folder / "equal-ray", records(folder / "equal-local"))


def node_of(processes: list[psutil.Process], made: Cluster) -> Any:
    """The worker node that one of the processes runs on."""
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in made.worker_nodes}
    for process in processes:
        for parent in process.parents():
            if parent.pid in raylets:
                return raylets[parent.pid]
    return None


def node(folder: Path) -> str:
    local = local_records(folder)
    results = folder / "node"
    with cluster() as (made, options):
        with driver(results, LONG, *LONG_BUDGET, *options) as process:
            two_train(process, results)
            victim = wait_until("a run's node is known", lambda: node_of(workers(), made))
            mine = [worker for worker in workers() if node_of([worker], made) is victim]
            raylet = victim.all_processes["raylet"][0].process
            os.kill(raylet.pid, signal.SIGKILL)
            raylet.wait()  # as init would: workers look whether it is there
            wait_until("the processes of the dead node end", lambda: not {*mine} & {*workers()}, 30)
            made.add_node(num_cpus=1, memory=NODE_MEMORY)
            if (code := process.wait(PATIENCE)) != 0:
                raise Broken(f"genbench run ended with {code}:\n{Path(f'{results}.log').read_text()}")
        nothing_left()
    told = same_as_local(results, local)
    lost = [run for run, record in records(results).items() if record.attempts[0].status == "lost"]
    if len(lost) != 1 or len(records(results)[lost[0]].attempts) != 2:
        raise Broken(f"one run was to have a lost attempt and one more; these have: {lost}")
    return f"{told}; {lost[0]} with its lost attempt; its processes ended with their node"


def driver_killed(folder: Path) -> str:
    local = local_records(folder)
    results = folder / "driver"
    with cluster() as (_, options):
        with driver(results, LONG, *LONG_BUDGET, *options) as process:
            two_train(process, results)
            process.kill()
            process.wait()
            began = time.monotonic()
            nothing_left(30.0)
            ended = time.monotonic() - began
        do(results, LONG, *LONG_BUDGET, *options)
        nothing_left()
    told = same_as_local(results, local)
    resumed = [run for run, record in records(results).items() if any(end.resumed_at for end in record.attempts)]
    if len(resumed) < 2:
        raise Broken(f"two runs were to go on from their checkpoints; these did: {resumed}")
    return f"{told}; {len(resumed)} went on from checkpoints; all ended {ended:.1f} s after the driver"


def stop(folder: Path) -> str:
    local = local_records(folder)
    results = folder / "stop"
    took = []
    with cluster() as (_, options):
        for interrupts in (1, 2):
            with driver(results, LONG, *LONG_BUDGET, *options) as process:
                two_train(process, results)
                began = time.monotonic()
                for _ in range(interrupts):
                    process.send_signal(signal.SIGINT)
                    time.sleep(0.1)
                if (code := process.wait(60)) != 130:
                    raise Broken(f"after {interrupts} interrupts genbench run ended with {code}, not 130")
                took.append(time.monotonic() - began)
            nothing_left(30.0)
            stopped = sum(record.status == "cancelled" for record in records(results).values())
            if stopped != 2:  # of the first time: the second one commits nothing
                raise Broken(f"after {interrupts} interrupts {stopped} runs are cancelled, not 2")
        do(results, LONG, *LONG_BUDGET, *options)
        nothing_left()
    found = records(results)
    if any(stable(record) != stable(local[run]) for run, record in found.items()) or found.keys() != local.keys():
        raise Broken("the records differ from the local executor's")
    return (
        f"one interrupt took {took[0]:.1f} s, two {took[1]:.1f} s; then {len(found)} records, equal to the local ones"
    )


def local_records(folder: Path) -> dict[str, Record]:
    """Of the long runs, undisturbed and on the local executor; made once."""
    results = folder / "long-local"
    if not results.exists():
        do(results, LONG, *LONG_BUDGET)
    return records(results)


def scaling(folder: Path) -> str:
    """One worker and two in turn, so that whatever else the machine does meets both."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with cluster() as (_, options):
        for count, jobs in enumerate((1, 2, 2, 1)):
            results = folder / f"scaling-{count}"
            seconds[jobs].append(do(results, SCALED, "--jobs", str(jobs), *options))
            print(f"  {jobs} worker(s): {seconds[jobs][-1]:.1f} s for {len(records(results))} runs", flush=True)
            nothing_left()
    one, two = (statistics.mean(seconds[jobs]) for jobs in (1, 2))
    efficiency = one / (2 * two)
    told = f"{one:.1f} s with one worker, {two:.1f} s with two: efficiency {efficiency:.2f}, start of the call included"
    if efficiency < EFFICIENCY:
        raise Broken(f"{told}; {EFFICIENCY} was promised (are two cores free?)")
    return told


CLAIMS: dict[str, Callable[[Path], str]] = {
    "equal": equal,
    "node": node,
    "driver": driver_killed,
    "stop": stop,
    "scaling": scaling,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("claims", nargs="*", choices=[*CLAIMS, []], metavar="CLAIM", help=", ".join(CLAIMS))
    parser.add_argument("--folder", type=Path, help="keeps what was made; by default it is removed")
    given = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory(prefix="genbench-ray-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in given.claims or ("equal", "node", "driver", "stop"):
            try:
                print(f"{name}: {CLAIMS[name](folder)}", flush=True)
            except Broken as error:
                broken += 1
                print(f"{name}: BROKEN: {error}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
