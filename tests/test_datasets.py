"""Data sets that are read from files: where these are found, what is taken, and the formats they have."""

import dataclasses
import gzip
import hashlib
import io
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from serving import served as served

from genbench import DataFile, DatasetSpec, DataSpec
from genbench.engine import data
from genbench.engine.contract import resolve
from genbench.engine.sources import MissingFiles, find_files
from genbench.engine.torchvision_compat import mend
from genbench.errors import DataError, SpecError
from genbench.plugins import discover
from genbench.specs import files_sha256
from genbench_benchmarks import cifar10, idx

mend()
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST  # noqa: E402

DATASETS = {name: entry.spec for name, entry in discover().datasets.items()}


def idx_of(array: np.ndarray) -> bytes:
    """A file in the format of MNIST, gzipped: its specification is that of yann.lecun.com/exdb/mnist."""
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


IMAGES = {
    "train": np.arange(54, dtype=np.uint8).reshape(6, 3, 3),
    "t10k": np.arange(100, 136, dtype=np.uint8).reshape(4, 3, 3),
}
LABELS = {"train": np.array([0, 1, 0, 1, 1, 0], np.uint8), "t10k": np.array([1, 0, 1, 0], np.uint8)}
CONTENT = {
    f"{part}-{suffix}": idx_of(arrays[part])
    for part in IMAGES
    for suffix, arrays in (("images-idx3-ubyte.gz", IMAGES), ("labels-idx1-ubyte.gz", LABELS))
}
FIRST = "train-images-idx3-ubyte.gz"


def small(*mirrors: str) -> DatasetSpec:
    """A data set of ten images in MNIST's four files."""
    files = tuple(
        DataFile(name, hashlib.sha256(content).hexdigest(), len(content), tuple(f"{url}/{name}" for url in mirrors))
        for name, content in CONTENT.items()
    )
    return DatasetSpec(
        "small", DataSpec((1, 3, 3), 256, 2), "genbench_benchmarks.idx:load", files_sha256("small", files), 6, 4,
        files=files, identified_by="files",
    )  # fmt: skip


def put(folder: Path, *left_out: str) -> Path:
    folder.mkdir(parents=True)
    for name, content in CONTENT.items():
        if name not in left_out:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """genbench's folder of data sets' files, empty."""
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GENBENCH_OFFLINE", raising=False)
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


@pytest.mark.parametrize("place", ["cache/files/small", "cache/files/another", "declared", "given"])
def test_files_are_found_wherever_they_may_stand(cache: Path, tmp_path: Path, place: str) -> None:
    put(tmp_path / place)
    spec = dataclasses.replace(small(), folders=(str(tmp_path / "declared"),))
    found = find_files(spec, cache, offline=True, given=[tmp_path / "given"])
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT


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


# ---- the format of MNIST


def test_an_idx_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(CONTENT[FIRST])
    assert np.array_equal(idx.read(tmp_path / "file.gz", axes=3), IMAGES["train"])


HEAD = bytes([0, 0, 8, 3])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip", "cannot be read as a gzipped IDX file: Not a gzipped file"),
        (CONTENT[FIRST][:-12], "cannot be read as a gzipped IDX file: Compressed file ended"),
        (
            gzip.compress(HEAD + struct.pack(">3I", 2, 1, 1) + b"a"),
            r"promises 2 bytes for shape \(2, 1, 1\), .* holds 1",
        ),
        (gzip.compress(HEAD + struct.pack(">3I", 2, 1, 1) + b"abc"), "promises 2 bytes .*, and it holds more"),
        (gzip.compress(HEAD + struct.pack(">3I", *[2**32 - 1] * 3) + b"a"), "promises 7.* bytes, and at most"),
        (gzip.compress(bytes([0, 0, 13, 3]) + bytes(100)), "is no IDX file of unsigned bytes with 3 axes"),
        (idx_of(LABELS["train"]), "is no IDX file of unsigned bytes with 3 axes"),
        (gzip.compress(b"\0"), "is no IDX file of unsigned bytes with 3 axes: it starts 00"),
    ],
    ids=["text", "cut short", "too few", "too many", "an endless promise", "floats", "one axis", "nearly empty"],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "file.gz").write_bytes(content)
    with pytest.raises(DataError, match=why):
        idx.read(tmp_path / "file.gz", axes=3)


# ---- the format of CIFAR-10

PER_BATCH = 2
BATCHES = (*cifar10.BATCHES["train"], *cifar10.BATCHES["test"])


def record(label: int, seed: int) -> bytes:
    return bytes([label]) + np.random.default_rng(seed).integers(0, 256, 3072).astype(np.uint8).tobytes()


def archive(path: Path, batches: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    """The binary version of CIFAR-10 with small batches: https://www.cs.toronto.edu/~kriz/cifar.html."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {"batches.meta.txt": b"airplane\n", **batches}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for other in others:
            tar.addfile(other)
    return path


WHOLE = {name: record(number, 2 * number) + record(9 - number, 2 * number + 1) for number, name in enumerate(BATCHES)}


def test_cifar_10_is_read_in_the_order_of_its_batches(tmp_path: Path) -> None:
    splits = cifar10.read(archive(tmp_path / "a.tar.gz", dict(reversed(WHOLE.items()))), PER_BATCH)
    x, labels = splits["train"]
    assert labels is not None
    assert labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    # Red comes first, row by row: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
    assert x[2, 1, 3, 5] == WHOLE["data_batch_2.bin"][1 + 1024 + 3 * 32 + 5]
    assert splits["test"][0].shape == (2, 3, 32, 32)


def link(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return entry


LAST = BATCHES[-1]
SHORT = {name: content for name, content in WHOLE.items() if name != LAST}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: archive(path, SHORT), f"holds no cifar-10-batches-bin/{LAST}; .* the binary version"),
        (lambda path: archive(path, WHOLE | {LAST: b"short"}), f"{LAST} must be a file of 6146 bytes, not of 5"),
        (lambda path: archive(path, SHORT, link(LAST)), f"{LAST} must be a file of 6146 bytes"),
        (lambda path: path.write_bytes(b"text"), "cannot be read as the archive of CIFAR-10"),
        (
            lambda path: path.write_bytes(archive(path, WHOLE).read_bytes()[:3000]),
            "cannot be read as the archive of CIFAR-10",
        ),
    ],
    ids=["a batch missing", "a batch cut short", "a link", "no archive", "an archive cut short"],
)
def test_what_is_no_archive_of_cifar_10_is_refused(tmp_path: Path, make: Callable[[Path], object], why: str) -> None:
    make(tmp_path / "a.tar.gz")
    with pytest.raises(DataError, match=why):
        cifar10.read(tmp_path / "a.tar.gz", PER_BATCH)


@pytest.mark.parametrize("name", ["mnist", "cifar10", "fashion-mnist"])
def test_the_declared_loader_asks_for_the_declared_files(name: str) -> None:
    class Asked(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            wanted.append(name)
            return Path("/nowhere")

    wanted: list[str] = []
    with pytest.raises(DataError, match="/nowhere: cannot be read"):
        resolve(DATASETS[name].loader)(Asked())
    assert set(wanted) <= {file.name for file in DATASETS[name].files}
    assert wanted
