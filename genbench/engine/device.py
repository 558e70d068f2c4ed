"""The device: its precision as a benchmark has it, and its memory, capped to what is allowed, and measured.

Cap and measure concern torch's allocator, which serves every tensor of this process. The driver's context (some
hundred MiB), what libraries allocate behind torch's back (NCCL, a plugin's own CUDA code) and other processes on the
device are neither capped nor measured. On the CPU there is nothing to do: the supervisor watches resident memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from genbench.specs import Budget

MIB = 1 << 20
_limit: int | None = None


def precision(budget: Budget) -> AbstractContextManager[Any]:
    """The context in which a model trains and samples: autocast to bfloat16 where the benchmark says so, else none.

    Weights stay float32. Autocast's copies of them are not kept between two uses, since a training step may update a
    network and use it again (a GAN's discriminator), which would then run on the weights from before.
    """
    if budget.precision == "float32":
        return nullcontext()
    return torch.autocast(budget.device, torch.bfloat16, cache_enabled=False)


def cap_memory(budget: Budget) -> None:
    """Make torch refuse to hold more than ``budget.device_memory`` bytes on the current device.

    What it refuses is a ``torch.OutOfMemoryError``, which becomes the status ``oom_device``. The cap is on what the
    allocator reserves, cached and fragmented blocks included; before it refuses, it frees the blocks that are cached.
    Call it once a process, before the first tensor. Without a device, or without a limit, nothing is capped; nor is
    it where the device has less memory than the limit, whose size is then what ends a run.
    """
    global _limit
    if budget.device != "cuda":
        _limit = None
        return
    total = int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    allowed = total if budget.device_memory is None else min(budget.device_memory, total)
    _limit = allowed
    torch.cuda.set_per_process_memory_fraction(allowed / total)


def peak_memory() -> int | None:
    """The most bytes that torch's allocator has reserved on the current device at a time; None if none is in use.

    Reserved bytes, not allocated ones: that is what the cap is on, and what another process could not have had.
    """
    return int(torch.cuda.max_memory_reserved()) if torch.cuda.is_initialized() else None


def visible_devices() -> list[dict[str, str]]:
    """The CUDA devices that torch sees, in its order: ``name`` and ``key`` of an executor's ``Device`` each.

    It starts CUDA, so it is for a process that does nothing else.
    """
    uuids = [f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in range(torch.cuda.device_count())]
    return named_devices(uuids, os.environ)


def named_devices(uuids: list[str], environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Names of devices for ``CUDA_VISIBLE_DEVICES``, and what they are known by to all processes.

    Args:
        uuids: of the devices that torch sees. Parts of one device (MIG) have its UUID.
        environment: whose ``CUDA_VISIBLE_DEVICES`` may have chosen and named them.
    """
    chosen = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = chosen[: len(uuids)] if len(chosen) >= len(uuids) else uuids
    return [
        # A number means another device where other devices are visible; a part is known by its own name only.
        {"name": name, "key": name.replace("/", "-") if name.startswith("MIG-") else uuid}
        for name, uuid in zip(names, uuids, strict=True)
    ]


def out_of_memory(error: torch.OutOfMemoryError) -> str:
    """The reason of a run that ended as ``oom_device``: the limit, the peak, and what torch said first."""
    message = str(error).strip().splitlines()
    peak = peak_memory()
    parts = [
        "the device's memory ran out",
        *([] if _limit is None else [f"limit {_limit // MIB:,} MiB"]),
        *([] if peak is None else [f"peak {peak // MIB:,} MiB"]),
    ]
    said = f" ({message[0]})" if message else ""
    return ", ".join(parts) + said
