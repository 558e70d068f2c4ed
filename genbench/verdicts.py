"""What is known of the plugins of others: verdicts of the probe, kept in the cache as long as they hold.

A verdict is one file in ``probes/`` of the cache. It holds for the content of the plugin's package, the versions of its
distribution, of Python and of genbench, and, where it is bad, for what else is installed. Sizes and modification times
stand in for the content as long as they do not change, so that asking costs little.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench import __version__, paths
from genbench.code_hash import files_of, imported_beside, sha256_of_files, top_level
from genbench.errors import GenbenchError

if TYPE_CHECKING:
    from genbench.plugins import Plugin

VARIABLE = "GENBENCH_PROBE_SECONDS"
"""Environment variable with the seconds that a plugin may take to be imported and to register."""
SECONDS = 20.0
MOST_SECONDS = 3600.0
SLOW_SECONDS = 3.0
"""From here on a bad verdict is kept too: asking each time would cost more than a mended plugin's second probe."""
FORMAT = 1
"""Of the files, and of what the probe asks."""
AGAIN = "`genbench list plugins --probe` asks again"


@dataclass(frozen=True)
class Verdict:
    """What the probe found.

    Attributes:
        problem: why the plugin can't be used, or None.
        notes: what it does that is no fault but harms its users.
        seconds: that the probe took.
    """

    problem: str | None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class _Subject:
    """A plugin, its files as they are now, and what a verdict on it depends on besides."""

    plugin: Plugin
    file: str
    files: list[tuple[Path, str]]
    stamp: str

    @property
    def path(self) -> Path:
        plugin = self.plugin
        identity = [plugin.distribution, plugin.name, plugin.module, plugin.root, self.file, sys.prefix]
        return folder() / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]}.json"

    @property
    def versions(self) -> list[Any]:
        return [FORMAT, self.plugin.version, sys.version, __version__]


_asked: dict[tuple[Path, str], Verdict] = {}
"""What this process has found: several parts of a command look for plugins."""


def verdicts_on(plugins: Sequence[tuple[Plugin, str]]) -> list[Verdict]:
    """The verdict on each plugin; those of which none is known are probed, side by side.

    Args:
        plugins: each with the path of its file, or ``""`` where it is an installed module.

    Raises:
        GenbenchError: if ``$GENBENCH_PROBE_SECONDS`` is no number of seconds.
    """
    seconds = probe_seconds()
    subjects = [_subject(plugin, file) for plugin, file in plugins]
    found = [_asked.get((subject.path, subject.stamp)) or _recall(subject, seconds) for subject in subjects]
    unknown = [subject for subject, verdict in zip(subjects, found, strict=True) if verdict is None]
    if unknown:
        from genbench.probing import probe_all

        probed = iter(probe_all([(subject.plugin, subject.file) for subject in unknown], seconds))
        found = [
            _keep(subject, next(probed), seconds) if verdict is None else verdict
            for subject, verdict in zip(subjects, found, strict=True)
        ]
    return [verdict for verdict in found if verdict is not None]


def folder() -> Path:
    """Where verdicts are kept."""
    return paths.cache_root() / "probes"


def forget() -> None:
    """Drop all verdicts, so that every plugin is probed again.

    Raises:
        OSError: if one can't be removed.
    """
    _asked.clear()
    for path in folder().glob("*.json"):
        path.unlink(missing_ok=True)


def probe_seconds() -> float:
    """The seconds that a probe may take: ``$GENBENCH_PROBE_SECONDS``, above 0 and at most 3600, by default 20.

    Raises:
        GenbenchError: if it is something else.
    """
    raw = os.environ.get(VARIABLE, "")
    if not raw:
        return SECONDS
    with contextlib.suppress(ValueError):
        if 0 < float(raw) <= MOST_SECONDS:
            return float(raw)
    raise GenbenchError(f"{VARIABLE} must be a number of seconds above 0, {MOST_SECONDS:g} at most, not {raw!r}")


def _subject(plugin: Plugin, file: str) -> _Subject:
    try:
        packages = imported_beside(plugin.module, Path(plugin.root)) if file else {top_level(plugin.module)}
        files = [entry for package in sorted(packages) for entry in files_of(package, plugin.root)]
        states = [(str(path), path.stat()) for path, _ in files]
    except (GenbenchError, ImportError, OSError, ValueError):
        files, states = [], []  # a module that is not there: the probe says how
    lines = [f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n" for path, state in states]
    return _Subject(plugin, file, files, hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest())


def _recall(subject: _Subject, seconds: float) -> Verdict | None:
    """The verdict of an earlier probe, if it still holds."""
    try:
        kept = json.loads(subject.path.read_bytes())
        verdict = Verdict(kept["problem"], tuple(map(str, kept["notes"])), float(kept["seconds"]))
        if kept["versions"] != subject.versions:
            return None
        if verdict.problem is not None and (kept["installed"] != _installed() or kept["limit"] < seconds):
            return None
        if kept["stamp"] == subject.stamp:
            return verdict
        if kept["code"] != sha256_of_files(subject.files):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing there, or nothing that this version wrote
    _write(subject, verdict, kept["limit"])
    return verdict


def _keep(subject: _Subject, verdict: Verdict, seconds: float) -> Verdict:
    """Remember a verdict: on disk if it is good or was slow to come by, else for this process."""
    slow = verdict.seconds >= min(SLOW_SECONDS, seconds)
    if verdict.problem is not None and slow:
        known = f"{verdict.problem}; this stands until its code or what is installed changes; {AGAIN}"
        verdict = Verdict(known, verdict.notes, verdict.seconds)
    if verdict.problem is None or slow:
        _write(subject, verdict, seconds)
    _asked[subject.path, subject.stamp] = verdict
    return verdict


def _write(subject: _Subject, verdict: Verdict, seconds: float) -> None:
    from genbench.files import write_whole  # only now: most commands write nothing

    # A cache that can't be written costs the next command time, and `genbench doctor` tells of it.
    with contextlib.suppress(OSError):
        document = {
            "plugin": f"{subject.plugin.name} of {subject.plugin.distribution}",
            "versions": subject.versions,
            "stamp": subject.stamp,
            "code": sha256_of_files(subject.files),
            "installed": _installed(),
            "limit": seconds,
            "problem": verdict.problem,
            "notes": list(verdict.notes),
            "seconds": verdict.seconds,
        }
        write_whole(subject.path, json.dumps(document, indent=1).encode())


def _installed() -> str:
    """Hash of the set of installed distributions: the names of their folders of metadata hold name and version."""
    found: set[str] = set()
    for place in sys.path:
        with contextlib.suppress(OSError):
            found |= {name for name in os.listdir(place or ".") if name.endswith((".dist-info", ".egg-info"))}
    return hashlib.sha256("\n".join(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()
