"""Where genbench keeps what it can make again: data sets, reference statistics, verdicts of audits."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "GENBENCH_CACHE"
"""Environment variable that names the cache folder."""
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
