"""`genbench new` writes projects that are whole and whose plugins work; strangers_day.py installs and uses them."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from commands import inside
from installing import ROOT
from jobs import job_of

from genbench.cli.new import KINDS, TEMPLATE, command, next_commands, package_of, trial_of, write
from genbench.engine.checks import RULES, judge
from genbench.engine.checks.subject import Subject
from genbench.errors import GenbenchError, SpecError
from genbench.plugins import Plugin, Registered, Registry, discover
from genbench.selection import load_benchmark

NAME = "template-probe"
PACKAGE = "genbench_template_probe"
FILES = {
    "model": {"model.py"},
    "dataset": {"load.py"},
    "metric": {"function.py"},
    "evaluator": {"extractor.py", "fit.py", "components.safetensors"},
    "benchmark": {f"{NAME}-benchmark.toml"},
}
"""In the package, beside ``__init__.py``."""
each_kind = pytest.mark.parametrize("kind", KINDS)


def new(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "genbench.cli", "new", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass(frozen=True)
class Project:
    """A project of one kind as rendered; its package can be imported."""

    folder: Path
    name: str
    package: str

    @property
    def trial(self) -> Path:
        return self.folder / f"{self.name}-trial.toml"


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Project]]:
    made, path = {}, list(sys.path)
    for kind in KINDS:
        name = f"{NAME}-{kind}"
        project = Project(tmp_path_factory.mktemp("new") / name, name, f"{PACKAGE}_{kind}")
        write(project.folder, kind, name, project.package)
        made[kind] = project
        sys.path.append(str(project.folder / "src"))
    yield made
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def registry(projects: dict[str, Project]) -> Registry:
    """With the plugins of all kinds, loaded as installed ones are, except for the probe."""
    found = discover()
    for project in projects.values():
        plugin = Plugin(project.package, project.package, "0.1.0", project.package)
        found.add(plugin, lambda package=project.package: importlib.import_module(package))
        assert found.plugins[-1].problem is None
    return found


def brought(registry: Registry, kind: str) -> Registered:
    return getattr(registry, KINDS[kind].table)[f"{NAME}-{kind}"]


@each_kind
def test_a_project_is_complete_and_nothing_of_the_template_shows(projects, kind):
    project = projects[kind]
    files = {path.relative_to(project.folder).as_posix() for path in project.folder.rglob("*") if path.is_file()}
    wanted = {".gitignore", ".github/workflows/ci.yml", "README.md", "pyproject.toml", f"tests/test_{kind}.py"}
    wanted |= {f"src/{project.package}/{file}" for file in {"__init__.py"} | FILES[kind]}
    assert {file for file in files if "__pycache__" not in file} == wanted | (
        set() if kind in ("model", "benchmark") else {f"{project.name}-trial.toml"}
    )
    for file in wanted - {f"src/{project.package}/components.safetensors"}:
        text = (project.folder / file).read_text().replace("${{ matrix.python }}", "")
        assert not any(mark in text for mark in ("{{", "}}", "{%")), file
        assert text.endswith("\n"), file
    declared = tomllib.loads((project.folder / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"]["genbench"] == {project.package: project.package}
    assert "license" not in declared


@pytest.mark.parametrize(
    "check",
    ["samples_have_the_promised_form", "exact_log_probs_repeat", "resumed_training_equals_uninterrupted"],
)
def test_the_model_keeps_what_can_go_wrong_in_any(registry, tmp_path, check):
    """The whole contract is asked by the project's own tests, in strangers_day.py."""
    (rule,) = [rule for rule in RULES if rule.name == check]
    result, _ = judge(Subject(job_of(registry, brought(registry, "model").spec, tmp_path)), rule)
    assert (result.verdict, result.message) == ("passed", "")


def test_the_data_set_is_what_it_declares_and_fits_its_trial(projects, registry, tmp_path):
    from genbench.engine.data import load_split, materialise

    spec = brought(registry, "dataset").spec
    x, labels = load_split(materialise(spec, tmp_path), "test")
    assert (len(x), set(labels.tolist())) == (spec.test, set(range(5)))
    assert load_benchmark(registry, str(projects["dataset"].trial)).dataset == spec


def test_the_metric_is_the_total_variation_of_pixels(registry):
    from types import SimpleNamespace

    from genbench.engine.contract import resolve

    real, samples = np.zeros((4, 1, 1, 2), np.uint8), np.array([0, 0, 0, 1] * 2, np.uint8).reshape(4, 1, 1, 2)
    source = SimpleNamespace(data_sha256="d" * 64, split="test")
    material = SimpleNamespace(
        samples=samples, n=4, training=lambda: (real, real), reference=SimpleNamespace(source=source)
    )
    # Of the first pixel's values none is elsewhere than the data's, of the second's half are.
    assert resolve(brought(registry, "metric").spec.function)(material).value == pytest.approx(0.25)


def test_the_metric_is_named_by_its_trial(projects, registry):
    chosen = load_benchmark(registry, str(projects["metric"].trial))
    assert f"{NAME}-metric" in chosen.file.metrics


