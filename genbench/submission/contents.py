"""Level 0, the files: are the arrays, the picture and the curve what the benchmark and the record say of them?

Read with NumPy alone, under caps; nothing is computed from them yet.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.benchmark import Benchmark
from genbench.errors import GenbenchError, clean
from genbench.foreign_files import read_regular
from genbench.record import Record
from genbench.submission.bundle import MAX_BYTES
from genbench.verification import Finding

if TYPE_CHECKING:
    import numpy as np

    from genbench.specs import MetricSpec

SHOWN = 64
"""Samples in the picture: the first ones."""
SCORE_COLUMN = "score:"
MAX_CURVE_CELLS = 4_000_000
AS_SUBMITTED = "Submit the files as genbench wrote them."


@dataclass(frozen=True)
class Sampled:
    """The samples of a run: uint8 ``[n, *shape]``, and int64 ``[n]`` labels of a conditional model."""

    samples: np.ndarray
    labels: np.ndarray | None


def read_samples(folder: Path, benchmark: Benchmark) -> Sampled:
    """The samples in a run's folder.

    Raises:
        GenbenchError: if they are missing, or not of the benchmark's form.
    """
    from genbench.engine.samples import load_labels, load_samples

    path, data = folder / "samples.npz", benchmark.dataset.data
    if path.is_symlink():
        raise GenbenchError(f"{path}: is a link")
    samples = load_samples(path, data)
    return Sampled(samples, load_labels(path, len(samples), data))


def sample_findings(benchmark: Benchmark, record: Record, found: Sampled) -> Iterator[Finding]:
    """What of the samples is not as the benchmark asks."""
    yield from _named(record, "samples.npz")
    wanted = benchmark.file.samples.n
    if len(found.samples) != wanted:
        yield _failure("samples", "samples.npz", f"{wanted} samples", f"{len(found.samples)}", AS_SUBMITTED)
    if (found.labels is not None) != record.model.conditional:
        promised = "labels of a conditional model, and of no other"
        told = "labels" if found.labels is not None else "none"
        yield _failure("labels", "samples.npz", promised, told, AS_SUBMITTED)


def _named(record: Record, name: str) -> Iterator[Finding]:
    """Whether the record names a file that scores are computed from, so that its hash was looked at."""
    if name not in record.artifacts:
        promised, found = "a file that the record names with its hash", "one that it does not"
        yield _failure("artifact", name, promised, found, AS_SUBMITTED)


def nats_findings(
    benchmark: Benchmark, record: Record, folder: Path, metrics: dict[str, MetricSpec]
) -> Iterator[Finding]:
    """What of the likelihoods is not as the benchmark asks; also where there are none, or more than there should be."""
    from genbench.engine.nats import load_nats

    scored = [score for name, score in record.scores.items() if _group(name, metrics) == "likelihood"]
    path = folder / "nats.npz"
    if not path.is_file():
        if scored:
            promised = "the nats that its likelihood was computed from"
            yield _failure("missing file", "nats.npz", promised, "no file", "Submit nats.npz too.")
        return
    yield from _named(record, "nats.npz")
    if path.is_symlink():
        yield _failure("no regular file", "nats.npz", "a regular file", "a link", AS_SUBMITTED)
        return
    if record.model.likelihood is None:
        told = "a model without a likelihood"
        yield _failure("nats", "nats.npz", f"no file, of {told}", "a file", AS_SUBMITTED)
        return
    try:
        nats = load_nats(path)
    except GenbenchError as error:
        yield _failure("nats", "nats.npz", "float64 nats of held-out examples", clean(str(error)), AS_SUBMITTED)
        return
    table = benchmark.file.likelihood
    kinds = {"exact": "exact", "importance": "iwae", "bound": "bound", "estimate": "estimate"}
    wanted: dict[str, str | int] = {
        "kind": kinds.get(record.model.likelihood, "none"),
        "dims": benchmark.dataset.data.dims,
        "examples": min(table.examples, benchmark.dataset.test),
        "draws": 1 if nats.kind == "exact" else table.draws,
    }
    actual = {"kind": nats.kind, "dims": nats.dims, "examples": len(nats.nats), "draws": nats.draws}
    for key, value in wanted.items():
        if actual[key] != value and not (benchmark.dev and key == "examples"):
            yield _failure("nats", f"nats.npz, {key}", str(value), str(actual[key]), AS_SUBMITTED)
    if nats.kind == "exact" and float(nats.nats.max(initial=-1.0)) > 0:
        found = f"{float(nats.nats.max()):g}"
        yield _failure("bounds", "nats.npz", "log-probabilities of discrete data, 0 at most", found, AS_SUBMITTED)


def picture_findings(benchmark: Benchmark, folder: Path, found: Sampled) -> Iterator[Finding]:
    """Whether the picture, or the text, shows the first samples and nothing else."""
    data = benchmark.dataset.data
    for name in ("samples.png", "samples.txt"):
        path = folder / name
        if not path.is_file():
            continue
        with tempfile.TemporaryDirectory(prefix="genbench-") as scratch:
            drawn = Path(scratch, name)
            try:
                _draw(found, benchmark, drawn)
                same = _shown(path) == _shown(drawn)
            except (OSError, ValueError) as error:
                yield _failure("picture", name, "the first samples", clean(f"unreadable: {error}"), AS_SUBMITTED)
                continue
        if not same:
            promised = f"the first {min(SHOWN, len(found.samples))} of samples.npz, of shape {data.shape}"
            yield _failure("picture", name, promised, "other ones", AS_SUBMITTED)


def curve_findings(record: Record, folder: Path, own: set[str]) -> Iterator[Finding]:
    """Whether the scores in ``curve.csv`` are those of the record, at its end and at milestones."""
    path = folder / "curve.csv"
    if not path.is_file():
        return
    try:
        rows = _scored_rows(read_regular(path, MAX_BYTES["curve.csv"], follow=False))
    except (OSError, ValueError, csv.Error) as error:
        yield _failure("curve", "curve.csv", "a table in CSV", clean(f"unreadable: {error}"), AS_SUBMITTED)
        return
    ends = {(milestone.step, milestone.images): milestone.scores for milestone in record.milestones}
    ends[record.spent.get("steps", 0), record.spent.get("images", 0)] = record.scores
    for step, scores in rows.items():
        if step not in ends:
            if record.milestones:
                promised = "scores at milestones and at the end alone"
                yield _failure("curve", f"curve.csv, step {step[0]}", promised, "scores", AS_SUBMITTED)
            continue  # of a record without milestones: acceptance took them out, since nobody could check them
        for name, value in scores.items():
            recorded = ends[step].get(name)
            if name.partition("@")[0] in own and recorded is not None and recorded.value != value:
                place = f"curve.csv, step {step[0]}, {name}"
                yield _failure("curve", place, f"{recorded.value!r} of the record", f"{value!r}", AS_SUBMITTED)


def _scored_rows(content: bytes) -> dict[tuple[int, int], dict[str, float]]:
    """The rows with scores: (step, images) to score to value."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
    names = reader.fieldnames or []
    rows, cells = {}, 0
    for row in reader:
        cells += len(names)
        if cells > MAX_CURVE_CELLS or None in row:
            raise ValueError("too many cells, or a row with more than its columns")
        scores = {
            name.removeprefix(SCORE_COLUMN): float(row[name])
            for name in names
            if name.startswith(SCORE_COLUMN) and row[name]
        }
        if scores:
            rows[int(row["step"]), int(row["images"])] = scores
    return rows


