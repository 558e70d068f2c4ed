"""``genbench doctor``: the environment, and what is wrong with it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from genbench.added import DISTRIBUTION
from genbench.cli.options import json_option, print_json, results_option, weights_option
from genbench.errors import GenbenchError
from genbench.rungs import DRAWS

if TYPE_CHECKING:
    from genbench.plugins import Registry

PACKAGES = ("torch", "torchvision", "torch-fidelity", "numpy", "scipy", "scikit-learn", "pandas", "pydantic")
"""What a run needs beside genbench, as far as its version bears on results."""

PROBE = """
import json, torch
gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "gpus": gpus,
                  "cpu": torch.backends.cpu.get_cpu_capability()}))
"""
PROBE_SECONDS = 120
LITTLE_SPACE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, whether it is right, and what to do where it is not."""

    topic: str
    found: str
    state: Literal["ok", "note", "wrong"] = "ok"
    remedy: str = ""


@click.command("doctor")
@results_option
@click.option(
    "--calibrate",
    metavar="BENCHMARK",
    help="Instead, hold the metrics of a benchmark to what they declare: make sample sets of real data and of "
    "corrupted ones, and see which each metric tells apart. Takes minutes.",
)
@click.option(
    "--draws",
    type=click.IntRange(2),
    default=DRAWS,
    show_default=True,
    metavar="N",
    help="With --calibrate: sample sets of each kind.",
)
@click.option(
    "--alarms",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="With --calibrate: further random halves of the held-out data, to see how often honest data are flagged as "
    "copies.",
)
@weights_option
@click.option("--markdown", "as_markdown", is_flag=True, help="With --calibrate: print Markdown.")
@json_option
def command(
    results: Path,
    calibrate: str | None,
    draws: int,
    alarms: int,
    weights: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Show the environment, the devices and the plugins, and say what is wrong and what to do about it.

    Nothing is changed. The exit status is 3 if something is wrong, or if a metric's declaration does not hold, else 0.

    \b
    Examples:
      genbench doctor
      genbench doctor --json | jq '.[] | select(.state == "wrong")'
      genbench doctor --calibrate digits
    """
    if calibrate is not None:
        from genbench.cli.calibrate import calibrate_benchmark

        return calibrate_benchmark(calibrate, draws, alarms, weights, as_markdown, as_json)
    findings = list(examine(results))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        from genbench.report.console import console, print_table

        rows = [[finding.topic, finding.state, _text(finding)] for finding in findings]
        styles = [{"ok": "", "note": "yellow", "wrong": "red"}[finding.state] for finding in findings]
        print_table(console(), rows, ["Topic", "State", "Found"], styles)
    wrong = sum(finding.state == "wrong" for finding in findings)
    summary = "Nothing is wrong." if not wrong else f"{wrong} thing{'s are' if wrong > 1 else ' is'} wrong."
    click.echo(summary, err=as_json)
    return 3 if wrong else 0


def examine(results: Path) -> Iterator[Finding]:
    """All findings, from the interpreter to the results folder."""
    from genbench.plugins import discover

    yield _python()
    yield from _packages()
    yield from _devices()
    yield _machine()
    registry = discover()
    yield from _plugins(registry)
    yield from _benchmarks(registry)
    yield from _weights_that_do_not_ship(registry)
    yield from _caches(registry)
    yield from _results(results)


def _python() -> Finding:
    from genbench import __version__

    return Finding("genbench", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")


def _packages() -> Iterator[Finding]:
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("packages", f"{name} is not installed", "wrong", f"pip install {name}")
    yield Finding("packages", ", ".join(found))


def _devices() -> Iterator[Finding]:
    """What torch sees, asked in a process of its own: a broken build or driver may take that process down."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("torch", f"importing it took over {PROBE_SECONDS} s", "wrong", "see whether its disk is slow")
        return
    if probe.returncode != 0:
        last = (probe.stderr.strip().splitlines() or [f"exit status {probe.returncode}"])[-1]
        yield Finding(
            "torch", f"cannot be imported: {last}", "wrong", "reinstall it: pip install --force-reinstall torch"
        )
        return
    seen = json.loads(probe.stdout.splitlines()[-1])
    yield Finding("torch", f"{seen['torch']}, {seen['threads']} threads by default, CPU capability {seen['cpu']}")
    gpus = ", ".join(seen["gpus"])
    yield Finding("devices", f"cpu; cuda: {gpus}" if gpus else "cpu; no CUDA device, so benchmarks for cuda can't run")


def _machine() -> Finding:
    import psutil

    from genbench.executors.prepare import default_jobs

    memory = psutil.virtual_memory()
    jobs = default_jobs(1)
    return Finding(
        "machine",
        f"{os.cpu_count()} cores, {jobs} of them usable ({jobs} runs of one thread side by side), "
        f"{memory.total / 2**30:.1f} GiB of memory, {memory.available / 2**30:.1f} free",
    )


def _plugins(registry: Registry) -> Iterator[Finding]:
    for plugin in registry.broken:
        remedy = "mend it, or uninstall it: pip uninstall " + plugin.distribution
        if plugin.distribution == "genbench":
            remedy = "install genbench again: pip install --force-reinstall genbench"
        elif plugin.distribution == DISTRIBUTION:
            remedy = f"remove {plugin.module}, and add the data again"
        yield Finding("plugins", f"{plugin.name} of {plugin.distribution}: {plugin.problem}", "wrong", remedy)
    for plugin in registry.plugins:
        for note in plugin.notes:
            yield Finding("plugins", f"{plugin.name} of {plugin.distribution}: {note}", "note", "tell its author")
    working = [plugin.name for plugin in registry.plugins if plugin.problem is None]
    yield Finding("plugins", f"{len(working)} working: {', '.join(sorted(working))}; {len(registry.models)} models")


def _benchmarks(registry: Registry) -> Iterator[Finding]:
    from genbench.selection import load_benchmark
    from genbench.store import sha256_of

    good = []
    for name in sorted(registry.benchmarks):
        try:
            load_benchmark(registry, name)
            good.append(name)
        except GenbenchError as error:
            yield Finding("benchmarks", str(error), "wrong", "mend the file, or install what it names")
    yield Finding("benchmarks", ", ".join(good) or "none installed", "ok" if good else "wrong")
    for name, entry in sorted(registry.evaluators.items()):
        weights = Path(entry.spec.weights)
        if not entry.spec.weights:
            continue
        if not weights.is_file():
            yield Finding("evaluators", f"{name}: its weights {weights} are missing", "wrong",
                          f"install {entry.plugin.distribution} again")  # fmt: skip
        elif sha256_of(weights).removeprefix("sha256:") != entry.spec.sha256:
            yield Finding("evaluators", f"{name}: its weights {weights} are not those that were declared", "wrong",
                          f"install {entry.plugin.distribution} again")  # fmt: skip
        else:
            yield Finding("evaluators", f"{name}: weights {entry.spec.sha256[:16]}")


def _weights_that_do_not_ship(registry: Registry) -> Iterator[Finding]:
    """No fault where they are missing: they are looked for when a benchmark needs them."""
    from genbench import paths

    specs = [entry.spec for _, entry in sorted(registry.evaluators.items()) if not entry.spec.weights]
    there = [spec.name for spec in specs if (paths.weights_cache() / spec.file).is_file()]
    if specs:
        listed = ", ".join(there) or "none"
        yield Finding(
            "evaluators", f"{len(specs)} whose weights do not ship and are found when needed; in the cache: {listed}"
        )


def _caches(registry: Registry) -> Iterator[Finding]:
    from genbench import paths
    from genbench.data_files import bytes_to_download, cached_folder, size_text

    root = paths.cache_root()
    remedy = f"name another folder in the environment variable {paths.VARIABLE}"
    yield _folder("cache", root, remedy)
    for name, entry in sorted(registry.datasets.items()):
        there = cached_folder(entry.spec, paths.data_cache()).is_dir()
        missing = bytes_to_download(entry.spec)
        wanted = f"downloaded, {size_text(missing)}," if missing else "made"
        yield Finding(
            "data sets", f"{name}: {'in the cache' if there else f'not yet in the cache; {wanted} when needed'}"
        )


def _results(results: Path) -> Iterator[Finding]:
    """The folder, its records and interrupted attempts; then those that can't be read, all of them, by cause."""
    from genbench.interrupted import attempts_left
    from genbench.store import Store

    finding = _folder("results", results, "name another folder with --results, or in GENBENCH_RESULTS")
    if finding.state == "wrong" or not results.is_dir():
        yield finding
        return
    loaded = Store(results).load()
    text = f"{finding.found}; {len(loaded.records)} record{'s' * (len(loaded.records) != 1)}"
    if loaded.unreadable:
        finding = replace(finding, state="note")
        text += f", {len(loaded.unreadable)} unreadable"
    yield replace(finding, found=text)
    if left := len(attempts_left(results)):
        yield Finding(
            "results", f"{left} interrupted attempt{'s' * (left > 1)}, or under way in another genbench", "note",
            "`genbench run` of the same models goes on from there",
        )  # fmt: skip
    causes: dict[tuple[str, str], list[str]] = {}
    for entry in loaded.unreadable:
        causes.setdefault((entry.problem, _remedy(entry.path)), []).append(str(entry.path))
    for (cause, remedy), paths in causes.items():
        yield Finding("results", f"{len(paths)} unreadable: {cause}: {', '.join(paths)}", "note", remedy)


def _remedy(unreadable: Path) -> str:
    """What to do about what stands in a run's place and can't be read."""
    from genbench.layout import VERIFICATION
    from genbench.newer import newer_schema
    from genbench.store import RECORD, SEED_FOLDER

    if unreadable.name == VERIFICATION:
        return "verify the run again with `genbench verify ... --accept`, or remove the file"
    if unreadable.name != RECORD:
        return "put the folder itself in the link's place, or remove the link"
    if not SEED_FOLDER.match(unreadable.parent.name):
        return "rename the folder to seed-<number>, or move it elsewhere"
    if newer_schema(unreadable):
        return "upgrade genbench; `genbench run` refuses such a run unless --rerun is given"
    return "`genbench run` sets it aside in .quarantine and does the run again"


def _folder(topic: str, folder: Path, remedy: str) -> Finding:
    """Whether a folder, or the nearest one above that exists, can be written; without making anything."""
    standing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not standing.is_dir():
        return Finding(topic, f"{folder}: {standing} is no folder", "wrong", remedy)
    if not os.access(standing, os.W_OK | os.X_OK):
        return Finding(topic, f"{folder}: cannot be written", "wrong", remedy)
    free = shutil.disk_usage(standing).free
    state: Literal["ok", "note"] = "ok" if free >= LITTLE_SPACE else "note"
    made = "" if folder.exists() else " (made when needed)"
    return Finding(topic, f"{folder}{made}: writable, {free / 2**30:.1f} GiB free", state,
                   "" if state == "ok" else "make room, or " + remedy)  # fmt: skip


def _text(finding: Finding) -> str:
    return f"{finding.found}\nTo do: {finding.remedy}" if finding.remedy else finding.found
