"""genbench: trains generative models under equal budgets and scores them into tables that can be compared."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from genbench.api import check, cite, compare, load_record, publish, run, sample, score, table
    from genbench.benchmark import Benchmark
    from genbench.errors import GenbenchError
    from genbench.frames import load_results
    from genbench.hookspecs import hookimpl
    from genbench.listings import (
        list_benchmarks,
        list_datasets,
        list_evaluators,
        list_metrics,
        list_models,
        list_plugins,
    )
    from genbench.model import Batch
    from genbench.record import Record
    from genbench.specs import Budget, DataFile, DatasetSpec, DataSpec, EvaluatorSpec, MetricSpec, ModelSpec

__all__ = [
    "Batch",
    "Benchmark",
    "Budget",
    "DataFile",
    "DataSpec",
    "DatasetSpec",
    "EvaluatorSpec",
    "GenbenchError",
    "MetricSpec",
    "ModelSpec",
    "Record",
    "check",
    "cite",
    "compare",
    "hookimpl",
    "list_benchmarks",
    "list_datasets",
    "list_evaluators",
    "list_metrics",
    "list_models",
    "list_plugins",
    "load_record",
    "load_results",
    "publish",
    "run",
    "sample",
    "score",
    "table",
]
__version__ = "0.1.0"

PROTOCOL_VERSION = 2
"""Raised whenever the core changes what a run computes; a part of every benchmark's digest."""

_HOMES = {
    "Batch": "model",
    "Benchmark": "benchmark",
    "Budget": "specs",
    "DataFile": "specs",
    "DataSpec": "specs",
    "DatasetSpec": "specs",
    "EvaluatorSpec": "specs",
    "GenbenchError": "errors",
    "MetricSpec": "specs",
    "ModelSpec": "specs",
    "Record": "record",
    "check": "api",
    "cite": "api",
    "compare": "api",
    "hookimpl": "hookspecs",
    "list_benchmarks": "listings",
    "list_datasets": "listings",
    "list_evaluators": "listings",
    "list_metrics": "listings",
    "list_models": "listings",
    "list_plugins": "listings",
    "load_record": "api",
    "load_results": "frames",
    "publish": "api",
    "run": "api",
    "sample": "api",
    "score": "api",
    "table": "api",
}


def __getattr__(name: str) -> _Any:
    # Resolved on first use (PEP 562): every plugin's hook module imports this package, and `genbench --help`
    # should not pay for records and benchmarks that it never touches.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
