"""The formats of published data sets, read from small files: what is taken and what is refused."""

import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_mnist import CONTENT, FIRST, IMAGES, LABELS, idx_of

from genbench.engine.contract import resolve
from genbench.errors import DataError
from genbench.plugins import discover
from genbench_benchmarks import cifar10, idx, stacked

DATASETS = {name: entry.spec for name, entry in discover().datasets.items()}

# ---- the format of MNIST


def test_an_idx_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(CONTENT[FIRST])
    assert np.array_equal(idx.read(tmp_path / "file.gz", axes=3), IMAGES["train"])


def test_stacked_mnist_is_made_of_mnists_files_with_as_many_of_each_mode(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    paths, sources = {}, {}
    for split, prefix in idx.PREFIXES.items():
        x, labels = generator.integers(0, 256, (40, 2, 2)).astype(np.uint8), np.arange(40, dtype=np.uint8) % 3
        sources[split] = {image.tobytes(): int(label) for image, label in zip(x, labels, strict=True)}
        for name, array in ((idx.IMAGES, x), (idx.LABELS, labels)):
            paths[f"{prefix}-{name}"] = tmp_path / f"{prefix}-{name}"
            paths[f"{prefix}-{name}"].write_bytes(idx_of(array))
    for split, (images, labels) in stacked.load_mnist(paths).items():
        of_each = {"train": 60, "test": 10}[split]
        assert (images.dtype, images.shape, labels) == (np.uint8, (27 * of_each, 3, 2, 2), None)
        classes = [[sources[split][channel.tobytes()] for channel in image] for image in images]
        assert np.bincount(np.array(classes) @ [9, 3, 1]).tolist() == [of_each] * 27


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


@pytest.mark.parametrize("name", ["mnist", "stacked-mnist", "cifar10", "fashion-mnist"])
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
