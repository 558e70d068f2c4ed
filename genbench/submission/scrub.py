"""Taking out of a submission what tells who made it and where: user names, host names, absolute paths.

Only text that people read is rewritten. What scores depend on is never touched: where such a place holds a name or a
path, the submission is refused and the place is named.
"""

from __future__ import annotations

import getpass
import re
import socket
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from genbench.record import Record

GENERIC = frozenset(
    {"root", "user", "users", "admin", "guest", "nobody", "ubuntu", "debian", "runner", "docker", "jenkins", "build",
     "builder", "home", "app", "test", "data", "work", "localhost", "localdomain", "local", "host", "main", "node"}
)  # fmt: skip
"""User and host names that tell nothing of anybody, and that stand in honest text."""
SHORTEST = 3
"""Characters of a name that is looked for; shorter ones stand in too much."""

STOP = r"\s/\"'<>|:;,()\[\]{}"
ABSOLUTE = re.compile(rf"(?<![\w./~>\-])/(?:[^{STOP}]+/)+([^{STOP}]*)")
"""A path of a POSIX system with two parts or more; addresses and fractions are none."""
WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\\"'<>|:;,]+\\)*([^\s\\\"'<>|:;,]*)")


@dataclass(frozen=True)
class Scrubber:
    """What is put in whose place.

    Attributes:
        folders: absolute folder to placeholder, the longest first.
        words: name to placeholder, looked for as whole words in any case.
    """

    folders: tuple[tuple[str, str], ...]
    words: tuple[tuple[str, str], ...]

    def text(self, text: str) -> str:
        """A text for people without what must not be there; its own fixed point."""
        for folder, placeholder in self.folders:
            text = re.sub(rf"(?<![\w.\-]){re.escape(folder)}(?![\w.\-])", lambda _, to=placeholder: to, text)  # type: ignore[misc]
        text = ABSOLUTE.sub(lambda found: f"<path>/{found[1]}", text)
        text = WINDOWS.sub(lambda found: f"<path>/{found[1]}", text)
        for word, placeholder in self.words:
            text = _word(word).sub(placeholder, text)
        return text

    def problems(self, text: str) -> list[str]:
        """What a text holds that must not be there, for people."""
        found = [f"the path {match[0][:80]!r}" for match in (ABSOLUTE.search(text), WINDOWS.search(text)) if match]
        found += [
            f"the name {word!r}" for word, _ in self.words if word.lower() in text.lower() and _word(word).search(text)
        ]
        return found


def of_this_machine(results: Path, more: Iterable[str] = ()) -> Scrubber:
    """The scrubber of the person and the machine that this process runs for and on.

    Args:
        results: the results folder.
        more: further names that must not be there.
    """
    home = Path.home()
    known: list[tuple[Path, str]] = [
        (results.absolute(), "<results>"),
        (Path(sysconfig.get_paths()["purelib"]), "<site-packages>"),
        (Path(sysconfig.get_paths()["platlib"]), "<site-packages>"),
        (Path(sysconfig.get_paths()["stdlib"]), "<python>"),
        (Path(tempfile.gettempdir()), "<tmp>"),
        (Path(__file__).parents[1], "<genbench>"),
        (home, "~"),
    ]
    folders = {str(form): name for path, name in known for form in (path, path.resolve()) if len(form.parts) > 1}
    names = {name: "<user>" for name in (_user(), home.name) if name}
    host = socket.gethostname()
    names |= dict.fromkeys((host, host.partition(".")[0], socket.getfqdn()), "<host>")
    words = {name: to for name, to in names.items() if len(name) >= SHORTEST and name.lower() not in GENERIC}
    words |= {name: "<name>" for name in more if name}
    return Scrubber(
        tuple(sorted(folders.items(), key=lambda item: (-len(item[0]), item[0]))),
        tuple(sorted(words.items(), key=lambda item: (-len(item[0]), item[0]))),
    )


def scrubbed(record: Record, scrubber: Scrubber) -> Record:
    """The record with its texts for people rewritten: reasons, warnings, attempts, environment, the audit's words."""
    clean = scrubber.text
    audit = record.audit and replace(
        record.audit,
        reason=record.audit.reason and clean(record.audit.reason),
        findings=[replace(finding, message=clean(finding.message)) for finding in record.audit.findings],
    )
    return replace(
        record,
        reason=record.reason and clean(record.reason),
        attempts=[replace(each, reason=each.reason and clean(each.reason)) for each in record.attempts],
        warnings=[clean(warning) for warning in record.warnings],
        withheld={name: clean(reason) for name, reason in record.withheld.items()},
        environment=_deep(record.environment, scrubber),
        audit=audit,
    )


def record_problems(record: Record, scrubber: Scrubber) -> Iterator[tuple[str, str]]:
    """Where in a record something stands that must not be there: the field, and what.

    The reference is left out: authors are named in it on purpose.
    """
    for place, text in _strings(replace(record, model=replace(record.model, reference="")), ""):
        for problem in scrubber.problems(text):
            yield place, problem


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every string in a value with its place, names of entries included."""
    if isinstance(value, str):
        yield place, value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _strings(getattr(value, field.name), f"{place}.{field.name}" if place else field.name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield place, str(key)
            yield from _strings(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{place}[{index}]")


def _deep(value: Any, scrubber: Scrubber) -> Any:
    if isinstance(value, str):
        return scrubber.text(value)
    if isinstance(value, dict):
        return {key: _deep(inner, scrubber) for key, inner in value.items()}
    return [_deep(inner, scrubber) for inner in value] if isinstance(value, list) else value


def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", re.IGNORECASE)


def _user() -> str:
    """The user's name; empty where the system knows none, as in a container without accounts."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
