"""Benchmark: a frozen TOML definition in, an identified object out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen

from genbench.errors import MOST_NAMED, BenchmarkError, nearest
from genbench.foreign_files import read_regular
from genbench.specs import Budget, DatasetSpec, Division, EvaluatorSpec, Precision

STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""Pydantic's configuration of every file: no unknown keys, no coercion."""

MAX_FILE_BYTES = 1 << 16
"""Of a definition; those that come with genbench have some 2,000."""
MOST_SHOWN = 200
"""Characters of a value that an error repeats."""
MAX_KEY_PARTS = 16
"""Of a dotted key, more than any definition needs: :mod:`tomllib` takes the square of them, and recurses into them."""
DOTTED = re.compile(
    r"""(?:\.[ \t]*+(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+){%d}""" % MAX_KEY_PARTS  # noqa: UP031
)
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Positive = Annotated[int, Gt(0), Le(2**53)]
"""A count: no larger than what a float holds exactly, so that nothing computed from it overflows."""
Seconds = Annotated[float, Gt(0), Le(1e9)]
"""Up to 30 years."""


@dataclass(frozen=True)
class BudgetTable:
    """``[budget]``: the limits of a run; see :class:`genbench.specs.Budget`. Memory in MiB."""

    images: Positive
    seconds: Seconds
    memory_mib: Annotated[int, Gt(0), Le(2**33)]
    parameters: Positive
    flops: Annotated[float, Gt(0), Le(1e30)] | None = None
    grace: Seconds = 60.0
    threads: Annotated[int, Gt(0), Le(4096)] = 1
    device: Literal["cpu", "cuda"] = "cpu"
    device_memory_mib: Annotated[int, Gt(0), Le(2**33)] | None = None
    precision: Precision = "float32"
    compile: bool = False
    runs_per_device: Annotated[int, Gt(0), Le(64)] = 1

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SamplesTable:
    """``[samples]``: how many are scored and in what chunks they are drawn.

    ``n`` at the end of training, ``milestone_n`` at each milestone; ``chunk`` is the ``n`` of one call of
    ``sample`` and changes the samples' bits. ``repeats`` further sets of ``n`` are drawn from the last state and scored
    too, for the variance of sampling apart from that of training.
    """

    n: Annotated[int, Ge(2), Le(2**31 - 1)]
    milestone_n: Annotated[int, Ge(2), Le(2**31 - 1)]
    chunk: Positive
    repeats: Annotated[int, Ge(0), Le(1000)] = 0

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
NOT_USED = {"precision": "float32", "compile": False, "runs_per_device": 1}
"""Keys of ``[budget]`` that came later: with these values a definition is the one that it was without them."""


