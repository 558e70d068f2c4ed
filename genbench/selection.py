"""From what a person types to what is run: models with options, benchmarks, budgets."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import BenchmarkError, GenbenchError, SpecError

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark, BenchmarkFile
    from genbench.plugins import Registered, Registry
    from genbench.specs import DatasetSpec, DataSpec, Division, EvaluatorSpec, MetricSpec, ModelSpec

Value = bool | int | float | str

MODEL = re.compile(r"([^\[\]=,\s]+)(?:\[([^\[\]]*)\])?")
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
MAX_DIGITS = 300
"""Of a whole number: as many as a float can hold."""
MOST_METRICS = 10
"""Of the unknown metrics of a definition that an error names."""
MAX_TEXT = 1 << 16
"""Characters of a model with its options, or of an item of ``--budget``."""


@dataclass(frozen=True)
class SelectedModel:
    """A model with the options that a person chose.

    Attributes:
        name: canonical: ``dcgan[ema=true,width=128]``, options sorted, numbers in their shortest form. Two
            spellings of one choice have one name; it is the name in records and tables.
        registered: the model's spec and plugin.
        overrides: option to value, of the type of the option's default.
    """

    name: str
    registered: Registered[ModelSpec]
    overrides: dict[str, Value]


def parse_model(text: str) -> tuple[str, dict[str, Value]]:
    """Name and options in ``vae[width=64,dropout=0.1]``; values as :func:`literal` reads them.

    Raises:
        SpecError: if the text is not of this form or gives an option twice.
    """
    name, options = _split_model(text)
    return name, {key: literal(raw) for key, raw in options.items()}


def model_string(name: str, overrides: Mapping[str, Value]) -> str:
    """The canonical form of a model and its options; the inverse of :func:`parse_model`."""
    if not overrides:
        return name
    options = (f"{key}={_format(value)}" for key, value in sorted(overrides.items()))
    return f"{name}[{','.join(options)}]"


def select_model(registry: Registry, text: str) -> SelectedModel:
    """The model that ``text`` asks for, its options checked against the model's configuration.

    Args:
        text: an installed model, ``vae[width=64]``, or one in a Python file: see :mod:`genbench.single_file`.

    Raises:
        GenbenchError: for text of another form, an unknown model or option (naming the nearest), or a value
            that is not of the option's type; for a file that is not there or holds no plugin that works.
    """
    from genbench.single_file import is_in_file, select_in_file

    if text not in registry.models and is_in_file(text):
        return select_in_file(registry, text)
    name, options = _split_model(text)
    registered: Registered[ModelSpec] = registry.find("models", name)
    config = registered.spec.config
    defaults = {field.name: getattr(config(), field.name) for field in dataclasses.fields(config)}
    overrides: dict[str, Value] = {}
    for key, raw in options.items():
        if key not in defaults:
            raise SpecError.unknown(f"option of {name}", key, defaults)
        overrides[key] = _typed(raw, type(defaults[key]), f"{name}[{key}={raw}]", defaults[key])
    return SelectedModel(model_string(name, overrides), registered, overrides)


def parse_budget(items: Iterable[str]) -> dict[str, int | float | str | None]:
    """``images=2000`` and its like, as changes to a benchmark's ``[budget]``; ``2e6`` is a whole number too.

    ``flops=none`` and ``device_memory_mib=none`` lift those limits. Values are checked when the benchmark is
    made.

    Raises:
        BenchmarkError: for an item of another form, an unknown key (naming the nearest) or a key given twice.
    """
    from genbench.benchmark import BudgetTable

    known = [field.name for field in dataclasses.fields(BudgetTable)]
    optional = [field.name for field in dataclasses.fields(BudgetTable) if field.default is None]
    changes: dict[str, int | float | str | None] = {}
    for item in items:
        key, equals, raw = item.partition("=")
        if len(item) > MAX_TEXT or not item.isprintable():
            raise BenchmarkError(f"--budget {item[:40]!r}: must be KEY=VALUE in printable characters")
        if not equals or not raw:
            raise BenchmarkError(f"--budget {item}: must be KEY=VALUE, such as images=2000")
        if key not in known:
            raise BenchmarkError.unknown("key of --budget", key, known)
        if key in changes:
            raise BenchmarkError(f"--budget {item}: {key} is given twice")
        value = literal(raw)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        changes[key] = None if value == "none" and key in optional else value
    return changes


def load_benchmark(
    registry: Registry,
    name_or_path: str,
    dev: bool = False,
    budget_overrides: Mapping[str, Any] | None = None,
    division: Division = "closed",
) -> Benchmark:
    """The benchmark of that name, or in that ``.toml`` file, with all that it names resolved and checked.

    Args:
        registry: where its data set, evaluator and metrics are looked up.
        name_or_path: an installed benchmark's name, or a path (it ends in ``.toml`` or holds a separator).
        dev: score against the validation fold.
        budget_overrides: changes to ``[budget]``, as of :func:`parse_budget`.
        division: whose results are meant.

    Raises:
        GenbenchError: for an unknown name (naming the nearest) or a definition that can't be used, with file,
            key and reason.
    """
    from genbench.benchmark import read_toml, refusal, validate

    is_path = name_or_path.endswith(".toml") or "/" in name_or_path or "\\" in name_or_path
    path = Path(name_or_path) if is_path else registry.find("benchmarks", name_or_path).spec
    source, raw = str(path), read_toml(path)
    unknown = _unknown_names(registry, raw, source)
    try:
        file = validate(raw, source)
    except BenchmarkError as error:
        raise refusal([*str(error).splitlines(), *unknown], source) from None
    misnamed = f"{source}: name: must be that of the file, {path.stem!r}, not {file.name!r}"
    last = [misnamed] if path.stem != file.name else []
    if unknown:
        raise refusal([*unknown, *last], source)
    benchmark = resolve_benchmark(registry, file, source, dev, division, last)
    return benchmark.with_budget(dict(budget_overrides)) if budget_overrides else benchmark


def resolve_benchmark(
    registry: Registry,
    file: BenchmarkFile,
    source: str,
    dev: bool = False,
    division: Division = "closed",
    problems: Sequence[str] = (),
) -> Benchmark:
    """The benchmark of a checked definition, with what it names.

    Args:
        source: where the definition is from, for errors.
        problems: that it is known to have, told with those that are found here.

    Raises:
        GenbenchError: for a name that nothing installed has, or a definition that can't be used.
    """
    from genbench.benchmark import Benchmark, refusal

    dataset: DatasetSpec = registry.find("datasets", file.dataset).spec
    metrics: list[MetricSpec] = [registry.find("metrics", name).spec for name in file.metrics]
    unfit = [*_inconsistencies(file, dataset, metrics, source), *_shortages(file, dataset, metrics, source), *problems]
    try:
        evaluator, second = _evaluators(registry, file, dataset, metrics, source)
    except BenchmarkError as error:
        raise refusal([str(error), *unfit], source) from None
    if unfit:
        raise refusal(unfit, source)
    return Benchmark(file, dataset, evaluator, second, dev=dev, division=division)


def literal(raw: str) -> Value:
    """``true`` and ``false``, whole numbers, numbers, and else text.

    >>> [literal(raw) for raw in ("true", "3", "1e-4", "hinge")]
    [True, 3, 0.0001, 'hinge']

    Raises:
        SpecError: for a whole number of more than ``MAX_DIGITS`` digits.
    """
    if raw in ("true", "false"):
        return raw == "true"
    if INTEGER.fullmatch(raw):
        if len(raw) > MAX_DIGITS:
            raise SpecError(f"{raw[:12]}...: a number of {len(raw)} digits; {MAX_DIGITS} are the most")
        return int(raw)
    return float(raw) if NUMBER.fullmatch(raw) else raw


def _split_model(text: str) -> tuple[str, dict[str, str]]:
    if len(text) > MAX_TEXT:
        raise SpecError(f"{text[:40]!r} ...: a model with its options has {MAX_TEXT} characters at most")
    if not text.isprintable():
        raise SpecError(f"{text!r}: a model with its options is written in printable characters")
    match = MODEL.fullmatch(text)
    if match is None:
        raise SpecError(f"{text!r}: a model is written name or name[option=value,...], such as vae[width=64]")
    name, inside = match.groups()
    options: dict[str, str] = {}
    for item in (inside or "").split(",") if inside else []:
        key, equals, raw = (part.strip() for part in item.partition("="))
        if not equals or not key or not raw:
            raise SpecError(f"{text!r}: {item.strip()!r} must be option=value, such as width=128")
        if key in options:
            raise SpecError(f"{text!r}: the option {key!r} is given twice")
        options[key] = raw
    return name, options


def _typed(raw: str, wanted: type, where: str, default: object) -> Value:
    """The value of an option whose default has the type ``wanted``."""
    if wanted is str:
        return raw
    value = literal(raw)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not wanted or (isinstance(value, float) and not math.isfinite(value)):
        example = _format(default) if isinstance(default, bool | int | float) else repr(default)
        raise SpecError(f"{where}: takes a value of type {wanted.__name__}, such as {example}, not {raw!r}")
    return value


def _format(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown_names(registry: Registry, raw: Mapping[str, Any], source: str) -> list[str]:
    """A line for each name in a definition, checked or not, that nothing installed has."""
    listed = raw.get("metrics")
    metrics = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    new = [name for name in dict.fromkeys(metrics) if name not in registry.metrics]
    named = [
        ("datasets", "dataset", raw.get("dataset")),
        ("evaluators", "evaluator", raw.get("evaluator")),
        ("evaluators", "second_evaluator", raw.get("second_evaluator")),
        *(("metrics", "metrics", name) for name in new[:MOST_METRICS]),
    ]
    problems = []
    for table, key, name in named:
        try:
            if isinstance(name, str):
                registry.find(table, name)
        except GenbenchError as error:
            problems.append(f"{source}: {key}: {error}")
    if len(new) > MOST_METRICS:
        problems.append(f"{source}: metrics: and {len(new) - MOST_METRICS} more unknown metrics")
    return problems


def _evaluators(
    registry: Registry, file: BenchmarkFile, dataset: DatasetSpec, metrics: list[MetricSpec], source: str
) -> tuple[EvaluatorSpec, EvaluatorSpec | None]:
    """The benchmark's evaluators, fitted to its data and fit for its metrics."""
    first = _evaluator(registry, file.evaluator, file.evaluator_sha256, dataset, f"{source}: evaluator")
    _check_logits(first, metrics, f"{source}: evaluator")
    if file.second_evaluator is None:
        return first, None
    if file.second_evaluator == file.evaluator:
        raise BenchmarkError(f"{source}: second_evaluator: must be another than evaluator, {file.evaluator}")
    second = _evaluator(registry, file.second_evaluator, None, dataset, f"{source}: second_evaluator")
    _check_logits(second, [metric for metric in metrics if metric.both_evaluators], f"{source}: second_evaluator")
    return first, second


