"""Plugins in a single Python file, which need not be installed: ``genbench run ./my_model.py``.

Wherever a command takes a model it takes ``FILE.py``, ``FILE.py[option=value]`` and, where the file registers several
models, ``FILE.py:name[option=value]``. In records the model has the name that it is registered under.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from genbench.errors import GenbenchError
from genbench.plugins import Plugin, Registry, add_probed

if TYPE_CHECKING:
    from genbench.record import Record
    from genbench.selection import SelectedModel

FORM = re.compile(r"(?P<file>.+?\.py)(?::(?P<name>[^\[\]=,:\s]+))?(?P<options>\[[^\[\]]*\])?")
UNPACKAGED = "unpackaged"
"""The version, in records, of a model that came from a single file."""


def is_in_file(text: str) -> bool:
    """Whether what a person typed names a model by the Python file that it is in."""
    return FORM.fullmatch(text) is not None


def select_in_file(registry: Registry, text: str) -> SelectedModel:
    """The model that ``text`` names by its file; the file's plugin is registered if it has not been yet.

    Raises:
        GenbenchError: if there is no such file, the plugin in it does not work, it has no such model or several of
            which none is named, or options are wrong.
    """
    from genbench.selection import select_model

    match = FORM.fullmatch(text)
    if match is None:
        raise GenbenchError(f"{text!r}: a model in a file is written FILE.py, or FILE.py:name[option=value,...]")
    file, name, options = match["file"], match["name"], match["options"] or ""
    plugin = add_file(registry, Path(file))
    names = [model for model, entry in registry.models.items() if entry.plugin == plugin]
    if not names:
        raise GenbenchError(f"{file}: registers no model; is register_models() in it, marked with @hookimpl?")
    if name is None and len(names) > 1:
        ways = ", ".join(f"{file}:{each}" for each in names)
        raise GenbenchError(f"{file}: registers {len(names)} models; say which, one of {ways}")
    if name is not None and name not in names:
        raise GenbenchError.unknown(f"model of {file}", name, names)
    return select_model(registry, f"{name or names[0]}{options}")


def name_of(registry: Registry, text: str) -> str:
    """The name in records of what a person typed: of a model in a file the one that it is registered under.

    Raises:
        GenbenchError: as :func:`select_in_file`.
    """
    return select_in_file(registry, text).name if is_in_file(text) else text


def add_file(registry: Registry, path: Path) -> Plugin:
    """Register the plugin in a single Python file, once. It is probed like an installed one.

    Raises:
        GenbenchError: if there is no such file, the plugin in it does not work, or its module's name is taken.
    """
    if not path.is_file():
        raise GenbenchError(f"{path}: no such file")
    whole = _whole(path)
    # By the file's name alone: a record must not tell of its maker's folders, nor change when they do.
    plugin = Plugin(path.stem, path.name, UNPACKAGED, path.stem, root=str(whole.parent))
    for known in registry.plugins:
        if (known.distribution, known.version, known.root) == (path.name, UNPACKAGED, plugin.root):
            return _working(known, path)
    _refuse_taken(registry, plugin, path)
    add_probed(registry, [(plugin, str(whole), lambda: load_file(path))])
    return _working(registry.plugins[-1], path)


def refuse_missing(registry: Registry, record: Record) -> None:
    """Refuse a run of a model in a file that has not been named.

    Raises:
        GenbenchError: saying how to name it.
    """
    from genbench.report.printable import printable
    from genbench.selection import parse_model

    if record.model.version == UNPACKAGED and parse_model(record.model.name)[0] not in registry.models:
        raise GenbenchError(
            f"{printable(record.run)}: was made by a model in a file, {printable(record.model.plugin)}, which is not "
            "installed; name it with --file"
        )


def load_file(path: Path) -> ModuleType:
    """Import a Python file as a module of its name. What stands beside it can be imported too.

    Raises:
        GenbenchError: if it is no Python file.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise GenbenchError(f"{path}: not a Python file")
    folder = str(_whole(path).parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last, as in workers: it hides no installed module
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


def _whole(path: Path) -> Path:
    """The path from the root. A file that is a link keeps its name and its folder, where workers look for it."""
    return path.parent.resolve() / path.name


def _working(plugin: Plugin, path: Path) -> Plugin:
    if plugin.problem is not None:
        raise GenbenchError(f"{path}: {plugin.problem}")
    return plugin


def _refuse_taken(registry: Registry, plugin: Plugin, path: Path) -> None:
    """Refuse a file that workers could not import, since another module has its name."""
    for other in registry.plugins:
        if (other.module, other.version) == (plugin.module, UNPACKAGED):
            raise GenbenchError(
                f"{path}: another file of this name is in use, {Path(other.root) / other.distribution}, and Python "
                "would take the two for one module; rename one of them"
            )
    if "." in plugin.module:
        raise GenbenchError(f"{path}: Python imports no file with another dot in its name; rename it")
    try:
        found = importlib.util.find_spec(plugin.module)
        origin = None if found is None else str(found.origin)
    except (ImportError, ValueError):
        origin = "a module that has been imported"
    if origin is not None and Path(origin).resolve() != path.resolve():
        raise GenbenchError(
            f"{path}: Python has another module called {plugin.module!r} ({origin}), which a run's processes would "
            "import instead; rename the file"
        )
