"""Synthetic benchmarks, records and results folders, for tests that need no training."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pluggy

from genbench import hookimpl, hookspecs
from genbench.benchmark import Benchmark, validate
from genbench.plugins import Plugin, Registry
from genbench.record import Attempt, Audit, AuditFinding, BenchmarkId, Milestone, ModelId, Record, Score
from genbench.specs import DatasetSpec, DataSpec, EvaluatorSpec, MetricSpec, ModelSpec
from genbench.store import RunKey, Store

DATA = DataSpec(shape=(1, 8, 8), levels=17, classes=10)
DATASET = DatasetSpec(
    name="tiny",
    data=DATA,
    loader="nowhere:load",
    sha256="d" * 64,
    train=1197,
    test=600,
    summary="Small pictures",
    licence="CC0",
    citation="A. Person, Pictures, 2020",
    url="https://example.org/tiny",
)
EVALUATOR = EvaluatorSpec(
    name="tiny-cnn-v1",
    factory="nowhere:Evaluator",
    weights="/nowhere.safetensors",
    sha256="e" * 64,
    features="32",
    logits="logits",
    dims=32,
    shape=(1, 8, 8),
    levels=17,
    summary="A small CNN",
)
SECOND = replace(EVALUATOR, name="tiny-random-v1", sha256="f" * 64, summary="A never-trained network")
METRICS = (
    MetricSpec("fid", "FID", "nowhere:fid", "lower", log_scale=True, both_evaluators=True, summary="Frechet distance"),
    MetricSpec("kid", "KID", "nowhere:kid", "lower", summary="Kernel distance"),
    MetricSpec("is", "IS", "nowhere:isc", "higher", summary="Inception score"),
    MetricSpec("precision", "Precision", "nowhere:precision", "higher", summary="Fidelity"),
    MetricSpec("recall", "Recall", "nowhere:recall", "higher", summary="Diversity"),
    MetricSpec("bits_per_dim", "bits/dim", "nowhere:bits", "lower", "likelihood", unit="bits/dim", summary="NLL"),
)
DEFINITION: dict[str, Any] = {
    "name": "tiny",
    "title": "Tiny pictures",
    "description": "Small pictures under a small budget.",
    "dataset": "tiny",
    "seeds": [0, 1, 2, 3, 4],
    "evaluator": "tiny-cnn-v1",
    "metrics": ["fid", "kid", "is", "precision", "recall", "bits_per_dim"],
    "budget": {"images": 1000, "flops": 1e12, "seconds": 60.0, "memory_mib": 1024, "parameters": 1000000},
    "samples": {"n": 600, "milestone_n": 300, "chunk": 100},
    "likelihood": {"examples": 600, "milestone_examples": 100, "draws": 16, "milestone_draws": 4, "chunk": 50},
}


@dataclass(frozen=True)
class Config:
    batch_size: int = 32
    width: int = 64
    lr: float = 2e-4
    ema: bool = False
    loss: str = "hinge"


MODEL = ModelSpec("toy", "nowhere:Toy", Config, "A toy", reference="Person, 2020", likelihood="exact")


def benchmark(**changes: Any) -> Benchmark:
    """The synthetic benchmark, with changes to its definition; dotted keys reach into tables."""
    raw: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in DEFINITION.items()}
    for key, value in changes.items():
        table, _, leaf = key.partition("__")
        if leaf:
            raw[table][leaf] = value
        else:
            raw[key] = value
    return Benchmark(validate(raw, "test.toml"), DATASET, EVALUATOR, SECOND if "second_evaluator" in changes else None)


def toml(raw: dict[str, Any]) -> str:
    """``raw`` as TOML: plain values first, then tables."""

    def value(of: Any) -> str:
        if isinstance(of, bool):
            return str(of).lower()
        return f'"{of}"' if isinstance(of, str) else str(of)

    plain = [f"{key} = {value(of)}" for key, of in raw.items() if not isinstance(of, dict)]
    tables = [
        "\n".join([f"[{key}]", *(f"{inner} = {value(of)}" for inner, of in table.items())])
        for key, table in raw.items()
        if isinstance(table, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


FINGERPRINT = {"evaluator": f"tiny-cnn-v1@{'e' * 16}", "data": "d" * 16, "split": "test"}
AUDIT = Audit(1, "a" * 64, "passed", None, 0.05, [AuditFinding("entropy", "passed", -3.2, 4.0, "within the limit")])


def score(value: float, direction: Any = "lower", **changes: Any) -> Score:
    return replace(Score(value, 600, direction, fingerprint=FINGERPRINT), **changes)


def failed_audit(reason: str = "it claims more than the entropy allows") -> Audit:
    return replace(AUDIT, verdict="failed", reason=reason)


def record(model: str = "toy", seed: int = 0, of: Benchmark | None = None, **changes: Any) -> Record:
    """A record that is ok, or whatever ``changes`` make of it; ``fid=``, ``bits=`` and ``kind=`` set scores.

    ``more=`` adds scores.
    """
    of = of or benchmark()
    fingerprint = {**FINGERPRINT, "split": "validation" if of.dev else "test"}
    scores = {
        "fid": score(changes.pop("fid", 2.0 + 0.1 * seed), fingerprint=fingerprint),
        "kid": score(0.0123 + 0.0004 * seed, fingerprint=fingerprint),
        "is": score(
            changes.pop("inception", 8.0 + 0.05 * seed),
            "higher",
            fingerprint={**fingerprint, "real": 9.25},
        ),
        "precision": score(0.936 - 0.002 * seed, "higher", fingerprint=fingerprint),
        "recall": score(0.871 + 0.003 * seed, "higher", fingerprint=fingerprint),
    }
    bits, kind = changes.pop("bits", 2.0 + 0.01 * seed), changes.pop("kind", "exact")
    if bits is not None:
        scores["bits_per_dim"] = score(
            bits, kind=kind, unit="bits/dim", stderr=0.01, fingerprint={"data": "d" * 16, "split": fingerprint["split"]}
        )
    scores |= changes.pop("more", {})
    status = changes.get("status", "ok")
    plain = Record(
        benchmark=BenchmarkId(of.name, of.digest, of.dev, of.custom_budget),
        model=ModelId(
            name=model,
            config={"batch_size": 32, "width": 64},
            plugin=changes.pop("plugin", "toys"),
            version="1.0",
            code_sha256="c" * 64,
            reference="Person, 2020",
            likelihood="exact",
        ),
        seed=seed,
        status="ok",
        reason=None,
        scores=scores,
        milestones=[Milestone(0.5, 16, 512, 5e11, 1.5, {"fid": score(4.0)})],
        budget={"images": 1000, "flops": 1e12, "seconds": 60.0, "memory": 1 << 30},
        spent={"images": 992, "steps": 31, "flops": 9.5e11, "seconds": 3.25, "memory": 300 << 20, "ended_by": "images"},
        cost={
            "parameters": 123456,
            "train_seconds": 3.25,
            "samples_per_second": 5400.0,
            "sample_seconds": 0.11,
            "peak_memory": 300 << 20,
            "stage_seconds": {"train": 5.0, "evaluate": 2.0, "score": 1.5},
        },
        environment={
            "genbench": "0.1.0",
            "python": "3.12.1",
            "torch": "2.13.0",
            "platform": "Linux x86_64",
            "cpu": "A CPU",
            "threads": 1,
            "device": "cpu",
        },
        artifacts={},
        attempts=[
            Attempt(
                status, "it broke" if status != "ok" else None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z", "0" * 16
            )
        ],
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:09Z",
        audit=None if bits is None else AUDIT,
    )
    if status != "ok":
        changes = {"scores": {}, "milestones": [], "reason": "it broke", "cost": {}, "audit": None, **changes}
    return replace(plain, **changes)


def png(width: int = 2, height: int = 2, shade: int = 128) -> bytes:
    """A grey PNG."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes([shade]) * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def commit(store: Store, of: Record, folder: str | None = None, samples: bytes | None = None) -> Path:
    """Put a record into a results folder the way a run does; ``samples`` become its ``samples.png``."""
    with store.claim(RunKey(folder or of.benchmark.name, of.model.name, of.seed), "identity") as claim:
        assert claim is not None
        if samples is not None:
            (claim.folder / "samples.png").write_bytes(samples)
            of = replace(of, artifacts={**of.artifacts, **claim.artifacts(["samples.png"])})
        return store.commit(claim, of, list(of.artifacts))