def _evaluator(registry: Registry, name: str, pinned: str | None, dataset: DatasetSpec, where: str) -> EvaluatorSpec:
    spec: EvaluatorSpec = registry.find("evaluators", name).spec
    data = dataset.data
    if spec.rgb:
        if not data.is_image or data.shape[0] not in (1, 3):
            raise BenchmarkError(
                f"{where}: {name} takes images of 1 or 3 channels, but data set {dataset.name} has "
                f"{_describe(data.shape, data.levels)}"
            )
        spec = dataclasses.replace(spec, shape=data.shape, levels=data.levels)
    if (spec.shape, spec.levels) != (data.shape, data.levels):
        raise BenchmarkError(
            f"{where}: {name} takes {_describe(spec.shape, spec.levels)}, but data set {dataset.name} has "
            f"{_describe(data.shape, data.levels)}; {_fitting(registry, data)}"
        )
    return _with_weights_pinned(spec, pinned, where)


def _fitting(registry: Registry, data: DataSpec) -> str:
    """Which evaluators a definition on ``data`` could name instead, and how to come to one."""
    specs = [entry.spec for entry in registry.evaluators.values()]
    fitting = sorted(spec.name for spec in specs if (spec.shape, spec.levels) == (data.shape, data.levels))
    if data.is_image and data.shape[0] in (1, 3) and any(spec.rgb for spec in specs):
        fitting.append("those for any image, which `genbench list evaluators` tells")
    found = f"these take it: {', '.join(fitting)}" if fitting else "none that is installed takes it"
    return f"{found}; `genbench new DIR --kind evaluator` writes one of your own"


