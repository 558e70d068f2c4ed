"""Samples drawn from a run's final state: ``genbench sample`` and :func:`genbench.sample`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import GenbenchError
from genbench.executors.task import task
from genbench.plugins import code_sha256
from genbench.replay import benchmark_of
from genbench.report.printable import printable
from genbench.selection import select_model
from genbench.single_file import add_file, refuse_missing

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.record import Record


def draw(
    registry: Registry,
    folder: Path,
    record: Record,
    output: Path,
    n: int,
    benchmark: str | None,
    file: Path | None,
    seed: int | None,
    warn: Callable[[str], None],
) -> Benchmark:
    """Write ``n`` samples of a run into ``output``, a ``.png``, ``.txt`` or ``.npz``.

    The model is built with the configuration, and sampled under the budget, that stand in the record.

    Args:
        benchmark: name or file of the run's benchmark; None for the installed one of the name in its record.
        file: the Python file of the run's model; None where that is installed.
        seed: of the draws; None for the run's own.
        warn: told why the samples may be others than the run's.

    Returns:
        The benchmark that they were drawn under.

    Raises:
        GenbenchError: if the run left no state, its model or benchmark is not installed, or the output's form does not
            fit the data.
        StoreError: if the output cannot be written.
    """
    if not (folder / "state.json").is_file():
        raise GenbenchError(f"{printable(record.run)} is {record.status} and left no state to sample from")
    if file is not None:
        add_file(registry, file)
    refuse_missing(registry, record)
    model = select_model(registry, record.model.name)
    if code_sha256(model.registered.spec, model.registered.plugin) != record.model.code_sha256:
        warn(f"the code of {model.name} has changed since this run; its samples may differ")
    restored = benchmark_of(registry, record, benchmark)
    if restored.digest != record.benchmark.digest:
        warn(
            f"the benchmark {restored.name} (digest {restored.digest}) is not that of this run "
            f"({printable(record.benchmark.digest)}); its samples may differ"
        )
    with task(registry, restored, model, record.seed if seed is None else seed, record.model.config) as prepared:
        prepared.call("sample", state=str((folder / "state").resolve()), n=n, output=str(output.resolve()))
    return restored
