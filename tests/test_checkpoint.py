"""States cross processes as safetensors and JSON, unchanged or refused by name."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.engine.checkpoint import flatten, load_state, save_state, unflatten, whole_file
from genbench.errors import InvalidOutput
from genbench.reading import sha256_of

keys = st.text("abcdefg._-0123456789", min_size=1, max_size=6)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.lists(st.integers(0, 255), max_size=4).map(lambda values: torch.tensor(values, dtype=torch.uint8))
)
states = st.dictionaries(
    keys, st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=4), max_leaves=12)
)


def same(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return (
            isinstance(second, dict) and first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
        )
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    return type(first) is type(second) and first == second


@given(states)
@settings(deadline=None)
def test_unflatten_undoes_flatten(state: dict[str, Any]) -> None:
    assert same(unflatten(*flatten(state)), state)


def test_a_state_comes_back_from_disk_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "net": {"weight": torch.randn(3, 4).t(), "half": torch.ones(2, dtype=torch.bfloat16), "step": torch.tensor(7)},
        "count": 3,
        "rate": 0.1,
        "best": float("inf"),
        "on": True,
        "name": "a",
        "none": None,
        "list": [1, torch.ones(1)],
    }
    save_state(state, tmp_path / "state")
    assert same(load_state(tmp_path / "state")["net"], state["net"])
    assert load_state(tmp_path / "state")["best"] == float("inf")
    assert same(load_state(tmp_path / "state")["list"][1], torch.ones(1))


def test_a_saved_state_is_named_with_its_hashes(tmp_path: Path) -> None:
    found = save_state({"w": torch.ones(2), "steps": 3}, tmp_path / "state")
    assert found == {path.name: sha256_of(path) for path in tmp_path.iterdir()}
    assert set(found) == {"state.safetensors", "state.json"}


def test_the_same_state_gives_the_same_files(tmp_path: Path) -> None:
    state = {"a": torch.ones(3), "b": {"c": torch.zeros(2), "d": 1.5}}
    assert save_state(state, tmp_path / "state") == save_state(state, tmp_path / "state")


def test_what_reaches_a_file_has_reached_the_disk_before_its_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for owner, name in ((os, "fsync"), (os, "rename")):
        call = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, call=call, name=name: (call(*given), done.append(name)))
    with whole_file(tmp_path / "state.safetensors") as draft:
        draft.write_bytes(b"content")
    assert done == ["fsync", "rename", "fsync"], "the file, its name, the folder that holds the name"


def test_a_file_that_could_not_be_written_leaves_nothing_and_the_old_one(tmp_path: Path) -> None:
    def write_half(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise RuntimeError

    (tmp_path / "state.json").write_bytes(b"old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "state.json") as draft:
        write_half(draft)
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert (tmp_path / "state.json").read_bytes() == b"old"


def test_tensors_that_share_memory_are_saved_apart(tmp_path: Path) -> None:
    tied = torch.ones(3)
    save_state({"a": tied, "b": tied, "view": tied[1:]}, tmp_path / "state")
    assert load_state(tmp_path / "state")["view"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({1: 2}, "1"),
        ({"a": {"b": object()}}, "a/b"),
        ({"a/b": 1}, "a/b"),
        ({"$tensor": "x"}, "$tensor"),
        ([1], "list"),
        ({"f": lambda: 0}, "f"),
    ],
)
def test_what_cannot_cross_is_refused_by_name(state: Any, named: str) -> None:
    with pytest.raises(InvalidOutput, match="state_dict") as caught:
        flatten(state)
    assert named in str(caught.value)


@pytest.mark.parametrize("damage", ["json", "safetensors", "missing"])
def test_a_damaged_state_is_refused(tmp_path: Path, damage: str) -> None:
    save_state({"w": torch.ones(2)}, tmp_path / "state")
    if damage == "missing":
        (tmp_path / "state.safetensors").unlink()
    else:
        (tmp_path / f"state.{damage}").write_bytes(b"\x00not a state")
    with pytest.raises(InvalidOutput, match="not a readable state"):
        load_state(tmp_path / "state")
