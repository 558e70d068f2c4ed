"""What is done once before the first run of a call."""

from __future__ import annotations

from dataclasses import asdict, replace

from genbench import paths
from genbench.benchmark import Benchmark
from genbench.errors import DataError, GenbenchError
from genbench.executors.audits import Audits
from genbench.executors.context import Context
from genbench.executors.launcher import HarnessError, Launcher, NoOutcome
from genbench.executors.usable import usable_cores
from genbench.job import CHECKPOINT_SECONDS
from genbench.matrix import OWN, metrics_of, sys_path
from genbench.plugins import Plugin, Registry
from genbench.specs import EvaluatorSpec
from genbench.store import Store
from genbench.supplies import change_evaluators, check_weights

TRIAL_SECONDS = 120.0
"""That an evaluator may take to be loaded and to look at a few images."""


def make_context(
    registry: Registry,
    benchmark: Benchmark,
    store: Store,
    launcher: Launcher,
    checkpoint_seconds: float | None = None,
) -> Context:
    """Bring the benchmark's data into the cache, find its evaluators' weights, and check both.

    Raises:
        DataError: if data or weights are missing or not what their declaration says, given reference statistics are of
            something else, or an evaluator does other than it declares.
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
    benchmark = ready_evaluators(registry, benchmark, launcher, data_folder)
    return Context(
        benchmark,
        *metrics_of(registry, benchmark),
        store,
        data_folder,
        str(paths.reference_cache()),
        audits,
        CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds,
    )


def ready_evaluators(registry: Registry, benchmark: Benchmark, launcher: Launcher, data_folder: str) -> Benchmark:
    """The benchmark with all files of its evaluators in place: what can't be scored is not trained either.

    Args:
        data_folder: of the materialised data, from which an evaluator is shown a few images.

    Raises:
        DataError: if weights are missing or others than declared, given reference statistics are of something else, or
            an evaluator does not do on a few images what it declares.
    """

    def ready(spec: EvaluatorSpec) -> EvaluatorSpec:
        entry = registry.find("evaluators", spec.name.partition("@")[0])
        if spec.weights:
            check_weights(spec)
        else:
            arguments = {"evaluator": asdict(spec), "cache": str(paths.weights_cache()), "offline": paths.offline()}
            weights = launcher.call("genbench.engine.scoring.weights:ready_weights", arguments, sys_path(entry.plugin))
            spec = replace(spec, weights=weights)
        if spec.references:
            arguments = {"evaluator": asdict(spec), "data_sha256": benchmark.dataset.sha256, "dev": benchmark.dev}
            launcher.call("genbench.engine.scoring.reference:check_references", arguments)
        # Of genbench's own those that ship are held to their declarations by its tests.
        if entry.plugin.distribution != OWN or not entry.spec.weights:
            _try(spec, entry.plugin, benchmark, launcher, data_folder)
        return spec

    return change_evaluators(benchmark, ready)


def _try(spec: EvaluatorSpec, plugin: Plugin, benchmark: Benchmark, launcher: Launcher, data_folder: str) -> None:
    """Let an evaluator look at a few images, under a time limit.

    One of genbench's own that has described these data before need not be loaded for that; the code of others may have
    changed since.

    Raises:
        DataError: saying what it does other than declared, where, and what to do.
    """
    arguments = {
        "evaluator": asdict(spec), "data_sha256": benchmark.dataset.sha256, "data_folder": data_folder,
        "dev": benchmark.dev, "threads": benchmark.budget.threads,
        "cache": str(paths.reference_cache()) if plugin.distribution == OWN else None,
    }  # fmt: skip
    try:
        launcher.call("genbench.engine.scoring.trial:try_evaluator", arguments, sys_path(plugin), TRIAL_SECONDS)
    except NoOutcome as error:
        found = _ended(spec, error)
    except HarnessError:
        raise
    except GenbenchError as error:
        found = str(error)
    else:
        return
    raise DataError(
        "\n".join(
            [
                found,
                f"  no run of {benchmark.name} could be scored, so none is begun",
                f"  to do: mend {spec.factory} ({plugin.distribution} {plugin.version}), or name another evaluator in "
                "the benchmark's definition (`genbench list evaluators`)",
            ]
        )
    )


def _ended(spec: EvaluatorSpec, error: NoOutcome) -> str:
    """How a trial ended that was not to end so, and where in the evaluator's code it stood."""
    from genbench.engine.blame import place_in

    place = place_in(error.log)
    stood = f"; it stood at {place}" if place else ""
    return (
        f"evaluator {spec.name!r}: must give float32 features [n, {spec.dims}] of a few images within "
        f"{TRIAL_SECONDS:g} s, and the process that tried it {error.how}{stood}"
    )


def default_jobs(threads: int) -> int:
    """As many runs side by side as the cores that this process may use hold, one at least."""
    return max(1, usable_cores() // threads)
