"""``genbench compare``: two models, two versions of one, or two results folders, metric by metric."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genbench.cli.options import (
    benchmark_option,
    budget_option,
    dev_option,
    division_option,
    json_option,
    load_registry,
    results_option,
)
from genbench.errors import GenbenchError, NothingSelected
from genbench.report.printable import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genbench.benchmark import Benchmark
    from genbench.comparison import Comparison, Side
    from genbench.regression import Verdict
    from genbench.report.comparison_words import Folders
    from genbench.specs import Division
    from genbench.store import Store


@click.command("compare")
@click.argument("a")
@click.argument("b")
@benchmark_option
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="SCORE",
    help="Compare this score only, such as fid. May be repeated; p-values are corrected over those that are compared.",
)
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="A is the baseline and B the candidate: exit 3 if B is significantly worse in a ranked score, has a seed that "
    "is not ok where A's is, or lacks a score of A's or has a warning that A's has not; exit 5 if that can't be told.",
)
@results_option
@click.option(
    "--results-b",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the results of B, where it is another.  [default: that of A]",
)
@division_option
@dev_option
@budget_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(["rich", "md", "json"]),
    default="rich",
    show_default=True,
    help="rich: for a terminal, fitted to its width. md: for a comment on a pull request.",
)
@json_option
def command(
    a: str,
    b: str,
    benchmark: str,
    metrics: tuple[str, ...],
    fail_on_regression: bool,
    results: Path,
    results_b: Path | None,
    division: Division,
    dev: bool,
    budget: tuple[str, ...],
    format_: str,
    as_json: bool,
) -> int | None:
    """Compare the models A and B, as they stand in the results of one benchmark.

    For each metric: both means over seeds, their difference (the ratio, for scores on a log scale) with a 95 %
    interval, Welch's test with Holm's correction over the metrics tested, and the probability that a seed of A is
    better than one of B. A verdict needs 5 seeds of each; scores without a better or worse, tests of copying among
    them, have none. What was not measured in the same way is not compared,
    with the reason; a model with failed seeds is not tested, since the seeds that are left would flatter it.

    A and B are written as in the table. MODEL@VERSION is a version of a model, also one that newer runs have
    superseded: VERSION is that of its plugin, or the first 6 hex digits or more of its code's hash. With --results-b
    they may be the same model of two folders. If A and B are results folders, all models in both are compared, with
    one correction over all tests.

    \b
    Examples:
      genbench compare dcgan wgan-gp
      genbench compare vae 'vae[latent=16]' -b digits --metric fid --metric bits_per_dim
      genbench compare my-model@1.2.0 my-model --fail-on-regression
      genbench compare my-model my-model --results baseline --results-b results --fail-on-regression --format md
      genbench compare baseline/ results/ --json
    """
    from genbench.columns import columns_of
    from genbench.comparison import compare_all
    from genbench.leaderboard import anchors_of, metrics_of
    from genbench.regression import judged
    from genbench.selection import load_benchmark, parse_budget
    from genbench.store import Store

    registry = load_registry()
    chosen = load_benchmark(registry, benchmark, dev, parse_budget(budget), division)
    specs, plugins = metrics_of(chosen, registry)
    known = [column.key for column in columns_of(chosen, specs, plugins, ())]
    for metric in metrics:
        if metric not in known:
            raise GenbenchError.unknown(f"score of {chosen.name}", metric, known)
    anchors = anchors_of(registry)
    stores = _stores(a, b, chosen, results_b)
    folders = None
    if stores:
        pairs, folders = _pairs(*stores, chosen, anchors, fail_on_regression)
    else:
        if a == b and results_b is None:
            raise click.UsageError(
                f"A and B are both {a!r}; name two models, two versions ({a}@VERSION), or a second folder with "
                "--results-b"
            )
        left = _side(Store(results), chosen, a, results_b is not None, anchors)
        right = _side(Store(results_b or results), chosen, b, results_b is not None, anchors, fail_on_regression)
        pairs = [(left, right)]
    comparisons = compare_all(chosen, specs, pairs, plugins, metrics)
    verdict = judged(comparisons) if fail_on_regression else None
    if not any(of.metrics for of in comparisons) and not (verdict and verdict.regressions):
        _refuse(comparisons)
    _show(comparisons, verdict, "json" if as_json else format_, folders)
    return verdict.exit_code if verdict else None


def _stores(a: str, b: str, benchmark: Benchmark, results_b: Path | None) -> tuple[Store, Store] | None:
    """Both results folders, where A and B name folders and no models."""
    from genbench.store import Store

    named = [Path(of).is_dir() and ("/" in of or Path(of, benchmark.folder).is_dir()) for of in (a, b)]
    if not any(named):
        return None
    if not all(named):
        folder, other = (a, b) if named[0] else (b, a)
        raise click.UsageError(f"{folder} is a folder, and {other} is none; name two models, or two results folders")
    if results_b is not None:
        raise click.UsageError("A and B are results folders, so that there is nothing for --results-b to say")
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
    from genbench.comparison import side_of
    from genbench.report.comparison_words import Folders

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
    from genbench.comparison import side_of
    from genbench.report.legend import shortened
    from genbench.selection import model_string, parse_model
    from genbench.superseded import of_version, split_version

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
    from genbench.report.legend import shortened

    lines = []
    for of in comparisons:
        reasons = ["  " + shortened(f"{entry.title}: {entry.reason}") for entry in of.refused]
        lines += [f"{of.a.name} and {of.b.name} have no score that can be compared", *reasons]
    raise NothingSelected("\n".join(lines))


def _show(comparisons: Sequence[Comparison], verdict: Verdict | None, format_: str, folders: Folders | None) -> None:
    from genbench.report import comparison_text as text

    first = comparisons[0]
    if format_ == "json":
        click.echo(
            json_text(text.document_of_all(comparisons, folders, verdict) if folders else text.document(first, verdict))
        )
    elif format_ == "md":
        page = text.markdown_of_all(comparisons, folders, verdict) if folders else text.markdown(first, verdict)
        click.echo(page, nl=False)
    else:
        from genbench.report.comparison import print_all, print_comparison
        from genbench.report.console import console

        if folders:
            print_all(comparisons, folders, console(), verdict)
        else:
            print_comparison(first, console(), verdict)
