"""Doing a run again from its record: what it was a run of, and whether the repetition is the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.benchmark import NOT_USED
from genbench.errors import GenbenchError, VerificationFailed
from genbench.layout import VERIFICATION
from genbench.matrix import PlannedRun, choose
from genbench.record import Record
from genbench.selection import load_benchmark, select_model
from genbench.single_file import UNPACKAGED, refuse_missing
from genbench.stable import stable
from genbench.store import RECORD, RunKey, Store, model_folder, sha256_of

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry

ABSENT = "nothing"


@dataclass(frozen=True)
class Difference:
    """A field of a record, or a file, in which two runs differ."""

    field: str
    recorded: str
    found: str


def benchmark_of(registry: Registry, record: Record, name_or_path: str | None) -> Benchmark:
    """The benchmark of a run, with the budget that stands in its record where that was the caller's own.

    Args:
        name_or_path: of the benchmark; None for the installed one of the name in the record.

    Raises:
        GenbenchError: if there is no such benchmark, or no benchmark can have the budget in the record.
    """
    name = record.benchmark.name
    if name_or_path is None and name not in registry.benchmarks:
        raise GenbenchError(f"{record.run}: no benchmark {name!r} is installed; give its file with -b {name}.toml")
    budget = _budget_table(record.budget) if record.benchmark.custom_budget else None
    of = record.benchmark
    return load_benchmark(registry, name_or_path or name, of.dev, budget, record.division)


def plan_again(registry: Registry, benchmark: Benchmark, record: Record) -> PlannedRun:
    """The run of a record, to be carried out anew.

    Raises:
        GenbenchError: if its model is not installed, nor its file registered.
        VerificationFailed: if it can't come out the same: its code, configuration or benchmark is not the one that is
            installed.
    """
    if benchmark.digest != record.benchmark.digest:
        raise VerificationFailed(
            f"{record.run}: was scored by another definition of {benchmark.name} (digest {record.benchmark.digest}) "
            f"than the one here ({benchmark.digest}); give the run's own with -b"
        )
    refuse_missing(registry, record)
    model = select_model(registry, record.model.name)
    (entry,) = choose(benchmark, [model])
    if entry.problem is not None:
        raise VerificationFailed(f"{record.run}: {record.model.name} can't be run any more: {entry.problem}")
    if entry.identity.code_sha256 != record.model.code_sha256:
        raise VerificationFailed(
            f"{record.run}: the installed code of {record.model.name} ({entry.identity.plugin} "
            f"{entry.identity.version}) is not that of the run ({record.model.plugin} {record.model.version}); "
            + ("name the file as it was then" if record.model.version == UNPACKAGED else "install that version")
        )
    if entry.identity.config != record.model.config:
        raise VerificationFailed(
            f"{record.run}: its configuration is not that of {record.model.name}; a model that is run with other "
            "options bears them in its name"
        )
    return PlannedRun(RunKey(benchmark.folder, record.model.name, record.seed), entry, "new", None)


def why_not_repeatable(record: Record) -> str | None:
    """Why the training of a run would not end where it did, or None."""
    if record.spent.get("ended_by") != "seconds":
        return None
    steps = record.spent.get("steps")
    return f"its training was ended by the clock after {steps} steps, which no repetition can promise to do again"


LINK = "is a link; links in a results folder are not followed"
"""What is wrong with a run that is none, but a link to one."""


def links(store: Store, text: str) -> list[Path]:
    """Links that stand where runs would that a person names: a run, a model's runs or a benchmark's, or a path."""
    if Path(text).is_symlink() and Path(text, RECORD).is_file():
        return [Path(text)]
    parts = text.strip("/").split("/", 1)
    named = [store.root.joinpath(parts[0], *map(model_folder, parts[1:]))]
    if len(parts) > 1:
        model, _, seed = parts[1].rpartition("/")
        named.append(store.root / parts[0] / model_folder(model) / seed)
    passed_over = [
        entry.path for entry in store.load(parts[0]).unreadable if entry.path.name not in (RECORD, VERIFICATION)
    ]
    return [
        path
        for path in passed_over
        if path.is_symlink() and any(folder in (path, *path.parents) or path in folder.parents for folder in named)
    ]


def link_on_the_way(store: Store, run: str) -> Path | None:
    """The link by which the run that a person names would be reached, at it or above it in the results folder."""
    root, given = store.root.absolute(), Path(run).absolute()
    benchmark, _, rest = run.strip("/").partition("/")
    model, _, seed = rest.rpartition("/")
    for place in (root / benchmark / model_folder(model) / seed, given):
        steps = [step for step in (*reversed(place.parents), place) if root in step.parents]
        for step in steps or [place]:
            if step.is_symlink():
                return step
    return None


def place_of(store: Store, folder: Path) -> str:
    """A run's name by where its folder stands: ``benchmark/model/seed-k``, where no record tells it."""
    place = folder.absolute()
    root = store.root.absolute()
    return "/".join(place.relative_to(root).parts if place.is_relative_to(root) else place.parts[-3:])


def place_problems(folder: Path, record: Record) -> list[str]:
    """What is wrong with where a record stands: its folder is named after its model and seed."""
    wanted = (model_folder(record.model.name), f"seed-{record.seed}")
    if (folder.absolute().parent.name, folder.absolute().name) == wanted:
        return []
    return [f"its folder {folder.parent.name}/{folder.name} is not that of the run, {'/'.join(wanted)}"]


def file_differences(folder: Path, record: Record) -> list[Difference]:
    """Files of a run that are missing, or not those that its record names."""
    found = []
    for name, recorded in record.artifacts.items():
        path = folder / name
        # A record may come from anywhere: it must not lead out of its folder.
        inside = Path(name).name == name and not path.is_symlink()
        now = sha256_of(path) if inside and path.is_file() else ABSENT
        if now != recorded:
            found.append(Difference(name, recorded, now))
    return found


def differences(recorded: Record, found: Record) -> list[Difference]:
    """Where two records differ, beyond the fields that any two runs may differ in (times, memory, machine)."""
    return list(_compare("", stable(recorded), stable(found)))


def _compare(path: str, first: Any, second: Any) -> Iterator[Difference]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in [*first, *(key for key in second if key not in first)]:
            yield from _compare(f"{path}.{key}" if path else key, first.get(key, ABSENT), second.get(key, ABSENT))
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from _compare(f"{path}[{index}]", one, other)
    elif first != second:
        yield Difference(path, str(first), str(second))


def _budget_table(recorded: dict[str, Any]) -> dict[str, Any]:
    """A record's limits as a benchmark's ``[budget]``: memory in MiB, and None for a limit that it lacks."""
    table = {"flops": None, "memory": None, "device_memory": None, **NOT_USED, **recorded}
    for key in ("memory", "device_memory"):
        limit = table.pop(key)
        if limit is not None and type(limit) is not int:
            raise GenbenchError(
                f"its budget is none of a benchmark: {key} is {str(limit)[:80]!r}, not a number of bytes"
            )
        table[f"{key}_mib"] = None if limit is None else limit >> 20
    return table