def _with_weights_pinned(spec: EvaluatorSpec, pinned: str | None, where: str) -> EvaluatorSpec:
    """The evaluator with the weights that ``evaluator_sha256`` names.

    Other weights make another evaluator: its name gets the first digits of their hash, so that no number of theirs
    stands under the name of the published ones, and there is no address to download them from.
    """
    if pinned is None or pinned == spec.sha256:
        return spec
    if spec.weights:
        raise BenchmarkError(
            f"{where}_sha256: {spec.name} ships with weights of the hash {spec.sha256}, not {pinned}; leave it out"
        )
    return dataclasses.replace(spec, name=f"{spec.name}@{pinned[:8]}", sha256=pinned, url="", file="")


def _check_logits(spec: EvaluatorSpec, metrics: list[MetricSpec], where: str) -> None:
    wanting = [metric for metric in metrics if metric.needs_logits]
    if spec.logits is None and wanting:
        raise BenchmarkError(
            f"{where}: {spec.name} has no class logits, without which there is no {_names(wanting)}; leave that out, "
            "or name an evaluator that is a classifier"
        )
    own = [metric for metric in wanting if metric.group == "control" or metric.needs_classes]
    if spec.rgb and own:
        raise BenchmarkError(
            f"{where}: the classes of {spec.name} are those of ImageNet, not of the data, so it cannot judge "
            f"{_names(own)}; leave that out, or name an evaluator trained on the data"
        )


