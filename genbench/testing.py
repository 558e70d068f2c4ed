"""The conformance kit for a plugin's own tests: one line holds a model to the contract of :mod:`genbench.model`.

With pytest, each check is a test of its own::

    from genbench.testing import parametrize_with_checks

    @parametrize_with_checks("my-model")
    def test_my_model_keeps_its_contract(check):
        check()

Without pytest, :func:`check_model` returns what each check found. Both ask the same checks as ``genbench check``; they
are listed, each with what it catches, in ``docs/conformance.md``. Checks run in the calling process, so that a
debugger and coverage see the model; whatever a model does to the process's settings is put back after each check. So
there are no limits of time and memory: a model that hangs, or ends the process, takes the tests with it. ``genbench
check`` has both.

Importing this module imports neither torch nor pytest.
"""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from genbench.errors import GenbenchError, SpecError
from genbench.specs import ModelSpec

if TYPE_CHECKING:
    from genbench.engine.checks import Result, Rule
    from genbench.engine.checks.subject import Subject
    from genbench.executors.launcher import Launcher
    from genbench.plugins import Registry
    from genbench.selection import SelectedModel

__all__ = ["ModelCheck", "check_model", "parametrize_with_checks"]

BENCHMARK = "digits-smoke"
"""Whose data are used unless another benchmark is asked for: small, and part of genbench."""

Test = TypeVar("Test", bound=Callable[..., Any])


def check_model(model: str | ModelSpec, benchmark: str = BENCHMARK) -> list[Result]:
    """Ask every check of a model, in this process.

    Args:
        model: an installed model, with options in brackets if you like; one in a ``.py`` file, as ``FILE.py`` or
            ``FILE.py:name``; or a spec, installed or not.
        benchmark: name of an installed benchmark, or path of a ``.toml`` file; its data are used.

    Returns:
        One :class:`~genbench.engine.checks.Result` a check, with ``verdict`` ``passed``, ``failed`` or ``skipped``.

    Raises:
        GenbenchError: if there is no such model or benchmark, the model can't be used on the data, or data are missing.
    """
    from genbench.engine.checks import run_checks

    subject = _subject(model, benchmark)
    if isinstance(subject, str):
        raise SpecError(f"{_name(model)} can't be used on {benchmark}: {subject}")
    return list(run_checks(subject))


@dataclass(frozen=True)
class ModelCheck:
    """One check of one model; calling it asks the check.

    Attributes:
        model: as given to :func:`parametrize_with_checks`.
        benchmark: whose data are used.
        rule: the check, with its ``name``, ``group`` and ``promise``.
    """

    model: str | ModelSpec
    benchmark: str
    rule: Rule

    def __call__(self) -> None:
        """Ask the check.

        Raises:
            AssertionError: saying what was promised, what was measured, and the likely cause. An error of the model's
                own stands behind it as its ``__cause__``.
            pytest.skip.Exception: with the reason, where the check does not apply to the model.
        """
        import pytest

        from genbench.engine.checks import judge

        __tracebackhide__ = True
        subject = _subject(self.model, self.benchmark)
        if isinstance(subject, str):
            pytest.skip(subject)
        result, error = judge(subject, self.rule)
        if result.verdict == "skipped":
            pytest.skip(result.message)
        if result.verdict == "failed":
            said = "\n".join(f"  {line}" for line in explanation(vars(result)))
            raise AssertionError(f"{_name(self.model)} on {self.benchmark}: {result.name}\n{said}") from _own(error)
        if result.message:
            warnings.warn(f"{_name(self.model)} on {self.benchmark}: {result.name}: {result.message}", stacklevel=2)

    def __repr__(self) -> str:
        return f"<check {self.rule.name} of {_name(self.model)} on {self.benchmark}>"


def parametrize_with_checks(
    *models: str | ModelSpec, benchmark: str = BENCHMARK, expected_failures: Mapping[str, str] | None = None
) -> Callable[[Test], Test]:
    """A decorator that turns a test of one argument, ``check``, into one test for each check of each model.

    A test's id is ``MODEL-GROUP-CHECK``, so that ``pytest -k 'my-model and sampling'`` asks one group. Where a check
    does not apply to a model its test is skipped, and says why. Data are brought into the cache at the first check.

    Args:
        models: as for :func:`check_model`.
        benchmark: whose data are used.
        expected_failures: name of a check to the reason why the models fail it for now. Its tests are strict
            ``xfail``: they fail when the check passes.

    Raises:
        SpecError: if no model is given, or an expected failure is of no check.
        GenbenchError: for a name that no installed model has, naming the nearest.
    """
    import pytest

    from genbench.engine.checks import RULES
    from genbench.plugins import discover

    if not models:
        raise SpecError("parametrize_with_checks takes a model or several; none was given")
    registry = discover()
    for model in models:
        select(registry, model)
    expected = dict(expected_failures or {})
    for name in expected:
        if name not in {rule.name for rule in RULES}:
            raise SpecError.unknown("check", name, (rule.name for rule in RULES))
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                ModelCheck(model, benchmark, rule),
                id=f"{_name(model)}-{rule.group}-{rule.name}",
                marks=[pytest.mark.xfail(reason=expected[rule.name], strict=True)] if rule.name in expected else [],
            )
            for model in models
            for rule in RULES
        ],
    )