@dataclass(frozen=True)
class Benchmark:
    """A definition together with the data set and evaluator that it names.

    Attributes:
        file: the definition, after overrides.
        dataset, evaluator, second_evaluator: what it names, resolved; the second one is optional.
        dev: whether scores are against the validation fold of the training split; never in a leaderboard.
        custom_budget: whether the budget was overridden; never in a leaderboard.
        division: ``open`` for the table of samples that were made outside genbench. It is the same definition, with the
            same digest, in a folder of its own.
    """

    file: BenchmarkFile
    dataset: DatasetSpec
    evaluator: EvaluatorSpec
    second_evaluator: EvaluatorSpec | None = None
    dev: bool = False
    custom_budget: bool = False
    division: Division = "closed"

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def folder(self) -> str:
        """The name of its folder under ``results/``. Off-leaderboard records and the open division stand apart."""
        parts = [self.name] + (self.division == "open") * ["open"] + self.dev * ["dev"]
        return "+".join(parts + self.custom_budget * [f"budget-{self.digest[:8]}"])

    @cached_property
    def budget(self) -> Budget:
        table = dataclasses.asdict(self.file.budget)
        memory = table.pop("memory_mib") << 20
        device_memory = table.pop("device_memory_mib")
        return Budget(**table, memory=memory, device_memory=device_memory and device_memory << 20)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (first 16 hex digits) of everything that decides a score, prose left out."""
        from genbench import PROTOCOL_VERSION

        definition = dataclasses.asdict(self.file)
        for key in PROSE:
            del definition[key]
        for key, value in NOT_USED.items():
            if definition["budget"][key] == value:
                del definition["budget"][key]
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
        found = error.errors(include_url=False)
        unknown = [problem for problem in found if problem["type"] == "unexpected_keyword_argument"]
        misspelt = {_meant(problem) for problem in unknown[:MOST_NAMED]}
        told = [problem for problem in found if problem["type"] != "missing" or problem["loc"] not in misspelt]
        lines = [_explain(problem, source) for problem in told[:MOST_NAMED]]
        raise refusal(lines, source, len(told)) from None
    except (ValueError, RecursionError):
        # Nesting that JSON cannot follow, and whole numbers of thousands of digits.
        raise BenchmarkError(f"{source}: is nested too deeply, or holds a number of thousands of digits") from None
    wrong = [f"{source}: {key}: {why}" for key, why in _inconsistencies(checked)]
    if wrong:
        raise refusal(wrong, source)
    return checked


def refusal(lines: Sequence[str], source: str, count: int = 0) -> BenchmarkError:
    """The error of a definition that cannot be used.

    Args:
        lines: a problem of ``source`` each; of very many the first are told.
        count: of all problems, where there are more than lines.
    """
    more = max(count, len(lines)) - MOST_NAMED
    return BenchmarkError("\n".join([*lines[:MOST_NAMED], *([f"{source}: and {more} more"] if more > 0 else [])]))


def _meant(problem: Any) -> tuple[str, ...] | None:
    """The place of the known key that a misspelt one is taken for."""
    *path, name = problem["loc"]
    near = nearest(_brief(name), _keys_at([str(part) for part in path]))
    return None if near is None else (*path, near)


def _explain(problem: Any, source: str) -> str:
    path = [_brief(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "unexpected_keyword_argument":
        return f"{source}: {BenchmarkError.unknown('key', path[-1], _keys_at(path[:-1]))} (at {key!r})"
    found = "" if problem["type"] == "missing" else f", not {_brief(problem['input'], quoted=True)}"
    return f"{source}: {key}: {problem['msg'][0].lower()}{problem['msg'][1:]}{found}"


def _brief(value: Any, quoted: bool = False) -> str:
    """A value of the file in an error: not all of it, and without characters that a terminal would obey."""
    text = repr(value) if quoted or not isinstance(value, str) else repr(value)[1:-1]
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} ..."


def _keys_at(path: list[str]) -> list[str]:
    tables: dict[str, type] = {
        "budget": BudgetTable,
        "samples": SamplesTable,
        "likelihood": LikelihoodTable,
    }
    table = tables[path[0]] if path else BenchmarkFile
    return [entry.name for entry in dataclasses.fields(table)]


def _inconsistencies(checked: BenchmarkFile) -> Iterator[tuple[str, str]]:
    """What no single key can show, and what its type does not: each key that is wrong, and why."""
    pinned = checked.evaluator_sha256
    if pinned is not None and not re.fullmatch(r"[0-9a-f]{64}", pinned):
        yield "evaluator_sha256", f"must be a SHA-256 as 64 lower-case hex digits, not {_brief(pinned, quoted=True)}"
    if not re.fullmatch(NAME, checked.name):  # a match alone may end before a line end
        yield "name", f"must match {NAME}, not {_brief(checked.name, quoted=True)}"
    if len(set(checked.seeds)) < len(checked.seeds):
        yield "seeds", f"must be distinct, not {_brief(checked.seeds)}"
    if len(set(checked.metrics)) < len(checked.metrics):
        yield "metrics", f"must be distinct, not {_brief(checked.metrics)}"
    if sorted(set(checked.milestones)) != checked.milestones or checked.milestones[-1:] != [1.0]:
        yield "milestones", f"must rise and end with 1.0, not {_brief(checked.milestones)}"
    if checked.budget.runs_per_device > 1 and checked.budget.device_memory_mib is None:
        yield "budget.runs_per_device", "needs device_memory_mib: without it one run may take what the others need"
    if checked.budget.runs_per_device > 1 and checked.budget.device == "cpu":
        yield "budget.runs_per_device", "has a meaning on a device only, and device is 'cpu'"
    if checked.samples.milestone_n > checked.samples.n:
        found = checked.samples.milestone_n
        yield "samples.milestone_n", f"must be at most samples.n = {checked.samples.n}, not {found}"


def read_file(path: Path) -> BenchmarkFile:
    """The checked definition in a TOML file.

    Raises:
        BenchmarkError: if the file can't be read, is no TOML, or does not hold a definition.
    """
    return validate(read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """What stands in a TOML file, unchecked.

    Raises:
        BenchmarkError: if the file can't be read, or is no TOML.
    """
    try:
        text = read_regular(path, MAX_FILE_BYTES).decode("utf-8")
        if DOTTED.search(text):
            raise BenchmarkError(f"{path}: not a TOML file of a benchmark: a dotted key has over {MAX_KEY_PARTS} parts")
        return tomllib.loads(text)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        # A TOMLDecodeError, text that is no UTF-8, or a whole number of thousands of digits.
        problem = "nested too deeply" if isinstance(error, RecursionError) else _brief(str(error))
        raise BenchmarkError(f"{path}: not a TOML file: {problem}") from None
