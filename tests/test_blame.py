"""Blame: the line told with a failure is one of the plugin's own, also where torch raised or nothing was raised."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from genbench.engine import blame, worker
from genbench.engine.checks.subject import explain
from genbench.engine.contract import check_samples, resolve
from genbench.errors import InvalidOutput, SpecError
from genbench.specs import DataSpec

PLUGIN = """\
import json

import torch


def in_torch():
    torch.nn.Linear(2, 2)(torch.zeros(3))


def in_the_standard_library():
    json.loads("{")


def of_many_lines():
    raise ValueError("first\\n\\nsecond")


def of_a_long_line():
    raise ValueError("x" * 3000)


def leave():
    raise SystemExit(0)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    package = tmp_path / "blamed" / "inner"
    package.mkdir(parents=True)
    (tmp_path / "blamed" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "model.py").write_text(PLUGIN)
    (package / "broken.py").write_text("import nonexistent_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "blamed"]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("blamed.inner.model")


def error_of(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("function", "line"), [("in_torch", 7), ("in_the_standard_library", 11), ("of_many_lines", 15), ("leave", 23)]
)
def test_the_place_is_the_innermost_line_of_the_plugin(plugin: ModuleType, function: str, line: int) -> None:
    error = error_of(getattr(plugin, function))
    assert blame.place_of(error) == f"blamed/inner/model.py:{line}"
    assert worker.reason_of(error).endswith(f" (blamed/inner/model.py:{line})")


def test_the_checks_name_the_same_place(plugin: ModuleType) -> None:
    assert explain(error_of(plugin.in_torch))[1].endswith("own code at blamed/inner/model.py:7")


def test_an_installed_plugin_is_told_from_the_libraries_beside_it(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    frames = [(str(packages / "theirs" / "model.py"), 5), (torch.nn.__file__, 9), ("<frozen runpy>", 88)]
    assert blame.innermost(frames) == frames[0]


def test_a_plugin_under_work_goes_before_the_installed_package_that_it_calls(tmp_path: Path) -> None:
    frames = [(str(tmp_path / "model.py"), 5), (str(tmp_path / "site-packages" / "einops.py"), 9)]
    assert blame.innermost(frames) == frames[0]


@pytest.mark.parametrize(
    ("function", "message"), [("of_many_lines", "ValueError: first ..."), ("of_a_long_line", f"{'x' * 300} ...")]
)
def test_a_message_that_is_cut_says_so_and_the_place_still_follows(
    plugin: ModuleType, function: str, message: str
) -> None:
    assert f"{message} (blamed/inner/model.py:" in worker.reason_of(error_of(getattr(plugin, function)))


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("blamed.modle:Y", "no module named 'blamed.modle'"),
        ("nowhere.at.all:Y", "no module named 'nowhere'"),
        ("blamed.inner.model:Y", "the module blamed.inner.model has no 'Y'"),
    ],
)
@pytest.mark.usefixtures("plugin")
def test_a_factory_that_is_not_there_is_an_error_of_the_declaration(target: str, found: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve(target, "factory")
    assert str(caught.value) == f"factory {target!r} cannot be found: {found}"
    assert explain(caught.value)[1].startswith("the ModelSpec names what is not there")


@pytest.mark.usefixtures("plugin")
def test_a_module_that_the_plugin_cannot_import_is_an_error_of_its_own_line() -> None:
    error = error_of(lambda: resolve("blamed.inner.broken:Y", "factory"))
    assert worker.reason_of(error).endswith("'nonexistent_module' (blamed/inner/broken.py:1)")


def test_samples_without_values_are_no_error_of_torch() -> None:
    samples = torch.zeros(2, 1, 8, 8, dtype=torch.uint8, device="meta")
    with pytest.raises(InvalidOutput, match="not one on the device meta"):
        check_samples(samples, 2, DataSpec((1, 8, 8), 17))


HANGS = {
    "in Python": "while True: pass",
    "holding the interpreter's lock": "import ctypes; ctypes.PyDLL(None).sleep(20)",
}


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_a_process_that_hangs_says_where_before_its_deadline(hang: str, tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(f"def hang():\n    {hang}\n")
    log = tmp_path / "log.txt"
    program = "import hanging; from genbench.engine import blame\nwith blame.standing_told(0.5): hanging.hang()"
    with log.open("wb") as stderr, pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", program], stderr=stderr, env={"PYTHONPATH": str(tmp_path)}, timeout=1.5)
    assert blame.place_in(log.read_text()) == "hanging.py:2"


def test_work_that_ends_in_time_says_nothing(tmp_path: Path) -> None:
    program = "import time; from genbench.engine import blame\nwith blame.standing_told(0.2): pass\ntime.sleep(0.4)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_a_log_without_stacks_names_no_place() -> None:
    assert blame.place_in('  File "model.py", line 3 in train_step\n') is None
