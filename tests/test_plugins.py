"""Registration: whatever a plugin does wrong is reported with its cause and harms nobody else.

What it could do to the process that loads it stands in ``test_probe.py``.
"""

from __future__ import annotations

import itertools
import re
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from genbench.errors import GenbenchError
from genbench.matrix import Entry, choose
from genbench.plugins import Plugin, Registry, code_sha256, discover
from genbench.selection import load_benchmark, select_model
from genbench.single_file import add_file

Write = Callable[..., EntryPoint]

MODELS = """
from dataclasses import dataclass
from genbench import ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    batch_size: int = 8

@hookimpl
def register_models():
    return [ModelSpec({name!r}, "nowhere:Model", Config, "A model")]
"""

COMMAND = """
import click
from genbench import hookimpl

@hookimpl
def register_commands():
    return [{}]
"""

GOOD = MODELS.format(name="good")

BROKEN = {
    "forgets its return": (
        "from genbench import hookimpl\n@hookimpl\ndef register_models(): pass",
        "register_models() returned None; is a `return` missing?",
    ),
    "imports what is not there": ("\nimport nonexistent_module", "'nonexistent_module' (written_plugin_"),
    "is no Python": ("def f(:", "SyntaxError: invalid syntax (written_plugin_"),
    "has no likelihood, in words": (
        GOOD.replace('"A model"', '"A model", likelihood="none"'),
        "known: bound, estimate, exact, importance, or None for no likelihood",
    ),
    "an import error": ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
    "an exit at import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "an error at import": ("1 / 0", "ZeroDivisionError"),
    "a syntax error": ("def", "SyntaxError"),
    "a misspelt hook": (
        GOOD.replace("def register_models", "def register_model"),
        "unknown hook 'register_model'; did you mean 'register_models'?",
    ),
    "a hook with an argument too many": (GOOD.replace("register_models()", "register_models(device)"), "device"),
    "no hook": ("def register_models(): return []", "implements no hook"),
    "a call that fails": (GOOD.replace("[ModelSpec(", "[tuple("), "TypeError"),
    "a list of names": (GOOD.split("    return [")[0] + "    return ['good']\n", "'good', which is no ModelSpec"),
    "a number": (GOOD.split("    return [")[0] + "    return 3\n", "TypeError"),
    "an exception in a hook": (GOOD.replace("return [", "raise RuntimeError('not today'); return ["), "not today"),
    "an exit in a hook": (GOOD.replace("return [", "raise SystemExit(4); return ["), "SystemExit"),
    "one name twice": (GOOD.replace("return [", "return 2 * ["), "registers the model 'good' twice"),
    "a name with a slash": (MODELS.format(name="../evil"), "names match"),
    "a name in capitals": (MODELS.format(name="Good"), "names match"),
    "a config without batch_size": (GOOD.replace("batch_size", "size"), "needs a field batch_size"),
    "a config field without default": (GOOD.replace("batch_size: int = 8", "batch_size: int"), "needs a default"),
    "a config that is no dataclass": (
        GOOD.replace("@dataclass(frozen=True)\n", "").replace(": int = 8", " = 8"),
        "must be a dataclass",
    ),
    "a config field of another type": (GOOD.replace("= 8", "= 8\n    x: object = None"), "'x' must be a bool, int"),
    "a default that is infinite": (
        GOOD.replace("= 8", "= 8\n    x: float = float('inf')"), "'x' must be finite, not inf"
    ),
    "a config inside a class": (
        GOOD.replace("@dataclass(frozen=True)\nclass", "class Outer:\n  @dataclass(frozen=True)\n  class")
        .replace(" Config, ", " Outer.Config, "),
        "config 'Outer.Config' stands inside another class or function",
    ),
    "a factory inside a function": (
        GOOD.replace('"nowhere:Model"', "make()") + "\ndef make():\n    class Model: pass\n    return Model\n",
        "factory 'make.<locals>.Model' stands inside another class or function",
    ),
    "an unknown likelihood": (GOOD.replace('"A model"', '"A model", likelihood="exactly"'), "did you mean 'exact'?"),
    "a factory that is no import string": (GOOD.replace("nowhere:Model", "nowhere"), "package.module:Class"),
    "a benchmark that is no TOML file": (
        "from genbench import hookimpl\n@hookimpl\ndef register_benchmarks(): return ['x.json']",
        "no .toml file",
    ),
    "a command that is none": (
        COMMAND.format("print"),
        "click.Command",
    ),
    "a command of genbench's own": (
        COMMAND.format("click.Command('run')"),
        "'run', which is one of genbench's own",
    ),
}  # fmt: skip
numbers = itertools.count()


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a module and gives an entry point for it."""
    monkeypatch.syspath_prepend(tmp_path)

    def entry(source: str, name: str = "it", distribution: str = "somebody-genbench") -> EntryPoint:
        module = f"written_plugin_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        point = EntryPoint(name, module, "genbench")
        return point._for(SimpleNamespace(name=distribution, version="1.2"))  # type: ignore[attr-defined]

    return entry


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts of these tests stay out of the user's cache."""
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def registered(*points: EntryPoint) -> Registry:
    """The registry of these plugins alone, loaded in this order without a probe before."""
    registry = discover([])
    for point in points:
        assert point.dist is not None
        registry.add(Plugin(point.name, point.dist.name, point.dist.version, point.value), point.load)
    return registry


