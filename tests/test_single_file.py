"""A model in a Python file, not installed: named by the file wherever a command takes a model."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import factories
import pytest
from commands import inside

from genbench.code_hash import files_of, imported_beside, sha256_of_files
from genbench.errors import GenbenchError
from genbench.matrix import PlannedRun, choose, plan
from genbench.plugins import discover
from genbench.record import ModelId
from genbench.replay import plan_again
from genbench.selection import load_benchmark, select_model
from genbench.single_file import add_file, is_in_file, name_of
from genbench.store import RunKey, Store
from genbench.submission.repeat import retrain
from genbench.submission.scrub import Scrubber
from genbench.submission.verdict import Verdict as Verified
from genbench.verdicts import Verdict

SOURCE = """
from dataclasses import dataclass
from genbench import ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    batch_size: int = 8

class Model:
    def __init__(self, config, data, device):
        import solo_helper
        import solo_parts.layers

@hookimpl
def register_models():
    return [ModelSpec(name, Model, Config, "A model") for name in NAMES]
"""


@pytest.fixture
def write(tmp_path: Path) -> Iterator:
    """Writes a file of models beside a file and a folder that it imports; forgets all of them afterwards."""
    written, path = [], list(sys.path)

    def one(*names: str, stem: str = "solo_models", folder: Path = tmp_path) -> Path:
        (folder / "solo_parts").mkdir(parents=True, exist_ok=True)
        (folder / "solo_parts/layers.py").write_text("DEPTH = 1\n")
        (folder / "solo_helper.py").write_text("WIDTH = 1\n")
        file = folder / f"{stem}.py"
        file.write_text(SOURCE.replace("NAMES", repr(names)))
        written.append(stem)
        return file

    yield one
    for stem in written:
        sys.modules.pop(stem, None)
    sys.path[:] = path


@pytest.fixture(autouse=True)
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for each file would cost more than all of this; test_probe.py sees that files are probed."""
    monkeypatch.setattr("genbench.verdicts.verdicts_on", lambda plugins: [Verdict(None)] * len(plugins))


def test_a_file_stands_for_the_one_model_in_it(write):
    file = write("solo")
    model = select_model(discover(), str(file))
    assert model.name == "solo"
    assert model.registered.plugin.root == str(file.parent)


def test_options_are_those_of_the_model(write):
    registry, file = discover(), write("solo")
    assert select_model(registry, f"{file}[batch_size=3]").name == "solo[batch_size=3]"
    with pytest.raises(GenbenchError, match="did you mean 'batch_size'"):
        select_model(registry, f"{file}[batch_sizes=3]")


def test_of_several_models_one_is_named(write):
    registry, file = discover(), write("one", "two")
    assert select_model(registry, f"{file}:two[batch_size=3]").name == "two[batch_size=3]"
    assert name_of(registry, f"{file}:one") == "one"


def test_of_several_models_none_is_taken_unasked(write):
    file = write("one", "two")
    with pytest.raises(GenbenchError, match=r"registers 2 models; say which, one of \S+\.py:one, \S+\.py:two"):
        select_model(discover(), str(file))


def test_a_model_that_is_not_in_the_file_is_answered_with_the_nearest(write):
    file = write("one", "two")
    with pytest.raises(GenbenchError, match=r"unknown model of .*solo_models\.py 'tow'; did you mean 'two'"):
        select_model(discover(), f"{file}:tow")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("dcgan",), r"registers the model 'dcgan', a name that plugin 'gan' of genbench has taken"),
        ((), "registers no model"),
    ],
)
def test_a_file_that_brings_no_model_of_its_own_says_why(write, names, why):
    with pytest.raises(GenbenchError, match=why):
        select_model(discover(), str(write(*names)))


def test_a_file_that_hides_an_installed_module_is_refused(write):
    with pytest.raises(GenbenchError, match=r"another module called 'colorsys' .*rename the file"):
        select_model(discover(), str(write("solo", stem="colorsys")))


def test_two_files_of_one_name_are_refused(write, tmp_path):
    registry = discover()
    select_model(registry, str(write("solo")))
    with pytest.raises(GenbenchError, match=r"another file of this name is in use, .*rename one"):
        select_model(registry, str(write("other", folder=tmp_path / "elsewhere")))


@pytest.mark.parametrize("text", ["dcgan", "dcgan[width=128]", "m[path=x.py]", "m[path=x.py:y]"])
def test_a_name_with_options_is_no_file(text):
    assert not is_in_file(text)


def test_the_record_names_the_file_without_its_folder(write, monkeypatch):
    file = write("solo")
    monkeypatch.chdir(file.parent)
    registry = discover()
    (entry,) = choose(load_benchmark(registry, "digits-smoke"), [select_model(registry, "./solo_models.py")])
    assert (entry.identity.plugin, entry.identity.version) == ("solo_models.py", "unpackaged")


def planned(file: Path, identity: ModelId | None = None) -> PlannedRun:
    """The first run of the file's model, where a record stands of the model as it was."""
    registry = discover()
    benchmark = load_benchmark(registry, "digits-smoke")
    (entry,) = choose(benchmark, [select_model(registry, str(file))])
    store = Store(file.parent / "results")
    if identity is not None:
        factories.commit(store, dataclasses.replace(factories.record("solo", of=benchmark), model=identity))
    (run,) = plan(store, benchmark, [entry], [0])
    return run


