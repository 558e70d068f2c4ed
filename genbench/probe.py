"""The child in which a plugin of others is first loaded: ``python -m genbench.probe DESCRIPTOR REQUEST``.

It says on the descriptor, in JSON lines, which step comes next (``{"step": "import"}``) and at last what it found
(``{"problem": null, "notes": []}``). Whoever started it waits for that, for the exit code, and not for ever: see
:mod:`genbench.probing`.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from genbench.audit_key import small_spaces
from genbench.plugins import GROUP, OWN, Plugin, Registry, Tell, discover, told
from genbench.single_file import load_file
from genbench.specs import DataSpec, ModelSpec, resolve_config
from genbench.undisturbed import undisturbed

HEAVY = ("torch", "tensorflow", "jax", "transformers", "sklearn", "scipy", "pandas", "matplotlib")
"""Modules that take a good part of a second to import, or several."""
EXIT = "exit"
"""The last step: the interpreter ends, as it does after each command."""
PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> int:
    """Load one plugin as genbench would, and say how that went; returns 0, unless the plugin ends the process."""
    result, request = int(arguments[0]), json.loads(arguments[1])
    os.set_inheritable(result, False)
    _end_with(request["parent"], request["seconds"])
    sys.path[:] = request["sys_path"]
    tell = functools.partial(_tell, result)
    plugin = Plugin(**request["plugin"])
    try:
        problem, notes = _load(plugin, request["file"], tell)
    except BaseException as error:  # KeyboardInterrupt, or a kind of the plugin's own, would end genbench
        problem, notes = told(error), []
    _say(result, problem=problem, notes=notes)
    tell(EXIT)
    return 0


def _load(plugin: Plugin, file: str, tell: Tell) -> tuple[str | None, list[str]]:
    """The problem of a plugin and what else there is to say of it."""
    registry = discover(point for point in entry_points(group=GROUP) if point.dist and point.dist.name == OWN)
    standing, threads = set(sys.modules), threading.active_count()
    began = time.perf_counter()
    load = functools.partial(load_file, Path(file)) if file else EntryPoint(plugin.name, plugin.module, GROUP).load
    changed = registry.add(plugin, load, tell)
    seconds = time.perf_counter() - began
    notes = [f"changes {what} when it is imported, which is put back" for what in changed]
    heavy = [name for name in HEAVY if name in sys.modules and name not in standing]
    if heavy:
        notes.append(
            f"imports {', '.join(heavy)}, which makes every genbench command slower (by {seconds:.1f} s here); name "
            "factories and functions by import strings, and import such modules where they are used"
        )
    if threading.active_count() > threads:
        notes.append("starts a thread when it is imported, in every genbench command")
    problem = registry.plugins[-1].problem
    if problem is None:
        with undisturbed():
            _declare(registry, plugin, tell)
    return problem, notes


def _declare(registry: Registry, plugin: Plugin, tell: Tell) -> None:
    """Ask each model whether it supports the data there are, and for its defaults on them.

    That they raise is a matter of the model's runs, which end as ``failed``; here it shows whether they come to an end.
    """
    known = {entry.spec.data for entry in registry.datasets.values()}
    spaces = {space for data in known for space in small_spaces(data)}
    models = [entry.spec for entry in registry.models.values() if entry.plugin == plugin]
    for spec, data in itertools.product(models, sorted(known | spaces, key=repr)):
        for step, call in _declarations(spec, data):
            tell(f"{step} of model {spec.name!r}")
            try:
                call()
            except (Exception, SystemExit):
                continue


def _declarations(spec: ModelSpec, data: DataSpec) -> Iterator[tuple[str, Any]]:
    yield "supports", lambda: spec.supports(data)
    yield "defaults", lambda: resolve_config(spec, data, {})


def _end_with(parent: int, seconds: float) -> None:
    """Let the system end this process soon after whoever asked: a plugin may hang holding the interpreter's lock."""
    signal.alarm(math.ceil(seconds) + 5)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _tell(result: int, step: str) -> None:
    _say(result, step=step)


def _say(result: int, **words: object) -> None:
    os.write(result, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
