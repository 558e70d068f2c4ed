"""What is done once before the first run of a call."""

from __future__ import annotations

import os
from dataclasses import asdict

from genbench import paths
from genbench.benchmark import Benchmark
from genbench.executors.audits import Audits
from genbench.executors.launcher import Launcher
from genbench.executors.run import Context
from genbench.matrix import metrics_of, sys_path
from genbench.plugins import Registry
from genbench.store import Store


def make_context(registry: Registry, benchmark: Benchmark, store: Store, launcher: Launcher) -> Context:
    """Bring the benchmark's data into the cache and check them.

    Raises:
        DataError: if they are missing or not what their declaration says.
    """
    plugin = registry.find("datasets", benchmark.dataset.name).plugin
    data_folder = launcher.call(
        "genbench.engine.tasks:materialise",
        {
            "dataset": asdict(benchmark.dataset),
            "cache": str(paths.data_cache()),
            "device": benchmark.budget.device,
        },
        sys_path(plugin),
    )
    audits = Audits(paths.audit_cache())
    return Context(
        benchmark, *metrics_of(registry, benchmark), store, data_folder, str(paths.reference_cache()), audits
    )


def default_jobs(threads: int) -> int:
    """As many runs side by side as the cores that this process may use hold, one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)
