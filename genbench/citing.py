"""What a benchmark's table rests on: ``genbench cite`` and :func:`genbench.cite`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from genbench.bibliography import Bibliography, bibliography
from genbench.columns import columns_of
from genbench.comparability import select
from genbench.errors import GenbenchError
from genbench.leaderboard import metrics_of
from genbench.selection import model_string, parse_model
from genbench.single_file import name_of

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.store import Store

ALL = "all"
"""Instead of models: every installed one."""


def cited(
    registry: Registry, benchmark: Benchmark, store: Store, models: str | None = None
) -> tuple[Bibliography, bool]:
    """The works behind a benchmark's table, and whether any model is among what is cited.

    Args:
        models: names between commas, with or without results; ``all`` for every installed one; None for those with
            results.

    Raises:
        GenbenchError: for a model that has no results and is not installed, naming the nearest.
    """
    specs, plugins = metrics_of(benchmark, registry)
    of_models = _models(store, benchmark, registry, models)
    return bibliography(benchmark, columns_of(benchmark, specs, plugins, ()), of_models), bool(of_models)


def _models(store: Store, benchmark: Benchmark, registry: Registry, wanted: str | None) -> dict[str, str]:
    """Model to reference: of the table's, or of those that a person names.

    Raises:
        GenbenchError: for text of another form, and for a model that has no results and is not installed, naming the
            nearest.
    """
    used, _ = select(benchmark, store.load(benchmark.folder))
    table = {record.model.name: record.model.reference for record in used}
    if wanted is None:
        return dict(sorted(table.items()))
    names = [] if wanted == ALL else [name_of(registry, text) for text in _split(wanted)]
    installed = {name: entry.spec.reference for name, entry in registry.models.items()}
    if wanted == ALL:
        return dict(sorted(installed.items()))
    chosen = {}
    for text in names:
        base, options = parse_model(text)
        name = model_string(base, options)
        if name not in table and base not in installed:
            raise GenbenchError.unknown("model", name, {*table, *installed})
        chosen[name] = table[name] if name in table else installed[base]
    return chosen


def _split(wanted: str) -> list[str]:
    """Names between commas, those inside brackets left alone."""
    names = [name.strip() for name in re.split(r",(?![^\[]*\])", wanted) if name.strip()]
    if not names:
        raise GenbenchError("--models: no model is named; such as --models dcgan,vae, or --models all")
    return names
