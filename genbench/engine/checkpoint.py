"""A model's state on disk: tensors as safetensors, flattened by path, beside the rest as JSON."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from genbench.disk import Disk
from genbench.errors import InvalidOutput
from genbench.foreign_files import read_regular
from genbench.reading import sha256_of
from genbench.tensor_file import read_layout, refuse_constant, unique

SEPARATOR = "/"
MAX_JSON_BYTES = 16 << 20
"""Of a state beside its tensors. Built up in memory it takes some 20 times as much."""
MAX_STATE_BYTES = 64 << 30
FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
"""What JSON cannot hold, as :func:`flatten` writes it."""


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
    """The inverse of :func:`flatten`; tuples come back as lists.

    Raises:
        ValueError: for a tree that :func:`flatten` never makes: a tensor that is not there, or a key with ``$``.
    """
    if isinstance(tree, dict):
        if set(tree) == {"$tensor"}:
            name = tree["$tensor"]
            if not isinstance(name, str) or name not in tensors:
                raise ValueError(f"it names the tensor {ascii(name)[:80]}, which is not there")
            return tensors[name]
        if set(tree) == {"$float"}:
            if not isinstance(tree["$float"], str) or tree["$float"] not in FLOATS:
                raise ValueError(f"{ascii(tree['$float'])[:80]} is none of {', '.join(FLOATS)}")
            return FLOATS[tree["$float"]]
        if wrong := next((key for key in tree if key.startswith("$")), None):
            raise ValueError(f"it has the key {ascii(wrong)[:80]}, which no state has")
        return {key: unflatten(tensors, item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [unflatten(tensors, item) for item in tree]
    return tree


def save_state(state: Mapping[str, Any], stem: Path) -> dict[str, str]:
    """Write ``<stem>.safetensors`` and then ``<stem>.json``, durably, each by rename; the second marks completeness.

    Returns:
        The hash of each file by its name.

    Raises:
        InvalidOutput: if the state holds something that cannot cross processes.
        OSError: if they cannot be written.
    """
    tensors, tree = flatten(state)
    tensor_path, tree_path = (stem.with_name(stem.name + suffix) for suffix in (".safetensors", ".json"))
    with whole_file(tensor_path) as draft:
        _save_tensors(tensors, draft)
    Disk().write_whole(tree_path, json.dumps(tree, allow_nan=False).encode())
    return {path.name: sha256_of(path) for path in (tensor_path, tree_path)}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file that others write: under another name first, flushed to disk, then renamed, its folder flushed.

    Yields:
        The path to write to, with the same suffix.
    """
    draft = path.with_name(f".{path.stem}.draft{path.suffix}")
    try:
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        Disk().move(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a safetensors file; where the system refuses, its own error is raised instead of the library's."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        refused = re.search(r"\(os error (\d+)\)", str(error))
        if refused is None:
            raise
        number = int(refused[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def load_state(stem: Path) -> dict[str, Any]:
    """The state that :func:`save_state` wrote, tensors on the CPU.

    It may come from anyone: only regular files are read, their size, the JSON's names and numbers and the header of the
    tensors looked at first. Nothing in them is ever executed.

    Raises:
        InvalidOutput: if the files are missing, too large or broken.
    """
    tensor_path = stem.with_name(stem.name + ".safetensors")
    try:
        content = read_regular(stem.with_name(stem.name + ".json"), MAX_JSON_BYTES, follow=False)
        tree = json.loads(content, object_pairs_hook=unique, parse_constant=refuse_constant)
        read_layout(tensor_path, MAX_STATE_BYTES, follow=False)
        state = unflatten(load_file(tensor_path), tree)
    except OSError as error:
        raise InvalidOutput(f"{stem}: not a readable state: {error.filename}: {error.strerror or error}") from error
    except (ValueError, RecursionError, MemoryError, SafetensorError) as error:
        raise InvalidOutput(f"{stem}: not a readable state: {error}") from error
    if not isinstance(state, dict):
        raise InvalidOutput(f"{stem}: not a state but {type(state).__name__}")
    return state
