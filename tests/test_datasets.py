"""Data sets that are read from files: where these are found, what is taken, and what identifies the data."""

import dataclasses
import errno
import gzip
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from jobs import job_of
from serving import served as served
from small_mnist import CONTENT, FIRST, IMAGES, LABELS, put, small

from genbench import DataFile, DatasetSpec, DataSpec, EvaluatorSpec
from genbench.data_files import bytes_missing, cached_folder
from genbench.engine import data, download
from genbench.engine.contract import resolve
from genbench.engine.data_tasks import verify
from genbench.engine.sources import MissingFiles, find_files
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError, SpecError, StoreError
from genbench.executors.assembly import _environment
from genbench.plugins import discover
from genbench.specs import files_sha256
from genbench_benchmarks import idx

mend()
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST  # noqa: E402

DATASETS = {name: entry.spec for name, entry in discover().datasets.items()}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """genbench's folder of data sets' files, empty."""
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GENBENCH_OFFLINE", "")  # set, so that what a test sets in its stead is put back
    return tmp_path / "cache" / "files"


# ---- finding and downloading


def test_a_data_set_is_downloaded_once_and_then_needs_no_network(cache: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    first = data.materialise(small(address), cache / "one")
    for name in CONTENT:
        (folder / name).unlink()
    second = data.materialise(small(address), cache / "two")
    for made in (first, second):
        x, labels = data.load_split(made, "test")
        assert np.array_equal(x, IMAGES["t10k"][:, None])
        assert np.array_equal(labels, LABELS["t10k"])


def test_the_next_mirror_is_asked_where_one_has_nothing(cache: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    put(folder / "second")
    found = find_files(small(f"{address}/first", f"{address}/second"), cache, offline=False)
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT


def test_a_download_with_another_hash_is_refused_and_not_kept(cache: Path, served: tuple[str, Path]) -> None:
    address, folder = served
    put(folder / "m")
    (folder / "m" / FIRST).write_bytes(CONTENT[FIRST][:-1] + b"?")
    with pytest.raises(MissingFiles, match=f"{FIRST} cannot be had: invalid hash value"):
        find_files(small(f"{address}/m"), cache, offline=False)
    assert not list(cache.rglob("train-images*"))


def test_a_download_is_given_up_once_more_has_come_than_is_declared(
    cache: Path, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = served
    put(folder / "m")
    monkeypatch.setattr(download, "PIECE", 64)
    with (folder / "m" / FIRST).open("r+b") as endless:
        endless.truncate(1 << 24)
    read = []

    class Counting:
        def __init__(self, stream: io.BytesIO) -> None:
            self.stream = stream

        def __enter__(self) -> "Counting":
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def read(self, size: int) -> bytes:
            read.append(size)
            return self.stream.read(size)

    opened = download.urllib.request.urlopen
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *a, **k: Counting(opened(*a, **k)))
    size = len(CONTENT[FIRST])
    with pytest.raises(MissingFiles, match=f"{FIRST} cannot be had: it is longer than the {size} bytes"):
        find_files(small(f"{address}/m"), cache, offline=False)
    assert sum(read) <= size + 2 * 64
    assert not list((cache / "small").iterdir())


def test_a_full_disk_is_told_as_one_and_not_as_a_failure_of_the_address(
    cache: Path, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(draft: object, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    address, folder = served
    put(folder / "m")
    monkeypatch.setattr(download, "_write_all", full)
    with pytest.raises(StoreError, match=f"{FIRST}: cannot be written: No space left on device; make room") as told:
        find_files(small(f"{address}/m"), cache, offline=False)
    assert told.value.exit_code == 4
    assert not list((cache / "small").iterdir())


@pytest.mark.parametrize("given", [True, False], ids=["copied", "downloaded"])
def test_a_cache_that_cannot_be_written_is_told_as_a_disk_error(
    cache: Path, tmp_path: Path, served: tuple[str, Path], given: bool
) -> None:
    address, folder = served
    put(folder / "m")
    cache.parent.mkdir()
    cache.write_text("a file where the folder of files ought to be")
    with pytest.raises(StoreError, match=r"(written|copied there): .*set GENBENCH_CACHE"):
        find_files(small(f"{address}/m"), cache, offline=False, given=[folder / "m"] if given else [])


@pytest.mark.parametrize("place", ["cache/files/small", "cache/files/another", "declared", "given"])
def test_files_are_found_wherever_they_may_stand(cache: Path, tmp_path: Path, place: str) -> None:
    put(tmp_path / place)
    spec = dataclasses.replace(small(), folders=(str(tmp_path / "declared"),), same_files=("another",))
    found = find_files(spec, cache, offline=True, given=[tmp_path / "given"])
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT


def test_files_of_the_same_names_of_a_data_set_that_has_others_are_not_looked_at(cache: Path) -> None:
    for name in CONTENT:
        (cache / "another").mkdir(parents=True, exist_ok=True)
        (cache / "another" / name).write_bytes(b"of other images")
    assert bytes_missing(small(), cache) == sum(map(len, CONTENT.values()))
    with pytest.raises(MissingFiles) as refused:
        find_files(small(), cache, offline=True)
    assert "another" not in str(refused.value)


@pytest.mark.parametrize("spec", [spec for spec in DATASETS.values() if spec.same_files], ids=lambda spec: spec.name)
def test_data_sets_that_look_into_anothers_folder_declare_files_that_it_declares(spec: DatasetSpec) -> None:
    def hashes(spec: DatasetSpec) -> set[tuple[str, str]]:
        return {(file.name, file.sha256) for file in spec.files}

    for name in spec.same_files:
        assert hashes(spec) & hashes(DATASETS[name])


def test_mnist_and_stacked_mnist_look_into_each_others_folder_and_fashion_mnist_into_neither() -> None:
    names = ("mnist", "stacked-mnist", "fashion-mnist")
    assert [DATASETS[name].same_files for name in names] == [("stacked-mnist",), ("mnist",), ()]


def test_files_of_a_persons_folder_are_copied(cache: Path, tmp_path: Path) -> None:
    find_files(small(), cache, offline=True, given=[put(tmp_path / "given")])
    assert {path.name: path.read_bytes() for path in (cache / "small").iterdir()} == CONTENT


def test_files_of_the_same_content_packed_anew_are_taken_if_declared(cache: Path, tmp_path: Path) -> None:
    spec = small()
    other = gzip.compress(gzip.decompress(CONTENT[FIRST]), compresslevel=0)
    (put(cache / "small") / FIRST).write_bytes(other)
    first = dataclasses.replace(spec.files[0], size=len(other), repacked=(hashlib.sha256(other).hexdigest(),))
    found = find_files(dataclasses.replace(spec, files=(first, *spec.files[1:])), cache, offline=True)
    assert found[FIRST].read_bytes() == other


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"other"), "has another hash, [0-9a-f]{64}"),
        (lambda path: path.write_bytes(bytes(1000)), "cannot be taken: is larger than"),
        (os.mkfifo, "cannot be taken: is no regular file"),
        (Path.mkdir, "cannot be taken: is no regular file"),
    ],
    ids=["other content", "too large", "a pipe", "a folder"],
)
def test_what_stands_in_a_files_place_is_passed_over_and_told(
    cache: Path, spoil: Callable[[Path], object], why: str
) -> None:
    spoil(put(cache / "small", FIRST) / FIRST)
    with pytest.raises(MissingFiles, match=rf"not taken: .*{FIRST} {why}"):
        find_files(small(), cache, offline=True)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "fashion-mnist"])
