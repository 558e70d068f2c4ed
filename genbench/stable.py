"""What two runs of the same thing have in common: a record without times, memory, and where it was made."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from genbench.record import Record, brief

VOLATILE = (
    "started",
    "finished",
    "environment",
    "attempts",
    "warnings",
    "artifacts.log.txt",
    "artifacts.curve.csv",
    "spent.seconds",
    "spent.memory",
    "spent.device_memory",
    "spent.cpu_seconds",
    "spent.prepare.seconds",
    "cost.train_seconds",
    "cost.compile_seconds",
    "cost.samples_per_second",
    "cost.peak_memory",
    "cost.sample_seconds",
    "cost.stage_seconds",
)
"""Fields that two identical runs may differ in: times, memory, where and after what mishaps they ran."""


def stable(record: Record) -> dict[str, Any]:
    """The record as a dict without its volatile fields: equal for two runs that did the same."""
    milestones = [brief(milestone, record.scores) for milestone in record.milestones]
    document: dict[str, Any] = asdict(replace(record, milestones=milestones))
    for path in VOLATILE:
        head, _, rest = path.partition(".")
        if not rest:
            document.pop(head, None)
        elif head in ("artifacts", "cost"):
            document[head].pop(rest, None)
        else:
            inner, _, leaf = rest.partition(".")
            holder = document[head].get(inner) if leaf else document[head]
            if isinstance(holder, dict):
                holder.pop(leaf or inner, None)
    for milestone in document["milestones"]:
        del milestone["seconds"]
    return document
