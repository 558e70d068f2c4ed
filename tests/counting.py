"""Counts of FLOPs for tests. The expected numbers stand in the tests, from shapes; none comes from our formulas."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from genbench.engine.flops import FlopCounter


def count(work: Callable[[], object]) -> int:
    """FLOPs of a piece of work in which every heavy operation has a formula."""
    with FlopCounter() as counter:
        work()
    assert not counter.uncounted, counter.uncounted
    return counter.flops


def training(forward: Callable[[], Tensor]) -> Callable[[], None]:
    """A forward pass, and the backward pass from the sum of its result."""
    return lambda: forward().sum().backward()


def unnamed(work: Callable[[], object]) -> set[str]:
    """Names of the heavy operations of a piece of work that have no formula."""
    with FlopCounter() as counter:
        work()
    return counter.uncounted
