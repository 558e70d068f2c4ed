"""What a run needs of a machine and what a machine has, in Ray's terms: CPUs, devices and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from genbench.specs import Budget

SLACK = 1e-6
"""Ray counts in ten-thousandths, and three thirds of a device are to be one."""


@dataclass(frozen=True)
class Room:
    """An amount of resources.

    Attributes:
        cpus: threads, or cores.
        devices: GPUs, or shares of one.
        memory: bytes.
    """

    cpus: float
    devices: float
    memory: float

    @classmethod
    def for_run(cls, budget: Budget) -> Room:
        """What a run of a benchmark needs."""
        share = round(1 / budget.runs_per_device - 5e-5, 4) if budget.runs_per_device > 1 else 1.0
        return cls(budget.threads, share if budget.device == "cuda" else 0.0, budget.memory)

    @classmethod
    def of_node(cls, resources: Mapping[str, float]) -> Room:
        """What a node of a Ray cluster has, by its own account."""
        return cls(resources.get("CPU", 0.0), resources.get("GPU", 0.0), resources.get("memory", 0.0))

    def holds(self, need: Room) -> int:
        """How many times ``need`` fits."""
        fits = [self.cpus / need.cpus, self.memory / need.memory]
        if need.devices:
            fits.append(self.devices / need.devices)
        return int(min(fits) + SLACK)

    def of_task(self) -> dict[str, Any]:
        """As options of a Ray task."""
        return {"num_cpus": self.cpus, "num_gpus": self.devices, "memory": int(self.memory)}

    def __str__(self) -> str:
        devices = f", {self.devices:g} GPU" if self.devices else ""
        return f"{self.cpus:g} CPU{devices}, {self.memory / (1 << 20):,.0f} MiB"


def places_in(nodes: Iterable[Room], need: Room) -> int:
    """Runs that nodes have room for side by side."""
    return sum(node.holds(need) for node in nodes)
