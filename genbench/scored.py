"""Samples made by anything, scored as those of a run are: ``genbench score`` and :func:`genbench.score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.columns import columns_of
from genbench.errors import GenbenchError
from genbench.executors.task import task
from genbench.leaderboard import metrics_of
from genbench.report.numbers import ARROWS
from genbench.report.printable import printable, printable_lines
from genbench.selection import select_model

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry


@dataclass(frozen=True)
class ScoredSamples:
    """The scores of samples from outside. They stand outside the table: nobody knows what was spent on them.

    Attributes:
        name: what a person calls the samples.
        benchmark: folder name of what they were scored against, and ``digest``, that of its definition.
        used, given: how many samples were scored, and how many there were.
        scores: metric to score, the fields of :class:`genbench.record.Score`.
        titles: metric to the title of its column.
        better: metric to ``lower``, ``higher``, or ``none`` where no value is better than another.
    """

    name: str
    benchmark: str
    digest: str
    used: int
    given: int
    scores: dict[str, dict[str, Any]]
    titles: dict[str, str]
    better: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Plain values for JSON, as of ``genbench score --json``."""
        where = {"name": self.benchmark, "digest": self.digest}
        return {"name": self.name, "benchmark": where, "scores": self.scores, "given": self.given}

    @property
    def heading(self) -> str:
        """What was scored, against what."""
        return f"{printable(self.name)} on {self.benchmark} (digest {self.digest}): {self.used} of {self.given} samples"

    def remarks(self, metric: str) -> list[str]:
        """What helps to read a score: which way it improves, a flag, and what real data have."""
        score, better = self.scores[metric], self.better[metric]
        remarks = [] if better == "none" else [f"{better} is better"]
        remarks += [f"may be copying: {score['flag']}"] if score["flag"] else []
        real = score["fingerprint"].get("real")
        return [*remarks, f"real data {real:.4g}"] if isinstance(real, int | float) else remarks

    def rows(self) -> list[list[str]]:
        """Title with its arrow, value, and remarks of each score."""
        return [
            [
                f"{self.titles[metric]} {ARROWS[self.better[metric]]}".rstrip(),
                f"{score['value']:.5g}",
                "; ".join(self.remarks(metric)),
            ]
            for metric, score in self.scores.items()
        ]

    def __getitem__(self, metric: str) -> float:
        """The value of a score.

        Raises:
            GenbenchError: if there is no such score, naming the nearest.
        """
        if metric not in self.scores:
            raise GenbenchError.unknown("score", metric, self.scores)
        return float(self.scores[metric]["value"])

    def __repr__(self) -> str:
        return f"<ScoredSamples {self.heading}>"

    def __str__(self) -> str:
        width = max(map(len, self.titles.values()), default=0)
        lines = [self.heading]
        for metric, score in self.scores.items():
            beside = f"  ({'; '.join(remarks)})" if (remarks := self.remarks(metric)) else ""
            lines.append(printable_lines(f"  {self.titles[metric]:{width}}  {score['value']:.5g}{beside}"))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from genbench.report.html import scores_html

        return scores_html(self)


def score_file(registry: Registry, benchmark: Benchmark, samples: Path, name: str) -> ScoredSamples:
    """Score the samples in an ``.npz``, an ``.npy`` or a folder of PNGs against a benchmark's held-out data.

    Raises:
        GenbenchError: if there is no such file, or the samples are not of the benchmark's form, or too few.
    """
    if not samples.exists():
        raise GenbenchError(f"{samples}: no such file or folder")
    # A task carries a model; what is scored here does not depend on it.
    with task(registry, benchmark, select_model(registry, "noise"), seed=0) as prepared:
        found = prepared.call("score_file", samples=str(samples.resolve()))
    scores: dict[str, dict[str, Any]] = found["scores"]
    specs, plugins = metrics_of(benchmark, registry)
    columns = {column.key: column for column in columns_of(benchmark, specs, plugins, scores)}
    return ScoredSamples(
        name,
        benchmark.folder,
        benchmark.digest,
        benchmark.file.samples.n,
        found["given"],
        scores,
        {key: columns[key].title if key in columns else key for key in scores},
        {key: columns[key].better if key in columns else score["direction"] for key, score in scores.items()},
    )
