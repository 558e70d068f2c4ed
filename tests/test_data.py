"""Data sets: content hash, splits, and the copy on disk."""

import dataclasses
import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from genbench import paths
from genbench.data_files import bytes_missing
from genbench.engine import data
from genbench.errors import DataError, StoreError
from genbench.plugins import discover
from genbench.specs import DatasetSpec, DataSpec

DATASETS = {name: entry.spec for name, entry in discover().datasets.items() if entry.plugin.distribution == "genbench"}
AT_HAND = {name: spec for name, spec in DATASETS.items() if not bytes_missing(spec, paths.files_cache())}
"""Those whose files stand here: the formats of the others are tested with small files."""
LABELLED = {name: spec for name, spec in AT_HAND.items() if spec.data.classes}
OFFICIALLY_SPLIT = ("mnist", "fashion-mnist", "cifar10")
"""By those who made them, and not by genbench."""
SPLIT_HERE = {name: spec for name, spec in LABELLED.items() if name not in OFFICIALLY_SPLIT}
each_dataset = pytest.mark.parametrize("spec", AT_HAND.values(), ids=AT_HAND.keys())
each_dataset_split_here = pytest.mark.parametrize("spec", SPLIT_HERE.values(), ids=SPLIT_HERE.keys())
each_labelled_dataset = pytest.mark.parametrize("spec", LABELLED.values(), ids=LABELLED.keys())


@functools.cache
def loaded(name: str) -> Mapping[str, data.Examples]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENBENCH_OFFLINE", "1")  # a file of the right name that is another one is told, not replaced
        return data.load(DATASETS[name])


def toy() -> dict[str, data.Examples]:
    """Two splits of 2x2 images with 4 levels and 2 classes."""
    generator = np.random.default_rng(0)

    def split(n: int) -> data.Examples:
        return generator.integers(0, 4, (n, 1, 2, 2)).astype(np.uint8), np.arange(n, dtype=np.int64) % 2

    return {"train": split(12), "test": split(6)}


def changed(part: str) -> dict[str, data.Examples]:
    """The toy data with one fault."""
    splits = toy()
    x, labels = splits["test"]
    assert labels is not None
    faults: dict[str, data.Examples] = {
        "type": (x.astype(np.int64), labels),
        "shape": (x[:, :, :1], labels),
        "level": (np.full_like(x, 4), labels),
        "number": (x[1:], labels[1:]),
        "labels' type": (x, labels.astype(np.int32)),
        "label": (x, labels + 1),
        "no labels": (x, None),
        "pixel": (x ^ 1, labels),
    }
    return splits | {"test": faults[part]}


def broken() -> dict[str, data.Examples]:
    raise FileNotFoundError("no such archive")


SPEC = DatasetSpec("toy", DataSpec((1, 2, 2), 4, 2), "test_data:toy", data.content_sha256(toy()), train=12, test=6)


@pytest.fixture
def folder(tmp_path: Path, importable: None) -> Path:
    return data.materialise(SPEC, tmp_path)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader ``test_data:toy`` resolves, however pytest imported this file."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@each_dataset
def test_a_data_set_is_what_its_declaration_says(spec: DatasetSpec) -> None:
    data.check(spec, loaded(spec.name))


@each_dataset
def test_no_image_of_the_test_split_occurs_in_the_training_split(spec: DatasetSpec) -> None:
    splits = loaded(spec.name)
    train, test = ({image.tobytes() for image in splits[name][0]} for name in ("train", "test"))
    assert not train & test


@each_dataset_split_here
def test_both_splits_hold_the_classes_in_the_same_shares(spec: DatasetSpec) -> None:
    splits = loaded(spec.name)
    train, test = (np.bincount(splits[name][1], minlength=spec.data.classes or 1) for name in ("train", "test"))
    ideal = (train + test) * spec.test / (spec.train + spec.test)
    assert np.abs(test - ideal).max() < 1


@each_dataset
def test_the_validation_fold_and_the_rest_part_the_training_split(spec: DatasetSpec) -> None:
    x, labels = loaded(spec.name)["train"]
    kept, fold = data.validation_fold(x, labels)
    assert np.array_equal(np.sort(np.concatenate([kept, fold])), np.arange(spec.train))


@each_labelled_dataset
def test_the_validation_fold_is_a_quarter_of_each_class(spec: DatasetSpec) -> None:
    x, labels = loaded(spec.name)["train"]
    _, fold = data.validation_fold(x, labels)
    assert np.abs(np.bincount(labels[fold]) - np.bincount(labels) / 4).max() < 1


def test_the_digits_are_split_1197_to_600() -> None:
    splits = loaded("digits")
    assert (len(splits["train"][0]), len(splits["test"][0])) == (1197, 600)