@pytest.mark.parametrize(
    ("changed", "found"),
    [("notes", "done"), ("solo_models", "stale"), ("solo_helper", "stale"), ("solo_parts/layers", "stale")],
)
def test_a_run_is_stale_once_the_file_or_what_it_imports_from_beside_it_changes(write, changed, found):
    file = write("solo")
    before = planned(file)
    assert before.state == "new"
    with (file.parent / f"{changed}.py").open("a") as source:
        source.write("# other\n")
    assert planned(file, before.entry.identity).state == found


def test_what_is_installed_hides_what_has_its_name_beside_a_file(tmp_path):
    for name in ("model", "json", "numpy", "genbench"):
        (tmp_path / f"{name}.py").write_text("import json, numpy, genbench, mine\n")
    (tmp_path / "mine.py").write_text("")
    assert imported_beside("model", tmp_path) == {"model", "mine"}


def test_a_link_to_a_file_is_a_file_in_its_own_folder(write, tmp_path):
    link = tmp_path / "links" / "solo_linked.py"
    link.parent.mkdir()
    link.symlink_to(write("solo"))
    plugin = add_file(discover(), link)
    sys.modules.pop("solo_linked")
    assert (plugin.module, plugin.root) == ("solo_linked", str(link.parent))
    assert [path for path, _ in files_of(plugin.module, plugin.root)] == [link]


def test_a_dry_run_takes_a_file(write, tmp_path):
    file = write("solo")
    done = inside("run", file, f"{file}[batch_size=4]", "--dev", "-b", "digits-smoke", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(RunKey("digits-smoke+dev", "solo", 0)) in done.stdout
    assert str(RunKey("digits-smoke+dev", "solo[batch_size=4]", 0)) in done.stdout


@pytest.mark.parametrize("command", [("compare",), ("cite",)])
def test_a_command_that_reads_results_takes_a_file_for_its_model(write, tmp_path, command):
    file = write("solo")
    arguments = [file, "dcgan"] if command == ("compare",) else ["--models", file]
    done = inside(*command, *arguments, "-b", "digits-smoke", "--results", tmp_path / "none", cwd=tmp_path)
    assert "unknown model" not in done.stderr
    assert done.returncode == (5 if command == ("compare",) else 0), done.stderr


LEFT = (
    ".#core.py", ".core.py.swp", "core.py~", "#core.py#", ".hidden.py", "__pycache__/core.cpython-311.pyc", "core.pyc",
    ".ipynb_checkpoints/core-checkpoint.py",
)  # fmt: skip
"""What editors, notebooks and Python leave in a package's folder."""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / ".venvs" / "place" / "edited_package"  # where the package stands says nothing of its files
    folder.mkdir(parents=True)
    for name in ("__init__.py", "core.py", "weights.bin"):
        (folder / name).write_text("import json\n")
    return folder


def test_what_editors_leave_in_a_package_is_no_part_of_its_code(package):
    before = files_of(package.name, str(package.parent))
    assert [label for _, label in before] == [f"{package.name}/{n}" for n in ("__init__.py", "core.py", "weights.bin")]
    for name in LEFT:
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("import left_over\n")
    (package / ".#lock.py").symlink_to("somebody@somewhere.1234")  # as Emacs makes them, to nowhere
    assert files_of(package.name, str(package.parent)) == before
    (package.parent / "left_over.py").touch()
    assert imported_beside(package.name, package.parent) == {package.name}


@pytest.mark.parametrize("name", ["more.py", "table.csv", "compiled.pyc", "sub/deeper.py", "note~.txt"])
def test_whatever_else_stands_in_a_package_is_a_part_of_its_code(package, name):
    before = sha256_of_files(files_of(package.name, str(package.parent)))
    (package / name).parent.mkdir(exist_ok=True)
    (package / name).touch()
    assert sha256_of_files(files_of(package.name, str(package.parent))) != before


def test_a_run_of_a_model_in_a_file_is_repeated_with_the_file_and_without_it_says_what_to_do(write):
    file, benchmark = write("solo"), load_benchmark(discover(), "digits-smoke")
    registry = discover()
    add_file(registry, file)
    (entry,) = choose(benchmark, [select_model(registry, "solo")])
    record = dataclasses.replace(factories.record("solo"), model=entry.identity)
    record = dataclasses.replace(record, benchmark=dataclasses.replace(record.benchmark, digest=benchmark.digest))
    assert plan_again(registry, benchmark, record).key == RunKey(benchmark.folder, "solo", 0)
    with pytest.raises(GenbenchError, match=r"made by a model in a file, solo_models.py, .* name it with --file"):
        plan_again(discover(), benchmark, record)
    verdict = Verified("tiny/solo/seed-0", file.parent, checked=0, record=record)
    retrain(discover(), benchmark, [verdict], {}, Scrubber((), ()), jobs=1)
    assert "its file of the same code" in str(verdict.failures[0])
    assert "name it with --file. Ask its author for it" in str(verdict.failures[0])
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(GenbenchError, match=r"is not that of the run .* name the file as it was then"):
        plan_again(registry, benchmark, record)
