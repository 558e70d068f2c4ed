"""The class of a machine: on two machines of one class the same run gives the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Plain = str | int | float | bool | None

CLASS = (
    "genbench", "python", "torch", "numpy", "platform", "cpu", "cpu_capability", "threads", "device", "gpu", "cuda",
    "cudnn",
)  # fmt: skip
"""Parts of a record's ``environment`` that bear on its numbers. The processor's name is one of them, since libraries of
linear algebra choose their kernels by it and not only by its instruction set."""


def machine_class(environment: Mapping[str, Any]) -> dict[str, Plain]:
    """The class of the machine that an ``environment`` describes; without the parts that it lacks."""
    found = {name: environment[name] for name in CLASS if environment.get(name) is not None}
    return {name: value if isinstance(value, str | int | float | bool) else str(value) for name, value in found.items()}


def why_other_class(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """In what two environments are of different classes, for people; None where they are of one."""
    one, other = machine_class(recorded), machine_class(here)
    differing = [name for name in CLASS if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)!r} there, {other.get(name)!r} here" for name in differing) or None
