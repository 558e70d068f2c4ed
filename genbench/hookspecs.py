"""Every hook, in the order of a run's life.

A plugin is a module (or any object) named by an entry point in the group ``genbench``; its functions marked
with ``@hookimpl`` are called by their names. All hooks are 1:N: each plugin may implement any of them. A hook
with a name that is not here is an error, and so are two plugins that register one name.

Hooks that register take no arguments. Those that observe are called in the harness, not in the process that trains:
what they return is ignored, their errors are logged, and nothing that they do changes a score.

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
    """Models to be trained and scored. Called once, when a command first needs the registry.

    A spec names a factory, a configuration class, the kind of likelihood, and whether the model is conditional;
    ``supports`` maps the data's spec to None or to the reason why the model cannot be used on them.
    """


@hookspec
def register_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Data sets that benchmarks can name. Called once; loaders run later, in a process of their own.

    Their splits are fixed, the SHA-256 of their content identifies them, and what a loader gives is held to the
    declaration. Data that do not ship declare their ``files`` with hashes and addresses; genbench finds or downloads
    these and hands their paths to the loader.
    """


@hookspec
def register_evaluators() -> Sequence[EvaluatorSpec]:  # type: ignore[empty-body]
    """Frozen feature extractors that benchmarks can name. Called once; factories run in scoring processes.

    They are subclasses of torch-fidelity's ``FeatureExtractorBase``, declared with the hash of their weights.
    """


@hookspec
def register_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Metrics that benchmarks can name. Called once; functions run in scoring processes.

    They are pure functions that give one number each. A function gets a
    ``genbench.engine.scoring.material.Material``, which holds the samples, the labels that were asked for, what the
    evaluators see in them, the held-out reference and the nats, and returns a ``Measured``, or None where it does not
    apply.
    """


@hookspec
def register_benchmarks() -> Sequence[Path]:  # type: ignore[empty-body]
    """Paths of benchmark definitions in TOML, each named as its file. Called once; a file is read when its benchmark is
    asked for."""


@hookspec
def register_executors() -> Sequence[tuple[str, str]]:  # type: ignore[empty-body]
    """Executors as (name, ``"package.module:function"``). Called once; a function is imported when ``--executor`` names
    it, and called with a :class:`genbench.executors.interface.Setting`. It gives a context manager that yields a
    :class:`genbench.executors.interface.Executor`."""


@hookspec
def register_commands() -> Sequence[click.Command]:  # type: ignore[empty-body]
    """Commands to stand beside genbench's own. Called once, when the command line is parsed."""


@hookspec
def run_started(benchmark: str, model: str, seed: int) -> None:
    """A run's training process is about to start. ``model`` carries the configuration: ``vae[width=64]``."""


@hookspec
def run_progressed(benchmark: str, model: str, seed: int, stage: str, progress: float) -> None:
    """A run moved on; called at most a few times a second. ``stage`` is ``audit``, ``train``, ``evaluate``, ``score``
    or ``measure``, and ``progress`` the share of the training budget that is spent, in [0, 1]."""


@hookspec
def run_finished(record: Record, folder: Path) -> None:
    """A run's record stands on disk, whatever its status. The record is frozen. ``folder`` holds it and the files
    that its ``artifacts`` name, of which a run that failed may have few; it is to be read, not written to."""
