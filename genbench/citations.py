"""References: what a paper is, read from the prose in which plugins name it.

The form, several works separated by semicolons:

    AUTHORS, TITLE, [VENUE,] YEAR[, VENUE][, IDENTIFIER]        AUTHORS YEAR[, IDENTIFIER]

``AUTHORS`` are surnames, or names with initials before them, between commas and ``and``, or ``Ho et al.``;
``IDENTIFIER`` is an arXiv number, a DOI or a URL. A title that has commas before capitals stands in quotation marks.
Words before the authors that end in ``of``, ``by`` or ``after`` say what was taken: ``the prior of Tomczak and
Welling``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genbench.report.printable import printable

MAX_TEXT = 4000
"""Characters of a reference that are read: it may come from anyone's record."""
OTHERS = "others"
"""Stands in the list of authors, last, for those who are not named."""

ARXIV = re.compile(r"\barxiv[:\s]\s*((?:\d{4}\.\d{4,5}|[a-z.-]+/\d{7})(?:v\d+)?)", re.IGNORECASE)
DOI = re.compile(r"(?:\bdoi:\s*|https?://(?:dx\.)?doi\.org/)(10\.\d{4,9}/[^\s\"{}]+)", re.IGNORECASE)
URL = re.compile(r"https?://[^\s\"<>{}]+")
YEAR = re.compile(r"(?P<before>.*?)\(?\b(?P<year>(?:1[6-9]|20)\d\d)\)?")
QUOTED = re.compile(r"[\"\N{LEFT DOUBLE QUOTATION MARK}]([^\"\N{RIGHT DOUBLE QUOTATION MARK}]+)"
                    r"[\"\N{RIGHT DOUBLE QUOTATION MARK}]")  # fmt: skip
LEAD = re.compile(r"(?:^|\s)(?:of|by|after|from|in|with)\s+", re.IGNORECASE)
"""What parts words on what was taken from the authors."""
PARTICLES = frozenset(
    ["van", "von", "der", "den", "de", "di", "da", "dos", "du", "del", "della", "la", "le", "ten", "ter", "zu", "bin"]
)
HYPHENS = "'.-\N{RIGHT SINGLE QUOTATION MARK}\N{HYPHEN}"
"""What stands in names beside letters."""
ASIDE = (
    "for ",
    "section ",
    "equation ",
    "chapter ",
    "figure ",
    "table ",
    "appendix ",
    "algorithm ",
    "theorem ",
    "page",
)
"""How a remark begins that belongs to no field: where in the work, or what for."""


@dataclass(frozen=True)
class Work:
    """One work that is cited.

    Attributes:
        authors: as they are written, ``Kingma`` or ``E. Alpaydin`` or ``Kingma, Diederik P.``; :data:`OTHERS` last.
        title, venue: empty if they are not given.
        year: None if it is not given.
        arxiv, doi, url: without prefix; empty if they are not given.
        role: what was taken from it, in the words of the reference.
        text: the reference itself where it is not of the form, and all else is empty.
    """

    authors: tuple[str, ...] = ()
    title: str = ""
    venue: str = ""
    year: int | None = None
    arxiv: str = ""
    doi: str = ""
    url: str = ""
    role: str = ""
    text: str = ""

    @property
    def identity(self) -> str:
        """Equal for two mentions of one work: by its identifier, else by first author, year and title."""
        if self.arxiv:
            return f"arxiv:{re.sub(r'v[0-9]+$', '', self.arxiv.lower())}"
        if self.doi:
            return f"doi:{self.doi.lower()}"
        if self.url or self.text:
            return self.url or self.text
        return f"{surname(self.authors[0]).lower()} {self.year} {self.title.lower()}"


def parse_reference(text: str) -> list[Work]:
    """The works that a reference names, in its order; a part that is not of the form becomes a work of text alone."""
    line = printable(text[:MAX_TEXT])
    return [_work(part) for part in re.split(r";\s+", line) if part.strip()]


def completed(work: Work, known: Work) -> Work:
    """``work`` with what it lacks from another mention of it; each field is the fuller of the two."""
    named = OTHERS not in work.authors and bool(work.authors)
    fuller = known.authors and (not named or (OTHERS not in known.authors and _length(known) > _length(work)))
    return replace(
        work,
        authors=known.authors if fuller else work.authors,
        title=work.title if len(work.title) >= len(known.title) else known.title,
        venue=work.venue or known.venue,
        year=work.year or known.year,
        arxiv=work.arxiv or known.arxiv,
        doi=work.doi or known.doi,
        url=work.url or known.url,
    )


def surname(author: str) -> str:
    """``Kingma`` of ``Kingma, Diederik P.`` and of ``D. P. Kingma``; particles belong to it."""
    if "," in author:
        return author.partition(",")[0]
    words = author.split()
    first = next((i for i, word in enumerate(words) if word in PARTICLES), len(words) - 1)
    return " ".join(words[first:])


def _length(work: Work) -> int:
    return sum(map(len, work.authors))


