"""The documentation says what the code does: pages are held to it wherever a claim can be read by a program."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import click
import jsonschema
import pytest
from factories import record as make_record
from installing import ROOT

from genbench import hookspecs
from genbench.benchmark import BenchmarkFile, BudgetTable, LikelihoodTable, SamplesTable, validate
from genbench.cli import COMMANDS, cli
from genbench.plugins import discover
from genbench.record import Record, Score, Status, json_schema
from genbench.selection import load_benchmark

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md"), ROOT / "results" / "README.md"])
TABLES = {"": BenchmarkFile, "budget": BudgetTable, "samples": SamplesTable, "likelihood": LikelihoodTable}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a language, each ending with a newline."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def section(page: Path, title: str) -> str:
    """The text between a heading of the second level and the next one."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no section {title!r}"
    return found[1]


def first_column(text: str) -> list[str]:
    """The names in backquotes of the first column of a section's Markdown tables."""
    rows = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if not re.match(r"\w+:", link) and not (page.parent / link).exists()]
    assert not missing


def test_the_page_of_models_says_of_each_that_is_registered_what_it_declares():
    rows = re.findall(
        r"^\| `([^`]+)` \|[^|]*\| (\S+) \| (yes|no) \|", (DOCS / "models/index.md").read_text(), re.MULTILINE
    )
    specs = {name: entry.spec for name, entry in discover().models.items()}
    declared = {(name, each.likelihood or "-", "yes" if each.conditional else "no") for name, each in specs.items()}
    assert len(rows) == len(declared)
    assert set(rows) == declared


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_is_shown_exists(page):
    text = re.sub(r"^```python\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)  # may add a command
    shown = re.findall(r"(?:^ {4}|`|&& \.venv/bin/)genbench ([a-z]+)", text, re.MULTILINE)
    assert set(shown) <= set(COMMANDS)


def test_the_readme_s_plugin_has_25_lines_and_keeps_the_contract(tmp_path):
    (code,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in code.splitlines() if line.strip()]) == 25
    (tmp_path / "my_marginals.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "genbench.cli", "check", "my_marginals.py", "-b", "digits-smoke"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_s_commands_name_what_exists():
    text = (ROOT / "README.md").read_text()
    assert "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt . && .venv/bin/genbench run --all" in text
    assert "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt '.[test]' && .venv/bin/pytest" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "test" in project["optional-dependencies"]
    assert "genbench" in project["scripts"]
    assert (ROOT / "constraints.txt").is_file()


def test_the_readme_names_every_command():
    table = section(ROOT / "README.md", "Commands")
    assert {name.removeprefix("genbench ") for name in first_column(table)} == set(COMMANDS)


@pytest.mark.parametrize(
    ("language", "file"), [("python", "my_marginals.py"), ("toml", "pyproject.toml")], ids=["code", "packaging"]
)
def test_the_tutorial_shows_the_real_files(language, file):
    assert blocks(DOCS / "plugin-tutorial.md", language) == [(ROOT / "examples" / "tutorial" / file).read_text()]


def hook_reference():
    spec = importlib.util.spec_from_file_location("hook_reference", DOCS / "hook_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_hook_is_documented_with_its_arguments():
    hooks = {
        f"{name}({', '.join(inspect.signature(function).parameters)})"
        for name, function in vars(hookspecs).items()
        if hasattr(function, "genbench_spec")
    }
    assert len(hooks) >= 10
    assert set(re.findall(r"^### `(.+)`$", (DOCS / "hooks.md").read_text(), re.MULTILINE)) == hooks


def test_every_hook_is_documented_in_the_words_of_its_specification():
    reference, page = hook_reference(), (DOCS / "hooks.md").read_text()
    assert sorted(found["name"] for found in reference.PART.finditer(page)) == sorted(reference.hooks())
    assert reference.written(page) == page, "python docs/hook_reference.py writes it anew"


def test_every_hook_has_a_contract():
    assert not [name for name, hook in hook_reference().hooks().items() if not inspect.getdoc(hook)]


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_a_definition_is_documented(table):
    text = section(DOCS / "benchmarks.md", f"`[{table}]`" if table else "Top level")
    keys = {entry.name for entry in dataclasses.fields(TABLES[table])} - set(TABLES)
    assert sorted(first_column(text)) == sorted(keys)


def test_the_documented_definition_is_valid_and_shows_the_keys():
    (text,) = blocks(DOCS / "benchmarks.md", "toml")
    definition = tomllib.loads(text)
    validate(definition, "docs/benchmarks.md")
    optional = {"device_memory_mib", "evaluator_sha256", "runs_per_device"}
    for name, table in TABLES.items():
        shown = definition[name] if name else definition
        assert {entry.name for entry in dataclasses.fields(table)} - optional == set(shown)


def test_the_digest_that_getting_started_shows_is_that_of_the_benchmark():
    text = (DOCS / "getting-started.md").read_text()
    (shown,) = set(re.findall(r"digest (\w{16})", text))
    assert load_benchmark(discover(), "digits-smoke").digest.startswith(shown)


def test_the_published_schema_is_that_of_the_code():
    published = json.loads((DOCS / "record.schema.json").read_text())
    assert published == json.loads(json.dumps(json_schema())), "see CONTRIBUTING.md for how to write it anew"


def test_a_record_is_valid_against_the_published_schema():
    schema = json.loads((DOCS / "record.schema.json").read_text())
    document = json.loads(make_record("vae", 0).to_json())
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "status": "fine"}, schema)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Fields", [entry.name for kind in (Record, Score) for entry in dataclasses.fields(kind)]),
        ("Status", list(get_args(Status))),
    ],
    ids=["fields", "statuses"],
)
def test_every_field_and_status_of_a_record_is_documented(title, names):
    assert sorted(first_column(section(DOCS / "records.md", title))) == sorted(names)


