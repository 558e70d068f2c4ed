"""One-off work that commands ask of the engine; each function takes and returns plain values."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from genbench.engine import data
from genbench.engine.bench import bench_of
from genbench.engine.contract import prepare_torch, require_device
from genbench.engine.evaluate import draw_samples, restore
from genbench.engine.grid import write_grid
from genbench.engine.samples import load_labels, load_samples
from genbench.engine.scoring import look_at, score
from genbench.engine.spelling import write_spelled
from genbench.errors import GenbenchError, StoreError
from genbench.job import read_job
from genbench.specs import DatasetSpec


def materialise(dataset: dict[str, Any], cache: str, device: str = "cpu") -> str:
    """Load a data set, check it against its declaration, and return the folder of its splits in the cache.

    Args:
        dataset: a :class:`~genbench.specs.DatasetSpec` as a dict.
        cache: folder of materialised data sets.
        device: what the runs to come need, so that its want is told once and before any run.

    Raises:
        GenbenchError: if the device is not there.
        DataError: if the data are missing or not what their declaration says.
    """
    require_device(device)
    spec = TypeAdapter(DatasetSpec).validate_python(dataset)
    return str(data.materialise(spec, Path(cache)))


def sample(job: str, state: str, n: int, output: str) -> None:
    """Draw ``n`` samples from a state into a ``.png`` grid, a ``.txt`` or an ``.npz``.

    Raises:
        GenbenchError: if the output's form does not fit the data.
        StoreError: if the output cannot be written.
    """
    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    model, _ = restore(read, Path(state))
    samples, labels = draw_samples(read, model, n)
    target = Path(output)
    try:
        if target.suffix == ".npz":
            arrays = {"samples": samples} if labels is None else {"samples": samples, "labels": labels}
            np.savez_compressed(target, allow_pickle=False, **arrays)
        elif target.suffix == ".txt":
            write_spelled(samples, labels, read.alphabet, read.class_names, target)
        else:
            write_grid(samples, read.data, target)
    except OSError as error:
        raise StoreError(f"{output}: cannot be written: {error.strerror or error}") from None
    except ValueError as error:
        raise GenbenchError(f"{output}: {error}; write an .npz instead") from None


def score_file(job: str, samples: str) -> dict[str, Any]:
    """Score samples made by anything, as a run's samples are scored.

    Returns:
        ``{"scores", "given"}``: the scores, and the number of samples that the file holds.

    Raises:
        GenbenchError: if the samples or their labels are not of the benchmark's form, or too few.
    """
    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    given = load_samples(Path(samples), read.data)
    wanted = read.samples.n
    if len(given) < wanted:
        raise GenbenchError(
            f"{samples}: holds {len(given)} samples; {read.benchmark.name} scores {wanted}, since scores of "
            "another number can't be compared"
        )
    labels = load_labels(Path(samples), len(given), read.data)
    asked = None if labels is None else labels[:wanted]
    scores = score(look_at(given[:wanted], asked, None, bench_of(read)), read.metrics)
    return {"scores": {name: asdict(entry) for name, entry in scores.items()}, "given": len(given)}


def check(job: str, told: str) -> dict[str, Any]:
    """Run the conformance kit on the model of a job.

    Args:
        told: path of a file that is added to as the checks go, in JSON lines, so that what they found is known too
            where the model ends the process: ``{"checks": n}``, how many there are, then ``{"begun": {...}}`` before
            each, with what a :class:`~genbench.engine.checks.Rule` says of it, and ``{"result": {...}}`` after it.

    Returns:
        ``{"checks": n}``.
    """
    from genbench.engine.checks import RULES, run_checks
    from genbench.engine.checks.subject import Subject

    def tell(**words: Any) -> None:
        with open(told, "a", encoding="utf-8") as file:
            file.write(json.dumps(words) + "\n")

    about = {
        rule.name: {"name": rule.name, "group": rule.group, "promise": rule.promise, "read": rule.read}
        for rule in RULES
    }
    tell(checks=len(RULES))
    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    for result in run_checks(Subject(read, lambda name: tell(begun=about[name]))):
        tell(result=asdict(result))
    return {"checks": len(RULES)}


def calibrate(job: str, draws: int, alarms: int) -> dict[str, Any]:
    """Climb the calibration ladder of a job's benchmark; see :func:`genbench.engine.calibration.ladder.climb`."""
    from genbench.engine.calibration import climb

    read = read_job(Path(job))
    prepare_torch(read.budget.threads, read.budget.device)
    return climb(read, draws, alarms)
