"""A small site of synthetic results, with one of everything that a page shows, for tests of the pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import factories

from genbench.benchmark import Benchmark
from genbench.leaderboard import Leaderboard, build
from genbench.record import Attempt, Record
from genbench.report import site
from genbench.store import RunKey, Store
from genbench.verification import Finding, Verification, sha256, write_verification

HOSTILE = "<script>alert(1)</script> <b>x</b> | a_b & 50% \x1b[31m"
ANCHORS = ("train-copy",)
CURVE = "step,images,flops,seconds,loss,score:fid\n1,32,1,0.1,{},\n2,64,2,0.2,0.5,3.0\n3,96,3,0.3,inf,\n"
SECOND = {"name": "second", "title": "A second one"}


def commit(store: Store, of: Record, files: dict[str, bytes], folder: str | None = None) -> Path:
    """Put a record into a results folder with files beside it."""
    with store.claim(RunKey(folder or of.benchmark.name, of.model.name, of.seed), "identity") as claim:
        assert claim is not None
        for name, content in files.items():
            (claim.folder / name).write_bytes(content)
        of = replace(of, artifacts=claim.artifacts(list(files)))
        return store.commit(claim, of, list(files))


def results(root: Path) -> Store:
    """Two benchmarks; of the first ``toy`` with samples, curves and verifications, two that failed, and an anchor."""
    store = Store(root)
    of, second = factories.benchmark(), factories.benchmark(**SECOND)
    for seed in of.file.seeds:
        picture = factories.png(shade=seed)
        toy = factories.record("toy", seed, of)
        toy = replace(toy, model=replace(toy.model, reference="Person, 2020, arXiv:2001.00001"))
        attempts = [Attempt("lost", "the machine went away", "x", "y", "1" * 16), *toy.attempts]
        toy = replace(toy, attempts=attempts, warnings=["slow"] if seed == 1 else [])
        folder = commit(store, toy, {"samples.png": picture, "curve.csv": CURVE.format(seed).encode()})
        verify(folder, level=2 if seed else 1)
        commit(store, factories.record("train-copy", seed, of, fid=0.5, bits=None), {"samples.png": picture})
        half = factories.record("half[width=8]", seed, of, fid=9.0, kind="iwae")
        if seed > 2:
            half = factories.record("half[width=8]", seed, of, status="diverged", reason="loss is NaN")
        commit(store, half, {})
        commit(store, factories.record("<b>x</b>", seed, of, status="failed", reason=HOSTILE), {})
        commit(store, factories.record("index.html", seed, of, fid=3.0 + 0.1 * seed, bits=None), {})
        commit(store, factories.record("toy", seed, second), {})
    return store


def verify(folder: Path, level: int) -> None:
    """Say that a run was verified."""
    found = Finding(level, "warning", "near copies", "samples.npz", "none", "3 samples", "Look at them.")
    digest = sha256((folder / "record.json").read_bytes())
    write_verification(folder, Verification(level, digest, "0.1.0", "2026-01-02T00:00:00Z", {"cpu": "A CPU"}, [found]))


def board_of(store: Store, of: Benchmark | None = None) -> Leaderboard:
    """The leaderboard of a benchmark in a results folder."""
    of = of or factories.benchmark()
    return build(of, factories.METRICS, store.load(of.folder), anchors=ANCHORS)


def publish(store: Store, target: Path, *benchmarks: Benchmark) -> list[str]:
    """Write the site of some benchmarks, by default of both; returns what could not be shown."""
    chosen = benchmarks or (factories.benchmark(), factories.benchmark(**SECOND))
    entries = [site.Entry(board_of(store, of), store.load(of.folder).verifications) for of in chosen]
    return site.write(entries, store, target)