def problem(registry: Registry, name: str) -> str:
    (found,) = [plugin.problem for plugin in registry.plugins if plugin.name == name]
    assert found is not None
    return found


def test_a_good_plugin_is_found_with_its_distribution(write: Write) -> None:
    registry = discover([write(GOOD)])
    assert registry.broken == []
    assert registry.models["good"].spec.name == "good"
    assert registry.models["good"].plugin.distribution == "somebody-genbench"
    assert registry.models["good"].plugin.version == "1.2"


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_with_its_cause_and_the_others_work(write: Write, kind: str) -> None:
    source, cause = BROKEN[kind]
    points = [write(MODELS.format(name=f"model-{name}"), name) for name in ("a", "z")]
    registry = registered(points[0], write(source, "broken"), points[1])
    assert cause in problem(registry, "broken")
    assert "\n" not in problem(registry, "broken")
    assert set(registry.models) == {"model-a", "model-z"}
    assert [plugin.name for plugin in registry.broken] == ["broken"]


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_stays_out_of_the_hooks(write: Write, kind: str) -> None:
    registry = registered(write(BROKEN[kind][0], "broken"), write(GOOD, "fine"))
    assert [name for name, _ in registry.manager.list_name_plugin()] == ["somebody-genbench:fine"]


def test_a_taken_name_is_refused_and_stays_with_who_had_it(write: Write) -> None:
    registry = discover([write(GOOD, "second", "b-dist"), write(GOOD, "first", "a-dist")])
    assert registry.models["good"].plugin.distribution == "a-dist"
    assert "'good', a name that plugin 'first' of a-dist has taken" in problem(registry, "second")


def test_nobody_takes_a_name_of_genbench(write: Write) -> None:
    registry = discover([write(GOOD, "early", "aaa"), write(GOOD, "own", "genbench")])
    assert registry.models["good"].plugin.distribution == "genbench"
    assert [plugin.name for plugin in registry.broken] == ["early"]


def test_a_plugin_with_one_bad_model_brings_none(write: Write) -> None:
    source = GOOD.replace("return [", "return [ModelSpec('fine', 'nowhere:Model', Config, 'Fine'), 'bad', ")
    assert registered(write(source)).models == {}


def test_a_plugin_that_is_loaded_twice_keeps_its_first_place(write: Write) -> None:
    point = write(GOOD)
    registry = registered(point, point)
    assert registry.models["good"].plugin.problem is None
    assert [plugin.problem is None for plugin in registry.plugins] == [True, False]
    assert registry.manager.has_plugin("somebody-genbench:it")


def test_an_error_that_cannot_be_told_is_reported_all_the_same(write: Write) -> None:
    source = "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute"
    told = problem(registered(write(source)), "it")
    assert re.fullmatch(r"cannot be imported: Mute: its message cannot be read \(\w+\.py:3\)", told)


def test_a_problem_holds_nothing_that_a_terminal_obeys_and_has_an_end(write: Write) -> None:
    told = problem(registered(write(r"raise ValueError('\x1b[31m\ud800' + 10**6 * 'x')")), "it")
    assert told.isprintable()
    assert len(told) < 600


