"""Jobs with all that a likelihood audit reads; what it does not read is a stand-in."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from genbench import DataSpec, ModelSpec
from genbench.audit_key import small_spaces, supported_spaces
from genbench.benchmark import LikelihoodTable, SamplesTable
from genbench.engine import rng
from genbench.engine.contract import prepare_torch
from genbench.job import Job
from genbench.matrix import import_string
from genbench.record import BenchmarkId, ModelId
from genbench.specs import Budget, EvaluatorSpec, LikelihoodKind, resolve_config

DIGITS = DataSpec((1, 8, 8), levels=17, classes=10)


@contextlib.contextmanager
def worker_settings() -> Iterator[None]:
    """Audits run in a worker's settings; puts this process's back afterwards."""
    threads = torch.get_num_threads()
    with rng.preserved():
        prepare_torch(1, "cpu")
        yield
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(threads)


def job_for(
    folder: Path,
    factory: str,
    config: Any,
    kind: LikelihoodKind | None,
    conditional: bool = False,
    max_epochs: int | None = None,
    data: DataSpec = DIGITS,
) -> Job:
    """A job with all that an audit reads; what it does not read is a stand-in."""
    given: dict[str, Any] = {
        "work": str(folder),
        "benchmark": BenchmarkId("none", "0" * 16),
        "model": ModelId(factory, dataclasses.asdict(config), "test", "0", "0" * 64, "", kind, conditional),
        "seed": 0,
        "factory": factory,
        "config_type": f"{type(config).__module__}:{type(config).__qualname__}",
        "likelihood": kind,
        "max_epochs": max_epochs,
        "audit_spaces": small_spaces(data),
        "sys_path": [],
        "data": data,
        "data_sha256": "",
        "data_folder": "",
        "budget": Budget(10**6, None, 60.0, 1 << 32, 10**7),
        "milestones": [1.0],
        "samples": SamplesTable(2, 2, 2),
        "likelihood_settings": LikelihoodTable(1, 1, 1, 1, 1),
        "evaluator": EvaluatorSpec("none", "", "", "", "", "", 1, data.shape, data.levels),
        "cache": "",
    }
    # Fields that other parts of a run need may come and go.
    for entry in dataclasses.fields(Job):
        needed = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if needed and entry.name not in given:
            given[entry.name] = [] if str(entry.type).startswith("list") else None
    return Job(**given)


def job_of_spec(folder: Path, spec: ModelSpec, data: DataSpec = DIGITS, **overrides: object) -> Job:
    """A job of a spec on data of some shape, with its configuration but for ``overrides``."""
    config = resolve_config(spec, data, overrides)
    job = job_for(folder, import_string(spec.factory), config, spec.likelihood, spec.conditional, spec.max_epochs, data)
    return dataclasses.replace(job, audit_spaces=supported_spaces(spec, data))
