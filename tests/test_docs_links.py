"""Links and commands of the pages: what is linked is there, what is shown can be typed, what is there can be found."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shlex
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType

import click
import pytest
from installing import ROOT

from genbench.cli import COMMANDS, cli

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("results/*.md")])
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]*)\)")
EXAMPLES = [
    file
    for file in [*PAGES, *sorted((ROOT / "genbench").rglob("*.py"))]
    if re.search(r">>> (?!.*doctest: \+SKIP)", file.read_text(encoding="utf-8"))
]
"""Files with examples that are run; skipped are those that would train or show what hangs on results."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each_page() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", PAGES, ids=name_of)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Those that GitHub and the site give a page's headings."""
    headings = re.findall(r"^#+ (.*?)#*$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    seen: Counter[str] = Counter()
    found = set()
    for heading in headings:
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


def links(page: Path) -> list[str]:
    return LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


@each_page()
def test_every_anchor_that_is_linked_is_a_heading(page):
    for link in links(page):
        target, sharp, anchor = link.partition("#")
        if not sharp or re.match(r"\w+:", link):
            continue
        file = (page.parent / target).resolve() if target else page
        if file.suffix == ".md":
            assert anchor in anchors(file), f"{link}: {name_of(file)} has no such heading"


@each_page()
def test_every_address_is_written_out_with_its_scheme(page):
    assert not [link for link in links(page) if re.match(r"(www\.|//|http:)", link)]


@cache
def site() -> ModuleType:
    """Sphinx's configuration as a module; it imports no Sphinx."""
    spec = importlib.util.spec_from_file_location("docs_conf", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_a_table_of_contents_of_the_site():
    conf = site()
    index = conf.linked((DOCS / "index.md").read_text(encoding="utf-8"), "docs", "docs")
    tables = conf.contents(index)
    listed = {line for table in tables.split("```{toctree}")[1:] for line in table.split("\n\n")[1].splitlines()}
    family = {name_of(page).removeprefix("docs/").removesuffix(".md") for page in (DOCS / "models").glob("*.md")}
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    assert pages == (listed - {"```"}) | family | {"index"}


def test_the_site_s_links_out_of_the_docs_lead_to_the_page_that_shows_the_same(monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    conf = site()
    text = "[how](../SECURITY.md) [code](../perf/coverage.py) [here](cli.md#run)\n```\n[a](../SECURITY.md)\n```\n"
    assert conf.linked(text, "docs", "docs") == (
        "[how](project/reporting.md) code (`perf/coverage.py`) [here](cli.md#run)\n```\n[a](../SECURITY.md)\n```\n"
    )
    assert conf.linked("[x](docs/cli.md#run)", "", "docs/project") == "[x](../cli.md#run)"


def test_the_site_s_links_to_code_lead_to_the_repository_where_it_is_known(monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    shown = site().linked("[code](../perf/coverage.py)", "docs", "docs")
    assert shown == "[code](https://example.org/a/b/blob/main/perf/coverage.py)"


def test_every_file_that_the_site_shows_as_a_page_is_there():
    conf = site()
    for page, file in conf.SHOWN.items():
        assert (ROOT / file).is_file()
        assert f"(../../{file})" in (DOCS / f"{page}.md").read_text()
    for file, page in conf.ELSEWHERE.items():
        assert (ROOT / file).is_file()
        assert (DOCS / page).is_file()


def commands(text: str) -> list[list[str]]:
    """The ``genbench`` commands of a page's examples as words, without what a shell does with their output."""
    joined = re.sub(r" *\\\n *", " ", text)
    found = []
    for line in re.findall(r"^(?: {4,}|\$ |.*&& )(?:\S*/)?(genbench [a-z].*)$", joined, re.MULTILINE):
        words = shlex.split(re.split(r"\s+(?:[|>]|2>|&&|\|\|)|\s{2,}", line)[0], comments=True)
        found.append(words[1:])
    return found


@each_page()
def test_every_command_that_is_shown_has_the_options_that_it_is_shown_with(page):
    for words in commands(page.read_text(encoding="utf-8")):
        if words[0] not in COMMANDS or words[0] == "fidelity":  # a plugin's command; torch-fidelity's options
            continue
        command = cli.get_command(click.Context(cli), words[0])
        rest = words[1:]
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        known = {flag for each in command.params if isinstance(each, click.Option) for flag in each.opts}
        given = {word.split("=")[0].strip("[]") for word in rest if re.match(r"\[?--?[a-zA-Z]", word)}
        assert given <= known | {"--help", "-h"}, f"genbench {shlex.join(words)}"


@pytest.mark.parametrize("file", EXAMPLES, ids=name_of)
def test_examples_give_what_they_show(file):
    if file.suffix == ".py":
        module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
        failed, tried = doctest.testmod(module)
    else:
        failed, tried = doctest.testfile(str(file), module_relative=False, encoding="utf-8")
    assert tried
    assert not failed
