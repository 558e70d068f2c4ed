"""Help pages: complete, alike, and fit for a terminal of 80 columns."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from genbench.cli import COMMANDS, SECTIONS, STATUSES, STATUSES_OF, cli, main
from genbench.plugins import Registry, discover
from genbench.selection import select_model

CLI = Path(__file__).parents[1] / "docs" / "cli.md"
PAGES = [
    *((name,) for name in COMMANDS),
    *(
        (name, inner)
        for name in ("data", "reference")
        for inner in getattr(cli.get_command(click.Context(cli), name), "commands", ())
    ),
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [(), *PAGES], ids=" ".join)
def test_no_line_of_a_help_page_is_wider_than_80_columns(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = page(capsys, monkeypatch, *words).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines if line.endswith("...") and "Usage" not in line] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_help_has_a_synopsis_examples_and_its_exit_statuses(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(capsys, monkeypatch, name)
    assert text.startswith(f"Usage: genbench {name} ")
    assert f"    genbench {name}" in text.partition("Examples:")[2]
    named = {int(number) for number in re.findall(r"^    (\d+)  ", text.partition("Exit status:")[2], re.MULTILINE)}
    assert named == {0, 2, *STATUSES_OF.get(name, ())}


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_no_option_is_explained_by_the_name_of_its_type(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not re.search(r"INTEGER|FLOAT|RANGE\b", page(capsys, monkeypatch, *words))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_model_with_options_in_a_help_page_is_one_that_there_is(
    name: str, registry: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    models = set(re.findall(r"(?<![a-z0-9._-])[a-z][a-z0-9-]*\[\w+=[^\]]*\]", page(capsys, monkeypatch, name)))
    for model in models - {"my-model[width=8]"}:
        select_model(registry, model)


def test_every_command_stands_in_one_section() -> None:
    assert [name for names in SECTIONS.values() for name in names] == list(COMMANDS)


def test_the_first_page_names_every_variable_and_status_that_the_documentation_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(capsys, monkeypatch)
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", CLI.read_text(), re.MULTILINE))
    assert documented
    assert set(re.findall(r"^    ([A-Z_]{4,})  ", text, re.MULTILINE)) == documented
    assert all(f"    {number:<3}  {meaning}" in text for number, meaning in STATUSES.items())
