"""Benchmark: a frozen TOML definition in, an identified object out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from genbench.errors import BenchmarkError
from genbench.specs import Budget, DatasetSpec, EvaluatorSpec

STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""Pydantic's configuration of every file: no unknown keys, no coercion."""

MAX_FILE_BYTES = 1 << 20
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Positive = Annotated[int, Gt(0)]


@dataclass(frozen=True)
class BudgetTable:
    """``[budget]``: the limits of a run; see :class:`genbench.specs.Budget`. Memory in MiB."""

    images: Positive
    seconds: Annotated[float, Gt(0)]
    memory_mib: Positive
    parameters: Positive
    flops: Annotated[float, Gt(0)] | None = None
    grace: Annotated[float, Gt(0)] = 60.0
    threads: Positive = 1
    device: Literal["cpu", "cuda"] = "cpu"
    device_memory_mib: Positive | None = None

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SamplesTable:
    """``[samples]``: how many are scored and in what chunks they are drawn.

    ``n`` at the end of training, ``milestone_n`` at each milestone; ``chunk`` is the ``n`` of one call of
    ``sample`` and changes the samples' bits. ``repeats`` further sets of ``n`` are drawn from the last state and scored
    too, for the variance of sampling apart from that of training.
    """

    n: Annotated[int, Ge(2)]
    milestone_n: Annotated[int, Ge(2)]
    chunk: Positive
    repeats: Annotated[int, Ge(0)] = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class LikelihoodTable:
    """``[likelihood]``: which test examples, how many draws for kinds that draw, and the batch.

    ``examples`` are a stratified subset of the test split chosen by a hash, all of them where it is as large.
    ``draws`` is K of IWAE-K. ``chunk`` is the number of examples in a call of ``log_prob``.
    """

    examples: Positive
    milestone_examples: Positive
    draws: Positive
    milestone_draws: Positive
    chunk: Positive

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class BenchmarkFile:
    """A benchmark definition as it stands in its TOML file. ``title`` and ``description`` are prose."""

    name: str
    dataset: str
    seeds: Annotated[list[Annotated[int, Ge(0), Le(2**31 - 1)]], MinLen(1)]
    evaluator: str
    metrics: Annotated[list[str], MinLen(1)]
    budget: BudgetTable
    samples: SamplesTable
    likelihood: LikelihoodTable
    milestones: list[Annotated[float, Gt(0), Le(1)]] = field(default_factory=lambda: [0.125, 0.25, 0.5, 1.0])
    second_evaluator: str | None = None
    evaluator_sha256: str | None = None
    title: str = ""
    description: str = ""

    __pydantic_config__ = STRICT


PROSE = ("title", "description")


