"""A model's state on disk: tensors as safetensors, flattened by path, beside the rest as JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genbench.errors import InvalidOutput

SEPARATOR = "/"
MAX_JSON_BYTES = 64 << 20


def flatten(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split a nested state into tensors by path (``"g/conv.weight"``) and the tree of everything else.

    In the tree a tensor's place holds ``{"$tensor": path}``.

    Raises:
        InvalidOutput: naming the path, if a key is no string or holds ``/`` or ``$``, or a leaf is neither a
            tensor, a number, a string, a boolean, None, nor a list of such.
    """
    tensors: dict[str, torch.Tensor] = {}

    def visit(value: Any, path: str) -> Any:
        if isinstance(value, torch.Tensor):
            # A copy of its own storage: safetensors refuses tensors that share memory, and a view would drag
            # its whole base along.
            tensors[path] = value.detach().to("cpu", copy=True).contiguous()
            return {"$tensor": path}
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str) or SEPARATOR in key or key.startswith("$"):
                    raise InvalidOutput(
                        f"state_dict: the key {key!r} at {path or 'the top'!r} must be a string "
                        f"without {SEPARATOR!r} that does not begin with '$'"
                    )
            return {key: visit(item, f"{path}{SEPARATOR}{key}" if path else key) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [visit(item, f"{path}{SEPARATOR}{index}") for index, item in enumerate(value)]
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            # JSON has no infinities; a state may (a best loss so far, say).
            return value if math.isfinite(value) else {"$float": repr(value)}
        raise InvalidOutput(
            f"state_dict: {path!r} is of type {type(value).__name__}; a state holds tensors, "
            "numbers, strings, booleans, None, and dicts and lists of them"
        )

    if not isinstance(state, Mapping):
        raise InvalidOutput(f"state_dict: must return a dict, not {type(state).__name__}")
    return tensors, visit(state, "")


def unflatten(tensors: Mapping[str, torch.Tensor], tree: Any) -> Any:
    """The inverse of :func:`flatten`; tuples come back as lists."""
    if isinstance(tree, dict):
        if set(tree) == {"$tensor"}:
            return tensors[tree["$tensor"]]
        if set(tree) == {"$float"}:
            return float(tree["$float"])
        return {key: unflatten(tensors, item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [unflatten(tensors, item) for item in tree]
    return tree


def save_state(state: Mapping[str, Any], stem: Path) -> None:
    """Write ``<stem>.safetensors`` and then ``<stem>.json``, each by rename; the second marks completeness.

    Raises:
        InvalidOutput: if the state holds something that cannot cross processes.
    """
    tensors, tree = flatten(state)
    for suffix, write in (
        (".safetensors", lambda path: save_file(tensors, path)),
        (".json", lambda path: path.write_text(json.dumps(tree, allow_nan=False))),
    ):
        temporary = stem.with_name(f".{stem.name}{suffix}.part")
        write(temporary)
        os.replace(temporary, stem.with_name(stem.name + suffix))


def load_state(stem: Path) -> dict[str, Any]:
    """The state that :func:`save_state` wrote, tensors on the CPU.

    Raises:
        InvalidOutput: if the files are missing, too large or broken.
    """
    tree_path = stem.with_name(stem.name + ".json")
    try:
        if tree_path.stat().st_size > MAX_JSON_BYTES:
            raise InvalidOutput(f"{tree_path}: larger than {MAX_JSON_BYTES} bytes; large data belong in tensors")
        tree = json.loads(tree_path.read_text())
        tensors = load_file(stem.with_name(stem.name + ".safetensors"))
        state = unflatten(tensors, tree)
    except (OSError, ValueError, KeyError, RecursionError, SafetensorError) as error:
        raise InvalidOutput(f"{stem}: not a readable state: {error}") from error
    if not isinstance(state, dict):
        raise InvalidOutput(f"{stem}: not a state but {type(state).__name__}")
    return state
