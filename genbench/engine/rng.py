"""Randomness as a function of (seed, stream, position); nothing else decides a draw.

Streams: ``init``, ``data``, ``train``, ``prepare``, ``sample``, ``likelihood``. The position is the step, the
chunk, or (batch, label, draw). Since each position is seeded afresh, a resumed run needs no generator state.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

# The originals: the watch over global state stands before them to see who else calls them.
_seed_python, _seed_numpy = random.seed, np.random.seed

Stream = Literal["init", "data", "train", "prepare", "sample", "likelihood"]


def stable_seed(seed: int, stream: Stream, *position: int | str) -> int:
    """A 63-bit seed, the same in every process and on every machine (unlike ``hash()``)."""
    text = "/".join(map(str, (seed, stream, *position)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, stream: Stream, *position: int | str) -> np.random.Generator:
    """A NumPy generator of the core's own, independent of the global ones."""
    return np.random.Generator(np.random.Philox(stable_seed(seed, stream, *position)))


def seed_globals(seed: int, stream: Stream, *position: int | str) -> None:
    """Seed the global generators that a plugin draws from: torch (CPU, and CUDA once in use), random, NumPy.

    ``torch.manual_seed`` does the same hundreds of microseconds slower, which would show beside a small step.
    """
    value = stable_seed(seed, stream, *position)
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
    _seed_python(value)
    _seed_numpy(value & 0xFFFFFFFF)


@contextmanager
def preserved() -> Iterator[None]:
    """Put the global generators back as they were on leaving."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)
