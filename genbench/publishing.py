"""The leaderboards of a results folder as a static site: ``genbench publish`` and :func:`genbench.publish`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import NothingSelected
from genbench.leaderboard import from_registry
from genbench.report import legend
from genbench.report.site import Entry, write
from genbench.selection import load_benchmark

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.store import Store


def publish(
    registry: Registry,
    store: Store,
    directory: Path,
    benchmarks: Sequence[str] = (),
    nearest: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Write the site.

    Args:
        directory: new, empty, or written by an earlier call.
        benchmarks: names or files; every benchmark that the folder has runs of, if none is named.
        nearest: whether the training examples nearest to each model's samples are shown.
        say: told what is not published, and what could not be shown.

    Returns:
        A line a leaderboard: how many models on which benchmark.

    Raises:
        NothingSelected: if there is nothing to publish.
        StoreError: if the folder refuses, or holds what is not an earlier site's.
    """
    published: list[str] = []
    for problem in write(_entries(store, registry, benchmarks, published, say), store, directory, registry, nearest):
        say(f"Warning: {problem}")
    return published


def _entries(
    store: Store, registry: Registry, benchmarks: Sequence[str], published: list[str], say: Callable[[str], None]
) -> Iterator[Entry]:
    """What is to be published, one leaderboard at a time; ``published`` grows by what each holds.

    Raises:
        NothingSelected: if there is nothing.
    """
    missing = []
    for benchmark, definition in _benchmarks(store, registry, benchmarks, say):
        loaded = store.load(benchmark.folder)
        scale = store.load(benchmark.name) if benchmark.division == "open" else None
        board = from_registry(benchmark, registry, loaded, scale=scale)
        if not loaded.records or not board.rows:
            name = definition or benchmark.name
            lines = [f"no results of {benchmark.folder} in {store.root}; get some with `genbench run --all -b {name}`"]
            missing.append("\n".join([*lines, *legend.omissions(board)]))
            continue
        published.append(f"{len(board.rows)} model{'s' * (len(board.rows) > 1)} on {benchmark.folder}")
        yield Entry(board, loaded.verifications, definition)
    if not published:
        raise NothingSelected(
            "\n".join(missing) or f"no results in {store.root}; get some with `genbench run --all -b digits`"
        )
    for line in missing:
        say(f"Warning: {line}")


def _benchmarks(
    store: Store, registry: Registry, benchmarks: Sequence[str], say: Callable[[str], None]
) -> Iterator[tuple[Benchmark, Path | None]]:
    """The benchmarks that are named, or those of all folders of results, each with its file if it is not installed.

    Both divisions of a benchmark are published; what is not installed, and runs of --dev and --budget, are told.
    """
    folders = store.benchmarks()
    for text in benchmarks:
        definition = Path(text) if text.endswith(".toml") else None
        yield load_benchmark(registry, text), definition
        opened = load_benchmark(registry, text, division="open")
        if opened.folder in folders:
            yield opened, definition
    for folder in [] if benchmarks else folders:
        name, _, variant = folder.partition("+")
        if variant not in ("", "open"):
            say(f"{folder}: not published: runs of --dev and --budget never are")
            continue
        if name not in registry.benchmarks:
            say(f"Warning: {folder}: not published: no such benchmark is installed; -b takes its .toml file")
            continue
        yield load_benchmark(registry, name, division="open" if variant else "closed"), None
