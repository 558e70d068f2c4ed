"""Comparisons of what stands in results folders: ``genbench compare`` and :func:`genbench.compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.columns import columns_of
from genbench.comparison import Comparison, Side, compare_all, side_of
from genbench.errors import GenbenchError, NothingSelected
from genbench.leaderboard import anchors_of, metrics_of
from genbench.regression import Verdict, judged
from genbench.report import comparison_text as text
from genbench.report.comparison_words import Folders
from genbench.report.legend import shortened
from genbench.selection import model_string, parse_model
from genbench.single_file import name_of
from genbench.store import Store
from genbench.superseded import of_version, split_version

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry


@dataclass(frozen=True)
class ComparisonReport:
    """What was compared and what came of it.

    Attributes:
        comparisons: one; or, of two results folders, one a model, with one correction over all tests.
        folders: the two results folders, where it is they that were compared.
        verdict: what the gate against regressions says, if it was asked.
    """

    comparisons: tuple[Comparison, ...]
    folders: Folders | None = None
    verdict: Verdict | None = None

    def document(self) -> dict[str, Any]:
        """Plain values for JSON, as of ``genbench compare --json``."""
        if self.folders:
            return text.document_of_all(self.comparisons, self.folders, self.verdict)
        return text.document(self.comparisons[0], self.verdict)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown, as of ``genbench compare --format md``."""
        if self.folders:
            return text.markdown_of_all(self.comparisons, self.folders, self.verdict)
        return text.markdown(self.comparisons[0], self.verdict)

    def __repr__(self) -> str:
        names = ", ".join(f"{of.a.name} and {of.b.name}" for of in self.comparisons)
        return f"<ComparisonReport of {shortened(names)} on {self.comparisons[0].benchmark.folder}>"

    def __str__(self) -> str:
        from genbench.report.comparison import print_report
        from genbench.report.console import printed

        return printed(lambda console: print_report(self, console))

    def _repr_html_(self) -> str:
        from genbench.report.html import comparison_html

        return comparison_html(self)


def carry_out(
    registry: Registry,
    benchmark: Benchmark,
    a: str,
    b: str,
    results: Path,
    results_b: Path | None = None,
    metrics: Sequence[str] = (),
    fail_on_regression: bool = False,
) -> ComparisonReport:
    """Compare two models, two versions of one, or two results folders.

    Args:
        a, b: models as in the table or in Python files, ``MODEL@VERSION``, or folders of results.
        results: the folder of the results of A, and of B where ``results_b`` is None.
        metrics: keys of the scores to compare; all if none is named.
        fail_on_regression: whether the gate is asked.

    Raises:
        GenbenchError: for a model, version or score that is not known, or A and B that are the same.
        NothingSelected: if no score can be compared, with the reasons.
    """
    specs, plugins = metrics_of(benchmark, registry)
    known = [column.key for column in columns_of(benchmark, specs, plugins, ())]
    for metric in metrics:
        if metric not in known:
            raise GenbenchError.unknown(f"score of {benchmark.name}", metric, known)
    anchors = anchors_of(registry)
    stores = _stores(a, b, benchmark, results_b)
    folders = None
    if stores:
        pairs, folders = _pairs(*stores, benchmark, anchors, fail_on_regression)
    else:
        if a == b and results_b is None:
            raise GenbenchError(
                f"A and B are both {a!r}; name two models, two versions ({a}@VERSION), or a second folder with "
                "--results-b"
            )
        a, b = name_of(registry, a), name_of(registry, b)
        left = _side(Store(results), benchmark, a, results_b is not None, anchors)
        right = _side(Store(results_b or results), benchmark, b, results_b is not None, anchors, fail_on_regression)
        pairs = [(left, right)]
    comparisons = compare_all(benchmark, specs, pairs, plugins, metrics)
    verdict = judged(comparisons) if fail_on_regression else None
    if not any(of.metrics for of in comparisons) and not (verdict and verdict.regressions):
        _refuse(comparisons)
    return ComparisonReport(tuple(comparisons), folders, verdict)


