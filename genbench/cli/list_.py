"""``genbench list``: what is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import click

from genbench.cli.options import json_option, load_registry, print_json
from genbench.errors import GenbenchError

if TYPE_CHECKING:
    from genbench.plugins import Registry
    from genbench.specs import DataSpec

TABLES = ("models", "datasets", "evaluators", "metrics", "benchmarks", "executors", "commands")

Entries = list[dict[str, Any]]


@click.command("list")
@click.argument(
    "what",
    type=click.Choice(["models", "benchmarks", "datasets", "evaluators", "metrics", "plugins"]),
    default="models",
)
@click.option("--probe", is_flag=True, help="Probe plugins of others again, whatever an earlier probe has found.")
@json_option
def command(what: str, probe: bool, as_json: bool) -> None:
    """List what is installed: models, benchmarks, datasets, evaluators, metrics or plugins.

    Plugins that can't be used are listed with the cause. Nothing is trained or downloaded, and PyTorch is not
    imported. A plugin of another distribution is first loaded by a process of its own, under a time limit; what
    comes of that is remembered until the plugin changes.

    \b
    Examples:
      genbench list                      models
      genbench list benchmarks
      genbench list plugins              also those that do not work, and why
      genbench list plugins --probe      and ask each of them again
      genbench list models --json | jq -r '.[].name'
    """
    if probe:
        from genbench.verdicts import forget

        forget()
    registry = load_registry()
    entries = LISTINGS[what](registry)
    if as_json:
        print_json(entries)
        return
    from genbench.report.console import console, table_of

    if not entries:
        click.echo(f"No {what} installed.")
        return
    header, rows = PRINTED[what]
    styles = ["red" if entry.get("problem") else "" for entry in entries]
    console().print(table_of([rows(entry) for entry in entries], header, styles))


def _models(registry: Registry) -> Entries:
    found = []
    for name, (spec, plugin) in _sorted(registry, "models"):
        config = {field.name: getattr(spec.config(), field.name) for field in fields(spec.config)}
        found.append({
            "name": name, "summary": spec.summary, "reference": spec.reference, "likelihood": spec.likelihood,
            "conditional": spec.conditional, "max_epochs": spec.max_epochs, "options": config, "plugin": plugin.name,
            "distribution": plugin.distribution, "version": plugin.version,
        })  # fmt: skip
    return found


def _benchmarks(registry: Registry) -> Entries:
    from genbench.selection import load_benchmark

    found: Entries = []
    for name, (path, plugin) in _sorted(registry, "benchmarks"):
        entry: dict[str, Any] = {"name": name, "path": str(path), "plugin": plugin.name, "problem": None}
        try:
            benchmark = load_benchmark(registry, name)
        except GenbenchError as error:
            found.append({**entry, "problem": str(error)})
            continue
        definition = asdict(benchmark.file)
        found.append({**entry, "digest": benchmark.digest, **definition})
    return found


def _datasets(registry: Registry) -> Entries:
    return [{**asdict(spec), "plugin": plugin.name} for _, (spec, plugin) in _sorted(registry, "datasets")]


def _evaluators(registry: Registry) -> Entries:
    return [{**asdict(spec), "plugin": plugin.name} for _, (spec, plugin) in _sorted(registry, "evaluators")]


def _metrics(registry: Registry) -> Entries:
    return [{**asdict(spec), "plugin": plugin.name} for _, (spec, plugin) in _sorted(registry, "metrics")]


def _plugins(registry: Registry) -> Entries:
    found = []
    for plugin in sorted(registry.plugins, key=lambda entry: (entry.distribution != "genbench", entry.name)):
        brings = {}
        for table in TABLES:
            names = [name for name, entry in getattr(registry, table).items() if entry.plugin == plugin]
            if names:
                brings[table] = sorted(names)
        found.append({
            "name": plugin.name, "distribution": plugin.distribution, "version": plugin.version,
            "module": plugin.module, "brings": brings, "problem": plugin.problem,
            "notes": list(plugin.notes),
        })  # fmt: skip
    return found


def _sorted(registry: Registry, table: str) -> list[tuple[str, tuple[Any, Any]]]:
    return [(name, (entry.spec, entry.plugin)) for name, entry in sorted(getattr(registry, table).items())]


LISTINGS: dict[str, Callable[[Registry], Entries]] = {
    "models": _models,
    "benchmarks": _benchmarks,
    "datasets": _datasets,
    "evaluators": _evaluators,
    "metrics": _metrics,
    "plugins": _plugins,
}


def _print_benchmark(entry: dict[str, Any]) -> list[str]:
    if entry["problem"]:
        return [entry["name"], "", "", "", f"cannot be used: {entry['problem']}"]
    budget = entry["budget"]
    flops = f" or {budget['flops'] / 1e12:g} TFLOP" if budget["flops"] else ""
    return [
        entry["name"],
        entry["dataset"],
        str(len(entry["seeds"])),
        f"{budget['images']:,} images{flops}",
        entry["title"],
    ]


def _data(data: dict[str, Any] | DataSpec) -> str:
    values = data if isinstance(data, dict) else asdict(data)
    return "x".join(map(str, values["shape"]))


def _print_plugin(entry: dict[str, Any]) -> list[str]:
    brings = "; ".join(f"{table}: {', '.join(names)}" for table, names in entry["brings"].items())
    return [
        entry["name"],
        f"{entry['distribution']} {entry['version']}",
        f"not used: {entry['problem']}" if entry["problem"] else "\n".join([brings, *map(_note, entry["notes"])]),
    ]


def _note(note: str) -> str:
    return f"Note: {note}"


def _better(metric: dict[str, Any]) -> str:
    """Which way a metric improves; tests of copying flag, and rank nothing."""
    if metric["group"] == "copying":
        return "flag only"
    return "-" if metric["direction"] == "none" else str(metric["direction"])


PRINTED: dict[str, tuple[list[str], Callable[[dict[str, Any]], list[str]]]] = {
    "models": (
        ["Model", "Likelihood", "Labels", "Plugin", "Summary"],
        lambda entry: [
            entry["name"],
            entry["likelihood"] or "-",
            "yes" if entry["conditional"] else "-",
            entry["plugin"],
            entry["summary"],
        ],
    ),
    "benchmarks": (["Benchmark", "Data set", "Seeds", "Budget a run", "Title"], _print_benchmark),
    "datasets": (
        ["Data set", "Shape", "Levels", "Classes", "Train", "Test", "Licence", "Summary"],
        lambda entry: [
            entry["name"],
            _data(entry["data"]),
            str(entry["data"]["levels"]),
            str(entry["data"]["classes"] or "-"),
            f"{entry['train']:,}",
            f"{entry['test']:,}",
            entry["licence"],
            entry["summary"],
        ],
    ),
    "evaluators": (
        ["Evaluator", "Shape", "Levels", "Features", "Summary"],
        lambda entry: [
            entry["name"],
            "any image" if entry["rgb"] else _data(entry),
            "any" if entry["rgb"] else str(entry["levels"]),
            str(entry["dims"]),
            entry["summary"],
        ],
    ),
    "metrics": (
        ["Metric", "Title", "Better", "Unit", "Summary"],
        lambda entry: [
            entry["name"],
            entry["title"],
            _better(entry),
            entry["unit"] or "-",
            entry["summary"],
        ],
    ),
    "plugins": (["Plugin", "Distribution", "Brings"], _print_plugin),
}
"""Header of each listing for people, and the cells of an entry."""
