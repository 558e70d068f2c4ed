"""Which files a plugin is made of, and their hash: the part of a run's identity that says by what code."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import site
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import GenbenchError

if TYPE_CHECKING:
    from genbench.plugins import Plugin
    from genbench.specs import ModelSpec


def code_sha256(spec: ModelSpec, plugin: Plugin) -> str:
    """SHA-256 of every file of the packages that a model is made of: the plugin's, factory's, config's, ``spec.code``.

    Of a plugin in a single file, also what that imports from its own folder.

    Raises:
        GenbenchError: if one of them can't be found.
    """
    factory = spec.factory if isinstance(spec.factory, str) else spec.factory.__module__
    packages = {top_level(name) for name in (plugin.module, factory, spec.config.__module__, *spec.code)}
    if plugin.root:
        packages |= imported_beside(plugin.module, Path(plugin.root))
    return sha256_of_files(entry for package in sorted(packages) for entry in files_of(package, plugin.root))


def sha256_of_files(files: Iterable[tuple[Path, str]]) -> str:
    """SHA-256 of files as of :func:`files_of`: labels, sizes and contents, in the order given.

    Raises:
        OSError: if one can't be read.
    """
    digest = hashlib.sha256()
    for path, label in files:
        digest.update(f"{label}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def files_of(package: str, root: str = "") -> list[tuple[Path, str]]:
    """Every file of a top-level package, each with a label that is the same on every machine.

    Python's caches and what editors leave beside the files that are edited are no part of it: see :func:`_is_left`.
    Nothing of it is imported.

    Args:
        package: name of a package or module.
        root: a folder in which it may stand without being installed.

    Raises:
        GenbenchError: if there is no such package.
    """
    places = _beside(package, Path(root)) if root else []
    if not places:
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise GenbenchError(f"the package {package!r}, named by a model's declaration, is not installed")
        places = [Path(place) for place in spec.submodule_search_locations or [str(spec.origin)]]
    if len(places) == 1 and not places[0].is_dir():
        return [(places[0], package)]
    files = [
        (path, f"{package}/{path.relative_to(folder).as_posix()}")
        for folder in places
        for path in folder.rglob("*")
        if path.is_file() and not _is_left(path, folder)
    ]
    return sorted(files, key=lambda entry: entry[1])


def imported_beside(module: str, root: Path) -> set[str]:
    """Names of the modules and packages in the folder ``root`` that a module there imports, itself included.

    Imports are read, not carried out, also those inside functions, and those of the modules found. What is installed
    hides what has its name in ``root``, as it does in the processes of a run, where ``root`` comes last.

    Raises:
        OSError: if a file can't be read.
    """
    found: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        places = _beside(name, root)
        if not places or name in found:
            continue
        found.add(name)
        for place in places:
            sources = [path for path in place.rglob("*.py") if not _is_left(path, place)] if place.is_dir() else [place]
            for source in sources:
                waiting |= _imports(source)
    return found


def _is_left(path: Path, folder: Path) -> bool:
    """Whether a file in a package's folder is what Python or an editor left there, which nobody imports.

    A name that begins with a point is that of no module: locks and swap files (``.#x.py``, ``.x.py.swp``), checkpoints
    of notebooks, folders of tools. Compiled code beside its source is not looked at either; without a source it is
    imported, and counts.
    """
    parts = path.relative_to(folder).parts
    if "__pycache__" in parts or any(part.startswith(".") for part in parts):
        return True
    if path.name.endswith("~") or (path.name.startswith("#") and path.name.endswith("#")):
        return True
    return path.suffix == ".pyc" and path.with_suffix(".py").is_file()


def _beside(package: str, root: Path) -> list[Path]:
    """The file or the folder, with or without an ``__init__.py``, that a package is imported from in ``root``."""
    spec = None if _is_installed(package) else PathFinder.find_spec(package, [str(root)])
    if spec is None:
        return []
    return [Path(place) for place in spec.submodule_search_locations or [str(spec.origin)]]


def _is_installed(package: str) -> bool:
    """Whether it is genbench, of the standard library, or among the installed packages."""
    if package == "genbench" or package in sys.stdlib_module_names:
        return True
    folders = [*site.getsitepackages(), *[site.getusersitepackages()] * bool(site.ENABLE_USER_SITE)]
    spec = PathFinder.find_spec(package, folders)
    return spec is not None and spec.origin is not None  # a folder without an __init__.py hides nothing


def _imports(source: Path) -> set[str]:
    """The top-level names that a Python file imports; none of a file that is no Python, which can't be imported."""
    try:
        nodes = list(ast.walk(ast.parse(source.read_bytes())))
    except (SyntaxError, ValueError):
        return set()
    plain = {top_level(alias.name) for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {
        top_level(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


def top_level(name: str) -> str:
    """The package of a module's name or an import string.

    >>> top_level("package.module:Class")
    'package'
    """
    return re.split(r"[.:]", name)[0]