def explanation(result: Mapping[str, Any]) -> list[str]:
    """A failed result in lines: what was promised, measured, where, the likely cause, and where to read more."""
    lines = [
        f"promised:     {result['promise']}",
        f"measured:     {result['measured']}",
        f"where:        {result['where']}",
        f"likely cause: {result['cause']}",
        f"read more:    {result['read']}",
    ]
    return lines if result["where"] else [line for line in lines if not line.startswith("where:")]


def select(registry: Registry, model: str | ModelSpec) -> SelectedModel:
    """What is checked: an installed model, a model in a ``.py`` file, or a spec as it is given.

    Raises:
        GenbenchError: if there is no such model, or its declaration can't be used.
    """
    from genbench.plugins import Plugin, Registered, check_model_spec
    from genbench.selection import SelectedModel, select_model
    from genbench.single_file import UNPACKAGED, is_in_file

    if isinstance(model, ModelSpec):
        check_model_spec(model)
        module = model.config.__module__
        if module == "__main__":
            raise SpecError(
                f"model {model.name!r}: its config stands in the script or notebook that is running; move it and the "
                "class to a module, where a run's processes can import them"
            )
        return SelectedModel(model.name, Registered(model, Plugin(model.name, module, UNPACKAGED, module)), {})
    try:
        return select_model(registry, model)
    except GenbenchError as error:
        broken = "; ".join(f"plugin {plugin.name!r} is not used: {plugin.problem}" for plugin in registry.broken)
        if not broken or is_in_file(model):
            raise
        raise type(error)(f"{error}; {broken}") from None


def _subject(model: str | ModelSpec, benchmark: str) -> Subject | str:
    """The model under check, made once for all of its checks; or why it can't be used on the data."""
    found = _made(model, benchmark)
    if isinstance(found, GenbenchError):
        raise found
    return found


@functools.lru_cache(maxsize=4)  # each holds its training data in memory
def _made(model: str | ModelSpec, benchmark: str) -> Subject | str | GenbenchError:
    try:
        return _make(model, benchmark)
    except GenbenchError as error:
        return error


def _make(model: str | ModelSpec, benchmark: str) -> Subject | str:
    from genbench.engine.checks.subject import Subject
    from genbench.executors.context import make_job
    from genbench.executors.prepare import make_context
    from genbench.matrix import PlannedRun, choose
    from genbench.plugins import discover
    from genbench.selection import load_benchmark
    from genbench.store import RunKey, Store

    registry = discover()
    chosen = load_benchmark(registry, benchmark)
    selected = select(registry, model)
    (entry,) = choose(chosen, [selected])
    if entry.problem is not None:
        raise SpecError(f"{selected.name}: {entry.problem}")
    if entry.unsupported is not None:
        return entry.unsupported
    folder = tempfile.TemporaryDirectory(prefix="genbench-")
    # The one thing that a context asks of a launcher is to bring the data into the cache.
    context = make_context(registry, chosen, Store(Path(folder.name)), cast("Launcher", _ThisProcess()))
    job = make_job(PlannedRun(RunKey(chosen.folder, selected.name, 0), entry, "new", None), context, Path(folder.name))
    job.write()
    subject = Subject(job)
    subject.folder = folder  # goes with the subject
    return subject


class _ThisProcess:
    """Carries out a launcher's calls where it stands."""

    def call(
        self, target: str, arguments: Mapping[str, Any], sys_path: object = (), seconds: float | None = None
    ) -> Any:
        from genbench.engine.contract import resolve

        return resolve(target)(**arguments)


def _own(error: BaseException | None) -> BaseException | None:
    """The model's own error behind a failure, if there is one."""
    while error is not None and isinstance(error, GenbenchError):
        error = error.__cause__
    return error


def _name(model: str | ModelSpec) -> str:
    return model.name if isinstance(model, ModelSpec) else model
