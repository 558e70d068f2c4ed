"""What a shell completes: names of models, benchmarks, data sets and evaluators, runs, and seeds.

A shell waits for the answer while somebody types, so that no record is read and no definition is checked. What can't be
answered is answered by nothing: whatever is wrong is told when the command is given. Files and folders stand before
names: bash forgets the names that came before them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from genbench.errors import GenbenchError
from genbench.layout import model_folder

if TYPE_CHECKING:
    from genbench.plugins import Registry

HASHED = re.compile(r"-[0-9a-f]{16}$")
"""The end of a model's folder that does not tell the model's name."""
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
RUN_PARTS = 3
"""Of the name of a run: benchmark, model and seed."""
MOST_RUNS = 10_000
"""Folders of runs that are looked at; no person picks from more."""


def _quiet(function: Completer) -> Completer:
    """Nothing, where the answer can't be had."""

    @functools.wraps(function)
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return function(ctx, param, incomplete)
        except (GenbenchError, OSError):
            return []

    return complete


@_quiet
def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models, behind a bracket the options of one; and Python files."""
    name, bracket, inside = incomplete.partition("[")
    registry = _registry()
    if bracket:
        return _options(registry, name, inside)
    return [*_files(incomplete), *_named(registry, "models", incomplete)]


@_quiet
def complete_model_lists(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models with commas between them."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(before + comma + item.value, help=item.help) for item in _named(_registry(), "models", last)]


@_quiet
def complete_benchmarks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Benchmarks, and files."""
    return [*_files(incomplete), *_items(_registry().benchmarks, incomplete)]


@_quiet
def complete_datasets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Data sets that are not named yet."""
    given = ctx.params.get(param.name or "") or ()
    return [item for item in _named(_registry(), "datasets", incomplete) if item.value not in given]


@_quiet
def complete_evaluators(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Evaluators."""
    return _named(_registry(), "evaluators", incomplete)


@_quiet
def complete_executors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Executors."""
    return _items(_registry().executors, incomplete)


@_quiet
def complete_metrics(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Metrics of the benchmark that is named, by the keys of their scores; of all benchmarks where it is unknown."""
    registry = _registry()
    names = _definition(ctx, registry).get("metrics")
    known = names if isinstance(names, list) else list(registry.metrics)
    return [item for item in _named(registry, "metrics", incomplete) if item.value in known]


@_quiet
def complete_seeds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Seeds of the benchmark that is named: all of them as a range, and each that is not named yet."""
    listed = _definition(ctx, _registry()).get("seeds")
    seeds = sorted(seed for seed in listed if isinstance(seed, int)) if isinstance(listed, list) else []
    before, comma, last = incomplete.rpartition(",")
    first, dash, end = last.partition("-")
    if dash:
        ends = [seed for seed in seeds if first.isdecimal() and seed > int(first) and str(seed).startswith(end)]
        return [CompletionItem(f"{before}{comma}{first}-{seed}") for seed in ends]
    given = set(before.split(","))
    whole = [f"{seeds[0]}-{seeds[-1]}"] if not before and seeds == list(range(len(seeds))) and len(seeds) > 1 else []
    texts = [*whole, *(str(seed) for seed in seeds if str(seed) not in given)]
    return [CompletionItem(before + comma + text) for text in texts if text.startswith(last)]


@_quiet
def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Runs in the results folder, part by part: benchmark, model, seed. And folders, since a run may be named so."""
    places = [CompletionItem(place) for place in _places(_results(ctx), incomplete)]
    return [CompletionItem(incomplete, type="dir"), *places]


@_quiet
def complete_contenders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Models that have results of the benchmark that is named; and folders of results."""
    benchmark = ctx.params.get("benchmark") or "digits"
    folders = _folders(_results(ctx) / Path(str(benchmark)).stem)
    names = [_model_name(folder) for folder in folders if not HASHED.search(folder)]
    return [CompletionItem(incomplete, type="dir"), *_items(names, incomplete)]


def _places(results: Path, incomplete: str) -> list[str]:
    """What stands below the part of ``benchmark/model/seed-k`` that is typed already.

    Where that is one folder alone, what stands in it: shells end a word that has one completion.
    """
    parts = incomplete.split("/")
    if len(parts) > RUN_PARTS:
        return []
    above = [model_folder(part) if index == 1 else part for index, part in enumerate(parts[:-1])]
    names = _folders(results.joinpath(*above))
    shown = [_model_name(name) if len(parts) == 2 else name for name in names]
    prefix, end = "".join(f"{part}/" for part in parts[:-1]), "" if len(parts) == RUN_PARTS else "/"
    found = [f"{prefix}{name}{end}" for name in shown if name.startswith(parts[-1])]
    return _places(results, found[0]) if end and len(found) == 1 else found


def _folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, ascending; none that are genbench's own."""
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    # A shell would take a line break in a name for the end of an answer.
    return [name for name in names if name.isprintable() and not name.startswith(".")][:MOST_RUNS]


def _model_name(folder: str) -> str:
    """``vae[width=64]`` of the folder ``vae+width=64``."""
    name, plus, options = folder.partition("+")
    return f"{name}[{options}]" if plus else name


def _results(ctx: click.Context) -> Path:
    return Path(ctx.params.get("results") or "results")


def _options(registry: Registry, name: str, inside: str) -> list[CompletionItem]:
    """``width=`` behind ``dcgan[``, for options that are not given yet."""
    spec = registry.find("models", name).spec
    before, comma, last = inside.rpartition(",")
    if "=" in last:
        return []
    given = {item.partition("=")[0] for item in before.split(",")}
    config = spec.config()
    defaults: dict[str, Any] = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return [
        CompletionItem(f"{name}[{before}{comma}{key}=", help=f"by default {value}")
        for key, value in defaults.items()
        if key.startswith(last) and key not in given
    ]


def _definition(ctx: click.Context, registry: Registry) -> dict[str, Any]:
    """The benchmark's definition as it is written, unchecked."""
    from genbench.benchmark import read_toml

    name = str(ctx.params.get("benchmark") or "digits")
    path = Path(name) if name.endswith(".toml") else registry.find("benchmarks", name).spec
    return dict(read_toml(path))


def _registry() -> Registry:
    from genbench.plugins import discover

    return discover()


def _named(registry: Registry, table: str, incomplete: str) -> list[CompletionItem]:
    """The names of a table, with their summaries."""
    entries = sorted(getattr(registry, table).items())
    return [
        CompletionItem(name, help=entry.spec.summary or None) for name, entry in entries if name.startswith(incomplete)
    ]


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def _files(incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files, once what is typed looks like the path of one."""
    is_path = incomplete.startswith((".", "~")) or "/" in incomplete
    return [CompletionItem(incomplete, type="file")] if is_path else []
