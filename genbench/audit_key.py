"""What a verdict of the likelihood audit is a verdict on, and on which small spaces a model can be summed over.

Torch-free: the harness needs the key before it starts any process. The audit is :mod:`genbench.engine.audit`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

from genbench.specs import DataSpec, ModelSpec
from genbench.undisturbed import undisturbed

if TYPE_CHECKING:
    from genbench.job import Job

AUDIT_VERSION = 3
"""Of the audit's protocol; a change of any of its constants is another version."""


def key_of(job: Job) -> str:
    """32 hex digits of all that decides the verdict of an audit, from its SHA-256.

    The model's code and factory, its resolved configuration, the kind of its likelihood, the data's spec, and what
    changes the last bits: device and threads. Neither the benchmark nor the seed nor the data themselves: one audit
    serves all runs of a model on data of one shape.
    """
    identity = {
        "version": AUDIT_VERSION,
        "code": job.model.code_sha256,
        "factory": job.factory,
        "config": job.model.config,
        "likelihood": job.likelihood,
        "conditional": job.conditional,
        "max_epochs": job.max_epochs,
        "data": dataclasses.asdict(job.data),
        "device": job.budget.device,
        "threads": job.budget.threads,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def seed_of(key: str) -> int:
    """The seed of all of an audit's random numbers, so that the verdict is a function of the key."""
    return int(key, 16) & 0x7FFFFFFF


def small_spaces(data: DataSpec) -> list[DataSpec]:
    """Shapes so small that log_prob can be summed over every example; classes as in ``data``.

    The smallest, and some with room for pixels that depend on one another.
    """
    shapes: list[tuple[int, ...]] = [(1, 1, 2), (1, 2, 4)] if data.is_image else [(2,), (8,)]
    levels = (min(3, data.levels), 2)
    return [DataSpec(shape, count, data.classes) for shape, count in zip(shapes, levels, strict=True)]


def supported_spaces(spec: ModelSpec, data: DataSpec) -> list[DataSpec]:
    """Those of :func:`small_spaces` that the model supports; for a model's job."""
    return [space for space in small_spaces(data) if _supports(spec, space)]


def _supports(spec: ModelSpec, space: DataSpec) -> bool:
    """A plugin that cannot even say whether it supports an odd shape does not."""
    try:
        with undisturbed():
            return spec.supports(space) is None
    except (Exception, SystemExit):
        return False