def _stores(a: str, b: str, benchmark: Benchmark, results_b: Path | None) -> tuple[Store, Store] | None:
    """Both results folders, where A and B name folders and no models."""
    named = [Path(of).is_dir() and ("/" in of or Path(of, benchmark.folder).is_dir()) for of in (a, b)]
    if not any(named):
        return None
    if not all(named):
        folder, other = (a, b) if named[0] else (b, a)
        raise GenbenchError(f"{folder} is a folder, and {other} is none; name two models, or two results folders")
    if results_b is not None:
        raise GenbenchError("A and B are results folders, so that there is nothing for --results-b to say")
    return Store(Path(a)), Store(Path(b))


def _pairs(
    a: Store, b: Store, benchmark: Benchmark, anchors: Sequence[str], also_lacking: bool
) -> tuple[list[tuple[Side, Side]], Folders]:
    """The sides of every model that both folders have, and what is said of the others.

    Args:
        also_lacking: whether a model that only A has is a pair too, with nothing on the side of B.

    Raises:
        NothingSelected: if there is none.
    """
    loaded = [store.load(benchmark.folder) for store in (a, b)]
    sides = [
        {
            name: side_of(benchmark, of, name, name, anchors)
            for name in sorted({record.model.name for record in of.records})
        }
        for of in loaded
    ]
    good = [{name: side for name, side in of.items() if side.good} for of in sides]
    pairs, alone = [], []
    for name, left in good[0].items():
        if name in good[1] or also_lacking:
            pairs.append((left, sides[1].get(name) or side_of(benchmark, loaded[1], name, name, anchors)))
        else:
            alone.append(name)
    if not pairs:
        raise NothingSelected(f"no model has results of {benchmark.folder} in both {a.root} and {b.root}")
    only_b = tuple(name for name in good[1] if name not in good[0])
    unreadable = sum(len(of.unreadable) for of in loaded)
    return pairs, Folders(str(a.root), str(b.root), tuple(alone), only_b, unreadable)


def _side(
    store: Store,
    benchmark: Benchmark,
    text: str,
    with_folder: bool,
    anchors: Sequence[str],
    may_lack: bool = False,
) -> Side:
    """The records of a model, or of one version of it, by the name that a person gives, options in any order.

    Args:
        may_lack: whether all of its runs may have failed.

    Raises:
        GenbenchError: if there is no such model or version, naming the nearest, or several codes are of the version.
        NothingSelected: if the folder has no records, or none of this model belongs to the benchmark or is ok.
    """
    loaded = store.load(benchmark.folder)
    known = {record.model.name for record in loaded.records}
    if not known:
        hint = f"get some with `genbench run --all -b {benchmark.name}`"
        raise NothingSelected(f"no results of {benchmark.folder} in {store.root}; {hint}")
    model, version = (text, None) if text in known else split_version(text)
    wanted = model if model in known else model_string(*parse_model(model))
    name = wanted if version is None else f"{wanted}@{version}"
    if version is not None:
        loaded = of_version(store, benchmark, loaded.records, wanted, version)
    elif wanted not in known:
        raise GenbenchError.unknown(f"model (in {store.root / benchmark.folder})", model, known)
    if with_folder:
        name = f"{name} ({store.root})"
    side = side_of(benchmark, loaded, wanted, name, anchors)
    if not side.good and not (may_lack and side.records):
        reasons = ["  " + shortened(f"{entry.run}: {entry.reason}") for entry in side.left_out]
        reasons += ["  " + shortened(f"{record.run}: {record.status}: {record.reason}") for record in side.records]
        raise NothingSelected("\n".join([f"{name} has no run that can be compared on {benchmark.folder}:", *reasons]))
    return side


def _refuse(comparisons: Sequence[Comparison]) -> None:
    """Raises NothingSelected, with the reasons for which no score can be compared."""
    lines = []
    for of in comparisons:
        reasons = ["  " + shortened(f"{entry.title}: {entry.reason}") for entry in of.refused]
        lines += [f"{of.a.name} and {of.b.name} have no score that can be compared", *reasons]
    raise NothingSelected("\n".join(lines))