def test_offline_the_error_says_what_is_missing_and_every_way_to_get_it(cache: Path, name: str) -> None:
    spec = dataclasses.replace(DATASETS[name], folders=("/nowhere/data",))
    with pytest.raises(DataError) as refused:
        find_files(spec, cache, offline=True)
    said = str(refused.value)
    ways = [str(cache / name), "/nowhere/data", f"genbench data fetch {name} --from FOLDER", "--offline", spec.package]
    for part in [*ways, *(text for file in spec.files for text in (file.name, file.sha256, file.urls[0]))]:
        assert part in said


# ---- identity


def test_a_changed_copy_of_data_that_their_files_identify_is_made_again(cache: Path) -> None:
    put(cache / "small")
    folder = data.materialise(small(), cache / "data")
    intact = (folder / "train.x.npy").read_bytes()
    (folder / "train.x.npy").write_bytes(intact[:-1] + b"?")
    data.materialise(small(), cache / "data")
    assert (folder / "train.x.npy").read_bytes() == intact


def test_other_files_make_another_data_set() -> None:
    files = small().files
    assert len({files_sha256("small", files), files_sha256("small", files[1:]), files_sha256("other", files)}) == 3


def test_another_version_of_the_loader_makes_another_data_set() -> None:
    files = small().files
    second = files_sha256("small", files, loader_version=2)
    changed = dataclasses.replace(small(), loader_version=2, sha256=second)
    assert cached_folder(changed, Path()) != cached_folder(small(), Path())
    with pytest.raises(SpecError, match="files and loader_version"):
        dataclasses.replace(small(), loader_version=2)


LOADS = {"now": idx.load}
"""What the loader of :func:`changing` does."""


def load(files: dict[str, Path]) -> dict[str, data.Examples]:
    return LOADS["now"](files)


def inverted(files: dict[str, Path]) -> dict[str, data.Examples]:
    return {split: (255 - x, labels) for split, (x, labels) in idx.load(files).items()}


