"""The bibliography of a table: genbench, its data, evaluators, metrics and models, each work once."""

from __future__ import annotations

import functools
import hashlib
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genbench import __version__
from genbench.bibtex import entry, escape, fields_of, folded, key_of
from genbench.citations import Work, completed, parse_reference, surname

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.columns import Column
    from genbench.specs import EvaluatorSpec

TITLE = "genbench: a bench for generative models"
AUTHORS = ("The genbench maintainers",)
"""Of genbench itself; ``CITATION.cff`` says the same, and a test holds both together."""

OURS = "genbench_benchmarks."
"""Where the evaluators that were made for genbench are."""

KINDS = {"data": "data set", "evaluator": "evaluator", "metric": "metric", "model": "model"}
"""What uses a work, in the order of the bibliography, and what it is called in comments."""

NETWORKS = {
    "inception-v3-compat": "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016, "
    "arXiv:1512.00567",
    "vgg16": "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015, "
    "arXiv:1409.1556",
}
"""The papers of published networks whose evaluators' summaries name none."""

Kind = Literal["data", "evaluator", "metric", "model"]


@dataclass(frozen=True)
class Use:
    """What a work is cited for: a model of that name, say; ``role`` in the reference's words, or empty."""

    kind: Kind
    name: str
    role: str = ""


@dataclass(frozen=True)
class Entry:
    """A work, its key in the bibliography and what uses it."""

    key: str
    work: Work
    uses: tuple[Use, ...]

    @property
    def comment(self) -> str:
        return listed(self.uses)


@dataclass(frozen=True)
class Bibliography:
    """Works in the order of what uses them, then of their keys.

    Attributes:
        own: what comes with genbench and has no paper of its own.
        without: what else names no work.
    """

    entries: tuple[Entry, ...]
    own: tuple[Use, ...] = ()
    without: tuple[Use, ...] = ()

    @property
    def unread(self) -> list[Entry]:
        """References that are not of the form; each stands as a note."""
        return [each for each in self.entries if each.work.text]


def bibliography(benchmark: Benchmark, columns: Sequence[Column], models: Mapping[str, str]) -> Bibliography:
    """All that a table with these columns and models rests on.

    Args:
        columns: of scores.
        models: name to reference.
    """
    uses: list[tuple[Use, str]] = [(Use("data", benchmark.dataset.name), benchmark.dataset.citation)]
    evaluators = [benchmark.evaluator, *([benchmark.second_evaluator] if benchmark.second_evaluator else [])]
    uses += [(Use("evaluator", evaluator.name), _of_evaluator(evaluator)) for evaluator in evaluators]
    metrics = {column.key.partition("@")[0]: column.reference for column in columns}
    uses += [(Use("metric", name), reference) for name, reference in metrics.items()]
    uses += [(Use("model", name), reference) for name, reference in models.items()]
    found = [(replace(use, role=work.role), work) for use, text in uses for work in parse_reference(text)]
    bare = [use for use, text in uses if not text.strip()]
    ours = {each.name for each in evaluators if each.factory.startswith(OURS)}
    own = tuple(use for use in bare if use.kind == "evaluator" and use.name in ours)
    return Bibliography(_entries(found), own, tuple(use for use in bare if use not in own))


def bibtex(of: Bibliography, benchmark: Benchmark) -> str:
    """The text of a ``.bib`` file, genbench first."""
    head = [
        f"% What the table of {benchmark.folder}, digest {benchmark.digest}, rests on.",
        r"% Some names need \usepackage[T1]{fontenc}.",
    ]
    own = {
        "author": " and ".join(f"{{{escape(name)}}}" for name in AUTHORS),
        "title": f"{{{escape(TITLE)}}}",
        "note": f"Version {__version__}",
    }
    texts = [entry("genbench", "misc", own, "; ".join(filter(None, ["genbench", listed(of.own)])))]
    texts += [entry(each.key, *fields_of(each.work), each.comment) for each in of.entries]
    return "\n".join([*head, "", *texts])


def listed(uses: Sequence[Use]) -> str:
    """``metric: fid; models: vae (the prior), hvae``."""
    parts = []
    for kind, title in KINDS.items():
        of = [use.name + (f" ({use.role})" if use.role else "") for use in uses if use.kind == kind]
        if of:
            parts.append(f"{title}{'s' * (len(of) > 1)}: {', '.join(of)}")
    return "; ".join(parts)


@functools.cache
def known_works() -> Mapping[str, Work]:
    """Works of which genbench knows full names and titles, by identity."""
    raw = tomllib.loads(Path(__file__).with_name("works.toml").read_text(encoding="utf-8"))
    return {
        identity: Work(tuple(of["authors"]), of["title"], of.get("venue", ""), of.get("year"))
        for identity, of in raw.items()
    }


def _of_evaluator(evaluator: EvaluatorSpec) -> str:
    """The reference in the brackets at the end of its summary, that of its network, or nothing."""
    bracket = re.search(r"\(([^()]*(?:arXiv|doi)[^()]*)\)$", evaluator.summary)
    return bracket[1] if bracket else NETWORKS.get(evaluator.name, "")


def _entries(found: Iterable[tuple[Use, Work]]) -> tuple[Entry, ...]:
    """Each work once, as full as all mentions of it together, with a key that no other has."""
    works: dict[str, Work] = {}
    uses: dict[str, list[Use]] = {}
    for use, work in found:
        identity = work.identity
        before = works.get(identity)
        works[identity] = work if before is None else completed(before, work)
        uses.setdefault(identity, []).append(use)
    full = {identity: _completed(work) for identity, work in works.items()}
    keys = _keys(full)
    order = list(KINDS)
    entries = [Entry(keys[identity], full[identity], tuple(dict.fromkeys(of))) for identity, of in uses.items()]
    return tuple(sorted(entries, key=lambda each: (min(order.index(use.kind) for use in each.uses), each.key)))


def _completed(work: Work) -> Work:
    """With what genbench knows of the work, unless that has another first author: then the number is wrong."""
    known = known_works().get(work.identity)
    if known is None or folded(surname(known.authors[0])) != folded(surname(work.authors[0])):
        return work
    return completed(work, known)


def _keys(works: Mapping[str, Work]) -> dict[str, str]:
    """A key for each identity; those of one key are told apart by letters, in the order of their identities."""
    groups: dict[str, list[str]] = {}
    for identity, work in works.items():
        plain = f"reference{hashlib.sha256(work.text.encode()).hexdigest()[:8]}" if work.text else key_of(work)
        groups.setdefault(plain or "work", []).append(identity)
    keys = {}
    for plain, identities in groups.items():
        for place, identity in enumerate(sorted(identities)):
            keys[identity] = plain + (_suffix(place) if len(identities) > 1 or plain == "genbench" else "")
    return keys


def _suffix(place: int) -> str:
    """``a`` to ``z``, then ``za`` and so on."""
    letters = string.ascii_lowercase
    return "z" * (place // 25) + letters[place % 25]
