"""The Chinese README says what the English one says: the same sections, code, tables, links and numbers."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from installing import ROOT

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
HAN = re.compile(r"[\u4e00-\u9fff]")


def headings(text: str) -> list[str]:
    return re.findall(r"^(#+) ", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)


def code(text: str) -> list[str]:
    return re.findall(r"^```\w*\n.*?^```$|^ {4}\S[^\n]*$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[str]:
    """Of tables, but for the second column of the commands, which is prose."""
    return [
        line for line in text.splitlines() if line.startswith("| ") and not re.match(r"\| (`genbench|命令|comm)", line)
    ]


def commands(text: str) -> list[str]:
    return re.findall(r"^\| (`genbench \w+`) \|", text, re.MULTILINE)


def links(text: str) -> Counter[str]:
    return Counter(link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("README"))


def names(text: str) -> set[str]:
    """What stands in backquotes within prose."""
    return set(re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))


@pytest.mark.parametrize("part", [headings, code, rows, commands, links, names], ids=lambda part: part.__name__)
def test_both_readmes_have_the_same(part):
    english = part(ENGLISH)
    assert english
    assert part(CHINESE) == english


def test_every_number_of_the_english_prose_stands_in_the_chinese():
    prose = "\n".join(line for line in ENGLISH.splitlines() if not line.startswith(("|", "    ")))
    numbers = set(re.findall(r"\d[\d.,:-]*\d|\d", re.sub(r"```.*?```", "", prose, flags=re.DOTALL)))
    assert len(numbers) > 10
    assert not {number for number in numbers if number not in CHINESE}


def test_each_readme_links_to_the_other():
    assert "[简体中文](README.zh-CN.md)" in ENGLISH
    assert "[English](README.md)" in CHINESE


def test_no_paragraph_was_left_in_english():
    paragraphs = re.sub(r"^```.*?^```$", "", CHINESE, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    prose = [each for each in paragraphs if each.strip() and not each.startswith(("# ", "    ", "|"))]
    assert prose
    assert not [each for each in prose if not HAN.search(each)]
