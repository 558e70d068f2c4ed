"""What a call in Python is given, as the core takes it."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from genbench.errors import SpecError
from genbench.report.printable import printable
from genbench.specs import ModelSpec

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.specs import Division

ALL = "all"
"""Instead of models: all that are installed."""

AnyPath = str | PathLike[str]

BudgetChanges = Mapping[str, int | float | str | None]
"""To a benchmark's ``[budget]``, such as ``{"images": 2000}``; None lifts a limit that may be lifted."""


def installed() -> Registry:
    """All installed plugins; a ``UserWarning`` tells of those that can't be used."""
    from genbench.plugins import discover

    registry = discover()
    for plugin in registry.broken:
        warn(f"plugin {plugin.name} of {plugin.distribution} is not used: {plugin.problem}")
    return registry


def benchmark_for(
    registry: Registry,
    benchmark: AnyPath,
    dev: bool = False,
    budget: BudgetChanges | None = None,
    division: Division = "closed",
) -> Benchmark:
    """The benchmark of that name or file.

    Raises:
        GenbenchError: for an unknown name, a definition that can't be used, or a change to the budget that is none.
    """
    from genbench.selection import load_benchmark, parse_budget

    changes = [f"{key}={'none' if value is None else value}" for key, value in (budget or {}).items()]
    return load_benchmark(registry, str(benchmark), dev, parse_budget(changes), division)


def model_names(models: str | Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The models that are named, and whether all that are installed are meant.

    Raises:
        SpecError: for what is no name, with what to do about a model that stands in the notebook.
    """
    given = [models] if isinstance(models, str | ModelSpec) else list(models)
    for model in given:
        if not isinstance(model, str):
            raise SpecError(_no_name(model))
    return tuple(model for model in given if model != ALL), ALL in given


def listed(names: str | Sequence[str] | None) -> str | None:
    """Names with commas between them, as the command line takes them; None for None."""
    return names if names is None or isinstance(names, str) else ",".join(names)


def sayer(progress: bool | Callable[[str], None]) -> Callable[[str], None]:
    """What is told each line of progress."""
    if callable(progress):
        return progress
    return _print if progress else logging.getLogger("genbench").info


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, whose stderr is shown as if something had gone wrong."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


def warn(text: str) -> None:
    """A ``UserWarning``."""
    warnings.warn(printable(text), stacklevel=3)


def _print(line: str) -> None:
    print(line, file=sys.stdout if in_notebook() else sys.stderr, flush=True)


def _no_name(model: object) -> str:
    name = f"the ModelSpec {model.name!r}" if isinstance(model, ModelSpec) else f"{type(model).__name__} {model!r}"
    return (
        f"models are given by name or by file, and {name} is neither. Runs take place in processes of their own, which "
        "import a model; what is defined in a notebook they can't. Write it to a file, with a register_models hook "
        '(a cell that begins with `%%writefile my_model.py`), and run genbench.run("./my_model.py")'
    )
