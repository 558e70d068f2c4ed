"""Work sent to another machine as plain data, and rebuilt there from what is installed there.

No object of a plugin travels: the other machine has plugins of its own. It rebuilds the benchmark from its definition
and the run from the model's name, and refuses in words where they are not those of the call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from genbench import PROTOCOL_VERSION, __version__, paths
from genbench.benchmark import Benchmark, validate
from genbench.disk import Disk
from genbench.errors import GenbenchError
from genbench.executors.interface import Setting
from genbench.matrix import Entry, PlannedRun, State, choose
from genbench.plugins import Registry
from genbench.record import parse
from genbench.selection import resolve_benchmark, select_model
from genbench.single_file import UNPACKAGED, add_file
from genbench.specs import Division
from genbench.store import RunKey
from genbench.supplies import evaluators_of, supplied

FOLDERS: dict[str, Callable[[], Path]] = {
    paths.VARIABLE: paths.cache_root,
    paths.DATA_VARIABLE: lambda: paths.added_folder().parent,
}
"""Environment variables that name folders and count on the other machine too, where they are set for the call; sent as
whole paths, since that machine's current folder is another."""
APPEARS_SECONDS = 10.0
"""Until a new file on a shared disk is seen on another machine, whose client may remember for some seconds."""


class Unlike(GenbenchError):
    """What is installed on another machine is not what the call was made with."""


@dataclass(frozen=True)
class ShippedCall:
    """What all runs of a call share.

    Attributes:
        version, protocol: of genbench.
        definition: the benchmark's, as of :class:`~genbench.benchmark.BenchmarkFile`, with overrides in place.
        dev, custom_budget, division, digest: of the benchmark.
        weights, references: paths of files that a person gave for its evaluators.
        plugin_files: paths of the single files that models came from.
        root: path of the results folder.
        token: name of the file in its ``.work`` that :func:`write_token` made.
        checkpoint_seconds: as of :class:`~genbench.executors.interface.Setting`.
        environment: those variables of ``FOLDERS`` that are set, and the one that forbids downloads.
    """

    version: str
    protocol: int
    definition: dict[str, Any]
    dev: bool
    custom_budget: bool
    division: Division
    digest: str
    weights: list[str]
    references: list[str]
    plugin_files: list[str]
    root: str
    token: str
    checkpoint_seconds: float | None
    environment: dict[str, str]


@dataclass(frozen=True)
class ShippedRun:
    """One run.

    Attributes:
        model, seed: the model in its canonical form.
        state: as planned.
        record: the one that stood in its place then, as JSON; None if there was none that could be read.
        problem: why the one that stood there could not be read.
        identity: of :meth:`~genbench.matrix.PlannedRun.identity`.
        plugin, code_sha256: of the model, for people where the identity is another.
    """

    model: str
    seed: int
    state: State
    record: str | None
    problem: str | None
    identity: str
    plugin: str
    code_sha256: str


def ship_call(setting: Setting, runs: list[PlannedRun], token: str) -> ShippedCall:
    """A call as plain data.

    Args:
        runs: of the call; the files that their models came from are named.
        token: as of :class:`ShippedCall`.
    """
    benchmark = setting.benchmark
    evaluators = evaluators_of(benchmark)
    ships = {spec.name: setting.registry.find("evaluators", spec.name.partition("@")[0]).spec for spec in evaluators}
    plugins = {run.entry.plugin for run in runs}
    return ShippedCall(
        version=__version__,
        protocol=PROTOCOL_VERSION,
        definition=asdict(benchmark.file),
        dev=benchmark.dev,
        custom_budget=benchmark.custom_budget,
        division=benchmark.division,
        digest=benchmark.digest,
        weights=[spec.weights for spec in evaluators if spec.weights != ships[spec.name].weights],
        references=[path for spec in evaluators for path in spec.references],
        plugin_files=sorted(
            str(Path(plugin.root) / plugin.distribution) for plugin in plugins if plugin.version == UNPACKAGED
        ),
        root=str(setting.store.root.resolve()),
        token=token,
        checkpoint_seconds=setting.checkpoint_seconds,
        environment=_environment(),
    )


def ship_run(run: PlannedRun, benchmark: Benchmark) -> ShippedRun:
    """A run as plain data."""
    return ShippedRun(
        model=run.key.model,
        seed=run.key.seed,
        state=run.state,
        record=None if run.record is None else run.record.to_json(),
        problem=run.problem,
        identity=run.identity(benchmark),
        plugin=f"{run.entry.identity.plugin} {run.entry.identity.version}",
        code_sha256=run.entry.identity.code_sha256,
    )


