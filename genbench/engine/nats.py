"""Likelihoods of others: ``nats.npz`` read under caps, nothing unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine.arrays import read_npz, read_word
from genbench.errors import GenbenchError

KINDS = ("exact", "iwae", "bound", "estimate")


class Nats:
    """What ``nats.npz`` holds; see :class:`genbench.engine.likelihood.LogProbs`, whose fields these are.

    Attributes:
        nats: float64 ``[N]``, finite.
        kind: one of ``KINDS``.
        draws, dims: 1 or more.
        effective_draws: float64 ``[N]`` or None.
        examples: int64 ``[N]``, rising, 0 or more.
    """

    def __init__(self, arrays: dict[str, np.ndarray], kind: str) -> None:
        self.nats = arrays["nats"]
        self.examples = arrays["examples"]
        self.draws, self.dims = int(arrays["draws"]), int(arrays["dims"])
        self.effective_draws = arrays.get("effective_draws")
        self.kind = kind

    def same_as(self, other: Nats) -> bool:
        """Whether both hold the same values."""
        arrays = (self.nats, self.examples, self.effective_draws), (other.nats, other.examples, other.effective_draws)
        same = all(np.array_equal(one, two) for one, two in zip(*arrays, strict=True))  # type: ignore[arg-type]
        return same and (self.kind, self.draws, self.dims) == (other.kind, other.draws, other.dims)

    def fields(self) -> dict[str, Any]:
        """As arguments of :class:`~genbench.engine.likelihood.LogProbs`."""
        return vars(self)


def load_nats(path: Path) -> Nats:
    """The likelihoods in an ``.npz`` that anybody may have made.

    Raises:
        GenbenchError: saying what was promised and found.
    """
    try:
        arrays = {
            name: array
            for name in ("nats", "examples", "draws", "dims", "effective_draws")
            if (array := read_npz(path, name, beside=name)) is not None
        }
        kind = read_word(path, "kind")
    except (OSError, ValueError, MemoryError) as error:
        raise GenbenchError(
            f"{path.name}: {(error.strerror if isinstance(error, OSError) else None) or error}"
        ) from None
    if missing := sorted({"nats", "examples", "draws", "dims"} - arrays.keys()):
        raise GenbenchError(f"{path.name}: lacks {', '.join(missing)}")
    nats, examples = arrays["nats"], arrays["examples"]
    if nats.dtype != np.float64 or nats.ndim != 1 or not len(nats) or not np.isfinite(nats).all():
        raise GenbenchError(f"{path.name}: nats must be finite float64 of shape [N], not {nats.dtype} {nats.shape}")
    if examples.dtype != np.int64 or examples.shape != nats.shape or (np.diff(examples) <= 0).any() or examples[0] < 0:
        raise GenbenchError(f"{path.name}: examples must be rising int64 of shape {nats.shape}")
    for name in ("draws", "dims"):
        if arrays[name].dtype.kind not in "iu" or arrays[name].shape != () or int(arrays[name]) < 1:
            raise GenbenchError(f"{path.name}: {name} must be a whole number of 1 or more")
    effective = arrays.get("effective_draws")
    if effective is not None and (
        effective.dtype != np.float64 or effective.shape != nats.shape or not np.isfinite(effective).all()
    ):
        raise GenbenchError(f"{path.name}: effective_draws must be finite float64 of shape {nats.shape}")
    if kind not in KINDS:
        raise GenbenchError(f"{path.name}: kind must be one of {', '.join(KINDS)}, not {ascii(kind)[:40]}")
    return Nats(arrays, kind)
