"""Files of samples that are damaged, hostile or of another kind."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genbench.engine.samples import load_labels, load_samples
from genbench.errors import GenbenchError
from genbench.specs import DataSpec

DATA = DataSpec((1, 8, 8), 17)


def header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of an .npy file of uint8 that claims ``shape``."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(path: Path, content: bytes, **marks: int) -> Path:
    """An archive with one member, its compression method or flags forged afterwards."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.npy", content)
    raw = bytearray(path.read_bytes())
    for signature, flags, method in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
        start = raw.index(signature)
        raw[start + flags] |= marks.get("flags", 0)
        raw[start + method] = marks.get("method", raw[start + method])
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_that_claims_more_than_is_read_is_refused_before_it_is_allocated(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"giant{suffix}"
    content = header((1 << 40, 1, 8, 8))
    path.write_bytes(content) if suffix == ".npy" else npz(path, content)
    with pytest.raises(GenbenchError, match="would take 65536 GiB of memory"):
        load_samples(path, DATA)


@pytest.mark.parametrize("marks", [{"flags": 1}, {"method": 99}], ids=["encrypted", "unknown compression"])
def test_an_archive_that_cannot_be_unpacked_is_refused(marks: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(GenbenchError, match=r"bad\.npz: not readable as \.npz"):
        load_samples(npz(tmp_path / "bad.npz", header((1, 1, 8, 8)) + bytes(64), **marks), DATA)


def test_a_damaged_deflate_stream_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "bad.npz", header((40, 1, 8, 8)) + np.random.default_rng(0).bytes(40 * 64))
    raw = bytearray(path.read_bytes())
    raw[41:400] = b"\xff" * 359  # after the local header of 30 + 11 bytes
    path.write_bytes(raw)
    with pytest.raises(GenbenchError, match="not readable"):
        load_samples(path, DATA)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)  # a mode would not stop root
    with pytest.raises(GenbenchError, match="cannot be read: Permission denied"):
        load_samples(tmp_path, DATA)


LABELLED = DataSpec((1, 8, 8), 17, classes=10)


def with_labels(folder: Path, labels: np.ndarray) -> Path:
    np.savez(folder / "samples.npz", samples=np.zeros((3, 1, 8, 8), np.uint8), labels=labels)
    return folder / "samples.npz"


def test_labels_beside_samples_are_read(tmp_path: Path) -> None:
    found = load_labels(with_labels(tmp_path, np.array([0, 9, 3], np.uint8)), 3, LABELLED)
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.int64, [0, 9, 3])


@pytest.mark.parametrize(
    ("labels", "data", "named"),
    [
        (np.array([0, 10, 3]), LABELLED, r"must lie in 0 \.\. 9, not 0 \.\. 10"),
        (np.array([0, -1, 3]), LABELLED, r"must lie in 0 \.\. 9, not -1 \.\. 3"),
        (np.array([0, 1]), LABELLED, r"of shape \(3,\), one a sample, not int64 \(2,\)"),
        (np.array([0.0, 1.0, 2.0]), LABELLED, "must be whole numbers"),
        (np.array([0, 1, 2]), DATA, "the data have no classes"),
    ],
)
def test_labels_that_cannot_be_the_samples_are_refused(
    labels: np.ndarray, data: DataSpec, named: str, tmp_path: Path
) -> None:
    with pytest.raises(GenbenchError, match=named):
        load_labels(with_labels(tmp_path, labels), 3, data)