def received_call(document: dict[str, Any]) -> ShippedCall:
    """The call of ``asdict``'s document.

    Raises:
        Unlike: if another version of genbench has sent it.
    """
    found = document.get("version"), document.get("protocol")
    if found != (__version__, PROTOCOL_VERSION):
        raise Unlike(
            f"has genbench {__version__} (protocol {PROTOCOL_VERSION}), where the call was made with {found[0]} "
            f"(protocol {found[1]}); install the same on all nodes"
        )
    return ShippedCall(**{field.name: document[field.name] for field in fields(ShippedCall)})


def rebuild_benchmark(call: ShippedCall, registry: Registry) -> Benchmark:
    """The benchmark of a call, from what is installed here.

    Raises:
        Unlike: if it is another one here: the data set or an evaluator differs.
        GenbenchError: if something that it names is not installed here, or a file that was given is not there.
    """
    source = f"the definition of {call.definition['name']} that was sent"
    definition = {**call.definition, "budget": _given(call.definition["budget"])}
    file = validate(_given(definition), source)
    benchmark = resolve_benchmark(registry, file, source, call.dev, call.division)
    benchmark = replace(benchmark, custom_budget=call.custom_budget)
    if benchmark.digest != call.digest:
        raise Unlike(
            f"its benchmark {benchmark.name} has the digest {benchmark.digest}, where the call's has {call.digest}: "
            "the data set or an evaluator installed there is another; install the same on all nodes"
        )
    return supplied(benchmark, [Path(path) for path in call.weights], [Path(path) for path in call.references])


def add_plugin_files(call: ShippedCall, registry: Registry) -> None:
    """Register the single files that the call's models came from.

    Raises:
        GenbenchError: if one is not there or does not work.
    """
    for path in call.plugin_files:
        add_file(registry, Path(path))


def rebuild_run(run: ShippedRun, benchmark: Benchmark, registry: Registry, known: dict[str, Entry]) -> PlannedRun:
    """A run, from what is installed here.

    Args:
        known: entries by model, which a new one is added to.

    Raises:
        Unlike: if the model is another one here.
        GenbenchError: if it is not installed here.
    """
    if run.model not in known:
        (known[run.model],) = choose(benchmark, [select_model(registry, run.model)])
    entry = known[run.model]
    record = None if run.record is None else parse(run.record)
    key = RunKey(benchmark.folder, entry.identity.name, run.seed)
    planned = PlannedRun(key, entry, run.state, record, run.problem)
    if planned.identity(benchmark) != run.identity:
        here = entry.identity
        code = "the same code" if here.code_sha256 == run.code_sha256 else f"code {here.code_sha256[:16]}"
        raise Unlike(
            f"its {run.model} is of {here.plugin} {here.version} ({code}), where the call's is of {run.plugin} (code "
            f"{run.code_sha256[:16]}); install the same on all nodes"
        )
    return planned


def write_token(root: Path, token: str) -> int:
    """Make a file in a results folder that other machines are to see, and lock it; returns its descriptor.

    Raises:
        OSError: if the folder refuses.
    """
    from filelock import lock_descriptor

    disk, path = Disk(), root / ".work" / token
    disk.write_new(path, token.encode())
    descriptor = disk.calls.open_lock(path)
    lock_descriptor(descriptor, blocking=True)
    return descriptor


def check_shared(call: ShippedCall, patience: float = APPEARS_SECONDS) -> None:
    """Make sure that the call's results folder is the same here, and that its locks reach here.

    Without locks two machines could do one run at the same time.

    Raises:
        Unlike: if it is not, or they do not.
    """
    from filelock import lock_descriptor

    path = Path(call.root, ".work", call.token)
    end = time.monotonic() + patience
    while not path.is_file():
        if time.monotonic() >= end:
            raise Unlike(
                f"does not see the results folder {call.root} of the call: the file {path} that was made there is not "
                "here. Name a folder with --results that all nodes have, under the same path"
            )
        time.sleep(min(0.5, patience / 4))
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if lock_descriptor(descriptor, blocking=False) and path.is_file():
            raise Unlike(
                f"sees the results folder {call.root}, but not the locks that the call holds in it: it is mounted "
                "with locks of each machine's own (as by nolock or local_lock). Mount it with the file server's"
            )
    finally:
        os.close(descriptor)


def _environment() -> dict[str, str]:
    found = {name: str(folder()) for name, folder in FOLDERS.items() if os.environ.get(name)}
    return found | {name: os.environ[name] for name in (paths.OFFLINE,) if name in os.environ}


def _given(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