def _names(metrics: list[MetricSpec]) -> str:
    return " or ".join(metric.name for metric in metrics)


def _inconsistencies(
    file: BenchmarkFile, dataset: DatasetSpec, metrics: list[MetricSpec], source: str
) -> Iterator[str]:
    """What only the definition together with its data set can show."""
    for key, most, of in (
        ("examples", dataset.test, f"the {dataset.test} test examples of {dataset.name}"),
        ("milestone_examples", file.likelihood.examples, f"likelihood.examples = {file.likelihood.examples}"),
        ("milestone_draws", file.likelihood.draws, f"likelihood.draws = {file.likelihood.draws}"),
    ):
        found = getattr(file.likelihood, key)
        if found > most:
            yield f"{source}: likelihood.{key}: must be at most {of}, not {found}"
    for metric in metrics if dataset.data.is_image else ():
        if metric.needs_sequences:
            yield f"{source}: metrics: {metric.name} is of sequences, and {dataset.name} has images; leave it out"


def _shortages(file: BenchmarkFile, dataset: DatasetSpec, metrics: list[MetricSpec], source: str) -> Iterator[str]:
    """Of what there is not enough for a metric, which otherwise shows only after training."""
    for metric in metrics:
        at_milestones = metric.group != "copying"
        for key, least, found in (
            ("samples.n", metric.least_samples, file.samples.n),
            ("samples.milestone_n", metric.least_samples if at_milestones else 0, file.samples.milestone_n),
        ):
            if found < least:
                yield f"{source}: {key}: {metric.name} needs {least} samples or more, not {found}"
        for split, least, found in (
            ("training", metric.least_training, dataset.train),
            ("test", metric.least_held_out, dataset.test),
        ):
            if found < least:
                yield (
                    f"{source}: metrics: {metric.name} needs {least} {split} examples or more; {dataset.name} has "
                    f"{found}"
                )


def _describe(shape: tuple[int, ...], levels: int) -> str:
    return f"{'x'.join(map(str, shape))} with {levels} levels"
