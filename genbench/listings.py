"""What is installed, listed: ``genbench list``, and :func:`genbench.list_models` and its like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, overload

from genbench.errors import GenbenchError

if TYPE_CHECKING:
    from genbench.plugins import Registry
    from genbench.specs import DataSpec

Kind = Literal["models", "benchmarks", "datasets", "evaluators", "metrics", "plugins"]
"""What there are lists of."""

TABLES = ("models", "datasets", "evaluators", "metrics", "benchmarks", "executors", "commands")
"""What a plugin may bring."""

Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Listing(Sequence[dict[str, Any]]):
    """What is installed of a kind: a sequence of entries, ascending by name.

    Attributes:
        kind: of what.
        entries: as of ``genbench list KIND --json``; each has a ``name``, and a ``problem`` that is not None if it
            can't be used.
    """

    kind: Kind
    entries: tuple[dict[str, Any], ...]

    @property
    def names(self) -> list[str]:
        """The names of the entries."""
        return [entry["name"] for entry in self.entries]

    @property
    def header(self) -> list[str]:
        """The titles of the columns that people see."""
        return _ROWS[self.kind][0]

    def rows(self) -> list[list[str]]:
        """The texts below them, a row an entry."""
        return [_ROWS[self.kind][1](entry) for entry in self.entries]

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[dict[str, Any], ...]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | tuple[dict[str, Any], ...]:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.entries)

    def __repr__(self) -> str:
        return f"<Listing of {len(self)} {self.kind}: {', '.join(self.names)}>"

    def __str__(self) -> str:
        from genbench.report.console import print_table, printed

        return printed(lambda console: print_table(console, self.rows(), self.header)) if self.entries else repr(self)

    def _repr_html_(self) -> str:
        from genbench.report.html import listing_html

        return listing_html(self)


def listing(registry: Registry, kind: Kind) -> Listing:
    """What is installed of a kind. Nothing is trained or downloaded, and torch is not imported."""
    return Listing(kind, tuple(_LISTINGS[kind](registry)))


def list_models() -> Listing:
    """The installed models: ``genbench list models``."""
    return _installed("models")


def list_benchmarks() -> Listing:
    """The installed benchmarks: ``genbench list benchmarks``."""
    return _installed("benchmarks")


def list_datasets() -> Listing:
    """The installed data sets: ``genbench list datasets``."""
    return _installed("datasets")


def list_evaluators() -> Listing:
    """The installed evaluators: ``genbench list evaluators``."""
    return _installed("evaluators")


def list_metrics() -> Listing:
    """The installed metrics: ``genbench list metrics``."""
    return _installed("metrics")


def list_plugins() -> Listing:
    """The plugins, also those that can't be used, and why: ``genbench list plugins``."""
    return _installed("plugins")


def _installed(kind: Kind) -> Listing:
    from genbench.arguments import installed

    return listing(installed(), kind)


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
        if observed := registry.observed_by(plugin):
            brings["observers"] = observed
        found.append({
            "name": plugin.name, "distribution": plugin.distribution, "version": plugin.version,
            "module": plugin.module, "brings": brings, "problem": plugin.problem,
            "notes": list(plugin.notes),
        })  # fmt: skip
    return found


def _sorted(registry: Registry, table: str) -> list[tuple[str, tuple[Any, Any]]]:
    return [(name, (entry.spec, entry.plugin)) for name, entry in sorted(getattr(registry, table).items())]


_LISTINGS: dict[str, Callable[[Registry], Entries]] = {
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
    flops = f" or {budget['flops'] / 1e12:,g} TFLOP" if budget["flops"] else ""
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
    brings = [f"{table}: {', '.join(names)}" for table, names in entry["brings"].items()]
    return [
        entry["name"],
        f"{entry['distribution']} {entry['version']}",
        f"not used: {entry['problem']}" if entry["problem"] else "\n".join([*brings, *map(_note, entry["notes"])]),
    ]


def _note(note: str) -> str:
    return f"Note: {note}"


def _better(metric: dict[str, Any]) -> str:
    """Which way a metric improves; tests of copying flag, and rank nothing."""
    if metric["group"] == "copying":
        return "flag only"
    return "-" if metric["direction"] == "none" else str(metric["direction"])


_ROWS: dict[str, tuple[list[str], Callable[[dict[str, Any]], list[str]]]] = {
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
