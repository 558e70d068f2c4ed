"""What a verdict of the likelihood audit is a verdict on. Without torch, since the harness asks before any process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genbench.job import Job

AUDIT_VERSION = 1
"""Raised whenever the audit's tests or their limits change: older verdicts are then made again."""


def key_of(job: Job) -> str:
    """32 hex digits of all that a verdict depends on: code, configuration, data's spec, kind, settings, device."""
    identity = {
        "version": AUDIT_VERSION,
        "code": job.model.code_sha256,
        "model": job.model.name.partition("[")[0],
        "config": job.model.config,
        "data": asdict(job.data),
        "likelihood": job.likelihood,
        "conditional": job.conditional,
        "max_epochs": job.max_epochs,
        "draws": job.likelihood_settings.draws,
        "threads": job.budget.threads,
        "device": job.budget.device,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
