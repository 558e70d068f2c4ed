"""Executors of plugins that do not keep their promises: each is told in words, and of whom."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import factories
import pytest
from scripted import Seen, planned

from genbench.calls import Call, execute, make_call
from genbench.errors import GenbenchError, StoreError
from genbench.executors.interface import Setting
from genbench.executors.launcher import HarnessError
from genbench.executors.supervision import Killed
from genbench.plugins import Plugin, Registered, Registry
from genbench.signals import Signals
from genbench.store import Store

WHO = r"--executor theirs \(of their-cluster 1\.5\): "


class Obedient:
    """An executor that keeps its promises without doing anything; plugins below do otherwise."""

    jobs: Any = 1

    def __init__(self, told: Callable[[Any, Any], None] | None = None) -> None:
        self.told = told

    def execute(self, runs: Any, observer: Any) -> None:
        for run in runs:
            if self.told is not None:
                self.told(run, observer)
            else:
                observer.started(run)
                observer.finished(run, None)

    def cancel(self) -> None: ...

    def kill(self) -> None: ...


def made(executor: Any) -> Callable[[Setting], Any]:
    return lambda setting: contextlib.nullcontext(executor)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    found = factories.registry()
    found.executors["theirs"] = Registered("their_cluster:make", Plugin("theirs", "their-cluster", "1.5", "x"))
    monkeypatch.setitem(sys.modules, "their_cluster", ModuleType("their_cluster"))
    return found


@pytest.fixture
def call(registry: Registry, tmp_path: Path) -> Call:
    return make_call(registry, factories.benchmark(), Store(tmp_path / "r"), ["toy"], executor="theirs")


def carry_out(call: Call, registry: Registry, make: Any, seen: Any = None) -> Seen:
    sys.modules["their_cluster"].make = make  # type: ignore[attr-defined]
    seen = seen or Seen()
    execute(call, registry, lambda line: None, lambda *_: contextlib.nullcontext(seen), Signals((), lambda line: None))
    return seen  # type: ignore[no-any-return]


def without(name: str) -> Any:
    methods = {each: lambda *_: None for each in ("execute", "cancel", "kill") if each != name}
    return type("Theirs", (), {"jobs": 1, **methods})()


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any) -> None:
        raise error

    return function


def with_jobs(jobs: Any) -> Any:
    executor = Obedient()
    executor.jobs = jobs
    return made(executor)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda setting: None, "gives None, where a context manager is promised"),
        (lambda setting: iter([Obedient()]), "where a context manager is promised; is @contextmanager"),
        (raising(ValueError("no number")), "ValueError: no number"),
        (made(None), "NoneType has no method execute or cancel or kill"),
        (made(without("kill")), "Theirs has no method kill"),
        (with_jobs(None), "its `jobs` is None"),
        (with_jobs(0), "its `jobs` is 0"),
    ],
)
def test_what_is_no_executor_is_refused_before_a_run_is_begun(
    call: Call, registry: Registry, make: Any, words: str
) -> None:
    with pytest.raises(GenbenchError, match=WHO) as caught:
        carry_out(call, registry, make)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def twice_begun(run: Any, observer: Any) -> None:
    observer.started(run)
    observer.started(run)


def never_begun(run: Any, observer: Any) -> None:
    observer.finished(run, None)


def twice_ended(run: Any, observer: Any) -> None:
    observer.started(run)
    observer.finished(run, None)
    observer.finished(run, None)


def going_on(run: Any, observer: Any) -> None:
    observer.started(run)
    observer.finished(run, None)
    observer.progressed(run, "train", 0.5)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (lambda run, observer: None, r"returned before 5 of 5 runs had ended, tiny/toy/seed-0 among them"),
        (lambda run, observer: observer.started(run), r"returned before 5 of 5 runs had ended"),
        (twice_begun, "tells twice that tiny/toy/seed-0 begins"),
        (never_begun, "tells of the end of tiny/toy/seed-0 before its beginning"),
        (twice_ended, "tells of the end of tiny/toy/seed-0 after its end"),
        (going_on, "tells of progress of tiny/toy/seed-0 after its end"),
        (raising(KeyError("queue")), "KeyError: 'queue'"),
    ],
)
def test_runs_that_are_left_out_or_told_of_wrongly_are_an_error_of_the_harness(
    call: Call, registry: Registry, told: Any, words: str
) -> None:
    with pytest.raises(HarnessError, match=WHO + words) as caught:
        carry_out(call, registry, made(Obedient(told)))
    assert caught.value.exit_code == 1


def test_an_executor_that_keeps_its_promises_is_not_disturbed(call: Call, registry: Registry) -> None:
    assert carry_out(call, registry, made(Obedient())).finished_runs == [None] * 5


@pytest.mark.parametrize("error", [StoreError("no room"), KeyboardInterrupt()])
def test_errors_for_people_and_interrupts_pass_as_they_are(
    call: Call, registry: Registry, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        carry_out(call, registry, made(Obedient(raising(error))))
    assert caught.value is error


def test_a_fault_in_leaving_it_is_told_too(call: Call, registry: Registry) -> None:
    @contextlib.contextmanager
    def make(setting: Setting) -> Iterator[Obedient]:
        yield Obedient()
        raise OSError("the queue did not close")

    with pytest.raises(HarnessError, match=WHO + "OSError: the queue did not close"):
        carry_out(call, registry, make)


@pytest.mark.parametrize(("how", "error"), [("cancel", None), ("kill", Killed)])
def test_runs_that_a_person_stopped_need_no_end(
    registry: Registry, how: str, error: type[BaseException] | None
) -> None:
    from genbench.executors.contract import contracted

    def told(run: Any, observer: Any) -> None:
        getattr(held, how)()
        if error is not None:
            raise error

    setting: Any = None
    with contracted("theirs", registry.executors["theirs"], made(Obedient(told)), setting) as held:
        if error is None:
            held.execute([planned()], Seen())
        else:
            with pytest.raises(error):
                held.execute([planned()], Seen())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("make = 7", "is 7, where a function is promised"),
    ],
)
def test_code_of_an_executor_that_is_none_is_an_error_for_people(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    from genbench.executors.interface import find_executor

    (tmp_path / "their_code.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_code", raising=False)
    registry.executors["theirs"] = Registered("their_code:make", Plugin("theirs", "theirs", "1", "theirs"))
    with pytest.raises(GenbenchError, match=f"--executor theirs: their_code:make.*{words}"):
        find_executor(registry, "theirs")
