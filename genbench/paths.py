"""Where genbench keeps things: what it can make again in the cache, what a person told it in the data folder."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "GENBENCH_CACHE"
"""Environment variable that names the cache folder."""
DATA_VARIABLE = "GENBENCH_DATA"
"""Environment variable that names the data folder."""
OFFLINE = "GENBENCH_OFFLINE"
"""Environment variable that forbids every download."""


def cache_root() -> Path:
    """The cache folder: ``$GENBENCH_CACHE``, or the user's cache folder of the platform. It may not exist yet."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("genbench")


def data_cache() -> Path:
    """The folder of materialised data sets."""
    return cache_root() / "data"


def files_cache() -> Path:
    """The folder of files that data sets are read from, a folder each; people may put files there too."""
    return cache_root() / "files"


def added_folder() -> Path:
    """The folder of registrations of ``genbench data add``: ``data-sets`` in ``$GENBENCH_DATA``, or in the user's data
    folder of the platform. It may not exist yet."""
    chosen = os.environ.get(DATA_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute() / "data-sets"
    from platformdirs import user_data_path

    return user_data_path("genbench") / "data-sets"


def reference_cache() -> Path:
    """The folder of reference features and statistics."""
    return cache_root() / "reference"


def audit_cache() -> Path:
    """The folder of verdicts of the likelihood audit."""
    return cache_root() / "audits"


def weights_cache() -> Path:
    """The folder of evaluators' weights that do not ship."""
    return cache_root() / "weights"


def offline() -> bool:
    """Whether ``$GENBENCH_OFFLINE`` forbids downloads: set, and neither empty nor ``0``."""
    return os.environ.get(OFFLINE, "") not in ("", "0")
