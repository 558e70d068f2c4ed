"""What all runs of a call share, and the job of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genbench.audit_key import supported_spaces
from genbench.benchmark import Benchmark
from genbench.executors.audits import Audits
from genbench.job import CHECKPOINT_SECONDS, ForeignMetrics, Job
from genbench.matrix import PlannedRun, benchmark_id, sys_path
from genbench.specs import MetricSpec
from genbench.store import Store


@dataclass(frozen=True)
class Context:
    """What all runs of a call share.

    Attributes:
        benchmark, metrics, foreign_metrics: what is run; third parties' metrics apart.
        store: where records go.
        data_folder: the materialised data.
        cache: folder of reference statistics.
        audits: verdicts on likelihoods.
        checkpoint_seconds: time between checkpoints, at least.
        visible_devices: the devices that a run's processes may see, as ``CUDA_VISIBLE_DEVICES``; None for all that the
            harness may see.
        held: descriptors that a run's supervisor inherits, of locks that are to last until nothing of the run is left.
    """

    benchmark: Benchmark
    metrics: list[MetricSpec]
    foreign_metrics: list[ForeignMetrics]
    store: Store
    data_folder: str
    cache: str
    audits: Audits
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    visible_devices: str | None = None
    held: tuple[int, ...] = ()


def make_job(run: PlannedRun, context: Context, folder: Path) -> Job:
    """The job of a planned run, to be done in a folder."""
    benchmark, entry = context.benchmark, run.entry
    return Job(
        work=str(folder.resolve()),
        benchmark=benchmark_id(benchmark),
        model=entry.identity,
        seed=run.key.seed,
        factory=entry.factory,
        config_type=entry.config_type,
        likelihood=entry.spec.likelihood,
        max_epochs=entry.spec.max_epochs,
        audit_spaces=supported_spaces(entry.spec, benchmark.dataset.data),
        sys_path=sys_path(entry.plugin),
        data=benchmark.dataset.data,
        data_sha256=benchmark.dataset.sha256,
        data_folder=context.data_folder,
        budget=benchmark.budget,
        milestones=benchmark.file.milestones,
        samples=benchmark.file.samples,
        likelihood_settings=benchmark.file.likelihood,
        evaluator=benchmark.evaluator,
        second_evaluator=benchmark.second_evaluator,
        metrics=context.metrics,
        foreign_metrics=context.foreign_metrics,
        cache=context.cache,
        checkpoint_seconds=context.checkpoint_seconds,
        alphabet=benchmark.dataset.alphabet,
        class_names=benchmark.dataset.class_names,
        visible_devices=context.visible_devices,
    )
