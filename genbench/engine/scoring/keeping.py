"""Small arrays that are the same for all samples of a benchmark, kept in the cache."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from genbench.engine.scoring.pairs import Float64
from genbench.files import write_whole


def arithmetic() -> str:
    """What the last bits of results hang on beside their input, as a part of a file's name: torch and its threads."""
    return f"torch-{torch.__version__}-threads-{torch.get_num_threads()}"


def kept(path: Path | None, shape: tuple[int, ...], make: Callable[[], Float64]) -> Float64:
    """The float64 array in an ``.npy`` file, or a new one, which is then kept there.

    Args:
        path: named by all that the array hangs on; None to keep nothing. One that cannot be written only costs the time
            again.
        shape: of the array. A file that holds anything but such an array of finite numbers is made anew.
    """
    if path is None:
        return make()
    with contextlib.suppress(OSError, ValueError, EOFError):
        found = np.load(path, allow_pickle=False)
        if found.shape == shape and found.dtype == np.float64 and bool(np.isfinite(found).all()):
            return np.asarray(found)
    made, buffer = make(), io.BytesIO()
    np.save(buffer, made, allow_pickle=False)
    with contextlib.suppress(OSError):
        write_whole(path, buffer.getvalue())
    return made
