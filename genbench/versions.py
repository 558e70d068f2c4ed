"""The versions on which bit-identity depends, told without importing what they are of."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import version

from genbench import __version__


@functools.cache
def _installed() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "numpy")}


def versions() -> dict[str, str]:
    """Of genbench, Python, torch and NumPy: what one of another version wrote is not gone on with.

    Of a build of torch only as much as its metadata tell: wheels for CUDA from PyPI have no ``+cu130`` there.

    Raises:
        importlib.metadata.PackageNotFoundError: if torch or NumPy is not installed.
    """
    return {"genbench": __version__, "python": platform.python_version(), **_installed()}
