"""Discovery: entry points loaded one by one; what a plugin does wrong is reported and harms nobody else.

Plugins of other distributions, and those in files, are first loaded by a process of their own: see
:mod:`genbench.probing`. Only those that come through it are loaded here.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from genbench import hookspecs
from genbench.added import register_added
from genbench.code_hash import code_sha256 as code_sha256
from genbench.errors import GenbenchError, SpecError
from genbench.executors.interface import OWN as OWN_EXECUTORS
from genbench.report.printable import printable
from genbench.rungs import claims_of
from genbench.specs import LIKELIHOOD_KINDS, DatasetSpec, EvaluatorSpec, MetricSpec, ModelSpec
from genbench.undisturbed import undisturbed

if TYPE_CHECKING:
    import click

GROUP = "genbench"
OWN = "genbench"
"""The distribution whose plugins are loaded first and are not probed."""
MAX_PROBLEM = 500
"""Characters of a plugin's problem that are told."""
NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")

Spec = TypeVar("Spec")


@dataclass(frozen=True)
class Plugin:
    """A plugin as found, working or not.

    Attributes:
        name: of its entry point, or of the file.
        distribution, version: of the package that brought it.
        module: what the entry point names.
        problem: why it is not used, or None.
        root: a folder that workers put on ``sys.path`` to import it; empty for installed plugins.
        notes: what it does that is no fault but harms its users: slow imports, global settings changed, and such.
    """

    name: str
    distribution: str
    version: str
    module: str
    problem: str | None = None
    root: str = ""
    notes: tuple[str, ...] = ()


Tell = Callable[[str], None]
"""Told what of a plugin is about to be called, for whoever has to say where it hung."""


def _tell_nobody(step: str) -> None:
    """Where nobody waits for an answer."""


@dataclass(frozen=True)
class Registered(Generic[Spec]):
    """A spec and the plugin that it came from."""

    spec: Spec
    plugin: Plugin


@dataclass
class Registry:
    """All that is installed, by name. Broken plugins stand in ``plugins`` with their problem."""

    manager: pluggy.PluginManager
    plugins: list[Plugin] = field(default_factory=list)
    models: dict[str, Registered[ModelSpec]] = field(default_factory=dict)
    datasets: dict[str, Registered[DatasetSpec]] = field(default_factory=dict)
    evaluators: dict[str, Registered[EvaluatorSpec]] = field(default_factory=dict)
    metrics: dict[str, Registered[MetricSpec]] = field(default_factory=dict)
    benchmarks: dict[str, Registered[Path]] = field(default_factory=dict)
    executors: dict[str, Registered[str]] = field(default_factory=lambda: _own_executors())
    commands: dict[str, Registered[click.Command]] = field(default_factory=dict)

    @property
    def broken(self) -> list[Plugin]:
        return [plugin for plugin in self.plugins if plugin.problem is not None]

    def add(self, plugin: Plugin, load: Callable[[], object], tell: Tell = _tell_nobody) -> list[str]:
        """Load and register one plugin. Whatever it does wrong ends in its ``problem``.

        Returns:
            What it changed of the process, which has been put back: see :func:`genbench.undisturbed.undisturbed`.
            genbench's own plugins change nothing, and are not watched.
        """
        if plugin.distribution == OWN:
            self._add(plugin, load, tell)
            return []
        with undisturbed() as changed:
            self._add(plugin, load, tell)
        return changed

    def _add(self, plugin: Plugin, load: Callable[[], object], tell: Tell) -> None:
        tell("import")
        try:
            loaded = load()
        except (Exception, SystemExit) as error:
            self.report(plugin, f"cannot be imported: {told(error, plugin)}")
            return
        key = f"{plugin.distribution}:{plugin.name}"
        if self.manager.has_plugin(key):
            self.report(plugin, "is there twice: another plugin of this name and distribution has been loaded")
            return
        try:
            self.manager.register(loaded, name=key)
            self.manager.check_pending()
            found = self._collect(plugin, key, tell)
        except (Exception, SystemExit) as error:
            if self.manager.has_plugin(key):
                self.manager.unregister(name=key)
            self.report(plugin, self._explain(plugin, loaded, error))
            return
        if not any(impl.plugin_name == key for impl in self._implementations()):
            self.manager.unregister(name=key)
            self.report(plugin, "implements no hook; is a function of it marked with @hookimpl?")
            return
        for table, name, spec in found:
            getattr(self, table)[name] = Registered(spec, plugin)
        self.plugins.append(plugin)

    def report(self, plugin: Plugin, problem: str) -> None:
        """Note a plugin that can't be used and why, in a line that any terminal can show."""
        line = printable(problem)
        line = line if len(line) <= MAX_PROBLEM else line[:MAX_PROBLEM] + " ..."
        self.plugins.append(dataclasses.replace(plugin, problem=line))

    def find(self, table: str, name: str) -> Any:
        """The :class:`Registered` spec called ``name`` in the table ``models``, ``datasets`` and so on.

        Raises:
            GenbenchError: naming the nearest known name.
        """
        known: Mapping[str, Any] = getattr(self, table)
        if name not in known:
            raise GenbenchError.unknown(table.removesuffix("s"), name, known)
        return known[name]

    def observed_by(self, plugin: Plugin) -> list[str]:
        """The hooks by which a plugin is told of runs, in the order in which they come; empty for a broken one."""
        key = f"{plugin.distribution}:{plugin.name}"
        observers = [name for name in _hook_names() if not name.startswith("register_")]
        hooks = {name: getattr(self.manager.hook, name).get_hookimpls() for name in observers}
        return [name for name, found in hooks.items() if any(impl.plugin_name == key for impl in found)]

    def _implementations(self) -> Iterable[Any]:
        hooks = (getattr(self.manager.hook, name) for name in _hook_names())
        return (impl for hook in hooks for impl in hook.get_hookimpls())

    def _explain(self, plugin: Plugin, loaded: object, error: BaseException) -> str:
        if not isinstance(error, pluggy.PluginValidationError):
            return str(error) if isinstance(error, GenbenchError) else told(error, plugin)
        known = _hook_names()
        for name in dir(loaded):
            if hasattr(getattr(loaded, name, None), "genbench_impl") and name not in known:
                return str(GenbenchError.unknown("hook", name, known))
        return str(error)

    def _collect(self, plugin: Plugin, key: str, tell: Tell) -> list[tuple[str, str, Any]]:
        """What the plugin registers, checked: (table, name, spec)."""
        found: list[tuple[str, str, Any]] = []
        for table, check in CHECKS.items():
            hook = getattr(self.manager.hook, f"register_{table}")
            for impl in hook.get_hookimpls():
                if impl.plugin_name != key:
                    continue
                tell(f"register_{table}()")
                registered = impl.function()
                if registered is None:
                    raise SpecError(f"register_{table}() returned None; is a `return` missing?")
                for item in registered:
                    name, spec = check(item)
                    taken = getattr(self, table).get(name)
                    if taken is not None:
                        raise SpecError(
                            f"registers the {table.removesuffix('s')} {name!r}, a name that plugin "
                            f"{taken.plugin.name!r} of {taken.plugin.distribution} has taken"
                        )
                    if any((table, name) == other[:2] for other in found):
                        raise SpecError(f"registers the {table.removesuffix('s')} {name!r} twice")
                    found.append((table, name, spec))
        return found


