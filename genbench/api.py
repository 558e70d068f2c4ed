"""The command line in Python: :func:`run`, :func:`table` and their like, on the same functions as the commands.

What they return shows itself as a table in a notebook. What a command prints as an error is raised as a
:class:`~genbench.errors.GenbenchError`. They are imported from ``genbench`` itself.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from genbench import arguments
from genbench.arguments import ALL, AnyPath, BudgetChanges, benchmark_for, in_notebook, installed, listed, warn
from genbench.errors import GenbenchError
from genbench.specs import ModelSpec

if TYPE_CHECKING:
    from genbench.comparing import ComparisonReport
    from genbench.leaderboard import Leaderboard
    from genbench.matrix import Rerun
    from genbench.record import Record
    from genbench.reports import CheckReport, RunReport
    from genbench.samples import Samples
    from genbench.scored import ScoredSamples
    from genbench.specs import Division


def run(
    models: AnyPath | Sequence[AnyPath] = ALL,
    benchmark: AnyPath = "digits",
    *,
    seeds: Iterable[int] | None = None,
    results: AnyPath = "results",
    dev: bool = False,
    budget: BudgetChanges | None = None,
    jobs: int | None = None,
    checkpoint: float | None = None,
    executor: str = "local",
    executor_options: Mapping[str, str] | None = None,
    rerun: Rerun | None = None,
    weights: AnyPath | Iterable[AnyPath] = (),
    reference: AnyPath | Iterable[AnyPath] = (),
    progress: bool | Callable[[str], None] = True,
) -> RunReport:
    """Train models under a benchmark's budget and seeds, and score them: ``genbench run``.

    Runs that are finished are kept. An interrupt (Ctrl-C, or a notebook's stop button) ends what is running, keeps what
    is finished, and is raised as ``KeyboardInterrupt`` when that is done; the same call goes on from there. A second
    one does not wait.

    >>> report = genbench.run(["dcgan", "vae[latent=16]"], "digits-smoke")  # doctest: +SKIP

    Args:
        models: ``"all"``, a model or several, as the command line takes them: ``dcgan``, ``vae[latent=16]``,
            ``./my_model.py``, which may be a path too.
        benchmark: name of an installed benchmark, or the path of a ``.toml`` file.
        seeds: some of the benchmark's only; None for all.
        results: folder of results.
        dev: score against a validation fold; never in a leaderboard.
        budget: changes to the benchmark's budget; such runs are kept apart and never enter a leaderboard.
        jobs: runs side by side; None for as many as the executor has room for.
        checkpoint: seconds between checkpoints of a training, at least; None for 10.
        executor: what carries out the runs: ``"local"``, ``"ray"``, or one of a plugin.
        executor_options: what that is told, such as ``{"address": "auto"}`` for ``ray``.
        rerun: ``"failed"`` or ``"all"``, to do again what has ended.
        weights: files of the evaluator's weights, where they do not ship.
        reference: files of reference statistics, used instead of the cache.
        progress: whether to print a line when a run ends; or what is told each line. With False they go to the logger
            ``genbench``, at the level INFO.

    Returns:
        The records and their leaderboard. A model that failed is no error; its records say why.

    Raises:
        GenbenchError: for an unknown name or option, missing data, or a results folder that refuses.
        KeyboardInterrupt: after an interrupt, when everything has ended.
    """
    from genbench.calls import execute, make_call, records_of
    from genbench.leaderboard import from_registry
    from genbench.matrix import Rerun
    from genbench.report.live import View, live_view
    from genbench.reports import RunReport
    from genbench.results import Loaded
    from genbench.signals import Signals
    from genbench.store import Store
    from genbench.supplies import supplied

    names, everything = arguments.model_names(models)
    picked = None if seeds is None else arguments.whole_numbers("seeds", seeds, 0)
    if rerun is not None:
        arguments.one_of("rerun", rerun, get_args(Rerun))
    registry = installed()
    chosen = supplied(benchmark_for(registry, benchmark, dev, budget), *map(arguments.files, (weights, reference)))
    call = make_call(
        registry,
        chosen,
        Store(Path(results)),
        names,
        everything,
        picked,
        rerun,
        jobs=None if jobs is None else arguments.whole("jobs", jobs, 1),
        checkpoint=None if checkpoint is None else arguments.seconds_of("checkpoint", checkpoint, 0),
        executor=executor,
        executor_options=executor_options,
    )
    say = arguments.sayer(progress)
    signals = Signals((signal.SIGINT,), say)

    def is_stopping() -> bool:
        return bool(signals.received)

    def view(todo: Any, kept: int, side_by_side: int) -> contextlib.AbstractContextManager[View]:
        if progress is True and not in_notebook():
            return live_view(registry, todo, kept, side_by_side, call.store.root, is_stopping)
        return contextlib.nullcontext(View(registry, todo, kept, side_by_side, call.store.root, say, is_stopping))

    execute(call, registry, say, view, signals)
    if signals.received:
        raise KeyboardInterrupt("what is finished is kept; the same call goes on from the last checkpoints")
    records = records_of(call, say)
    board = from_registry(call.benchmark, registry, Loaded(list(records), []))
    return RunReport(board, tuple(records), call.is_good(records))


def table(
    benchmark: AnyPath = "digits",
    *,
    results: AnyPath = "results",
    models: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    sort: str | None = None,
    division: Division = "closed",
    verified: int | None = None,
    dev: bool = False,
    budget: BudgetChanges | None = None,
) -> Leaderboard:
    """The leaderboard of a benchmark: ``genbench table``.

    Args:
        benchmark: name of an installed benchmark, or the path of a ``.toml`` file.
        results: folder of results.
        models: contenders to show, names with options or patterns such as ``*gan``; ranks stay those of the whole
            table.
        columns: keys of the columns to show, such as ``fid``; None for all.
        sort: score or cost to sort by; None for ``fid``, or the benchmark's first score.
        division: ``closed``, trained by genbench under the budget, or ``open``, samples from outside.
        verified: show only contenders whose runs are verified at this level, 0 to 3, or a higher one.
        dev, budget: show the runs that were made with the same; those are no leaderboard.

    Raises:
        NothingSelected: if there are no such results, with what was left out.
        GenbenchError: for an unknown benchmark, model or column.
    """
    from genbench.results import Results
    from genbench.tables import read_leaderboard, selected

    registry = installed()
    chosen = benchmark_for(registry, benchmark, dev, budget, division)
    how = f"genbench.run(benchmark={str(benchmark)!r})"
    board = read_leaderboard(Results(Path(results)), chosen, registry, sort, how)
    view = selected(board, listed(models), verified)
    wanted = listed(columns)
    return view if wanted is None else view.view(wanted)


def compare(
    a: AnyPath,
    b: AnyPath,
    benchmark: AnyPath = "digits",
    *,
    metrics: str | Sequence[str] = (),
    results: AnyPath = "results",
    results_b: AnyPath | None = None,
    division: Division = "closed",
    dev: bool = False,
    budget: BudgetChanges | None = None,
    regression: bool = False,
) -> ComparisonReport:
    """Two models, two versions of one, or two results folders, metric by metric: ``genbench compare``.

    Args:
        a, b: models as the table has them, ``MODEL@VERSION``, or results folders.
        benchmark: name of an installed benchmark, or the path of a ``.toml`` file.
        metrics: keys of the scores to compare, such as ``fid``; all if none is named.
        results: folder of the results of A, and of B where ``results_b`` is None.
        regression: also judge whether B is a regression from A: ``verdict`` of what is returned.

    Raises:
        NothingSelected: if nothing can be compared, with the reasons.
        GenbenchError: for an unknown benchmark, model, version or score.
    """
    from genbench.comparing import carry_out

    registry = installed()
    chosen = benchmark_for(registry, benchmark, dev, budget, division)
    folder_b = None if results_b is None else Path(results_b)
    return carry_out(registry, chosen, str(a), str(b), Path(results), folder_b, arguments.several(metrics), regression)


def score(
    samples: Any,
    benchmark: AnyPath = "digits",
    *,
    labels: Any = None,
    name: str = "samples",
    dev: bool = False,
    weights: AnyPath | Iterable[AnyPath] = (),
    reference: AnyPath | Iterable[AnyPath] = (),
) -> ScoredSamples:
    """Score samples made by anything against a benchmark's held-out data: ``genbench score``.

    Args:
        samples: uint8 array ``[n, *shape]`` of the benchmark's shape, or the path of an ``.npz``, an ``.npy`` or a
            folder of PNGs. The benchmark's number of them is scored, from the first on.
        labels: int64 array ``[n]``, the classes that the samples of an array were asked for; None if for none.
        name: what to call the samples.

    Raises:
        GenbenchError: if the samples are not of the benchmark's form, or too few.
    """
    from genbench.scored import score_file
    from genbench.supplies import supplied

    registry = installed()
    chosen = supplied(benchmark_for(registry, benchmark, dev), *map(arguments.files, (weights, reference)))
    if isinstance(samples, str | PathLike):
        if labels is not None:
            raise GenbenchError("labels go with an array of samples; an .npz holds its own, as `labels`")
        return score_file(registry, chosen, Path(samples), name)
    import numpy as np

    arrays = {"samples": arguments.array_of("samples", samples)}
    arrays |= {} if labels is None else {"labels": arguments.array_of("labels", labels)}
    with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
        path = Path(folder, "samples.npz")
        np.savez(path, allow_pickle=False, **arrays)
        try:
            return score_file(registry, chosen, path, name)
        except GenbenchError as error:  # of a file that nobody but us knows
            raise type(error)(str(error).replace(f"{path}: ", "")) from None


def sample(
    run: str,
    n: int = 64,
    *,
    seed: int | None = None,
    benchmark: AnyPath | None = None,
    file: AnyPath | None = None,
    results: AnyPath = "results",
) -> Samples:
    """Draw samples from the final state of a run: ``genbench sample``. A notebook shows them.

    Args:
        run: ``benchmark/model/seed-k``, or the path of the run's folder.
        n: number of samples.
        seed: of the draws; None for the run's own.
        benchmark: name or ``.toml`` file of the run's benchmark; None for the installed one of the name in its record.
        file: the Python file of the run's model, where that is not installed.
        results: folder of results.

    Raises:
        GenbenchError: if there is no such run, or it left no state.
    """
    import numpy as np

    from genbench.drawing import draw
    from genbench.runs import read_run
    from genbench.samples import Samples
    from genbench.store import Store

    n, seed = arguments.whole("n", n, 1), None if seed is None else arguments.whole("seed", seed, 0)
    folder, record = read_run(Store(Path(results)), run)
    registry, of = installed(), None if benchmark is None else str(benchmark)
    source = None if file is None else Path(file)
    with tempfile.TemporaryDirectory(prefix="genbench-") as scratch:
        output = Path(scratch, "samples.npz")
        drawn_under = draw(registry, folder, record, output, n, of, source, seed, warn)
        with np.load(output, allow_pickle=False) as arrays:
            labels = arrays["labels"] if "labels" in arrays.files else None
            return Samples(record.run, drawn_under.dataset, arrays["samples"], labels)


def check(model: AnyPath | ModelSpec, benchmark: AnyPath = "digits", *, seconds: float | None = None) -> CheckReport:
    """Ask whether a model keeps its contract: ``genbench check``.

    Args:
        model: an installed model, with options in brackets if you like; the path of a Python file with a plugin that
            registers it; or a spec whose class and configuration stand in a module.
        benchmark: whose data are used.
        seconds: for all checks together; None for those of the benchmark's budget with its grace.

    Raises:
        GenbenchError: for an unknown name, or a model that can't be used on the data.
        HarnessError: if the checks came to no end for reasons that are not the model's.
    """
    from genbench.executors.checking import carry_out_checks
    from genbench.executors.launcher import HarnessError
    from genbench.executors.task import task
    from genbench.reports import CheckReport
    from genbench.testing import select

    limit = None if seconds is None else arguments.seconds_of("seconds", seconds, 1)
    registry = installed()
    selected = select(registry, model if isinstance(model, ModelSpec) else arguments.model_name(model))
    with task(registry, benchmark_for(registry, benchmark), selected, seed=0) as prepared:
        course = carry_out_checks(prepared, limit, lambda group: None)
    if course.lost is not None:
        raise HarnessError(f"{selected.name}: the checks came to no end: {course.lost}")
    return CheckReport(selected.name, str(benchmark), tuple(course.results))


def load_record(run: str, results: AnyPath = "results") -> Record:
    """The record of one run: ``genbench show``.

    Args:
        run: ``benchmark/model/seed-k``, or the path of the run's folder.

    Raises:
        GenbenchError: if there is no such run, naming the nearest, or its record can't be read.
    """
    from genbench.runs import find_run

    return find_run(Path(results), run)[1]


def cite(
    benchmark: AnyPath = "digits",
    *,
    models: str | Sequence[str] | None = None,
    results: AnyPath = "results",
    division: Division = "closed",
) -> str:
    """What a benchmark's table rests on, as BibTeX: ``genbench cite``.

    Args:
        benchmark: name of an installed benchmark, or the path of a ``.toml`` file.
        models: the models to cite, with or without results; ``"all"`` for every installed one; None for those with
            results.
        results: folder of results.
        division: ``closed`` or ``open``: whose models.

    Raises:
        GenbenchError: for an unknown benchmark or model.
    """
    from genbench.bibliography import bibtex
    from genbench.citing import cited
    from genbench.store import Store

    registry = installed()
    chosen = benchmark_for(registry, benchmark, division=division)
    found, _ = cited(registry, chosen, Store(Path(results)), listed(models))
    return bibtex(found, chosen)


def publish(
    directory: AnyPath,
    benchmarks: AnyPath | Sequence[AnyPath] = (),
    *,
    nearest: bool = True,
    results: AnyPath = "results",
) -> Path:
    """Write the leaderboards of a results folder as a static site: ``genbench publish``.

    A ``UserWarning`` tells what is not published.

    Args:
        directory: new, empty, or written by an earlier call.
        benchmarks: names or ``.toml`` files; every benchmark that the folder has runs of, if none is named.
        nearest: whether to show the training examples nearest to each model's samples.
        results: folder of results.

    Returns:
        The path of the site's first page.

    Raises:
        NothingSelected: if there is nothing to publish.
        StoreError: if the folder refuses, or holds what is not an earlier site's.
    """
    from genbench.publishing import publish as write
    from genbench.store import Store

    names = [str(name) for name in arguments.several(benchmarks)]
    store, site = Store(Path(results)), Path(directory)
    write(installed(), store, site, names, nearest, lambda line: warn(line.removeprefix("Warning: ")))
    return Path(directory, "index.html")