def _draw(found: Sampled, benchmark: Benchmark, target: Path) -> None:
    if target.suffix == ".png":
        from genbench.engine.grid import write_grid

        write_grid(found.samples[:SHOWN], benchmark.dataset.data, target)
        return
    from genbench.engine.spelling import write_spelled

    labels = None if found.labels is None else found.labels[:SHOWN]
    dataset = benchmark.dataset
    write_spelled(found.samples[:SHOWN], labels, dataset.alphabet, dataset.class_names, target)


def _shown(path: Path) -> tuple[object, bytes]:
    """What a person sees: form and pixels of a picture, whatever packed them; the bytes of a text."""
    content = read_regular(path, MAX_BYTES[path.name], follow=False)
    if path.suffix != ".png":
        return None, content
    from PIL import Image

    from genbench.png import essential

    png = essential(content, most_pixels=1 << 24)
    with Image.open(io.BytesIO(png.content), formats=["PNG"]) as image:
        return (image.mode, image.size), image.tobytes()


def _group(name: str, metrics: dict[str, MetricSpec]) -> str | None:
    spec = metrics.get(name.partition("@")[0])
    return spec.group if spec is not None else None


def _failure(check: str, place: str, promised: str, found: str, advice: str) -> Finding:
    return Finding(0, "failure", check, place, promised, found, advice)
