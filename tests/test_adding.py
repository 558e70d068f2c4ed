"""docs/adding.md shows how to add everything: its code is that of files, and the plugins in them work."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import factories
import pytest
from click.testing import CliRunner
from installing import ROOT

from genbench.cli.new import TEMPLATE
from genbench.executors.interface import Setting, find_executor
from genbench.listings import listing
from genbench.plugins import Plugin, Registry, discover
from genbench.single_file import load_file
from genbench.store import Store

PAGE = ROOT / "docs" / "adding.md"
FOLDER = ROOT / "examples" / "adding"
MODULES = ("genbench_failures", "genbench_polite")


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    found, path = discover(), list(sys.path)
    for module in MODULES:
        found.add(
            Plugin(module, "genbench-adding", "0.1.0", module), lambda name=module: load_file(FOLDER / f"{name}.py")
        )
        assert found.plugins[-1].problem is None
    yield found
    sys.path[:] = path
    for module in MODULES:
        del sys.modules[module]


def blocks() -> list[str]:
    return re.findall(r"^```(?:python|toml)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def shown(path: Path) -> str:
    """A file's text; of a template's as of a project called after its kind."""
    kind = path.relative_to(TEMPLATE).parts[0] if path.is_relative_to(TEMPLATE) else ""
    answers = {"package": f"genbench_my_{kind}", "name": f"my-{kind}", "trial": f"my-{kind}-trial"}
    text = path.read_text()
    for question, answer in answers.items():
        text = text.replace(f"{{{{ {question} }}}}", answer)
    return text


def test_all_code_of_the_page_is_that_of_a_file():
    templates = [path for path in TEMPLATE.rglob("src/*/*.jinja") if path.is_file()]
    files = {shown(path) for path in [*templates, *FOLDER.iterdir()] if path.is_file()}
    assert len(blocks()) == 11
    assert [block.splitlines()[0] for block in blocks() if block not in files] == []


def test_the_packaging_names_the_modules_that_there_are():
    declared = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert set(declared["project"]["entry-points"]["genbench"].values()) == set(MODULES)
    assert set(declared["tool"]["setuptools"]["py-modules"]) == set(MODULES)


@pytest.mark.parametrize(("status", "exit_status"), [("failed", 0), ("ok", 5)])
def test_the_command_lists_what_failed(registry, tmp_path, status, exit_status):
    changes = {"status": status, "reason": "it broke", "scores": {}, "milestones": []} if status != "ok" else {}
    factories.commit(Store(tmp_path), factories.record("toy", **changes))
    command = registry.commands["failures"].spec
    done = CliRunner().invoke(command, ["--results", str(tmp_path)], standalone_mode=False)
    assert (done.return_value, done.exception) == (exit_status, None)
    assert ("tiny/toy/seed-0: failed: it broke" in done.output) == (status != "ok")


def test_the_observer_keeps_the_log_of_a_failed_run_alone(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("GENBENCH_FAILURES", str(tmp_path / "kept"))
    failed = {"status": "failed", "reason": "it broke", "scores": {}, "milestones": []}
    for seed, changes in enumerate(({}, failed)):
        folder = tmp_path / "toy" / f"seed-{seed}"
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text(f"log {seed}")
        record = factories.record("toy", seed, **changes)
        sys.modules["genbench_failures"].run_finished(record=record, folder=folder)
    assert {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()} == {"toy-seed-1.txt": "log 1"}


def test_the_listing_of_plugins_tells_of_which_runs_an_observer_is_told(registry):
    brought = {entry["name"]: entry["brings"] for entry in listing(registry, "plugins")}
    assert brought["genbench_failures"] == {"commands": ["failures"], "observers": ["run_finished"]}
    assert "observers" not in brought["genbench_polite"]


def test_the_executor_is_found_by_its_name_and_refuses_unknown_options(registry, tmp_path):
    make = find_executor(registry, "polite")
    setting = Setting(registry, factories.benchmark(), Store(tmp_path), options={"bellow": "2"})
    with pytest.raises(Exception, match="did you mean 'below'"), make(setting):
        pass


def test_the_executor_carries_out_one_run_after_another_until_it_is_cancelled(registry, monkeypatch):
    polite = sys.modules["genbench_polite"]
    begun, loads = [], iter([9.0, 9.0, 1.0, 1.0])
    monkeypatch.setattr(polite.os, "getloadavg", lambda: (next(loads), 0, 0))
    monkeypatch.setattr(polite.time, "sleep", begun.append)
    runner = SimpleNamespace(execute=lambda runs, observer: begun.extend(runs), cancel=lambda: None)
    executor = polite.Polite(runner, below=2.0, say=begun.append)
    executor.execute(["first", "second"], None)
    assert begun == ["waiting for a load below 2", 1, 1, "first", "second"]
    executor.cancel()
    executor.execute(["third"], None)
    assert "third" not in begun
