"""The open division: samples that were made outside genbench, as runs that can stand in a table of their own."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genbench.benchmark import Benchmark
from genbench.claims import now
from genbench.errors import GenbenchError
from genbench.matrix import benchmark_id
from genbench.plugins import Registry
from genbench.reading import sha256_of
from genbench.record import Attempt, ModelId, Record, Score
from genbench.submission.pack import Chosen

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FILES = ("samples.npz", "samples.png", "samples.txt")


def outside_runs(
    registry: Registry, benchmark: Benchmark, samples: Sequence[Path], name: str, reference: str, folder: Path
) -> list[Chosen]:
    """Score files of samples, one a seed, and make a run of the open division of each.

    Args:
        benchmark: of the open division, with its evaluators' files in place.
        samples: what :func:`genbench.engine.samples.load_samples` reads; taken for the benchmark's seeds in order.
        name, reference: of the model, as a table shows them.
        folder: takes the runs' files.

    Raises:
        GenbenchError: if the name is one that can't be taken, or samples are not of the benchmark's form or too few.
    """
    if not NAME.fullmatch(name):
        raise GenbenchError(f"--name {name!r}: must match {NAME.pattern}, as models' names do")
    if name in registry.models:
        raise GenbenchError(f"--name {name}: is the name of an installed model; choose another one")
    if not reference.strip():
        raise GenbenchError("--reference: say where the samples come from: a paper, or an address")
    if len(samples) > len(benchmark.file.seeds):
        raise GenbenchError(
            f"--samples: {len(samples)} files, where {benchmark.name} has {len(benchmark.file.seeds)} seeds; "
            "give one file a seed"
        )
    for path in samples:
        if not path.exists():
            raise GenbenchError(f"{path}: no such file or folder")
    seeds = benchmark.file.seeds[: len(samples)]
    targets = [folder / f"seed-{seed}" for seed in seeds]
    began = now()
    found = _scored(registry, benchmark, samples, targets)
    return [
        Chosen(target, _record(benchmark, name, reference, seed, target, result, found["environment"], began))
        for seed, target, result in zip(seeds, targets, found["runs"], strict=True)
    ]


def _scored(
    registry: Registry, benchmark: Benchmark, samples: Sequence[Path], targets: Sequence[Path]
) -> dict[str, Any]:
    from genbench.executors.task import task
    from genbench.job import JOB
    from genbench.selection import select_model

    for target in targets:
        target.mkdir(parents=True)
    files = [[str(path.resolve()), str(target)] for path, target in zip(samples, targets, strict=True)]
    # A task carries a model; what is scored here does not depend on it.
    with task(registry, benchmark, select_model(registry, "noise"), seed=0) as prepared:
        arguments = {"job": str(prepared.job.folder / JOB), "files": files}
        found: dict[str, Any] = prepared.launcher.call("genbench.engine.rescoring:take_in", arguments, [])
    return found


def _record(
    benchmark: Benchmark,
    name: str,
    reference: str,
    seed: int,
    folder: Path,
    found: dict[str, Any],
    environment: dict[str, Any],
    began: str,
) -> Record:
    ended = now()
    return Record(
        benchmark=dataclasses.replace(benchmark_id(benchmark), dev=False, custom_budget=False),
        model=ModelId(name, {}, "", "", "", reference, None, bool(found["conditional"])),
        seed=seed,
        status="ok",
        reason=None,
        scores={key: Score(**score) for key, score in found["scores"].items()},
        milestones=[],
        budget={},
        spent={},
        cost={},
        environment=environment,
        artifacts={file: sha256_of(folder / file) for file in FILES if (folder / file).is_file()},
        attempts=[Attempt("ok", None, began, ended)],
        started=began,
        finished=ended,
        division="open",
    )
