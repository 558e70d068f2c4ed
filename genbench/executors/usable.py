"""How many cores this process may use, by all who have a say in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """The cores of this process: at least 1.

    The fewest that its affinity allows, that the CPU quota of its control group is worth (a container's, or that of a
    service), and that Slurm has given to its task, which not every site enforces.
    """
    counts = [float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)]
    counts += _quotas()
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if given.isdecimal():
        counts.append(float(given))
    return max(1, int(min(counts)))


def _quotas() -> Iterator[float]:
    """In cores, those of the control group (version 2) that this process is in, and of those around it."""
    group = None
    with contextlib.suppress(OSError):  # a system without control groups has no quotas
        lines = OWN_GROUP.read_text().splitlines()
        group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if group is None:
        return
    # In a container this path may be that of the machine outside; the container's own group then is the uppermost.
    folder = CONTROL_GROUPS / group
    for place in (folder, *folder.parents):
        if not place.is_relative_to(CONTROL_GROUPS):
            return
        with contextlib.suppress(OSError):
            quota, _, period = (place / "cpu.max").read_text().partition(" ")
            if quota != "max":
                yield int(quota) / int(period)
