"""A data set of ten images in the format and under the names of MNIST's four files."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from genbench import DataFile, DatasetSpec, DataSpec
from genbench.specs import files_sha256


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
