"""A matrix of runs on a cluster, simulated run by run: for perf/scale.py, which measures what goes into it."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

ENTRIES_A_READ = 100
"""Entries of a folder that a file server sends at a time."""


@dataclass(frozen=True)
class Work:
    """What something costs.

    Attributes:
        calls: of the file system, without listings.
        listings: of the folder ``.work``.
        seconds: on this machine's disk.
    """

    calls: float
    listings: float
    seconds: float


@dataclass(frozen=True)
class Cluster:
    """What is assumed of a cluster and its work.

    Attributes:
        runs, slots: of the matrix; side by side.
        seconds: of a run, in the mean; between half and one and a half of it.
        server: calls a second that the file server of the results folder takes.
        bandwidth: bytes a second that it takes.
        state: bytes of a checkpoint.
        models: in the matrix, each of which is audited once, for ``audit`` seconds.
    """

    runs: int
    slots: int
    seconds: float
    server: float
    bandwidth: float = 2e9
    state: float = 20e6
    models: int = 25
    audit: float = 20.0


@dataclass(frozen=True)
class Ways:
    """How genbench does what costs something at scale.

    Attributes:
        claim: of a run and its commit, with the listings of ``.work``.
        progress_calls: of the file server a second, for the progress of one run.
        audit_tries: calls of the file server a second, of one run that waits for its model's audit.
        checkpoint_seconds: between two checkpoints.
        queue: tasks that are with Ray at a time, as a multiple of the slots; None for all.
        reports: of one run to the driver, a second.
        bars: of the live view, at most.
        sweep_listings: of a sweep, for each run that was under way.
    """

    claim: Work
    progress_calls: float
    audit_tries: float
    checkpoint_seconds: float
    queue: float | None
    reports: float
    bars: int
    sweep_listings: float


def simulate(cluster: Cluster, ways: Ways, driver_seconds: float, seed: int = 0) -> dict[str, float]:
    """The matrix on the cluster, run by run: each waits for a slot, the driver, the file server, its own work, and
    the file server again.

    Args:
        driver_seconds: that the driver is busy with each run.

    Returns:
        ``hours`` until all is done, ``efficiency`` against the same without any waiting, and the shares of their time
        that the file server (``server``, of which its own peak is ``peak``) and the driver (``driver``) were busy.
    """
    chance = random.Random(seed)
    lengths = [cluster.seconds * chance.uniform(0.5, 1.5) for _ in range(cluster.runs)]
    entries = 2 * cluster.slots
    calls = ways.claim.calls + ways.claim.listings * (1 + entries / ENTRIES_A_READ)
    steady = cluster.slots * ways.progress_calls / cluster.server
    steady += cluster.slots * cluster.state / ways.checkpoint_seconds / cluster.bandwidth
    waiting_for_audits = cluster.slots * ways.audit_tries / cluster.server
    left = max(1.0 - steady, 0.02)  # a server that is asked for too much serves all slowly
    service = calls / 2 / (cluster.server * left)
    stretch = max(1.0, steady)  # and runs wait for their progress and checkpoints
    server_free = driver_free = busy_server = busy_driver = 0.0
    events = [(0.0, -1)] * cluster.slots
    heapq.heapify(events)
    following, ended, last = 0, 0, 0.0
    while ended < cluster.runs:
        now, run = heapq.heappop(events)
        if run >= 0:  # a run that is to be committed
            server_free = max(server_free, now) + service
            now, busy_server = server_free, busy_server + service
            ended, last = ended + 1, max(last, server_free)
        if following < cluster.runs:
            driver_free = max(driver_free, now) + driver_seconds
            server_free = max(server_free, driver_free) + service
            busy_driver, busy_server = busy_driver + driver_seconds, busy_server + service
            audit = cluster.audit * max(1.0, waiting_for_audits) if following < cluster.slots else 0.0
            heapq.heappush(events, (server_free + audit + lengths[following] * stretch, following))
            following += 1
    ideal = _packed(lengths, cluster.slots)
    return {
        "hours": last / 3600,
        "efficiency": ideal / last,
        "server": busy_server / last + steady,
        "peak": max(waiting_for_audits + steady, busy_server / last + steady),
        "driver": busy_driver / last,
    }


def _packed(lengths: list[float], slots: int) -> float:
    """When runs are done that wait for nothing but a slot."""
    free = [0.0] * slots
    for length in lengths:
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)
