"""The files of a benchmark's evaluators: weights, and what ``--weights`` and ``--reference`` give."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import DataError
from genbench.foreign_files import open_regular

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.specs import EvaluatorSpec


MAX_WEIGHTS_BYTES = 64 << 30
"""Of a file whose hash is taken."""


def supplied(benchmark: Benchmark, weights: Iterable[Path] = (), references: Iterable[Path] = ()) -> Benchmark:
    """The benchmark, its evaluators with the files that are theirs. Its digest stays what it is.

    A file of weights is the evaluator's whose declared hash it has; a file of reference statistics says whose it is.
    The latter's content is checked before the first run: :func:`genbench.engine.scoring.reference.check_references`.

    Raises:
        DataError: for a file that cannot be read, or that no evaluator of the benchmark can use.
    """
    for path in weights:
        benchmark = _with_weights(benchmark, path)
    for path in references:
        benchmark = _with_reference(benchmark, path)
    return benchmark


def evaluators_of(benchmark: Benchmark) -> list[EvaluatorSpec]:
    """The benchmark's one or two evaluators."""
    return [spec for spec in (benchmark.evaluator, benchmark.second_evaluator) if spec is not None]


def change_evaluators(benchmark: Benchmark, change: Callable[[EvaluatorSpec], EvaluatorSpec]) -> Benchmark:
    """The benchmark with ``change`` applied to each of its evaluators."""
    second = benchmark.second_evaluator
    return dataclasses.replace(
        benchmark, evaluator=change(benchmark.evaluator), second_evaluator=second and change(second)
    )


def check_weights(spec: EvaluatorSpec) -> None:
    """Hold the file of weights to its declared hash.

    Raises:
        DataError: if it cannot be read or has another.
    """
    path = Path(spec.weights)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise DataError(
            f"evaluator {spec.name!r}: its weights {path} cannot be read: {error.strerror}; {_remedy(spec)}"
        ) from None
    if found != spec.sha256:
        raise DataError(
            f"evaluator {spec.name!r}: {path} has the hash {found}, where {spec.sha256} is declared; scores of other "
            f"weights could not be compared; {_remedy(spec)}"
        )


def _remedy(spec: EvaluatorSpec) -> str:
    if spec.rgb:
        return "give the right file with --weights"
    return "install the package that brings it again or, if you are making it, declare the hash of the file"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_weights(benchmark: Benchmark, path: Path) -> Benchmark:
    try:
        with open_regular(path, MAX_WEIGHTS_BYTES) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"--weights {path}: cannot be read: {error.strerror}") from None
    if all(spec.sha256 != found for spec in evaluators_of(benchmark)):
        wanting = [spec for spec in evaluators_of(benchmark) if not spec.weights]
        lines = [f"  {spec.name} needs {spec.sha256} {spec.file}" for spec in wanting]
        raise DataError(
            "\n".join(
                [
                    f"--weights {path}: has the SHA-256 {found}, which no evaluator of {benchmark.name} declares; "
                    "other weights are never taken in their place",
                    *(lines or [f"  all evaluators of {benchmark.name} have their weights; leave --weights out"]),
                ]
            )
        )
    weights = str(path.resolve())
    return change_evaluators(
        benchmark, lambda spec: dataclasses.replace(spec, weights=weights) if spec.sha256 == found else spec
    )


def _with_reference(benchmark: Benchmark, path: Path) -> Benchmark:
    from genbench.reference_file import read_header

    header = read_header(path)
    name = header.evaluator
    names = [spec.name for spec in evaluators_of(benchmark)]
    if name not in names:
        raise DataError(
            f"--reference {path}: holds statistics of the evaluator {name!r}; {benchmark.name} uses "
            f"{' and '.join(names)}"
        )
    held_out = "validation" if benchmark.dev else "test"
    if header.split.startswith("train") and name == benchmark.evaluator.name:
        raise DataError(
            f"--reference {path}: is of the split {header.split!r}, which {name} is not used on here: samples are "
            f"scored against the split {held_out!r}"
        )
    given = str(path.resolve())
    for spec in evaluators_of(benchmark):
        for earlier in spec.references:
            if spec.name == name and read_header(Path(earlier)).split == header.split:
                raise DataError(
                    f"--reference {path}: {earlier} is of {name} on the split {header.split!r} too, and one of them "
                    "would not be used; leave one out"
                )
    return change_evaluators(
        benchmark,
        lambda spec: dataclasses.replace(spec, references=(*spec.references, given)) if spec.name == name else spec,
    )
