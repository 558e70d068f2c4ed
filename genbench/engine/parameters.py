"""The size of a model."""

from __future__ import annotations

import dataclasses
from collections import deque
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch.nn.parameter import is_lazy

FOREIGN = ("torch", "numpy", "builtins")
"""Top-level modules whose objects are not looked into, torch's modules and optimisers apart."""

LEAVES = (str, bytes, int, float, complex, type(None), type, ModuleType, FunctionType, BuiltinFunctionType)

MOST_OBJECTS = 200_000
"""Visited at most, nearest first: a model may hold on to a graph of any size."""


def count_parameters(model: object) -> int:
    """The number of trainable numbers: elements of all distinct ``nn.Parameter`` reachable from ``model``.

    The way leads through modules, optimisers, lists, tuples, sets and dicts, and through the attributes of plain
    objects and dataclasses; not through closures, nor through other objects of torch and NumPy.
    """
    found = 0
    waiting: deque[Any] = deque([model])
    # Objects, not their ids alone: an id is free for another object once its own is gone.
    seen: dict[int, Any] = {}
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.popleft()
        if isinstance(value, LEAVES) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, torch.nn.Parameter):
            if value.requires_grad and not is_lazy(value):
                found += value.numel()
        else:
            waiting.extend(_held_by(value))
    return found


def outermost_modules(model: object) -> list[torch.nn.Module]:
    """The modules with a ``forward`` that ``model`` holds, itself left out, and that no other such module holds.

    Found as :func:`count_parameters` finds parameters; a container without a ``forward`` is looked into.
    """
    found: list[torch.nn.Module] = []
    waiting: deque[Any] = deque(_held_by(model))
    seen: dict[int, Any] = {id(model): model}
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.popleft()
        if isinstance(value, LEAVES) or id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, torch.nn.Module) and type(value).forward is not torch.nn.Module.forward:
            found.append(value)
        else:
            waiting.extend(_held_by(value))
    inner = {id(part) for module in found for part in module.modules() if part is not module}
    return [module for module in found if id(module) not in inner]


def _held_by(value: Any) -> list[Any]:
    """The objects that are looked into next."""
    if isinstance(value, torch.nn.Module):
        return [*value.parameters(), *vars(value).values()]
    if isinstance(value, torch.optim.Optimizer):
        return [value.param_groups]
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, MethodType):
        return [value.__self__]
    if type(value).__module__.partition(".")[0] in FOREIGN:
        return []
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in fields)]
