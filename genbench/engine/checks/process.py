"""The settings of the process that belong to the core: read, compared, and put back."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from genbench.engine import rng, tampering
from genbench.engine.tampering import Setting


def _set_environment(value: dict[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)


SETTINGS: dict[str, Setting] = {
    **tampering.SETTINGS,
    "NumPy's floating-point errors": Setting(np.geterr, lambda value: np.seterr(**value)),
    "the environment variables": Setting(lambda: dict(os.environ), _set_environment, shown=False),
}
"""What the core watches while it trains, and what takes too long to look at there."""


def settings() -> dict[str, Any]:
    """Every setting as it is now."""
    return {name: tampering.setting_now(setting) for name, setting in SETTINGS.items()}


def put_back(before: dict[str, Any]) -> None:
    """Set what differs to what it was."""
    for name, setting in SETTINGS.items():
        if tampering.setting_now(setting) != before[name]:
            setting.write(before[name])


@contextmanager
def preserved() -> Iterator[None]:
    """Leave the process on exit as it was on entry: settings, random generators and ``sys.path``."""
    before, path = settings(), list(sys.path)
    try:
        with rng.preserved():
            yield
    finally:
        put_back(before)
        sys.path[:] = path