def test_an_unknown_name_is_answered_with_the_nearest(write: Write) -> None:
    registry = registered(write(GOOD))
    with pytest.raises(GenbenchError, match=r"unknown model 'goood'; did you mean 'good'\?"):
        registry.find("models", "goood")


def test_a_plugin_in_a_file_works_without_being_installed(tmp_path: Path) -> None:
    path = tmp_path / "single_file_plugin.py"
    path.write_text(GOOD)
    registry = discover([])
    plugin = add_file(registry, path)
    assert registry.models["good"].plugin == plugin
    assert plugin.root == str(tmp_path)
    sys.modules.pop("single_file_plugin")


@pytest.mark.parametrize(("source", "why"), [(None, "no such file"), ("1 / 0", "ZeroDivisionError")])
def test_a_file_that_does_not_work_is_refused_by_its_path(tmp_path: Path, source: str | None, why: str) -> None:
    path = tmp_path / "bad_file_plugin.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(GenbenchError, match=why) as caught:
        add_file(discover([]), path)
    assert str(path) in str(caught.value)


def test_the_code_hash_changes_with_any_file_of_the_package_and_not_with_its_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "hashed_plugin"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text(GOOD.replace("nowhere:Model", "hashed_plugin.inner.net:Model"))
    (package / "inner" / "net.py").write_text("class Model: ...")
    registry = discover([EntryPoint("it", "hashed_plugin", "genbench")])
    entry = registry.models["good"]
    first = code_sha256(entry.spec, entry.plugin)
    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "x.pyc").write_bytes(b"cache")
    assert code_sha256(entry.spec, entry.plugin) == first
    (package / "inner" / "net.py").write_text("class Model: width = 3")
    second = code_sha256(entry.spec, entry.plugin)
    (package / "weights.bin").write_bytes(b"\0")
    assert len({first, second, code_sha256(entry.spec, entry.plugin)}) == 3


DECLARATIONS = {
    "supports that raises": ("supports=lambda data: 1 / 0", "supports: ZeroDivisionError: division by zero"),
    "supports that exits": ("supports=lambda data: exit('no')", "supports: SystemExit: no"),
    "supports that says False": ("supports=lambda data: False", "supports: must return None or the reason in words"),
    "an empty reason": ("supports=lambda data: ' '", "supports: must return None or the reason in words"),
    "defaults that raise": ("defaults=lambda data: 1 / 0", "defaults: ZeroDivisionError: division by zero"),
    "defaults that are none": ("defaults=lambda data: None", "defaults: TypeError"),
    "an unknown default": ("defaults=lambda data: {'batch': 3}", "did you mean 'batch_size'?"),
    "a default of another type": ("defaults=lambda data: {'batch_size': 'x'}", "takes a value of type int"),
    "code that is not there": ("code=('no_such_package',)", "code: the package 'no_such_package'"),
}


@pytest.mark.parametrize("kind", DECLARATIONS)
def test_a_faulty_declaration_is_the_problem_of_its_model_alone(write: Write, kind: str) -> None:
    change, words = DECLARATIONS[kind]
    factory = f'"{__name__}:Model"'  # any module that is there
    bad = GOOD.replace('"nowhere:Model"', factory).replace('"A model"', f'"A model", {change}')
    registry = registered(write(bad), write(MODELS.format(name="fine").replace('"nowhere:Model"', factory), "fine"))
    first, second = chosen(registry, "good", "fine")
    assert words in (first.problem or "")
    assert first.identity.config == {"batch_size": 8}
    assert second.problem is None


def test_an_option_that_a_model_refuses_is_the_users_mistake(write: Write) -> None:
    refusing = "batch_size: int = 8\n    def __post_init__(self):\n        assert self.batch_size < 9, 'too large'"
    registry = registered(write(GOOD.replace("batch_size: int = 8", refusing)))
    with pytest.raises(GenbenchError, match=r"good\[batch_size=10\]: AssertionError: too large"):
        chosen(registry, "good[batch_size=10]")


def chosen(registry: Registry, *models: str) -> list[Entry]:
    benchmark = load_benchmark(discover(), "digits-smoke")
    return choose(benchmark, [select_model(registry, model) for model in models])


def test_a_missing_package_of_a_models_code_is_named() -> None:
    import factories

    with pytest.raises(GenbenchError, match="'nowhere', named by a model's declaration, is not installed"):
        code_sha256(factories.MODEL, Plugin("toys", "toys", "1.0", "factories"))