def test_a_stratified_choice_does_not_hang_on_the_order_of_the_examples() -> None:
    x, labels = loaded("digits")["train"]
    order = np.random.default_rng(0).permutation(len(x))
    chosen = data.stratified_choice(x, labels, 100, "key")
    assert np.array_equal(data.stratified_choice(x[order], labels[order], 100, "key"), chosen[order])


def test_stratified_choices_of_other_keys_differ() -> None:
    x, labels = loaded("digits")["train"]
    first, second = (data.stratified_choice(x, labels, 100, key) for key in ("one", "two"))
    assert not np.array_equal(first, second)


def test_the_hash_does_not_hang_on_the_arrays_layout_in_memory() -> None:
    splits = {name: (np.asfortranarray(x), labels) for name, (x, labels) in toy().items()}
    assert data.content_sha256(splits) == SPEC.sha256


def test_the_hash_does_not_hang_on_the_order_of_the_splits() -> None:
    assert data.content_sha256(dict(reversed(toy().items()))) == SPEC.sha256


@pytest.mark.parametrize("part", ["pixel", "label", "number", "no labels", "labels' type"])
def test_the_hash_changes_with_any_part_of_the_content(part: str) -> None:
    assert data.content_sha256(changed(part)) != SPEC.sha256


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("type", "x must be an array of uint8, not int64"),
        ("shape", r"shape \(6, 1, 2, 2\), not \(6, 1, 1, 2\)"),
        ("level", r"0 \.\. 3, and the largest is 4"),
        ("number", r"shape \(6, 1, 2, 2\), not \(5, 1, 2, 2\)"),
        ("labels' type", "labels must be int64"),
        ("label", r"0 \.\. 1, and they range from 1 to 2"),
        ("no labels", "labels must be int64 .*, not NoneType"),
        ("pixel", f"where {SPEC.sha256} is declared"),
    ],
)
def test_data_that_are_not_as_declared_are_refused_with_split_and_fault(part: str, told: str) -> None:
    with pytest.raises(DataError, match=rf"toy.*{told}"):
        data.check(SPEC, changed(part))


def test_a_loader_that_fails_is_told_with_its_cause(tmp_path: Path, importable: None) -> None:
    spec = dataclasses.replace(SPEC, loader="test_data:broken")
    with pytest.raises(DataError, match="test_data:broken failed: FileNotFoundError: no such archive"):
        data.materialise(spec, tmp_path)


def test_a_materialised_split_is_what_was_loaded(folder: Path) -> None:
    for split, (x, labels) in toy().items():
        stored_x, stored_labels = data.load_split(folder, split)
        assert np.array_equal(stored_x, x)
        assert np.array_equal(stored_labels, labels)  # type: ignore[arg-type]


def test_the_folder_is_named_after_the_data_set_and_its_hash(folder: Path) -> None:
    assert folder.name == f"toy-{SPEC.sha256[:16]}"


def test_an_intact_folder_is_used_again_without_loading(folder: Path) -> None:
    spec = dataclasses.replace(SPEC, loader="test_data:broken")
    assert data.materialise(spec, folder.parent) == folder


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        _flip_a_byte,
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
        Path.unlink,
        lambda path: path.write_text(""),
    ],
    ids=["a flipped bit", "cut short", "missing", "empty"],
)
@pytest.mark.parametrize("name", ["train.x.npy", "test.labels.npy"])
def test_a_damaged_copy_is_noticed_and_made_again(folder: Path, damage: object, name: str) -> None:
    intact = (folder / name).read_bytes()
    damage(folder / name)  # type: ignore[operator]
    data.materialise(SPEC, folder.parent)
    assert (folder / name).read_bytes() == intact


def test_nothing_but_the_data_is_left_in_the_cache_after_a_repair(folder: Path) -> None:
    _flip_a_byte(folder / "train.x.npy")
    data.materialise(SPEC, folder.parent)
    assert list(folder.parent.iterdir()) == [folder]


def test_processes_that_materialise_at_once_agree_on_one_folder(tmp_path: Path, importable: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: data.materialise(SPEC, tmp_path), range(16)))
    assert set(folders) == set(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(tmp_path: Path, importable: None) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set GENBENCH_CACHE"):
        data.materialise(SPEC, tmp_path / "file" / "data")


def test_a_cache_that_cannot_be_read_is_told_with_the_way_out(
    tmp_path: Path, importable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", denied)  # a mode would not stop root
    with pytest.raises(StoreError, match="cannot be looked for there: Permission denied; set GENBENCH_CACHE"):
        data.materialise(SPEC, tmp_path)


def test_a_pickle_in_the_cache_is_refused_unread(folder: Path) -> None:
    with (folder / "train.x.npy").open("wb") as stream:
        np.save(stream, np.array([object()]), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read as an array"):
        data.load_split(folder, "train")


def test_a_missing_split_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.x\.npy: is missing"):
        data.load_split(tmp_path, "train")


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "chosen"))
    assert paths.data_cache() == tmp_path / "chosen" / "data"
