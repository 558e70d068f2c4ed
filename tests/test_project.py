"""The project's habits are those that it writes of: packaging, workflows, templates and the checks before a commit."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import tarfile
import tomllib
import zipfile
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from installing import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEST_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt '.[test]' && .venv/bin/pytest"


@cache
def workflow(name: str) -> dict:
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    return {**flow, "on": flow.pop(True)}  # YAML's other word for true


def steps(name: str) -> list[dict]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def commands(name: str) -> str:
    return "\n".join(step.get("run", "") for step in steps(name))


def pythons() -> list[str]:
    return [found for each in PROJECT["classifiers"] if (found := each.rpartition(":: ")[2]).startswith("3.")]


def test_the_pythons_of_the_packaging_begin_with_the_oldest_that_is_needed():
    assert PROJECT["requires-python"] == f">={pythons()[0]}"
    minors = [int(version.removeprefix("3.")) for version in pythons()]
    assert minors == list(range(minors[0], minors[-1] + 1))


def test_the_tests_run_on_every_python_that_the_packaging_declares():
    assert workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"] == pythons()


@pytest.mark.parametrize("place", ["README.md", ".ci/run"])
def test_the_test_command_is_that_of_the_workflow(place):
    assert TEST_COMMAND in (ROOT / place).read_text(encoding="utf-8")
    assert TEST_COMMAND in commands("ci")


def test_the_checks_before_a_change_are_the_same_everywhere():
    shown = re.findall(r"^    \.venv/bin/((?:ruff|mypy).*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert shown == ["ruff check .", "ruff format --check .", "mypy"]
    for command in shown:
        assert f".venv/bin/{command}\n" in commands("ci") + "\n"
        assert f".venv/bin/{command}\n" in (ROOT / ".ci/run").read_text()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["name"] for hook in hooks] == ["ruff check", "ruff format", "mypy"]


def test_the_docs_are_built_as_the_contributors_are_told_to():
    (command,) = re.findall(r"^    \.venv/bin/(python -m sphinx .*)$", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    assert " -W " in command
    assert f".venv/bin/{command}\n" in commands("docs") + "\n"
    assert "sphinx -b linkcheck" in commands("docs")


def test_extras_that_are_installed_are_there():
    texts = [commands(path.stem) for path in WORKFLOWS]
    texts += [path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]]
    named = {each for text in texts for found in re.findall(r"'\.\[([\w,]+)\]'", text) for each in found.split(",")}
    assert {"test", "dev", "docs"} <= named <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside(path):
    uses = re.findall(r"uses: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert uses
    for used in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_write_nothing_but_what_a_job_asks_for(path):
    flow = workflow(path.stem)
    assert flow["permissions"] == {"contents": "read"}
    granted = {name: job["permissions"] for name, job in flow["jobs"].items() if "permissions" in job}
    allowed = {"ci": {}, "docs": {"publish": {"pages": "write", "id-token": "write"}},
               "release": {"publish": {"id-token": "write"}}}  # fmt: skip
    assert granted == allowed[path.stem]
    assert "secrets." not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_ends_and_keeps_no_credentials(path):
    for job in workflow(path.stem)["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_text_of_others_is_pasted_into_a_script(path):
    scripts = "\n".join(step.get("run", "") for step in steps(path.stem))
    assert "${{" not in scripts


def test_a_release_starts_from_a_tag_alone_and_is_approved():
    flow = workflow("release")
    assert flow["on"] == {"push": {"tags": ["v*"]}}
    publish = flow["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "build"
    assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_an_issue_form_asks_for_what_is_needed(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert form["blank_issues_enabled"] is True
        return
    assert form["name"]
    assert form["description"]
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked) >= 3
    assert any(field.get("validations", {}).get("required") for field in asked)
    pages = [name for field in form["body"] for name in re.findall(r"`((?:docs/)?[\w-]+\.md)`", str(field))]
    assert pages
    assert not [name for name in pages if not (ROOT / name).is_file()]


def test_the_security_policy_says_how_to_report_and_leads_to_the_statement():
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "## Reporting" in policy
    assert "(docs/security.md)" in policy


@cache
def check_dist() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_dist", ROOT / ".github" / "check_dist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return check_dist().packaged()


def distributions(folder: Path, files: dict[str, str]) -> Path:
    """A wheel and a source archive that have these files, empty."""
    with zipfile.ZipFile(folder / "x-1-py3-none-any.whl", "w") as wheel:
        for name in [*files.values(), "x-1.dist-info/METADATA"]:
            wheel.writestr(name, "")
    with tarfile.open(folder / "x-1.tar.gz", "w:gz") as archive:
        for name in [*files, "README.md", "LICENSE", "pyproject.toml"]:
            archive.addfile(tarfile.TarInfo(f"x-1/{name}"), io.BytesIO())
    return folder


def test_a_distribution_is_held_to_its_data_too(files):
    suffixes = {Path(name).suffix for name in files.values()}
    assert {".py", ".toml", ".safetensors", ".css", ".js", ".html", ".jinja", ".yml", ".typed"} <= suffixes
    assert files["benchmarks/digits.toml"] == "genbench_benchmarks/digits.toml"
    assert not [name for name in files if "__pycache__" in name]


def test_complete_distributions_lack_nothing(tmp_path, files):
    assert check_dist().missing(distributions(tmp_path, files)) == []


def test_what_a_distribution_lacks_is_named(tmp_path, files):
    less = {name: place for name, place in files.items() if not name.endswith("digits-cnn-v1.safetensors")}
    lost = [place for name, place in files.items() if name not in less]
    assert len(lost) == 1
    problems = check_dist().missing(distributions(tmp_path, less))
    assert len(problems) == 2
    assert all("digits-cnn-v1.safetensors" in problem for problem in problems)


def test_what_a_wheel_should_not_have_is_named(tmp_path, files):
    problems = check_dist().missing(distributions(tmp_path, {**files, "tests/jobs.py": "tests/jobs.py"}))
    assert problems == ["x-1-py3-none-any.whl should not have tests/jobs.py"]


def test_no_tracked_file_is_a_leftover():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not [name for name in listed.split() if re.search(r"(\.pyc|\.orig|\.rej|~|\.egg-info/.*)$", name)]
