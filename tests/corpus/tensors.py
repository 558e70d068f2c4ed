"""States (safetensors beside JSON) and reference statistics (safetensors with metadata)."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus import Case, pickled

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
TREE = {"w": {"$tensor": "w"}}


def tensors(header: Any, body: bytes = bytes(8), length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def state(tree: Any = TREE, content: bytes | None = None) -> Callable[[Path], Path]:
    """A builder of ``state.json`` and ``state.safetensors``; the tree may be any bytes."""

    def build(folder: Path) -> Path:
        raw = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
        (folder / "state.json").write_bytes(raw)
        (folder / "state.safetensors").write_bytes(tensors({"w": ONE}) if content is None else content)
        return folder / "state"

    return build


def reference(content: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / "given.safetensors").write_bytes(content)
        return folder / "given.safetensors"

    return build


def pickle_in_disguise(folder: Path) -> Path:
    state()(folder)
    (folder / "state.safetensors").write_bytes(pickled(folder))
    return folder / "state"


def torch_checkpoint(folder: Path) -> Path:
    import torch

    from corpus import Canary

    state()(folder)
    torch.save({"w": Canary(folder)}, folder / "state.safetensors")
    return folder / "state"


def link_outside(folder: Path) -> Path:
    state()(folder)
    (folder / "state.safetensors").unlink()
    (folder / "state.safetensors").symlink_to(folder.parent / "outside" / "secret")
    return folder / "state"


def pipe(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        state()(folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        return folder / "state"

    return build


def folder_in_place(folder: Path) -> Path:
    state()(folder)
    (folder / "state.json").unlink()
    (folder / "state.json").mkdir()
    return folder / "state"


def metadata(about: Any, **more: Any) -> bytes:
    text = about if isinstance(about, str) else json.dumps(about)
    return tensors({"__metadata__": {"genbench reference": text, **more}, "features": ONE})


SOURCE = {"data_sha256": "d", "split": "test", "evaluator": "e", "evaluator_sha256": "s", "layer": "l",
          "preprocessing": 1, "format": 2}  # fmt: skip
DEEP = b"[" * 200_000 + b"]" * 200_000
PAIR = {"a": ONE, "b": {**ONE, "data_offsets": [4, 12]}}
GAP = {"a": ONE, "b": {**ONE, "data_offsets": [16, 24]}}

HEADERS: dict[str, tuple[bytes, str]] = {
    "a header of 2^63 bytes": (tensors({}, length=1 << 63), "claims a header of 9223372036854775808"),
    "a header longer than the file": (tensors({"w": ONE}, length=4000), "claims a header of 4000"),
    "a header that is no JSON": (tensors(b"{{{{"), "not the JSON"),
    "a header that is a list": (tensors([1, 2]), "no JSON object"),
    "a header nested deeply": (tensors(DEEP), "nested too deeply|not the JSON"),
    "a header in invalid UTF-8": (tensors(b'{"\xff\xfe": 1}'), "not the JSON"),
    "a header with NaN": (tensors(b'{"w": NaN}'), "not the JSON"),
    "tensors that overlap": (tensors(PAIR, bytes(12)), "overlap"),
    "tensors with a gap": (tensors(GAP, bytes(24)), "overlap, or leave"),
    "offsets outside the file": (tensors({"w": {**ONE, "data_offsets": [800, 808]}}), "overlap, or leave"),
    "offsets that run backwards": (tensors({"w": {**ONE, "data_offsets": [8, 0]}}), "as many bytes"),
    "offsets of 2^63": (tensors({"w": {**ONE, "data_offsets": [0, 1 << 63]}}), "impossible data_offsets"),
    "a name that stands twice": (
        tensors(b'{"w": %(x)b, "w": %(x)b}' % {b"x": json.dumps(ONE).encode()}),
        "stands twice",
    ),
    "an unknown dtype": (tensors({"w": {**ONE, "dtype": "O"}}), "unknown dtype"),
    "a dtype that is a list": (tensors({"w": {**ONE, "dtype": [1]}}), "unknown dtype"),
    "a negative shape": (tensors({"w": {**ONE, "shape": [-2]}}), "impossible shape"),
    "a shape of terabytes": (tensors({"w": {**ONE, "shape": [1 << 45]}}), "as many bytes"),
    "a shape of a thousand dimensions": (tensors({"w": {**ONE, "shape": [1] * 1000}}), "impossible shape"),
    "a shape of true": (tensors({"w": {**ONE, "shape": [True, 2]}}), "impossible shape"),
    "keys too many": (tensors({"w": {**ONE, "hook": "os.system"}}), "nothing else"),
    "cut short": (tensors({"w": ONE})[:-3], "accounts for 8 bytes"),
    "bytes behind the end": (tensors({"w": ONE}) + pickled(Path("/nowhere")), "accounts for 8 bytes"),
    "huge metadata": (tensors({"__metadata__": {"x": "y" * (5 << 20)}, "w": ONE}), "claims a header of"),
    "metadata of numbers": (tensors({"__metadata__": {"x": 1}, "w": ONE}), "must hold strings"),
    "empty": (b"", "too few"),
}

STATES: dict[str, Case] = {
    **{f"state: {name}": Case(state(content=content), says) for name, (content, says) in HEADERS.items()},
    "state: a pickle in disguise": Case(pickle_in_disguise, "it is never opened"),
    "state: a checkpoint of torch.save": Case(torch_checkpoint, "it is never opened"),
    "state: a link out of the folder": Case(link_outside, "not a readable state"),
    "state: a named pipe for tensors": Case(pipe("state.safetensors"), "no regular file"),
    "state: a named pipe for the tree": Case(pipe("state.json"), "no regular file"),
    "state: a folder for the tree": Case(folder_in_place, "regular file|directory"),
    "state: a tree nested deeply": Case(state(DEEP), "not a readable state"),
    "state: a tensor that is nowhere": Case(state({"w": {"$tensor": "../../x"}}), "which is not there"),
    "state: a tensor named by a list": Case(state({"w": {"$tensor": ["w"]}}), "which is not there"),
    "state: a float that is a list": Case(state({"w": {"$float": [1]}}), "is none of"),
    "state: a float that is code": Case(state({"w": {"$float": "__import__('os')"}}), "is none of"),
    "state: an unknown instruction": Case(state({"w": {"$import": "os"}}), "which no state has"),
    "state: NaN": Case(state(b'{"w": NaN}'), "NaN is not JSON"),
    "state: a whole number of 10,000 digits": Case(state(b'{"w": ' + b"9" * 10_000 + b"}"), "not a readable state"),
    "state: a name that stands twice": Case(state(b'{"w": 1, "w": 2}'), "stands twice"),
    "state: a list": Case(state([1]), "not a state but list"),
    "state: invalid UTF-8": Case(state(b'{"\xff": 1}'), "not a readable state"),
}

REFERENCES: dict[str, Case] = {
    **{f"reference: {name}": Case(reference(content), says) for name, (content, says) in HEADERS.items()},
    "reference: no metadata": Case(reference(tensors({"w": ONE})), "not one of reference statistics"),
    "reference: metadata that is no JSON": Case(reference(metadata("{{")), "expected form"),
    "reference: metadata nested deeply": Case(reference(metadata("[" * 5000 + "]" * 5000)), "expected form"),
    "reference: a source of wrong types": Case(
        reference(metadata({"source": {**SOURCE, "split": 3}})), "expected form"
    ),
    "reference: a source with markup": Case(
        reference(metadata({"source": {**SOURCE, "evaluator": "\x1b]0;x\x07<script>"}})), "not those of reference"
    ),
    "reference: a source of a megabyte": Case(
        reference(metadata({"source": {**SOURCE, "layer": "x" * 999_999}})), "256"
    ),
    "reference: a newer format": Case(reference(metadata({"source": {**SOURCE, "format": 99}})), "has format 99"),
    "reference: arrays of another kind": Case(reference(metadata({"source": SOURCE})), "not those of reference"),
}
