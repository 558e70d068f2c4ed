"""What is done once before the first run of a call."""

from __future__ import annotations

import os
from dataclasses import asdict, replace

from genbench import paths
from genbench.benchmark import Benchmark
from genbench.executors.audits import Audits
from genbench.executors.context import Context
from genbench.executors.launcher import Launcher
from genbench.job import CHECKPOINT_SECONDS
from genbench.matrix import metrics_of, sys_path
from genbench.plugins import Registry
from genbench.specs import EvaluatorSpec
from genbench.store import Store
from genbench.supplies import change_evaluators, check_weights


def make_context(
    registry: Registry,
    benchmark: Benchmark,
    store: Store,
    launcher: Launcher,
    checkpoint_seconds: float | None = None,
) -> Context:
    """Bring the benchmark's data into the cache, find its evaluators' weights, and check both.

    Raises:
        DataError: if data or weights are missing or not what their declaration says, or given reference statistics
            are of something else.
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
    benchmark = ready_evaluators(registry, benchmark, launcher)
    return Context(
        benchmark,
        *metrics_of(registry, benchmark),
        store,
        data_folder,
        str(paths.reference_cache()),
        audits,
        CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds,
    )


def ready_evaluators(registry: Registry, benchmark: Benchmark, launcher: Launcher) -> Benchmark:
    """The benchmark with all files of its evaluators in place: what can't be scored is not trained either."""

    def ready(spec: EvaluatorSpec) -> EvaluatorSpec:
        plugin = registry.find("evaluators", spec.name.partition("@")[0]).plugin
        if spec.rgb or not spec.weights:
            arguments = {"evaluator": asdict(spec), "cache": str(paths.weights_cache()), "offline": paths.offline()}
            weights = launcher.call("genbench.engine.scoring.weights:ready_weights", arguments, sys_path(plugin))
            spec = replace(spec, weights=weights)
        else:
            check_weights(spec)
        if spec.references:
            arguments = {"evaluator": asdict(spec), "data_sha256": benchmark.dataset.sha256, "dev": benchmark.dev}
            launcher.call("genbench.engine.scoring.reference:check_references", arguments)
        return spec

    return change_evaluators(benchmark, ready)


def default_jobs(threads: int) -> int:
    """As many runs side by side as the cores that this process may use hold, one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads)