def told(error: BaseException, plugin: Plugin | None = None) -> str:
    """An error's type and message in a line of bounded length; a plugin's own error may fail even to give these.

    Args:
        plugin: whose error it is: where in its package it arose is told too.
    """
    from genbench.engine.blame import place_of  # where something is wrong only

    try:
        # str() of a SyntaxError ends with file and line too, without the folder.
        message = (error.msg if isinstance(error, SyntaxError) and plugin else str(error))[:MAX_PROBLEM]
    except Exception:
        message = "its message cannot be read"
    place = None if plugin is None else place_of(error, plugin.module.partition(":")[0].partition(".")[0])
    line = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return printable(f"{line} ({place})" if place else line)


def _hook_names() -> list[str]:
    return [name for name, entry in vars(hookspecs).items() if hasattr(entry, f"{hookspecs.PROJECT}_spec")]


def _check_spec(kind: type) -> Callable[[Any], tuple[str, Any]]:
    def check(item: Any) -> tuple[str, Any]:
        if not isinstance(item, kind):
            raise SpecError(f"registers {item!r}, which is no {kind.__name__}")
        name: str = item.name  # type: ignore[attr-defined]
        if not NAME.fullmatch(name):
            raise SpecError(f"registers the name {name!r}; names match {NAME.pattern}")
        if isinstance(item, ModelSpec):
            check_model_spec(item)
        if isinstance(item, MetricSpec):
            claims_of(item)  # refuses rungs of the calibration ladder that there are not
        return name, item

    return check


