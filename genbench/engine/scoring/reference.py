"""Reference material: what an evaluator says of the held-out data, cached by content."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from genbench.code_hash import files_of, sha256_of_files, top_level
from genbench.engine import splits
from genbench.engine.contract import prepare_torch
from genbench.engine.data import Examples
from genbench.engine.scoring.comparison import RealSide, real_side
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.frechet import covariance, square_root_factor
from genbench.engine.scoring.keeping import arithmetic, kept
from genbench.engine.scoring.kernel import FULL_KID_BELOW, SUBSETS, kernel_means_within, kid_subsets
from genbench.errors import DataError, StoreError
from genbench.reference_file import Arrays, Reference, Source, read_reference, write_reference
from genbench.specs import EvaluatorSpec

__all__ = [
    "Arrays",
    "Reference",
    "Source",
    "check_references",
    "export_reference",
    "real_side_of",
    "reference_for",
    "reference_from",
]


FEWEST_SAMPLES = 2
"""With so few KID's kernel is taken over all pairs of real examples, and that is what is cached."""


def source_of(evaluator: EvaluatorSpec, data_sha256: str, split: str) -> Source:
    """What a reference of this evaluator on this split is made of."""
    return Source(data_sha256, split, evaluator.name, evaluator.sha256, evaluator.features)


def reference_from(
    source: Source,
    features: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64] | None = None,
) -> Reference:
    """The reference of M real examples (at least 6, for the fifth neighbour) from their features and logits.

    Args:
        features: float32 ``[M, d]``.
        logits: float32 ``[M, K]``, K of 0 for an evaluator without.
        labels: int64 ``[M]``, or None for data without.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    side = real_side(features, FEWEST_SAMPLES)
    arrays = Arrays(
        features=features,
        logits=logits,
        labels=np.zeros(0, np.int64) if labels is None else labels,
        mean=mean,
        cov=covariance(features).numpy(),
        factor=square_root_factor(features),
        radii=side.radii,
        wide_radii=side.wide_radii,
        kernel_mean=side.kernel_means.reshape(()),
    )
    return Reference(source, arrays)


def real_side_of(reference: Reference, n: int, cache: Path | None = None) -> RealSide:
    """What :func:`~genbench.engine.scoring.comparison.compare` needs to know of the real examples for n samples.

    From 5,000 on both sides KID's subsets hang on n too; their means are computed once for each n.

    Args:
        cache: a folder in which they are kept.
    """
    arrays, m = reference.arrays, len(reference.arrays.features)
    if min(n, m) < FULL_KID_BELOW:
        return RealSide(arrays.radii, arrays.wide_radii, arrays.kernel_mean[None])
    if n not in reference.subset_means:
        path = None if cache is None else cache / f"kernel-{reference.digest[:32]}-{n}-{arithmetic()}.npy"
        reference.subset_means[n] = kept(
            path, (SUBSETS,), lambda: kernel_means_within(arrays.features, kid_subsets(n, m)[1])
        )
    return RealSide(arrays.radii, arrays.wide_radii, reference.subset_means[n])


def reference_for(
    evaluator: EvaluatorSpec, data_sha256: str, split: str, examples: Callable[[], Examples], cache: Path
) -> Reference:
    """The reference of a split: one that a person gave, or that in the cache if it is intact.

    Its file is named by the source's key, the evaluator's code, torch's version and the number of threads, which the
    last bits hang on.
    Otherwise it is computed and kept; a folder that cannot be written only costs the time again.

    Args:
        data_sha256, split: name the examples.
        examples: gives them, ``(x, labels)``; called on a miss only.

    Raises:
        DataError: if the evaluator's weights are not the declared ones, the examples not what it takes, or a given
            reference is not of this source.
    """
    source = source_of(evaluator, data_sha256, split)
    for given_path in evaluator.references:
        given = read_reference(Path(given_path))
        if given.source.split == split:
            _check_source(given_path, given.source, source)
            return given
    path = cache / f"{source.key}-{_code_of(evaluator)}-{arithmetic()}.safetensors"
    with contextlib.suppress(DataError):
        cached = read_reference(path)
        if cached.source == source:
            return cached
    x, labels = examples()
    reference = reference_from(source, *extract(load_evaluator(evaluator), x), labels)
    with contextlib.suppress(OSError):
        write_reference(path, reference)
    return reference


def _code_of(evaluator: EvaluatorSpec) -> str:
    """The hash of the Python files of the package that an evaluator comes from: its author may change what it makes of
    the same weights, and what was kept before is then of another evaluator."""
    files = files_of(top_level(evaluator.factory))
    return sha256_of_files(entry for entry in files if entry[0].suffix == ".py")[:16]


def check_references(evaluator: dict[str, Any], data_sha256: str, dev: bool) -> None:
    """Hold the references that a person gave to what a benchmark needs, before anything is run.

    Args:
        evaluator: an :class:`~genbench.specs.EvaluatorSpec` as a dict.
        dev: whether the splits are those of ``--dev``.

    Raises:
        DataError: naming the file, what it was made of and what is needed.
    """
    spec: EvaluatorSpec = TypeAdapter(EvaluatorSpec).validate_python(evaluator)
    needed = (splits.held_out_name(dev), splits.training_name(dev))
    for path in spec.references:
        given = read_reference(Path(path)).source
        if given.split not in needed:
            raise DataError(f"--reference {path}: is of the split {given.split!r}; needed: {' or '.join(needed)}")
        _check_source(path, given, source_of(spec, data_sha256, given.split))


def export_reference(
    evaluator: dict[str, Any],
    data_sha256: str,
    data_folder: str,
    dev: bool,
    split: str,
    threads: int,
    cache: str,
    target: str,
) -> None:
    """Write the reference of a split to a file.

    Args:
        evaluator: an :class:`~genbench.specs.EvaluatorSpec` as a dict.
        data_sha256, data_folder: the materialised data.
        dev: whether the splits are those of ``--dev``.
        split: ``test`` for what models are scored against, ``train`` for what they are trained on.
        threads: of the benchmark, since they decide the last bits.
        cache: folder of reference statistics.

    Raises:
        StoreError: if the file cannot be written.
    """
    prepare_torch(threads, "cpu")
    spec: EvaluatorSpec = TypeAdapter(EvaluatorSpec).validate_python(evaluator)
    name, examples = (
        (splits.held_out_name(dev), splits.held_out)
        if split == "test"
        else (splits.training_name(dev), splits.training)
    )
    reference = reference_for(spec, data_sha256, name, lambda: examples(Path(data_folder), dev), Path(cache))
    try:
        write_reference(Path(target), reference)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from None


def _check_source(path: str, given: Source, needed: Source) -> None:
    for name, wanted in asdict(needed).items():
        found = getattr(given, name)
        if found != wanted:
            raise DataError(
                f"--reference {path}: is of other real data or another evaluator: its {name} is {found!r}, and "
                f"{wanted!r} is needed; make one with `genbench reference export`"
            )
