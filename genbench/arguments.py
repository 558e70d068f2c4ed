"""What a call in Python is given, as the core takes it."""

from __future__ import annotations

import contextlib
import logging
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from genbench.errors import SpecError
from genbench.report.printable import one_line, printable
from genbench.specs import Division, ModelSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry

ALL = "all"
"""Instead of models: all that are installed."""

MOST = 2**63 - 1
"""Of a whole number that is an argument: of runs side by side, of samples, of a seed."""

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

    one_of("division", division, get_args(Division))
    if budget is not None and not isinstance(budget, Mapping):
        raise SpecError(f'budget: must map keys to values, such as {{"images": 2000}}, not {written(budget)}')
    changes = [f"{key}={'none' if value is None else written(value, str)}" for key, value in (budget or {}).items()]
    return load_benchmark(registry, str(benchmark), dev, parse_budget(changes), division)


def model_names(models: AnyPath | Sequence[AnyPath]) -> tuple[tuple[str, ...], bool]:
    """The models that are named, and whether all that are installed are meant.

    Raises:
        SpecError: for what is no name, with what to do about a model that stands in the notebook.
    """
    given = several(models) if isinstance(models, Iterable | PathLike) else [models]
    names = [model_name(model) for model in given]
    return tuple(name for name in names if name != ALL), ALL in names


def model_name(model: object) -> str:
    """The name or the file of a model, as the command line takes it.

    Raises:
        SpecError: as of :func:`model_names`.
    """
    if not isinstance(model, str | PathLike):
        raise SpecError(_no_name(model))
    return str(fspath(model))


def several(given: Any) -> list[Any]:
    """What is given, of which a single one may stand alone: names, paths."""
    return [given] if isinstance(given, str | PathLike) else list(given)


def files(given: Any) -> list[Path]:
    """The paths of the files that are given, or of one."""
    return [Path(one) for one in several(given)]


def whole(name: str, value: Any, least: int) -> int:
    """An argument that is a whole number of at least ``least``, of NumPy's types too.

    Raises:
        SpecError: if it is none.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise SpecError(f"{name}: must be a whole number, not {value!r}") from None
    if number < least:
        raise SpecError(f"{name}: must be {least} or more, not {written(number)}")
    if number > MOST:
        raise SpecError(f"{name}: must be {MOST} or less, not {written(number)}")
    return number


def whole_numbers(name: str, values: Any, least: int) -> list[int]:
    """An argument that is a sequence of such numbers.

    Raises:
        SpecError: if it is none.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SpecError(
            f"{name}: must be a sequence of whole numbers, such as [0, 1] or range(3), not {written(values)}"
        )
    return [whole(name, value, least) for value in values]


def seconds_of(name: str, value: Any, least: float) -> float:
    """An argument that is a finite number of seconds, at least ``least``.

    Raises:
        SpecError: if it is none.
    """
    if isinstance(value, int | float) and least <= value <= sys.float_info.max:
        return float(value)
    raise SpecError(f"{name}: must be a number of seconds, {least:g} or more, not {written(value)}")


def one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Refuse an argument that is none of the words it may be.

    Raises:
        SpecError: naming them.
    """
    if value not in known:
        raise SpecError(f"{name}: must be {' or '.join(map(repr, known))}, not {written(value)}")


def written(value: object, write: Callable[[object], str] = repr) -> str:
    """A value in words; Python itself writes no number of thousands of digits."""
    try:
        return write(value)
    except ValueError:
        return "a number of thousands of digits"


def array_of(name: str, value: Any) -> NDArray[np.generic]:
    """An argument that is an array, or what NumPy makes one of.

    Raises:
        SpecError: if it can't, or it is one of objects.
    """
    import numpy as np

    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # the last two of torch, for what NumPy can't hold
        raise SpecError(f"{name}: can't be made an array: {printable(str(error))}") from None
    if array.dtype.hasobject:
        raise SpecError(f"{name}: must be an array of numbers, not of objects")
    return array


def listed(names: str | Sequence[str] | None) -> str | None:
    """Names with commas between them, as the command line takes them; None for None."""
    return names if names is None or isinstance(names, str) else ",".join(names)


def sayer(progress: bool | Callable[[str], None]) -> Callable[[str], None]:
    """What is told each line of progress, which may hold what a plugin has said."""
    tell = progress if callable(progress) else _print if progress else logging.getLogger("genbench").info
    return lambda line: tell(one_line(line))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, whose stderr is shown as if something had gone wrong."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


def warn(text: str) -> None:
    """A ``UserWarning``."""
    warnings.warn(printable(text), stacklevel=3)


def _print(line: str) -> None:
    with contextlib.suppress(OSError):  # progress that can't be told must not end a run
        print(line, file=sys.stdout if in_notebook() else sys.stderr, flush=True)


def _no_name(model: object) -> str:
    name = f"the ModelSpec {model.name!r}" if isinstance(model, ModelSpec) else f"{type(model).__name__} {model!r}"
    return (
        f"models are given by name or by file, and {name} is neither. Runs take place in processes of their own, which "
        "import a model; what is defined in a notebook they can't. Write it to a file, with a register_models hook "
        '(a cell that begins with `%%writefile my_model.py`), and run genbench.run("./my_model.py")'
    )
