"""Which files a plugin is made of, and their hash: the part of a run's identity that says by what code."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.errors import GenbenchError

if TYPE_CHECKING:
    from genbench.plugins import Plugin
    from genbench.specs import ModelSpec


def code_sha256(spec: ModelSpec, plugin: Plugin) -> str:
    """SHA-256 of every file of the packages that a model is made of: the plugin's, factory's, config's, ``spec.code``.

    Raises:
        GenbenchError: if one of them can't be found.
    """
    factory = spec.factory if isinstance(spec.factory, str) else spec.factory.__module__
    packages = {top_level(name) for name in (plugin.module, factory, spec.config.__module__, *spec.code)}
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
    """Every file of a top-level package but Python's caches, each with a label that is the same on every machine.

    Nothing of it is imported.

    Args:
        package: name of a package or module.
        root: a folder in which it may be a single file that is not installed.

    Raises:
        GenbenchError: if there is no such package.
    """
    if root and (Path(root) / f"{package}.py").is_file():
        return [(Path(root) / f"{package}.py", package)]
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise GenbenchError(f"the package {package!r}, named by a model's declaration, is not installed")
    if not spec.submodule_search_locations:
        return [(Path(str(spec.origin)), package)]
    files: list[tuple[Path, str]] = []
    for folder in map(Path, spec.submodule_search_locations):
        files += [
            (path, f"{package}/{path.relative_to(folder).as_posix()}")
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
    return sorted(files, key=lambda entry: entry[1])


def top_level(name: str) -> str:
    """The package of a module's name or an import string.

    >>> top_level("package.module:Class")
    'package'
    """
    return re.split(r"[.:]", name)[0]
