"""A job: everything that a run's processes need to know, as one JSON file in its working folder."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genbench.benchmark import LikelihoodTable, SamplesTable
from genbench.disk import Disk
from genbench.executors.mark import MAX_BYTES as MAX_MARK_BYTES
from genbench.reading import hash_inside, read_file
from genbench.record import BenchmarkId, ModelId
from genbench.specs import Budget, DataSpec, EvaluatorSpec, LikelihoodKind, MetricSpec
from genbench.versions import versions

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Stage = Literal["audit", "train", "evaluate", "score", "measure"]
STAGES: tuple[Stage, ...] = ("train", "evaluate", "score")
"""What a run is made of. ``audit`` comes before them, once for all runs of a model, and ``measure`` after them, for
each third party that brought metrics; neither can fail a run."""

CHECKPOINT_SECONDS = 10.0
JOB = "job.json"
RESUMED_AT = "resumed-at"
"""The step from which training went on, if it did."""
SCRATCH = "scratch"
"""The folder in which a stage's process starts: what a plugin writes beside itself goes with it."""
LOG = "log.txt"
"""What a run's processes printed."""
SEEN = "seen.npz"
"""Features and logits of the last state's samples, for third parties' metrics."""
TRAINING_CURVE = "training.csv"
"""The curve as training left it; ``curve.csv`` has the scores too once there are any."""
MEASURED = "measured.json"
"""What third parties' metrics have given so far."""


@dataclass(frozen=True)
class ForeignMetrics:
    """Metrics that a third party brought, and where their code is; they run in a process of their own."""

    plugin: str
    version: str
    sys_path: list[str]
    metrics: list[MetricSpec]


@dataclass(frozen=True)
class Job:
    """One run, resolved.

    Attributes:
        work: the run's working folder, which holds this file.
        benchmark, model, seed: its identity.
        factory, config_type: import strings ``"package.module:Name"`` of the model's class and config.
        likelihood, max_epochs: of the model's spec.
        audit_spaces: spaces so small that the audit can sum the likelihood over them, which the model supports.
        sys_path: folders to put on ``sys.path`` before either is imported.
        data, data_folder: the data's spec and the folder of its materialised splits.
        train_examples: number of training examples that the run sees.
        evaluator, second_evaluator, metrics: what scores it.
        foreign_metrics: what third parties measure, a plugin each.
        cache: folder for reference statistics.
        alphabet, class_names: of the data set, for samples that a person can read.
        checkpoint_seconds: time between checkpoints, at least; longer where writing them would cost more than 1 %. With
            0 there is one after every step.
        visible_devices: the devices that its processes may see, as ``CUDA_VISIBLE_DEVICES``; None for all that the
            harness may see.
    """

    work: str
    benchmark: BenchmarkId
    model: ModelId
    seed: int
    factory: str
    config_type: str
    likelihood: LikelihoodKind | None
    max_epochs: int | None
    audit_spaces: list[DataSpec]
    sys_path: list[str]
    data: DataSpec
    data_sha256: str
    data_folder: str
    budget: Budget
    milestones: list[float]
    samples: SamplesTable
    likelihood_settings: LikelihoodTable
    evaluator: EvaluatorSpec
    second_evaluator: EvaluatorSpec | None
    metrics: list[MetricSpec]
    foreign_metrics: list[ForeignMetrics]
    cache: str
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    alphabet: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    visible_devices: str | None = None

    @property
    def folder(self) -> Path:
        return Path(self.work)

    @property
    def dev(self) -> bool:
        return self.benchmark.dev

    @property
    def conditional(self) -> bool:
        return self.model.conditional

    def write(self) -> Path:
        """Write the file into the working folder and return its path."""
        path = self.folder / JOB
        Disk().write_whole(path, json.dumps(asdict(self), indent=1).encode())
        return path


def read_job(path: Path) -> Job:
    return job_adapter().validate_json(path.read_bytes())


@functools.cache
def job_adapter() -> TypeAdapter[Job]:
    """The parser of job files. Making it takes a tenth of a second, so the fork server does it for all workers."""
    from pydantic import TypeAdapter

    return TypeAdapter(Job)


def write_json(path: Path, document: Any) -> None:
    """Write JSON without NaN, durably and whole: a reader sees all of it or none, after a crash of the machine too."""
    Disk().write_whole(path, json.dumps(document, allow_nan=False).encode())


def outcome_file(work: Path, stage: str, part: int | None = None) -> Path:
    """Where a stage leaves its completion mark: its status, reason and results. ``measure`` has several parts."""
    return work / (f"outcome-{stage}.json" if part is None else f"outcome-{stage}-{part}.json")


def finished(work: Path, stage: str, part: int | None = None) -> bool:
    """Whether a stage has ended ``ok``, with the versions of now, and left all its files as they still are.

    Its mark is written last, after its files have reached the disk, and names them with their hashes.
    """
    try:
        mark = _mark(work, stage, part)
        if mark["status"] != "ok" or mark["versions"] != versions() or not isinstance(mark["result"], dict):
            return False
        # Plain names only: a mark that was tampered with must not lead out of its folder.
        return all(
            Path(name).name == name and hash_inside(work / name, work) == of for name, of in mark["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # no mark, or none that a stage wrote


def result_of(work: Path, stage: str, part: int | None = None) -> dict[str, Any]:
    """What a stage that has ended ``ok`` returned; ask :func:`finished` first where an earlier attempt did it.

    Raises:
        OSError: if it left no completion mark that can be read.
        ValueError: if that is none of a stage that ended well.
    """
    mark = _mark(work, stage, part)
    result = mark.get("result") if isinstance(mark, dict) and mark.get("status") == "ok" else None
    if not isinstance(result, dict):
        raise ValueError(f"{outcome_file(work, stage, part)} is no completion mark of a stage that ended well")
    return result


def _mark(work: Path, stage: str, part: int | None) -> Any:
    return json.loads(read_file(outcome_file(work, stage, part), MAX_MARK_BYTES))