class ToyPlugin:
    """A plugin that brings all that the synthetic benchmark names."""

    def __init__(self, benchmark_file: Path | None = None) -> None:
        self.benchmark_file = benchmark_file

    @hookimpl
    def register_models(self) -> list[ModelSpec]:
        return [MODEL]

    @hookimpl
    def register_datasets(self) -> list[DatasetSpec]:
        return [DATASET]

    @hookimpl
    def register_evaluators(self) -> list[EvaluatorSpec]:
        return [EVALUATOR]

    @hookimpl
    def register_metrics(self) -> list[MetricSpec]:
        return list(METRICS)

    @hookimpl
    def register_benchmarks(self) -> list[Path]:
        return [self.benchmark_file] if self.benchmark_file else []


def two_models(folder: Path) -> Path:
    """A folder with the benchmark ``tiny.toml``, and ``results`` of two models of five seeds each."""
    (folder / "tiny.toml").write_text(toml(DEFINITION))
    store = Store(folder / "results")
    for seed in range(5):
        commit(store, record("toy", seed))
        commit(store, record("toy[width=3]", seed, fid=1.0 + 0.01 * seed))
    return folder


def registry(benchmark_file: Path | None = None) -> Registry:
    """A registry with :class:`ToyPlugin` and nothing else."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    found = Registry(manager)
    found.add(Plugin("toys", "toys", "1.0", "toys"), lambda: ToyPlugin(benchmark_file))
    assert not found.broken, found.broken
    return found
