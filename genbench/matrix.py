"""The matrix of a call: models x seeds on a benchmark, and what is already known of each run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genbench import PROTOCOL_VERSION
from genbench.benchmark import Benchmark
from genbench.errors import GenbenchError, RecordError, SpecError
from genbench.job import ForeignMetrics
from genbench.plugins import Plugin, Registry, code_sha256, told
from genbench.record import UNFINISHED, BenchmarkId, ModelId, Record
from genbench.selection import SelectedModel
from genbench.specs import DataSpec, MetricSpec, ModelSpec, resolve_config
from genbench.store import RunKey, Store
from genbench.undisturbed import undisturbed

State = Literal["new", "done", "stale", "retry", "unreadable"]
"""``done``: a record of this very run stands. ``stale``: code, configuration or benchmark have changed since.
``retry``: it did not end for reasons that are not the model's, or the user asked for another try. ``unreadable``:
what stands there is no record that can be trusted."""

OWN = "genbench"
"""The distribution whose metrics run in the scoring process; those of others run in a process of their own."""

Rerun = Literal["failed", "all"]


@dataclass(frozen=True)
class Entry:
    """A model as chosen: its spec and plugin, its resolved configuration, and its identity in records.

    ``unsupported`` is the reason why it can't be used on the data, or None. ``problem`` is what its declaration does
    wrong, or None; its runs end as ``failed``, for that reason, before anything is started.
    """

    spec: ModelSpec
    plugin: Plugin
    identity: ModelId
    unsupported: str | None
    problem: str | None = None

    @property
    def factory(self) -> str:
        return import_string(self.spec.factory)

    @property
    def config_type(self) -> str:
        return import_string(self.spec.config)


@dataclass(frozen=True)
class PlannedRun:
    """One run of the matrix and what is known of it; ``problem`` says why a record is unreadable."""

    key: RunKey
    entry: Entry
    state: State
    record: Record | None
    problem: str | None = None

    def identity(self, benchmark: Benchmark) -> str:
        """SHA-256 of what makes this run this very run: what an interrupted attempt left is of use to no other."""
        parts = [PROTOCOL_VERSION, benchmark.digest, dataclasses.asdict(self.entry.identity), self.key.seed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def choose(benchmark: Benchmark, selected: Iterable[SelectedModel]) -> list[Entry]:
    """Resolve models against a benchmark.

    What a model's own declaration does wrong is its entry's ``problem``, and the other models go on.

    Raises:
        GenbenchError: for options that the model refuses.
    """
    entries = []
    for model in selected:
        with undisturbed():  # `supports` and `defaults` are the plugin's code
            entries.append(_entry(benchmark, model))
    return entries


def _entry(benchmark: Benchmark, model: SelectedModel) -> Entry:
    spec, plugin = model.registered.spec, model.registered.plugin
    data = benchmark.dataset.data
    config, config_problem = _configuration(model, data)
    code, code_problem = _code(spec, plugin)
    reason, support_problem = _support(spec, data)
    if reason is None and spec.conditional and data.classes is None:
        reason = f"needs labels, which {benchmark.dataset.name} has not"
    identity = ModelId(
        name=model.name,
        config=config,
        plugin=plugin.distribution,
        version=plugin.version,
        code_sha256=code,
        reference=spec.reference,
        likelihood=spec.likelihood,
        conditional=spec.conditional,
    )
    return Entry(spec, plugin, identity, reason, config_problem or code_problem or support_problem)


def _configuration(model: SelectedModel, data: DataSpec) -> tuple[dict[str, Any], str | None]:
    """The configuration of a run; or the declared one and why the model can't be configured for the data.

    Raises:
        GenbenchError: where it is the chosen options that the model refuses.
    """
    spec = model.registered.spec
    try:
        return dataclasses.asdict(resolve_config(spec, data, model.overrides)), None
    except (Exception, SystemExit) as error:
        if model.overrides and _is_configurable(spec, data):
            raise error if isinstance(error, GenbenchError) else SpecError(f"{model.name}: {told(error)}") from error
        problem = str(error) if isinstance(error, GenbenchError) else told(error)
    return dataclasses.asdict(spec.config()) | model.overrides, f"defaults: {problem}"


def _is_configurable(spec: ModelSpec, data: DataSpec) -> bool:
    """Whether a model takes its own defaults for the data."""
    try:
        resolve_config(spec, data, {})
    except (Exception, SystemExit):
        return False
    return True


def _code(spec: ModelSpec, plugin: Plugin) -> tuple[str, str | None]:
    """The hash of a model's code, or that of none and which part of it can't be found."""
    try:
        return code_sha256(spec, plugin), None
    except (GenbenchError, ImportError, OSError, ValueError) as error:
        problem = str(error) if isinstance(error, GenbenchError) else told(error)
        return hashlib.sha256().hexdigest(), f"code: {problem}"


def code_has_changed(entry: Entry) -> bool:
    """Whether the code that a model is made of is other code by now than when its runs were planned."""
    code, problem = _code(entry.spec, entry.plugin)
    return problem is None and code != entry.identity.code_sha256


def _support(spec: ModelSpec, data: DataSpec) -> tuple[str | None, str | None]:
    """Why a model does not support the data, or None; and what is wrong with its answer, or None."""
    try:
        reason = spec.supports(data)
    except (Exception, SystemExit) as error:
        return None, f"supports: {told(error)}"
    if reason is None or (isinstance(reason, str) and reason.strip()):
        return reason, None
    return None, f"supports: must return None or the reason in words, not {type(reason).__name__}"


def plan(
    store: Store, benchmark: Benchmark, entries: Sequence[Entry], seeds: Sequence[int], rerun: Rerun | None = None
) -> list[PlannedRun]:
    """Every run of the matrix, seed by seed so that a table of all models fills early."""
    runs = []
    for seed in seeds:
        for entry in entries:
            key = RunKey(benchmark.folder, entry.identity.name, seed)
            try:
                record = store.read(key)
            except RecordError as error:
                runs.append(PlannedRun(key, entry, "unreadable", None, str(error)))
            else:
                runs.append(PlannedRun(key, entry, _state(record, benchmark, entry, rerun), record))
    return runs


def metrics_of(registry: Registry, benchmark: Benchmark) -> tuple[list[MetricSpec], list[ForeignMetrics]]:
    """The metrics that a benchmark names: genbench's own, and those that third parties brought."""
    own: list[MetricSpec] = []
    foreign: dict[str, ForeignMetrics] = {}
    for name in benchmark.file.metrics:
        metric = registry.find("metrics", name)
        plugin = metric.plugin
        if plugin.distribution == OWN:
            own.append(metric.spec)
        else:
            brought = ForeignMetrics(plugin.distribution, plugin.version, sys_path(plugin), [])
            foreign.setdefault(plugin.distribution, brought).metrics.append(metric.spec)
    return own, list(foreign.values())


def benchmark_id(benchmark: Benchmark) -> BenchmarkId:
    return BenchmarkId(benchmark.name, benchmark.digest, benchmark.dev, benchmark.custom_budget)


def import_string(target: str | type) -> str:
    """``"package.module:Name"`` of a class, or the string itself."""
    return target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}"


def sys_path(plugin: Plugin) -> list[str]:
    """Folders that a worker needs on ``sys.path`` to import the plugin."""
    return [str(Path(plugin.root))] if plugin.root else []


def is_current(record: Record, benchmark: Benchmark, entry: Entry) -> bool:
    """Whether a record is of today's benchmark, and of the model's configuration and code."""
    return (
        record.benchmark.digest == benchmark.digest
        and record.model.config == entry.identity.config
        and record.model.code_sha256 == entry.identity.code_sha256
    )


def _state(record: Record | None, benchmark: Benchmark, entry: Entry, rerun: Rerun | None) -> State:
    if record is None:
        return "new"
    if not is_current(record, benchmark, entry):
        return "stale"
    failed = record.status not in ("ok", "unsupported")
    if record.status in UNFINISHED or rerun == "all" or (rerun == "failed" and failed):
        return "retry"
    return "done"
