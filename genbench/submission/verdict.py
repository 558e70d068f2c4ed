"""What is found of a run on its way through the levels, and how far it gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from genbench.record import Record
from genbench.verification import LEVELS, Finding


@dataclass
class Verdict:
    """A run that is being verified.

    Attributes:
        run: ``benchmark/model/seed-k``; of a bundle as a whole, its folder's name.
        folder: where its record stands.
        record: None where it can't be read.
        checked: the highest level that was carried out; None for none.
        findings: of all levels.
        recomputed: the scores that came out again, of the highest level that gives scores; empty before level 1.
        environment: of the machine that computed them.
        same_machine: whether that is of the class of the machine that made the run; None where nothing was computed.
        is_bundle: whether this is about a bundle as a whole.
        thin: whether samples and states are missing that a repetition is to make anew.
        repeatable: what of the record came out identical beyond its scores: ``repeats``, ``milestones``.
    """

    run: str
    folder: Path
    record: Record | None = None
    checked: int | None = None
    findings: list[Finding] = field(default_factory=list)
    recomputed: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    same_machine: bool | None = None
    repeatable: set[str] = field(default_factory=set)
    is_bundle: bool = False
    thin: bool = False

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "failure"]

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def level(self) -> int | None:
        """The level that it has reached: the highest one checked below the lowest that failed; None for none."""
        if self.checked is None:
            return None
        failed = min((finding.level for finding in self.failures), default=self.checked + 1)
        reached = min(self.checked, failed - 1)
        return reached if reached >= 0 else None

    def good_up_to(self, level: int) -> bool:
        """Whether no check of a level up to this one has failed."""
        return not any(finding.level <= level for finding in self.failures)

    def add(self, findings: Iterable[Finding]) -> None:
        """Note findings."""
        self.findings.extend(findings)

    def fail(self, level: int, check: str, place: str, promised: str, found: str, advice: str) -> None:
        """Note a failure."""
        self.findings.append(Finding(level, "failure", check, place, promised, found, advice))

    def warn(self, level: int, check: str, place: str, promised: str, found: str, advice: str) -> None:
        """Note what a person should judge."""
        self.findings.append(Finding(level, "warning", check, place, promised, found, advice))

    def settle(self, check: str) -> None:
        """Take back the findings of a check that a higher level has done better."""
        self.findings = [finding for finding in self.findings if finding.check != check]

    def as_dict(self, asked: int) -> dict[str, Any]:
        """As plain values: ``verified`` says whether the level asked for was reached."""
        return {
            "run": self.run,
            "folder": str(self.folder),
            "verified": self.level is not None and self.level >= asked,
            "level": self.level,
            "findings": [asdict(finding) for finding in self.findings],
        }


def told(level: int | None) -> str:
    """A level for people: ``L1, re-scored``."""
    return "no level" if level is None else f"L{level}, {LEVELS[level]}"
