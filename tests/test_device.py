"""The device's memory is capped and measured. Without a device, torch's functions are stood in for."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genbench.engine import device
from genbench.specs import Budget

GIB = 1 << 30
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and there is none here")


def budget(**changes: Any) -> Budget:
    return Budget(images=1, flops=None, seconds=1.0, memory=GIB, parameters=1, **changes)


@pytest.fixture
def fractions(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The fractions asked of an imagined device of 8 GiB, whose allocator has reserved 3 GiB at its peak."""
    asked: list[float] = []
    monkeypatch.setattr(device, "_limit", None)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=8 * GIB))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3 * GIB)
    return asked


def test_the_cap_is_the_limits_share_of_the_device(fractions: list[float]) -> None:
    device.cap_memory(budget(device="cuda", device_memory=2 * GIB))
    assert fractions == [0.25]


@pytest.mark.parametrize("limit", [None, 8 * GIB, 80 * GIB])
def test_a_limit_that_the_device_cannot_reach_caps_nothing(fractions: list[float], limit: int | None) -> None:
    device.cap_memory(budget(device="cuda", device_memory=limit))
    assert fractions == [1.0]


def test_on_the_cpu_nothing_is_capped_nor_measured(fractions: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    device.cap_memory(budget(device="cpu", device_memory=GIB))
    assert fractions == []
    assert device.peak_memory() is None


def test_a_run_that_is_out_of_memory_says_limit_and_peak(fractions: list[float]) -> None:
    device.cap_memory(budget(device="cuda", device_memory=2 * GIB))
    reason = device.out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB\nmore"))
    assert reason == (
        "the device's memory ran out, limit 2,048 MiB, peak 3,072 MiB (CUDA out of memory. Tried to allocate 1 GiB)"
    )


def test_the_reason_does_not_invent_a_limit_that_was_not_set(
    fractions: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    device.cap_memory(budget(device="cpu"))
    assert device.out_of_memory(torch.OutOfMemoryError("no room")) == "the device's memory ran out (no room)"


@pytest.fixture
def capped() -> Iterator[int]:
    """A limit of 512 MiB on a real device, lifted afterwards."""
    limit = 512 << 20
    device.cap_memory(budget(device="cuda", device_memory=limit))
    torch.cuda.reset_peak_memory_stats()
    yield limit
    device.cap_memory(budget(device="cuda"))
    torch.cuda.empty_cache()


@needs_cuda
def test_a_device_refuses_what_is_over_the_limit_and_serves_what_is_under_it(capped: int) -> None:
    held = torch.zeros(capped // 2, dtype=torch.uint8, device="cuda")
    with pytest.raises(torch.OutOfMemoryError) as refused:
        torch.zeros(capped, dtype=torch.uint8, device="cuda")
    assert "limit 512 MiB" in device.out_of_memory(refused.value)
    peak = device.peak_memory()
    assert peak is not None
    assert held.nbytes <= peak <= capped