def test_the_evaluator_sees_images_with_the_weights_that_it_declares(projects, registry):
    from genbench.engine.scoring.evaluators import extract, load_evaluator

    spec = load_benchmark(registry, str(projects["evaluator"].trial)).evaluator
    assert spec == brought(registry, "evaluator").spec
    black, _ = extract(load_evaluator(spec), np.zeros((2, 1, 8, 8), np.uint8))
    white, _ = extract(load_evaluator(spec), np.full((2, 1, 8, 8), 16, np.uint8))
    assert np.array_equal(black[0], black[1])
    assert np.linalg.norm(black[0] - white[0]) > 1


def test_the_benchmark_fits_what_it_names(registry):
    chosen = load_benchmark(registry, f"{NAME}-benchmark")
    assert (chosen.dataset.name, len(chosen.file.seeds)) == ("digits", 5)


@each_kind
def test_a_project_is_clean_for_ruff_by_its_own_rules(projects, kind):
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for action in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *action, "--no-cache", "."],
            cwd=projects[kind].folder,  # where ruff looks for its settings, and for what is first-party
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_git_and_a_home_folder_are_not_needed(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = new("demo", "--name", "no-git", cwd=tmp_path, PATH=str(empty), HOME=str(empty))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "src" / "genbench_no_git" / "model.py").is_file()


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = inside("new", ".", "--name", "some-model", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@each_kind
def test_the_kind_that_is_asked_for_is_written_and_its_next_commands_told(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, [".", "--name", "some-thing", "--kind", kind], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "tests" / f"test_{kind}.py").is_file()
    for line in next_commands(Path("."), kind, "some-thing"):
        assert line in done.output


def test_a_file_in_the_folder_s_place_is_refused(tmp_path):
    (tmp_path / "demo").write_text("")
    done = inside("new", "demo", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a file" in done.stderr


@pytest.mark.parametrize("name", ["Upper", "with space", "-dash", "", "a/b", "x" * 65, "é"])
def test_a_name_that_no_model_can_have_is_refused(name):
    with pytest.raises(SpecError, match="cannot be called"):
        package_of(name, KINDS["model"])


def test_a_refused_name_comes_with_one_that_would_do():
    with pytest.raises(SpecError, match=r"a metric cannot be called .*--name my-metric"):
        package_of("My Metric", KINDS["metric"])


def test_trials_of_two_plugins_share_no_results_and_every_name_leaves_room_for_one():
    assert trial_of("my-metric") != trial_of("my-evaluator")
    assert len(trial_of("x" * 64)) == 64


@pytest.mark.parametrize(
    ("model", "package"), [("demo", "genbench_demo"), ("my-flow.v2", "genbench_my_flow_v2"), ("3d", "genbench_3d")]
)
def test_a_package_s_name_comes_from_the_model_s(model, package):
    assert package_of(model, KINDS["model"]) == package
    assert package.isidentifier()


@pytest.mark.parametrize(
    ("kind", "name", "cause"),
    [
        ("model", "marginals", "a model called 'marginals' is installed, by plugin 'baselines'"),
        ("dataset", "digits", "a data set called 'digits' is installed"),
        ("metric", "fid", "a metric called 'fid' is installed"),
        ("evaluator", "digits-cnn-v1", "an evaluator called"),
        ("benchmark", "digits", "a benchmark called 'digits' is installed"),
        ("model", "blocks", "a package called 'genbench_blocks' is installed"),
    ],
)
def test_a_taken_name_is_refused(tmp_path, kind, name, cause):
    with pytest.raises(GenbenchError, match=cause):
        CliRunner().invoke(command, [str(tmp_path / "demo"), "--name", name, "--kind", kind], catch_exceptions=False)
    assert not (tmp_path / "demo").exists()


def test_a_folder_that_cannot_be_written_is_a_matter_of_the_disk(tmp_path):
    (tmp_path / "file").write_text("")
    done = inside("new", str(tmp_path / "file" / "demo"), cwd=tmp_path)
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "cannot be written" in line


def test_the_next_commands_name_the_folder_and_the_plugin():
    commands = next_commands(Path("my folder"), "model", "demo")
    assert [line.split()[1] for line in commands] == ["install", "check", "run"]
    assert commands[0].endswith("install -e './my folder'")
    assert commands[2].endswith("run demo --dev")


def test_a_trial_is_named_by_a_path_that_the_shell_takes_whole():
    commands = next_commands(Path("my folder"), "metric", "demo")
    assert commands[-1].endswith("-b './my folder/demo-trial.toml'")


def test_the_wheel_holds_the_whole_template(monkeypatch):
    """`genbench new` must work without a checkout. What builds the wheel is asked, since building takes long."""
    from setuptools.config.pyprojecttoml import apply_configuration
    from setuptools.dist import Distribution

    monkeypatch.chdir(ROOT)
    distribution = Distribution()
    apply_configuration(distribution, ROOT / "pyproject.toml")
    distribution.include_package_data = False  # what else git tracks is no matter of ours
    build = distribution.get_command_obj("build_py")
    build.ensure_finalized()
    held = {file for package, _, _, files in build.data_files if package == "genbench" for file in files}
    wanted = {path.relative_to(TEMPLATE.parent).as_posix() for path in TEMPLATE.rglob("*") if path.is_file()}
    assert {"template/common/.gitignore.jinja", "template/common/.github/workflows/ci.yml.jinja"} <= wanted
    assert wanted <= held
