"""What training costs as it goes on: work a step, and what stays alive in memory."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median_low
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from genbench.engine.checks.subject import Subject
from genbench.engine.flops import FlopCounter

WINDOW = 6
"""k: what is alive is taken after k, 2k and 4k steps."""

PROGRESS = 0.25
"""Held still, so that what grows grows with the steps and not with a schedule."""


@dataclass(frozen=True)
class Mark:
    """What is alive after a number of steps.

    Attributes:
        steps: steps taken.
        state_tensors, state_bytes, state_leaves: of state_dict; leaves are its numbers, strings and tensors.
        live_tensors, live_bytes: storages that training made and that are still held by anything, autograd included.
    """

    steps: int
    state_tensors: int
    state_bytes: int
    state_leaves: int
    live_tensors: int
    live_bytes: int


@dataclass(frozen=True)
class Course:
    """A training, measured.

    Attributes:
        marks: after k, 2k and 4k steps.
        flops, operations: of the typical (median) step of each of the three windows between the marks.
    """

    marks: tuple[Mark, ...]
    flops: tuple[int, ...]
    operations: tuple[int, ...]


class Storages(TorchDispatchMode):
    """Counts dispatched operations, and keeps a weak hold on every storage that they return."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
                storage = tensor.untyped_storage()
                # An address is not used again while a weak reference to it is held.
                if storage._cdata not in self._held:
                    self._held[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        return result

    def alive(self) -> tuple[int, int]:
        """Number and bytes of the storages that are still held; the others are forgotten."""
        self._held = {key: held for key, held in self._held.items() if not held[0].expired()}
        return len(self._held), sum(nbytes for _, nbytes in self._held.values())


def steps_of_course(subject: Subject) -> tuple[int, int, int] | None:
    """k, 2k and 4k; fewer for a model that sees its data a few times only, None where they would say nothing."""
    useful = subject.useful_steps
    k = WINDOW if useful is None else min(WINDOW, useful // 4)
    return (k, 2 * k, 4 * k) if k >= 2 else None


def course(subject: Subject, steps: tuple[int, int, int]) -> Course:
    """Train and measure."""
    model, storages = subject.fresh(), Storages()
    flops: list[int] = []
    operations: list[int] = []
    marks = []
    with _collecting_little():
        for step in range(steps[-1]):
            before = storages.operations
            with FlopCounter() as counter, storages:
                subject.step(model, step, subject.batches.at(step), PROGRESS)
            flops.append(counter.flops)
            operations.append(storages.operations - before)
            if step + 1 in steps:
                marks.append(_mark(subject, model, storages, step + 1))
    return Course(tuple(marks), _typical(flops, steps), _typical(operations, steps))


@dataclass(frozen=True)
class Pace:
    """A training without measuring instruments inside its steps.

    Attributes:
        seconds: CPU time of the fastest step in each of the three windows.
        python_bytes: memory of Python's allocator, NumPy's arrays included, after k, 2k and 4k steps.
    """

    seconds: tuple[float, ...]
    python_bytes: tuple[int, ...]


def pace(subject: Subject, steps: tuple[int, int, int]) -> Pace:
    """Train, and take the time and Python's memory."""
    model = subject.fresh()
    seconds, memory = [], []
    with _collecting_little(), _traced():
        for step in range(steps[-1]):
            batch = subject.batches.at(step)
            began = time.thread_time()
            subject.step(model, step, batch, PROGRESS)
            seconds.append(time.thread_time() - began)
            if step + 1 in steps:
                gc.collect()
                memory.append(tracemalloc.get_traced_memory()[0])
    return Pace(tuple(min(window) for window in _windows(seconds, steps)), tuple(memory))


def _mark(subject: Subject, model: Any, storages: Storages, steps: int) -> Mark:
    tensors, tree = subject.flat(model)
    sizes = [tensor.numel() * tensor.element_size() for tensor in tensors.values()]
    leaves = _leaves(tree)
    del tensors, tree
    gc.collect()
    tensors_alive, bytes_alive = storages.alive()
    return Mark(steps, len(sizes), sum(sizes), leaves, tensors_alive, bytes_alive)


def _leaves(tree: Any) -> int:
    if isinstance(tree, dict):
        return sum(map(_leaves, tree.values()))
    return sum(map(_leaves, tree)) if isinstance(tree, list) else 1


def _windows(values: list[Any], steps: tuple[int, int, int]) -> Iterator[list[Any]]:
    for first, last in zip((0, *steps), steps, strict=False):
        yield values[first:last]


def _typical(values: list[int], steps: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(median_low(window) for window in _windows(values, steps))


@contextmanager
def _collecting_little() -> Iterator[None]:
    """Set what exists aside, so that collecting garbage looks at what comes after only: a hundred times as fast."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _traced() -> Iterator[None]:
    """Count Python's memory, unless somebody counts it already."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        yield
    finally:
        if not already:
            tracemalloc.stop()
