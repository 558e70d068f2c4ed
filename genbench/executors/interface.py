"""What an executor is: whatever carries out the runs of a call, on this machine or on many.

An executor is registered as (name, ``"package.module:function"``), genbench's own here and those of third parties by
the hook ``register_executors``. The function is called with the :class:`Setting` of a call and gives a context manager,
which holds what the executor needs (processes, a connection) and yields the :class:`Executor`. It is resolved only when
it is asked for. An executor does each run by :func:`genbench.executors.run.carry_out`, so that all of them leave the
same records.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from genbench.errors import GenbenchError, SpecError

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.job import Stage
    from genbench.matrix import PlannedRun
    from genbench.plugins import Registry
    from genbench.record import Record, Status
    from genbench.store import Store

OWN = {"local": "genbench.executors.local:local", "ray": "genbench.executors.ray:ray_cluster"}
"""The executors that come with genbench."""
MODULES = {"ray": "ray"}
"""The module without which one of them can't be used, and which its extra of the same name installs."""


class Observer(Protocol):
    """Told of each run's life, from any thread of the executor's: begun once, and ended once.

    What is told in another order raises a :class:`~genbench.executors.launcher.HarnessError`.
    """

    def started(self, run: PlannedRun) -> None: ...

    def progressed(self, run: PlannedRun, stage: Stage, progress: float) -> None: ...

    def retried(self, run: PlannedRun, status: Status, reason: str | None, tries: int, most: int) -> None:
        """An attempt has ended for reasons that are not the model's, and another one follows.

        Args:
            tries: attempts that this call has made at the run, from 1.
            most: how many it makes at most.
        """
        ...

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        """``record`` is None where another harness holds the run or has taken it over."""
        ...


class Executor(Protocol):
    """Carries out runs.

    Attributes:
        jobs: runs side by side, 1 or more, as far as it is known; for people.
    """

    jobs: int

    def execute(self, runs: Sequence[PlannedRun], observer: Observer) -> None:
        """Carry out runs, begun in their order; returns when all have ended or the executor was cancelled.

        The observer has been told of the end of each run when this returns, unless it was cancelled; and each run that
        was begun has a record then, but for those that another harness holds. An executor of which that is not true is
        told of as an error.

        Raises:
            StoreError: if the results folder refuses; what is running then ends first.
            HarnessError: if no processes can be had; what was not begun is left for the next call.
            Killed: if :meth:`kill` was called.
        """
        ...

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``. Called from signal handlers."""
        ...

    def kill(self) -> None:
        """End everything at once and commit nothing; what was done so far stays for the next call."""
        ...


@dataclass(frozen=True)
class Setting:
    """What an executor is made for.

    Attributes:
        registry: what is installed, and what came from files.
        benchmark: with the files that a person gave for its evaluators.
        store: the results folder.
        jobs: the most runs side by side; None for as many as there is room for.
        checkpoint_seconds: between checkpoints of a training, at least; None for the usual.
        options: the executor's own, as a person gave them; :func:`refuse_unknown` checks their names.
        say: prints a line for people.
    """

    registry: Registry
    benchmark: Benchmark
    store: Store
    jobs: int | None = None
    checkpoint_seconds: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda line: None


MakeExecutor = Callable[[Setting], AbstractContextManager[Executor]]


def find_executor(registry: Registry, name: str) -> MakeExecutor:
    """What makes the executor of a name.

    Raises:
        GenbenchError: for an unknown name (naming the nearest), or one whose code can't be imported or is no function.
    """
    registered = registry.find("executors", name)
    module, _, function = registered.spec.partition(":")
    try:
        found: MakeExecutor = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if registered.spec == OWN.get(name) and error.name == MODULES.get(name):
            raise GenbenchError(
                f"--executor {name}: needs the package {error.name}, which is not installed: "
                f"pip install 'genbench[{name}]'"
            ) from None
        raise GenbenchError(f"--executor {name}: {registered.spec}: {error}") from error
    except (Exception, SystemExit) as error:  # a module may raise anything
        from genbench.plugins import told

        raise GenbenchError(f"--executor {name}: {registered.spec}: {told(error)}") from error
    if not callable(found):
        raise GenbenchError(f"--executor {name}: {registered.spec} is {found!r}, where a function is promised")
    return found


def parse_options(items: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` items as a mapping.

    Raises:
        GenbenchError: for an item of another form, or a key given twice.
    """
    options: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key or not item.isprintable():
            raise GenbenchError(f"--executor-option {item[:80]!r}: must be KEY=VALUE, such as address=auto")
        if key in options:
            raise GenbenchError(f"--executor-option {item}: {key} is given twice")
        options[key] = value
    return options


def refuse_unknown(name: str, options: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuse options that the executor of a name does not have.

    Raises:
        GenbenchError: naming the nearest one that it has.
    """
    for key in options:
        if key not in known:
            raise SpecError.unknown(f"option of the executor {name}", key, known)