@dataclass(frozen=True)
class Benchmark:
    """A definition together with the data set and evaluator that it names.

    Attributes:
        file: the definition, after overrides.
        dataset, evaluator, second_evaluator: what it names, resolved; the second one is optional.
        dev: whether scores are against the validation fold of the training split; never in a leaderboard.
        custom_budget: whether the budget was overridden; never in a leaderboard.
    """

    file: BenchmarkFile
    dataset: DatasetSpec
    evaluator: EvaluatorSpec
    second_evaluator: EvaluatorSpec | None = None
    dev: bool = False
    custom_budget: bool = False

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def folder(self) -> str:
        """The name of its folder under ``results/``. Off-leaderboard records stand apart."""
        return "+".join([self.name] + self.dev * ["dev"] + self.custom_budget * [f"budget-{self.digest[:8]}"])

    @property
    def budget(self) -> Budget:
        table = dataclasses.asdict(self.file.budget)
        memory = table.pop("memory_mib") << 20
        device_memory = table.pop("device_memory_mib")
        return Budget(**table, memory=memory, device_memory=device_memory and device_memory << 20)

    @property
    def digest(self) -> str:
        """SHA-256 (first 16 hex digits) of everything that decides a score, prose left out."""
        from genbench import PROTOCOL_VERSION

        definition = dataclasses.asdict(self.file)
        for key in PROSE:
            del definition[key]
        identity = {
            "definition": definition,
            "dataset": self.dataset.sha256,
            "evaluators": [
                [spec.name, spec.sha256, spec.features, spec.logits, spec.batch_size]
                for spec in (self.evaluator, self.second_evaluator)
                if spec
            ],
            "dev": self.dev,
            "protocol": PROTOCOL_VERSION,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def with_budget(self, overrides: dict[str, Any], source: str = "--budget") -> Benchmark:
        """The same with some of ``[budget]`` replaced: another digest, hence another table.

        Raises:
            BenchmarkError: for an unknown key or an impossible value.
        """
        raw = dataclasses.asdict(self.file)
        raw["budget"] |= overrides
        raw["budget"] = {key: value for key, value in raw["budget"].items() if value is not None}
        return dataclasses.replace(self, file=validate(raw, source), custom_budget=True)


def validate(raw: dict[str, Any], source: str) -> BenchmarkFile:
    """A checked definition of the parsed TOML ``raw``.

    Raises:
        BenchmarkError: naming ``source``, the key, what is wrong and, for an unknown key, the nearest one.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        # JSON mode, since strict dataclasses take a dict only there; a date becomes a string and is refused as one.
        checked = TypeAdapter(BenchmarkFile).validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        raise BenchmarkError("\n".join(_explain(problem, source) for problem in error.errors())) from None
    _check_consistency(checked, source)
    return checked


def _explain(problem: Any, source: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "unexpected_keyword_argument":
        return f"{source}: {BenchmarkError.unknown('key', path[-1], _keys_at(path[:-1]))} (at {key!r})"
    found = "" if problem["type"] == "missing" else f", not {problem['input']!r}"
    return f"{source}: {key}: {problem['msg'][0].lower()}{problem['msg'][1:]}{found}"


def _keys_at(path: list[str]) -> list[str]:
    tables: dict[str, type] = {
        "budget": BudgetTable,
        "samples": SamplesTable,
        "likelihood": LikelihoodTable,
    }
    table = tables[path[0]] if path else BenchmarkFile
    return [entry.name for entry in dataclasses.fields(table)]


def _check_consistency(checked: BenchmarkFile, source: str) -> None:
    """What no single key can show."""

    def refuse(key: str, why: str) -> None:
        raise BenchmarkError(f"{source}: {key}: {why}")

    pinned = checked.evaluator_sha256
    if pinned is not None and not re.fullmatch(r"[0-9a-f]{64}", pinned):
        refuse("evaluator_sha256", f"must be a SHA-256 as 64 lower-case hex digits, not {pinned!r}")
    if not re.match(NAME, checked.name):
        refuse("name", f"must match {NAME}, not {checked.name!r}")
    if len(set(checked.seeds)) < len(checked.seeds):
        refuse("seeds", f"must be distinct, not {checked.seeds}")
    if len(set(checked.metrics)) < len(checked.metrics):
        refuse("metrics", f"must be distinct, not {checked.metrics}")
    if sorted(set(checked.milestones)) != checked.milestones or checked.milestones[-1:] != [1.0]:
        refuse("milestones", f"must rise and end with 1.0, not {checked.milestones}")
    if checked.samples.milestone_n > checked.samples.n:
        refuse(
            "samples.milestone_n", f"must be at most samples.n = {checked.samples.n}, not {checked.samples.milestone_n}"
        )


def read_file(path: Path) -> BenchmarkFile:
    """The checked definition in a TOML file.

    Raises:
        BenchmarkError: if the file can't be read, is no TOML, or does not hold a definition.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BenchmarkError(f"{path}: larger than {MAX_FILE_BYTES} bytes, which no definition is")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}: not a TOML file: {error}") from None
    return validate(raw, str(path))