def test_verify_of_a_copy_that_the_loader_no_longer_gives_says_what_to_do_and_it_helps(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    put(cache / "small")
    spec = dataclasses.replace(small(), loader="test_datasets:load")
    monkeypatch.setitem(resolve(spec.loader).__globals__["LOADS"], "now", idx.load)
    folder = data.materialise(spec, cache.parent / "data")
    asked = dataclasses.asdict(spec)
    assert verify(asked)["state"] == "ok"
    resolve(spec.loader).__globals__["LOADS"]["now"] = inverted
    told = verify(asked)
    assert told["state"] == "wrong"
    assert "Remove that folder" in told["problem"]
    assert "loader_version" in told["problem"]
    data.materialise(spec, cache.parent / "data")
    assert verify(asked)["state"] == "wrong"  # as was said, no run mends it
    shutil.rmtree(folder)
    data.materialise(spec, cache.parent / "data")
    assert verify(asked)["state"] == "ok"


def test_a_record_holds_the_hash_of_what_was_read_from_the_files_that_identify_data(
    cache: Path, tmp_path: Path
) -> None:
    put(cache / "small")
    folder = data.materialise(small(), cache.parent / "data")
    job = dataclasses.replace(job_of(discover(), "noise", tmp_path), data_folder=str(folder))
    held = data.content_sha256({split: data.load_split(folder, split) for split in data.SPLITS})
    assert _environment(job, {})["data_content_sha256"] == held


def test_verify_of_a_copy_that_was_changed_says_that_the_next_run_mends_it_and_it_does(cache: Path) -> None:
    put(cache / "small")
    folder = data.materialise(small(), cache.parent / "data")
    content = (folder / "train.x.npy").read_bytes()
    (folder / "train.x.npy").write_bytes(content[:-1] + b"?")
    assert "the next run makes it again" in verify(dataclasses.asdict(small()))["problem"]
    data.materialise(small(), cache.parent / "data")
    assert verify(dataclasses.asdict(small()))["state"] == "ok"


def test_verify_calls_data_whose_package_is_not_installed_missing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    found = verify(dataclasses.asdict(DATASETS["words"]))
    assert (found["state"], found["cached"]) == ("missing", False)
    assert "wordfreq is not installed" in found["problem"]


def test_a_damaged_copy_of_data_whose_source_is_missing_is_wrong(cache: Path) -> None:
    put(cache / "small")
    folder = data.materialise(small(), cache.parent / "data")
    shutil.rmtree(cache / "small")
    assert verify(dataclasses.asdict(small()))["state"] == "missing"
    (folder / "train.x.npy").write_bytes(b"")
    assert verify(dataclasses.asdict(small()))["state"] == "wrong"


def file_with(sha256: str) -> DataFile:
    return DataFile("a", sha256, 1)


def data_with(sha256: str) -> DatasetSpec:
    return DatasetSpec("a", DataSpec((1, 3, 3)), "a:b", sha256, 1, 1)


def evaluator_with(sha256: str) -> EvaluatorSpec:
    return EvaluatorSpec("a", "a:b", "weights", sha256, "f", None, 1, (1, 3, 3), 256)


@pytest.mark.parametrize("declare", [file_with, data_with, evaluator_with])
@pytest.mark.parametrize("sha256", ["", "sha256:" + "ab" * 32, "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_a_hash_that_is_not_64_lower_case_hexadecimal_digits_is_refused(
    declare: Callable[[str], object], sha256: str
) -> None:
    declare("ab" * 32)
    with pytest.raises(SpecError, match="'a': a SHA-256 is 64 lower-case hexadecimal digits"):
        declare(sha256)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": "ab" * 32}, "identified by its files"),
        ({"source": "/some/folder"}, "has files and a source"),
        ({"identified_by": "content", "files": (DataFile("../up", "ab" * 32, 1),)}, "no plain name of a file"),
        ({"class_names": ("one",)}, "class_names must name 2, and names 1"),
    ],
    ids=["a made-up hash", "two sources", "a way out", "too few names"],
)
def test_a_declaration_that_contradicts_itself_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(SpecError, match=why):
        dataclasses.replace(small(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "published"), [("mnist", MNIST), ("fashion-mnist", FashionMNIST)])
def test_the_declared_addresses_are_torchvisions(name: str, published: type[MNIST]) -> None:
    declared = {file.name: file.urls for file in DATASETS[name].files}
    assert set(declared) == {file for file, _ in published.resources}
    for file, urls in declared.items():
        assert f"{published.mirrors[0]}{file}" in urls


def test_cifar_10_comes_from_where_torchvision_takes_it() -> None:
    (file,) = DATASETS["cifar10"].files
    assert file.urls == (CIFAR10.url.replace("-python", "-binary"),)
