"""Every hook, in the order of a run's life.

A plugin is a module (or any object) named by an entry point in the group ``genbench``; its functions marked
with ``@hookimpl`` are called by their names. All hooks are 1:N: each plugin may implement any of them. A hook
with a name that is not here is an error, and so are two plugins that register one name.

The module must be light: it is imported by every ``genbench`` command, so it imports neither torch nor
anything that does. Factories and loaders are import strings for that reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from genbench.record import Record
    from genbench.specs import DatasetSpec, EvaluatorSpec, MetricSpec, ModelSpec

PROJECT = "genbench"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_models() -> Sequence[ModelSpec]:  # type: ignore[empty-body]
    """Models to be trained and scored. Called once, when a command first needs the registry."""


@hookspec
def register_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Data sets that benchmarks can name. Called once; loaders run later, in a process of their own."""


@hookspec
def register_evaluators() -> Sequence[EvaluatorSpec]:  # type: ignore[empty-body]
    """Frozen feature extractors that benchmarks can name. Called once; factories run in scoring processes."""


@hookspec
def register_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Metrics that benchmarks can name. Called once; functions run in scoring processes."""


@hookspec
def register_benchmarks() -> Sequence[Path]:  # type: ignore[empty-body]
    """Paths of benchmark definitions (TOML). Called once; a file is read when its benchmark is asked for."""


@hookspec
def register_executors() -> Sequence[tuple[str, str]]:  # type: ignore[empty-body]
    """Executors as (name, ``"package.module:Class"``). Called once; resolved when ``--executor`` names one."""


@hookspec
def register_commands() -> Sequence[click.Command]:  # type: ignore[empty-body]
    """Commands to stand beside genbench's own. Called once, when the command line is parsed."""


@hookspec
def run_started(benchmark: str, model: str, seed: int) -> None:
    """A run's training process is about to start. Called in the harness; observers' errors are logged and
    change nothing. ``model`` carries the configuration: ``dcgan[width=128]``."""


@hookspec
def run_progressed(benchmark: str, model: str, seed: int, stage: str, progress: float) -> None:
    """A run moved on, at most a few times a second. ``stage`` is ``train``, ``evaluate`` or ``score``;
    ``progress`` is the share of the training budget that is spent, in [0, 1]."""


@hookspec
def run_finished(record: Record) -> None:
    """A run's record stands on disk, whatever its status. The record is frozen."""
