"""The harness's side of third parties' metrics: the folder they work in, and what of their answers a record takes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.claims import of_attempt
from genbench.disk import Disk
from genbench.errors import RecordError, clean
from genbench.job import MEASURED, SEEN, ForeignMetrics, Job
from genbench.reading import is_there, read_file
from genbench.record import Score
from genbench.results import UNTRUSTED
from genbench.specs import MetricSpec
from genbench.strict_json import strict_json

if TYPE_CHECKING:
    from genbench.executors.protocol import StageEnd

GIVEN = ("samples.npz", "nats.npz", SEEN)
"""Files of a run that metrics may need; they get copies."""

MAX_BYTES = 1 << 20
"""Of what one third party's metrics may answer."""
MAX_SCORE_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a third party's metrics gave, by the scores' names, and why some gave nothing."""

    scores: dict[str, Score]
    withheld: dict[str, str]


def job_for(job: Job, part: int) -> Job:
    """The job of one third party's metrics: in a folder of its own, with copies of what was sampled and seen.

    What is no regular file there is not given: the model's code may have put it in their place.

    Raises:
        StoreError: if the disk refuses; FencedOff if the run's folder is gone.
    """
    folder, disk = job.folder / f"measure-{part}", Disk()
    measuring = replace(job, work=str(folder), sys_path=job.foreign_metrics[part].sys_path)
    with of_attempt(job.folder):
        disk.remove_tree(folder)  # of an interrupted attempt
        disk.calls.make_folder(folder)
        for name in GIVEN:
            if is_there(job.folder / name):
                _give(disk, job.folder / name, folder / name)
        measuring.write()
    return measuring


def _give(disk: Disk, source: Path, target: Path) -> None:
    try:
        disk.adopt(source, target, copy=True)
    except OSError as error:
        if error.errno not in UNTRUSTED:
            raise


def answer_of(measuring: Job, part: int, ended: StageEnd) -> Answer:
    """What a third party's metrics left in their folder, held to what they declared.

    Names, direction, unit and signature are the harness's: nobody can put a score under another metric's name.
    """
    foreign = measuring.foreign_metrics[part]
    found = _read(measuring.folder / MEASURED)
    scores: dict[str, Score] = {}
    withheld: dict[str, str] = {}
    for spec in foreign.metrics:
        reason = _why_not(spec, found, ended)
        if reason is None:
            try:
                scores |= _scores_of(spec, foreign, found["scores"], measuring)
            except (ValueError, RecursionError, RecordError) as error:
                reason = f"what it gave is no score: {error}"
        if reason is not None:
            withheld[spec.name] = clean(f"{foreign.plugin}: {reason}")
    return Answer(scores, withheld)


def _read(path: Path) -> dict[str, Any]:
    """What was measured so far: ``scores``, ``failed``, ``done`` and ``running``."""
    nothing: dict[str, Any] = {"scores": {}, "failed": {}, "done": [], "running": None}
    try:
        found = json.loads(read_file(path, MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return nothing
    good = isinstance(found, dict) and {key: type(value) for key, value in found.items() if key != "running"} == {
        "scores": dict,
        "failed": dict,
        "done": list,
    }
    return found if good else nothing


def _why_not(spec: MetricSpec, found: dict[str, Any], ended: StageEnd) -> str | None:
    """Why a metric gave nothing, or None where it came to its end."""
    if spec.name in found["failed"]:
        return str(found["failed"][spec.name])
    if spec.name in found["done"]:
        return None
    reason = ended.reason or "the process ended before it"
    running = found["running"]
    return reason if running in (None, spec.name) else f"not measured, since {running} ended the process: {reason}"


def _scores_of(spec: MetricSpec, foreign: ForeignMetrics, given: dict[str, Any], measuring: Job) -> dict[str, Score]:
    """A metric's scores, one for each evaluator.

    Raises:
        ValueError: for anything that no record could hold.
    """
    from pydantic import TypeAdapter

    names = [spec.name]
    if spec.both_evaluators and measuring.second_evaluator is not None:
        names.append(f"{spec.name}@{measuring.second_evaluator.name}")
    scores = {}
    for name in names:
        if name not in given:
            continue
        text = json.dumps(given[name], allow_nan=False)
        if len(text) > MAX_SCORE_BYTES:
            raise ValueError(f"{len(text)} bytes, where a score has {MAX_SCORE_BYTES} at most")
        strict_json(f"[[{text}]]")  # as deep as it will stand in the record
        score = TypeAdapter(Score).validate_json(text)
        if score.n < 1:
            raise ValueError(f"n is {score.n}")
        signed = {**score.fingerprint, "plugin": foreign.plugin, "version": foreign.version}
        scores[name] = replace(score, direction=spec.direction, unit=spec.unit, fingerprint=signed)
        json.dumps(asdict(scores[name])).encode()  # lone surrogates
    return scores