def check_model_spec(spec: ModelSpec) -> None:
    """What must hold of a declaration before the model is built.

    Raises:
        SpecError: naming the field.
    """
    if not dataclasses.is_dataclass(spec.config) or not isinstance(spec.config, type):
        raise SpecError(f"model {spec.name!r}: config must be a dataclass, not {spec.config!r}")
    try:
        defaults = spec.config()
    except TypeError as error:
        raise SpecError(f"model {spec.name!r}: every field of its config needs a default: {error}") from None
    for entry in dataclasses.fields(spec.config):
        default = getattr(defaults, entry.name)
        if type(default) not in (bool, int, float, str):
            raise SpecError(f"model {spec.name!r}: config field {entry.name!r} must be a bool, int, float or str")
        if isinstance(default, float) and not math.isfinite(default):
            raise SpecError(f"model {spec.name!r}: config field {entry.name!r} must be finite, not {default}")
    for role, target in (("config", spec.config), ("factory", spec.factory)):
        if not isinstance(target, str) and "." in getattr(target, "__qualname__", ""):
            raise SpecError(
                f"model {spec.name!r}: {role} {target.__qualname__!r} stands inside another class or function; move "
                "it to the top of its module, where a run's processes can import it"
            )
    if type(getattr(defaults, "batch_size", None)) is not int:
        raise SpecError(f"model {spec.name!r}: its config needs a field batch_size of type int")
    if spec.likelihood is not None and spec.likelihood not in LIKELIHOOD_KINDS:
        unknown = SpecError.unknown(f"likelihood of model {spec.name!r}:", str(spec.likelihood), LIKELIHOOD_KINDS)
        raise SpecError(f"{unknown}, or None for no likelihood")
    if isinstance(spec.factory, str) and not re.fullmatch(r"[\w.]+:\w+", spec.factory):
        raise SpecError(f"model {spec.name!r}: factory must be 'package.module:Class', not {spec.factory!r}")


def _check_benchmark(item: Any) -> tuple[str, Path]:
    path = Path(item)
    if path.suffix != ".toml":
        raise SpecError(f"registers the benchmark {path}, which is no .toml file")
    return path.stem, path


def _check_command(item: Any) -> tuple[str, Any]:
    import click

    from genbench.cli import COMMANDS

    if not isinstance(item, click.Command) or not item.name:
        raise SpecError(f"registers {item!r}, which is no named click.Command")
    if item.name in COMMANDS:
        raise SpecError(f"registers the command {item.name!r}, which is one of genbench's own")
    return item.name, item


def _check_executor(item: Any) -> tuple[str, str]:
    try:
        name, target = item
    except (TypeError, ValueError):
        raise SpecError(f"registers {item!r}, which is no pair (name, 'package.module:function')") from None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(f"registers the executor {name!r}; names match {NAME.pattern}")
    if not isinstance(target, str) or not re.fullmatch(r"[\w.]+:\w+", target):
        raise SpecError(f"registers the executor {name!r} as {target!r}, which is no 'package.module:function'")
    return name, target


def _own_executors() -> dict[str, Registered[str]]:
    """Those that come with genbench, which need no plugin."""
    from genbench import __version__

    plugin = Plugin("executors", OWN, __version__, "genbench.executors")
    return {name: Registered(target, plugin) for name, target in OWN_EXECUTORS.items()}


CHECKS: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "models": _check_spec(ModelSpec),
    "datasets": _check_spec(DatasetSpec),
    "evaluators": _check_spec(EvaluatorSpec),
    "metrics": _check_spec(MetricSpec),
    "benchmarks": _check_benchmark,
    "executors": _check_executor,
    "commands": _check_command,
}


def discover(found: Iterable[EntryPoint] | None = None) -> Registry:
    """The registry of all installed plugins; first-party ones first, so that nobody takes their names.

    Last come the data sets of ``genbench data add``.

    Plugins of other distributions are probed before, side by side, unless it is known how that ends: one that hangs, or
    ends its process, is reported like one that raises.

    Args:
        found: entry points to load instead of the installed ones of the group ``genbench``.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    registry = Registry(manager)
    chosen = entry_points(group=GROUP) if found is None else found
    plugins = sorted(((_plugin_of(point), point) for point in chosen), key=lambda pair: _order(pair[0]))
    for plugin, point in plugins:
        if plugin.distribution == OWN:
            registry.add(plugin, point.load)
    others = [(plugin, point) for plugin, point in plugins if plugin.distribution != OWN]
    add_probed(registry, [(plugin, "", point.load) for plugin, point in others])
    if found is None:
        register_added(registry)
    return registry


def add_probed(registry: Registry, plugins: Sequence[tuple[Plugin, str, Callable[[], object]]]) -> None:
    """Register plugins, each with its file or ``""`` and how it is loaded, as far as they come through the probe."""
    if not plugins:
        return
    from genbench.verdicts import verdicts_on  # imported only where there is something to probe

    verdicts = verdicts_on([(plugin, file) for plugin, file, _ in plugins])
    for (plugin, _, load), verdict in zip(plugins, verdicts, strict=True):
        if verdict.problem is not None:
            registry.report(plugin, verdict.problem)
        else:
            registry.add(dataclasses.replace(plugin, notes=verdict.notes), load)


def _plugin_of(point: EntryPoint) -> Plugin:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "unknown")
    return Plugin(point.name, distribution, version, point.value)


def _order(plugin: Plugin) -> tuple[bool, str, str]:
    return plugin.distribution != OWN, plugin.distribution, plugin.name
