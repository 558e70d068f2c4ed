"""The settings of the process that belong to the core: read, compared, and put back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from genbench.engine import rng

Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
"""How a setting is read and how it is put back."""


def _attribute(owner: Any, name: str) -> Setting:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _set_environment(value: dict[str, str]) -> None:
    for name in os.environ.keys() - value.keys():
        del os.environ[name]
    os.environ.update(value)


SETTINGS: dict[str, Setting] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "the precision of matrix products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "cudnn.benchmark": _attribute(torch.backends.cudnn, "benchmark"),
    "cudnn.deterministic": _attribute(torch.backends.cudnn, "deterministic"),
    "cudnn.allow_tf32": _attribute(torch.backends.cudnn, "allow_tf32"),
    "cuda.matmul.allow_tf32": _attribute(torch.backends.cuda.matmul, "allow_tf32"),
    "NumPy's floating-point errors": (np.geterr, lambda value: np.seterr(**value)),
    "the working folder": (os.getcwd, os.chdir),
    "the environment variables": (lambda: dict(os.environ), _set_environment),
}


def settings() -> dict[str, Any]:
    """Every setting as it is now."""
    return {name: read() for name, (read, _) in SETTINGS.items()}


def put_back(before: dict[str, Any]) -> None:
    """Set what differs to what it was."""
    for name, (read, write) in SETTINGS.items():
        if read() != before[name]:
            write(before[name])


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
