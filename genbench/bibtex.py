"""BibTeX: the text of entries, for BibTeX and biber, in ASCII as far as LaTeX has a way to write it."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from genbench.citations import Work, surname
from genbench.report.printable import printable

JOURNAL = re.compile(r"^(?P<journal>.*[^\d\s])\s+(?P<volume>\d+)(?:\((?P<number>\d+(?:-\d+)?)\))?$")
CONFERENCE = re.compile(
    r"\b(NeurIPS|NIPS|ICLR|ICML|CVPR|ICCV|ECCV|WACV|BMVC|AAAI|IJCAI|AISTATS|UAI|COLT|ACL|EMNLP|NAACL|ICASSP|Interspeech"
    r"|SIGGRAPH|KDD|Conference|Workshop|Symposium|Advances in Neural Information Processing Systems)\b",
    re.IGNORECASE,
)
PERIODICAL = re.compile(r"\b(Journal|Transactions|Letters|Annals|Review|JMLR|TMLR|Nature|Science|Biometrika)\b")
REPORT = re.compile(r"^technical report,?\s*(?P<institution>.*)$", re.IGNORECASE)
SMALL = frozenset(["a", "an", "the", "on", "of", "in", "for", "with", "from", "to", "towards"])
"""Words that no key is made of."""

ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d", "\u0327": "c", "\u0328": "k",
}  # fmt: skip
LETTERS = {
    "ø": (r"{\o}", "o"), "Ø": (r"{\O}", "O"), "ł": (r"{\l}", "l"), "Ł": (r"{\L}", "L"), "ß": (r"{\ss}", "ss"),
    "æ": (r"{\ae}", "ae"), "Æ": (r"{\AE}", "AE"), "œ": (r"{\oe}", "oe"), "Œ": (r"{\OE}", "OE"),
    "\u0131": (r"{\i}", "i"),
    "å": (r"{\aa}", "a"), "Å": (r"{\AA}", "A"), "đ": ("đ", "d"), "Đ": ("Đ", "D"), "ð": ("ð", "d"), "þ": ("þ", "th"),
}  # fmt: skip
"""Letters that are no letter with an accent: in LaTeX, and in plain ASCII."""
SIGNS = {
    "\\": r"{\textbackslash}", "{": r"{\textbraceleft}", "}": r"{\textbraceright}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"{\textasciitilde}", "^": r"{\textasciicircum}", "<": r"{\textless}",
    ">": r"{\textgreater}", "|": r"{\textbar}", '"': r"{\symbol{34}}", "\u2010": "-", "\u2013": "--", "\u2014": "---",
    "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2026": r"{\ldots}", "\u00d7": r"$\times$",
    "\ufffd": "?", "\u03b1": r"$\alpha$", "\u03b2": r"$\beta$",
}  # fmt: skip
"""A backslash before a brace does not keep BibTeX from counting it, hence the words."""


def entry(key: str, kind: str, fields: dict[str, str], comment: str) -> str:
    """An entry with a line above it that says who uses it. Outside of entries BibTeX reads on at an ``@``."""
    lines = [f"% {printable(comment).replace('@', ' at ')}", f"@{kind}{{{key},"]
    lines += [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([*lines, "}"]) + "\n"


def fields_of(work: Work) -> tuple[str, dict[str, str]]:
    """The type of a work's entry and its fields, escaped. A title stands in braces, so that it keeps its capitals."""
    if work.text:
        return "misc", {"note": escape(work.text)}
    kind, venue = _venue(work.venue)
    fields = {"author": " and ".join(map(_author, work.authors)), "title": f"{{{escape(work.title)}}}"}
    fields |= {"year": str(work.year or "")} | {name: escape(value) for name, value in venue.items()}
    if work.arxiv:
        fields |= {"eprint": work.arxiv, "archivePrefix": "arXiv"}
    url = work.url or (f"https://arxiv.org/abs/{work.arxiv}" if work.arxiv and not work.doi else "")
    fields |= {"doi": _verbatim(work.doi), "url": _verbatim(url)}
    return kind, {name: value for name, value in fields.items() if value.strip("{}")}


def key_of(work: Work) -> str:
    """Surname, year and the first word of the title that says something: ``kingma2014autoencoding``."""
    words = [re.sub(r"[^a-z0-9]", "", folded(word)) for word in re.split(r"[\s:/]+", work.title)]
    word = next((word for word in words if word and word not in SMALL), "")
    return re.sub(r"[^a-z0-9]", "", folded(surname(work.authors[0]))) + str(work.year or "") + word


def folded(text: str) -> str:
    """``text`` in small letters without accents, for comparing names and for keys."""
    plain = "".join(LETTERS[letter][1] if letter in LETTERS else letter for letter in text)
    marked = unicodedata.normalize("NFD", plain)
    return "".join(letter for letter in marked if not unicodedata.combining(letter)).lower()


def escape(text: str) -> str:
    """``text`` as literal text of a field: one line, braces balanced. Scripts that LaTeX has no words for stay."""
    return "".join(map(_letter, unicodedata.normalize("NFC", printable(text))))


def _letter(letter: str) -> str:
    if letter in SIGNS:
        return SIGNS[letter]
    if letter in LETTERS:
        return LETTERS[letter][0]
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if len(marks) != 1 or marks[0] not in ACCENTS or not base.isascii():
        return letter
    dotless = {"i": r"\i", "j": r"\j"}.get(base, base) if marks[0] not in "\u0323\u0327\u0328" else base
    return f"{{\\{ACCENTS[marks[0]]}{{{dotless}}}}}"


def _author(name: str) -> str:
    """A name in BibTeX's order; ``and`` within one would part it, so that it stands in braces."""
    return f"{{{escape(name)}}}" if re.search(r"\band\b", name) else escape(name)


def _venue(venue: str) -> tuple[str, dict[str, str]]:
    """The type of entry that a venue makes, and its fields."""
    report = REPORT.match(venue)
    if report and report["institution"]:
        return "techreport", {"institution": report["institution"]}
    if CONFERENCE.search(venue):
        return "inproceedings", {"booktitle": venue}
    journal = JOURNAL.match(venue)
    if journal:
        found = journal.groupdict()
        return "article", {"journal": found["journal"], "volume": found["volume"], "number": found["number"] or ""}
    if PERIODICAL.search(venue):
        return "article", {"journal": venue}
    return "misc", {"howpublished": venue}


def _verbatim(identifier: str) -> str:
    """An identifier or address as styles typeset it, unescaped; what would end the field is written in per cent."""
    return quote(identifier, safe="!#$%&'()*+,-./:;<=>?@[]^_|~") if identifier else ""
