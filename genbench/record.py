"""Record: what is known of a finished run, failures included, and what must be true of it."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from genbench.benchmark import STRICT
from genbench.errors import RecordError, clean
from genbench.migrations import forward
from genbench.specs import Direction, Division
from genbench.strict_json import as_bytes, check_extent, strict_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 3
"""Of ``record.json``. Records of older schemas are read through :mod:`genbench.migrations`; newer ones are refused."""

BEGINNING = re.compile(rb'\s*\{\s*"schema"\s*:\s*%d\s*,' % SCHEMA)
"""Of the text of a record of today."""

Status = Literal[
    "ok",
    "unsupported",
    "diverged",
    "failed",
    "crashed",
    "timeout",
    "oom_host",
    "oom_device",
    "invalid_output",
    "over_budget",
    "cancelled",
    "lost",
    "harness_error",
]
"""How a run ended. ``unsupported``: the model declares that it can't be used on the data."""

EndedBy = Literal["images", "flops", "seconds", "max_epochs"]

UNFINISHED: tuple[Status, ...] = ("cancelled", "lost", "harness_error")
"""How runs end for reasons that are not the model's: the next call goes on with them."""


@dataclass(frozen=True)
class BenchmarkId:
    """``dev`` and ``custom_budget`` records never enter a leaderboard."""

    name: str
    digest: str
    dev: bool = False
    custom_budget: bool = False

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ModelId:
    """``name`` with its configuration in brackets, ``config`` resolved in full, ``code_sha256`` of the plugin."""

    name: str
    config: dict[str, bool | int | float | str]
    plugin: str
    version: str
    code_sha256: str
    reference: str = ""
    likelihood: str | None = None
    conditional: bool = False

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class Score:
    """One score of a run.

    Attributes:
        value: the number.
        n: samples or examples that it was computed from.
        direction: which way it improves.
        kind: for likelihoods ``exact``, ``iwae``, ``bound`` or ``estimate``; else ``metric``.
        unit: as the metric declares.
        stderr: standard error over examples where it is a mean over them, else None.
        fingerprint: evaluator, reference, parameters: what a number must share to be compared with this one.
        details: what helps to read the number without deciding whether it may be compared.
        repeats: the same score of further, independent sets of samples from the same state.
        flag: a warning that belongs to the number, such as samples that lie closer to the training data than
            held-out data do; else None.
    """

    value: float
    n: int
    direction: Direction
    kind: str = "metric"
    unit: str = ""
    stderr: float | None = None
    fingerprint: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    repeats: list[float] = field(default_factory=list)
    flag: str | None = None

    __pydantic_config__ = STRICT


SCORE_DEFAULTS: dict[str, Any] = {
    entry.name: entry.default_factory() if entry.default_factory is not MISSING else entry.default
    for entry in fields(Score)
    if entry.default is not MISSING or entry.default_factory is not MISSING
}
"""The fields of a score that need not be written, and what they then are."""


def _without_defaults(score: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in score.items() if key not in SCORE_DEFAULTS or value != SCORE_DEFAULTS[key]}


@dataclass(frozen=True)
class AuditFinding:
    """What one test of the likelihood audit found.

    Attributes:
        name: of the test.
        verdict: ``skipped`` where the test can't be made of this model; ``message`` then says why.
        measured, limit: the statistic and the most that it may be, in nats; None where there is none.
        message: what was promised, what was found, and the likely cause.
    """

    name: str
    verdict: Literal["passed", "failed", "skipped"]
    measured: float | None
    limit: float | None
    message: str

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Audit:
    """The verdict on a likelihood: whether the numbers that ``log_prob`` gives can be those of a distribution.

    Attributes:
        version: of the audit's protocol.
        key: of what was audited: code, configuration, data's spec; see :func:`genbench.audit_key.key_of`.
        verdict: ``failed`` keeps the likelihood out of the record's scores.
        reason: why it failed, for the table; else None.
        smallest_flattery: the least excess, in bits/dim, that the audit would have seen; None if it never got there, or
            where a mistake of some kind could not be looked for.
        findings: of each test.
    """

    version: int
    key: str
    verdict: Literal["passed", "failed"]
    reason: str | None
    smallest_flattery: float | None
    findings: list[AuditFinding]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Milestone:
    """Scores at a share of the budget, on the benchmark's smaller n.

    A score's ``fingerprint`` says here only what differs from that of the run's score of the same name, which would
    otherwise be three quarters of a record; :func:`brief` makes it so.
    """

    fraction: float
    step: int
    images: int
    flops: float
    seconds: float
    scores: dict[str, Score]

    __pydantic_config__ = STRICT


def brief(milestone: Milestone, scores: Mapping[str, Score]) -> Milestone:
    """A milestone whose fingerprints say only what differs from those of the run's ``scores``.

    One that is so already stays as it is.
    """
    return replace(
        milestone, scores={name: _brief(score, scores.get(name)) for name, score in milestone.scores.items()}
    )


def _brief(score: Score, final: Score | None) -> Score:
    if final is None:
        return score
    missing = object()
    differing = {key: value for key, value in score.fingerprint.items() if final.fingerprint.get(key, missing) != value}
    return replace(score, fingerprint=differing)