def _work(text: str) -> Work:
    rest, found = _identifiers(text.strip().rstrip("."))
    quoted = QUOTED.search(rest)
    if quoted:
        rest = f"{rest[: quoted.start()].rstrip().rstrip(',')}, \0, {rest[quoted.end() :].lstrip().lstrip(',')}"
    segments = [segment.strip() for segment in re.split(r",(?:\s+|$)", rest)]
    segments, asides = _without_asides([segment for segment in segments if segment])
    role, segments = _without_lead(segments)
    authors, year, others = _authors(segments)
    if not authors:
        return Work(text=text.strip())
    if year is None:
        year, others = _year(others)
    if year is None and not found:
        return Work(text=text.strip())
    title, venue = _title_and_venue(others, quoted[1].strip().rstrip(",.") if quoted else "")
    return Work(authors, title, venue, year, role=", ".join(filter(None, [role, *asides])), **found)


def _identifiers(text: str) -> tuple[str, dict[str, str]]:
    """The text without identifiers, and those by field."""
    found: dict[str, str] = {}
    for field, pattern, group in (("arxiv", ARXIV, 1), ("doi", DOI, 1), ("url", URL, 0)):
        match = pattern.search(text)
        if match:
            found[field] = _trimmed(match[group])
            text = text.replace(match[0][: len(match[0]) - len(match[group]) + len(found[field])], "", 1)
    return text, found


def _trimmed(identifier: str) -> str:
    """Without the punctuation of the sentence; a closing bracket stays where its opening one is within."""
    while identifier.endswith((",", ".", ";")) or (
        identifier.endswith(")") and identifier.count("(") < identifier.count(")")
    ):
        identifier = identifier[:-1]
    return identifier


def _without_asides(segments: Sequence[str]) -> tuple[list[str], list[str]]:
    asides = [segment for segment in segments if segment.startswith(ASIDE)]
    return [segment for segment in segments if segment not in asides], asides


def _without_lead(segments: list[str]) -> tuple[str, list[str]]:
    """What stands before the authors, such as ``the prior``, and the segments without it."""
    if not segments or _names(segments[0]):
        return "", segments
    head = segments[0]
    for match in LEAD.finditer(head):
        if _names(head[match.end() :]) or _with_year(head[match.end() :]):
            return head[: match.start()].strip(), [head[match.end() :], *segments[1:]]
    return "", segments


def _authors(segments: Sequence[str]) -> tuple[tuple[str, ...], int | None, list[str]]:
    """Authors, their year where it stands right behind them, and the other segments."""
    listed: list[str] = []
    for index, segment in enumerate(segments):
        dated = _with_year(segment)
        if dated:
            return (*listed, *dated[0]), dated[1], list(segments[index + 1 :])
        names = _names(segment)
        if names is None:
            break
        listed += names
        if len(names) > 1:  # "and" or "et al." ends the list
            return tuple(listed), None, list(segments[index + 1 :])
    # A list without an end: only the first is an author, unless all have initials as the first has.
    first = _names(segments[0]) if segments else None
    if not first:
        return (), None, []
    count = 1
    if "." in first[0]:
        while count < len(segments) and (more := _names(segments[count])) and "." in more[0]:
            first += more
            count += 1
    return tuple(first), None, list(segments[count:])


def _with_year(segment: str) -> tuple[list[str], int] | None:
    """Names and year of ``Miyato and Koyama 2018``."""
    match = YEAR.fullmatch(segment)
    names = _names(match["before"].strip()) if match and match["before"].strip() else None
    return (names, int(match["year"])) if match and names else None


def _names(text: str) -> list[str] | None:
    """The names in ``Ho et al.``, ``Kingma and Welling`` or ``E. Alpaydin``; None if it is anything else."""
    bare = re.sub(r",?\s+(?:et al\.?|and others)$", "", text)
    parts = [part.strip() for part in re.split(r"\s+(?:and|&)\s+|^and\s+", bare) if part.strip()]
    if not parts or not all(map(_is_name, parts)):
        return None
    return parts + [OTHERS] * (bare != text)


def _is_name(text: str) -> bool:
    words = text.split()
    if not 1 <= len(words) <= 5 or words[-1] in PARTICLES:
        return False
    return all(word in PARTICLES or _is_capitalised(word) for word in words) and len(words[-1].rstrip(".")) > 1


def _is_capitalised(word: str) -> bool:
    return word[0].isupper() and all(letter.isalpha() or letter in HYPHENS for letter in word)


def _year(segments: Sequence[str]) -> tuple[int | None, list[str]]:
    """The year, and the segments without it: the last that is one, else the last that ends in one, a venue's."""
    for whole in (True, False):
        for index in range(len(segments) - 1, -1, -1):
            match = YEAR.fullmatch(segments[index])
            if match and bool(match["before"].strip()) != whole:
                before = [match["before"].strip()] if match["before"].strip() else []
                return int(match["year"]), [*segments[:index], *before, *segments[index + 1 :]]
    return None, list(segments)


def _title_and_venue(segments: Sequence[str], quoted: str) -> tuple[str, str]:
    """A title goes on in segments that begin with a small letter; what follows is the venue."""
    if quoted:
        return quoted, ", ".join(segment for segment in segments if segment != "\0")
    if not segments:
        return "", ""
    end = 1
    while end < len(segments) and segments[end][0].islower() and not segments[end].startswith("technical report"):
        end += 1
    return ", ".join(segments[:end]), ", ".join(segments[end:])
