"""`genbench new` writes a project that installs, is found, keeps the contract, and passes its own tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from installing import ROOT, Installation, install, pip

from genbench.cli.new import TEMPLATE, command, next_commands, package_of
from genbench.engine.checks import RULES
from genbench.errors import GenbenchError, SpecError

MODEL = "template-probe"
SOURCES = shutil.ignore_patterns(".*_cache", ".git", ".venv", "__pycache__", "build", "dist", "*.egg-info", "results")


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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    done = new(MODEL, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / MODEL


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(project, tmp_path_factory.mktemp("installed"))


def test_the_project_is_complete_and_nothing_of_the_template_shows(project):
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/genbench_template_probe/__init__.py",
        "src/genbench_template_probe/model.py",
        "tests/test_model.py",
    }
    for file in files:
        text = (project / file).read_text()
        assert not any(mark in text for mark in ("{{", "}}", "{%")), file
        assert text.endswith("\n"), file
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"]["genbench"] == {"genbench_template_probe": "genbench_template_probe"}


def test_the_installed_project_is_found(installed):
    done = installed.genbench("list", "models", "--json")
    assert done.returncode == 0, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)}
    assert models[MODEL]["distribution"] == "genbench-template-probe"


def test_the_project_s_own_tests_pass_and_ask_for_the_whole_contract(installed):
    done = installed.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=installed.home / "source", OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed, skipped = (int(re.search(rf"(\d+) {word}", done.stdout)[1]) for word in ("passed", "skipped"))
    assert passed + skipped >= len(RULES)


def test_the_project_is_clean_for_ruff(project):
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for action in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *action, "--no-cache", "--isolated", "--line-length", "120", "."],
            cwd=project,  # where ruff looks for what is first-party
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
    done = new(".", "--name", "some-model", cwd=tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    done = new(".", "--name", "some-model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pyproject.toml").is_file()


def test_a_file_in_the_folder_s_place_is_refused(tmp_path):
    (tmp_path / "demo").write_text("")
    done = new("demo", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a file" in done.stderr


@pytest.mark.parametrize("name", ["Upper", "with space", "-dash", "", "a/b", "x" * 65, "é"])
def test_a_name_that_no_model_can_have_is_refused(name):
    with pytest.raises(SpecError, match="cannot be called"):
        package_of(name)


def test_a_refused_name_comes_with_one_that_would_do():
    with pytest.raises(SpecError, match="--name my-model"):
        package_of("My Model")


@pytest.mark.parametrize(
    ("model", "package"), [("demo", "genbench_demo"), ("my-flow.v2", "genbench_my_flow_v2"), ("3d", "genbench_3d")]
)
def test_a_package_s_name_comes_from_the_model_s(model, package):
    assert package_of(model) == package
    assert package.isidentifier()


@pytest.mark.parametrize(
    ("name", "cause"), [("marginals", "is installed, by plugin 'baselines'"), ("blocks", "package")]
)
def test_a_taken_name_is_refused(tmp_path, name, cause):
    with pytest.raises(GenbenchError, match=cause):
        CliRunner().invoke(command, [str(tmp_path / "demo"), "--name", name], catch_exceptions=False)
    assert not (tmp_path / "demo").exists()


def test_a_folder_that_cannot_be_written_is_a_matter_of_the_disk(tmp_path):
    (tmp_path / "file").write_text("")
    done = new(str(tmp_path / "file" / "demo"), cwd=tmp_path)
    assert done.returncode == 4
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_three_next_commands_name_the_folder_and_the_model():
    commands = next_commands(Path("my folder"), "demo")
    assert [line.split()[1] for line in commands] == ["install", "check", "run"]
    assert commands[0].endswith("install -e './my folder'")
    assert commands[2].endswith("run demo --dev")


def test_the_wheel_holds_the_whole_template(tmp_path):
    """`genbench new` must work where there is no checkout."""
    shutil.copytree(ROOT, tmp_path / "tree", ignore=SOURCES)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(tmp_path / "tree"))
    (wheel,) = tmp_path.glob("genbench-*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("genbench/template/")}
    wanted = {
        f"genbench/template/{path.relative_to(TEMPLATE).as_posix()}" for path in TEMPLATE.rglob("*") if path.is_file()
    }
    assert wanted <= held
    assert "genbench/template/.gitignore.jinja" in held