@dataclass(frozen=True)
class Attempt:
    """One try at a run.

    Attributes:
        status, reason: how it ended.
        started, finished: wall time, ISO 8601.
        token: names the attempt: a result with another token than the latest is refused.
        resumed_at: the training step that it went on from, or None if it began anew.
    """

    status: Status
    reason: str | None
    started: str
    finished: str
    token: str = ""
    resumed_at: int | None = None

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Record:
    """One run, whole. ``status`` other than ``ok`` comes with a ``reason`` and without scores.

    ``withheld`` has the reason for each score of the benchmark that the run ought to have and does not: a likelihood
    that failed its audit, a third party's metric that broke. ``audit`` is None for a model without a likelihood.
    ``warnings`` has what a reader of the numbers ought to know and no status tells: global state that the plugin
    changed, heavy operations whose FLOPs could not be counted. ``division`` is ``open`` for samples that were made
    outside genbench, of whose training nothing is known: budget, spent and cost are then empty.
    """

    benchmark: BenchmarkId
    model: ModelId
    seed: int
    status: Status
    reason: str | None
    scores: dict[str, Score]
    milestones: list[Milestone]
    budget: dict[str, Any]
    spent: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    artifacts: dict[str, str]
    attempts: list[Attempt]
    started: str
    finished: str
    withheld: dict[str, str] = field(default_factory=dict)
    audit: Audit | None = None
    warnings: list[str] = field(default_factory=list)
    division: Division = "closed"
    schema: int = SCHEMA

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """A record that contradicts itself cannot be made.

        Raises:
            RecordError: if an ``ok`` run has a reason or no scores, another has no reason or has scores, or a
                score is not finite.
        """
        where = f"{self.benchmark.name}/{self.model.name}/seed-{self.seed}"
        if self.status == "ok" and (self.reason is not None or not self.scores):
            raise RecordError(f"{where}: a run that is ok has scores and no reason")
        if self.status != "ok" and (not self.reason or self.scores):
            raise RecordError(f"{where}: a run that is {self.status} has a reason and no scores")
        for name, score in self.scores.items():
            if not math.isfinite(score.value):
                raise RecordError(f"{where}: score {name} is {score.value}, which no table can hold")

    @functools.cached_property
    def run(self) -> str:
        """``benchmark/model/seed-k``, as people name the run; ``benchmark+open/...`` in the open division."""
        folder = self.benchmark.name + ("+open" if self.division == "open" else "")
        return f"{folder}/{self.model.name}/seed-{self.seed}"

    def __repr__(self) -> str:
        return f"<Record of {self.run}: {self.status}, {len(self.scores)} scores>"

    def __str__(self) -> str:
        """What ``genbench show`` prints of it."""
        from genbench.report.console import printed
        from genbench.report.run import print_record

        return printed(lambda console: print_record(self, console))

    def _repr_html_(self) -> str:
        """For notebooks."""
        from genbench.report.html import record_html

        return record_html(self)

    def to_json(self) -> str:
        """The text of ``record.json``: keys in the order of the dataclass, no NaN.

        Milestones' scores are written without what has its default.
        """
        document = {"schema": self.schema, **asdict(self)}
        for milestone in document["milestones"]:
            milestone["scores"] = {name: _without_defaults(score) for name, score in milestone["scores"].items()}
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def parse(text: str | bytes) -> Record:
    """The record in the text of a ``record.json``, brought forward from an older schema if need be.

    The text may come from anyone: its size, depth and digits are looked at before anything is built from it.

    Raises:
        RecordError: saying what is wrong, for text that is too large, no JSON, of a newer schema, or not a record.
    """
    from pydantic import ValidationError
    from pydantic_core import PydanticSerializationError, to_json

    content = as_bytes(text)
    found = _of_today(content)
    if found is not None:
        return found
    raw = strict_json(content)
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError(f"not a record: its schema is {str(schema)[:20]}, where genbench reads 1 to {SCHEMA}")
    if schema > SCHEMA:
        raise RecordError(
            f"its schema is {schema}: was written by a newer genbench; upgrade (this reads up to {SCHEMA})"
        )
    try:
        raw = forward(raw, schema, SCHEMA)
    except ValueError as error:
        raise RecordError(str(error)) from None
    try:
        # Written anew, so that what is validated is what was looked at, and not another reading of the same text.
        return _adapter().validate_json(to_json(raw))
    except PydanticSerializationError as error:
        raise RecordError(clean(f"not JSON in UTF-8: {error}")) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecordError(clean(f"{place}: {first['msg']}" if place else first["msg"])) from None


def _of_today(content: bytes) -> Record | None:
    """The record in text that is plainly one of today's schema; None for all else, which :func:`parse` tells.

    Most records are, and are read in a quarter of the time.

    Raises:
        RecordError: if it is too large, too deep or of too many values.
    """
    from pydantic import ValidationError

    if not BEGINNING.match(content) or not check_extent(content):
        return None
    try:
        found = _adapter().validate_json(content)
    except ValidationError:
        return None
    return found if found.schema == SCHEMA else None  # a key that stands there twice counts as it did last


def json_schema() -> dict[str, Any]:
    """The JSON Schema of ``record.json``, as published in the documentation."""
    return _adapter().json_schema()


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    """The parser of records, which takes far longer to make than to use."""
    from pydantic import TypeAdapter

    return TypeAdapter(Record)
