"""The size of a model."""

from __future__ import annotations

from typing import Any

import torch


def count_parameters(model: object) -> int:
    """The number of trainable numbers: elements of all distinct ``nn.Parameter`` reachable from the attributes
    of ``model`` through modules, lists, tuples and dicts."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def visit(value: Any) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, torch.nn.Parameter):
            found[id(value)] = value.numel() if value.requires_grad else 0
        elif isinstance(value, torch.nn.Module):
            for parameter in value.parameters():
                visit(parameter)
            for item in vars(value).values():
                visit(item)
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)

    visit(model if isinstance(model, torch.nn.Module) else vars(model) if hasattr(model, "__dict__") else {})
    return sum(found.values())