def test_every_artifact_is_documented():
    from genbench.executors.assembly import ARTIFACTS

    assert sorted(first_column(section(DOCS / "records.md", "Artifacts"))) == sorted(ARTIFACTS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name):
    command = cli.get_command(click.Context(cli), name)
    commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    options = {
        flag
        for each in commands
        for parameter in each.params
        if isinstance(parameter, click.Option)
        for flag in parameter.opts
    }
    assert set(first_column(section(DOCS / "cli.md", name))) == options


def test_the_documented_exit_codes_are_those_of_the_errors():
    from genbench import errors

    codes = {kind.exit_code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "exit_code")}
    table = section(DOCS / "cli.md", "Exit codes")
    documented = {int(code) for code in re.findall(r"^\| (\d) \|", table, re.MULTILINE)}
    assert documented == codes | {0}


def test_every_metric_is_documented_with_its_formula_paper_traps_and_blindness():
    text = (DOCS / "metrics.md").read_text()
    metrics = {
        name: entry.spec for name, entry in discover().metrics.items() if entry.plugin.distribution == "genbench"
    }
    assert {"fid", "bits_per_dim"} <= set(metrics)
    for name, spec in metrics.items():
        about = next((part for part in re.split(r"\n##+ |\n(?=`\w+`, )", text) if f"`{name}`, " in part), "")
        assert about, f"docs/metrics.md has no part that begins with `{name}`"
        assert re.search(r"arXiv:[\d.]+", spec.reference)[0] in about
        assert f"{spec.direction} is better" in about
        assert "```math\n" in about, f"{name} has no formula"
        assert "\nTraps:" in about, f"{name} has no traps"
        assert "\nBlind to: " in about, f"{name} is said to be blind to nothing"


def test_the_flow_example_s_options_are_documented(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "genbench-flow" / "src"))
    from genbench_flow import RealNVPConfig

    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", (ROOT / "examples/genbench-flow/README.md").read_text(), re.MULTILINE)
    options = dataclasses.asdict(RealNVPConfig())
    assert {name: float(value) for name, value in rows} == options


def test_the_changelog_and_the_citation_name_this_version():
    from genbench import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
