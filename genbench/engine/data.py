"""Data sets: their content hash, their splits, and their copy on disk that runs read from."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genbench import paths
from genbench.data_files import CONTENT, cached_folder, noted_content
from genbench.engine.contract import resolve
from genbench.engine.sources import find_files
from genbench.errors import DataError, MissingData, StoreError
from genbench.specs import DatasetSpec

Examples = tuple[NDArray[np.uint8], NDArray[np.int64] | None]
"""uint8 ``[N, *shape]`` and int64 ``[N]``, or None for data without labels."""

SPLITS = ("train", "test")
VALIDATION_SHARE = 0.25
"""The part of the training split that ``--dev`` scores against."""


def content_sha256(splits: Mapping[str, Examples]) -> str:
    """SHA-256 (64 hex digits) of the names, shapes, types and values of all splits.

    The same on every machine: splits go in by name, arrays as little-endian bytes in C order.
    """
    digest = hashlib.sha256(b"genbench data 1\n")
    for split in sorted(splits):
        for part, array in zip(("x", "labels"), splits[split], strict=True):
            if array is None:
                digest.update(f"{split}.{part} none\n".encode())
                continue
            canonical = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{split}.{part} {canonical.dtype.str} {canonical.shape}\n".encode())
            digest.update(canonical.data)
    return digest.hexdigest()


def stratified_choice(x: np.ndarray, labels: np.ndarray | None, wanted: int, key: str) -> NDArray[np.bool_]:
    """Choose ``wanted`` of the examples, each class by its share, by a hash of their content.

    The choice does not depend on the order of the examples, nor on a random generator. Classes get their counts by
    largest remainders (ties to the smaller label); inside a class the examples with the smallest hash of
    (key, image) are taken, and of equal images the earlier.

    Args:
        x: ``[N, *shape]``.
        labels: ``[N]``, or None to take all examples as one class.
        wanted: 0 to N.
        key: names the choice, so that two choices on the same data are unrelated.

    Returns:
        bool ``[N]``, true at the chosen.
    """
    salt = key.encode() + b"\0"
    ranks = np.array([hashlib.sha256(salt + image.tobytes()).digest() for image in x])
    groups = [np.arange(len(x))] if labels is None else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shares = [wanted * len(group) / len(x) for group in groups]
    counts = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(groups)), key=lambda index: (counts[index] - shares[index], index))
    for index in by_remainder[: wanted - sum(counts)]:
        counts[index] += 1
    chosen = np.zeros(len(x), dtype=bool)
    for group, count in zip(groups, counts, strict=True):
        chosen[group[np.argsort(ranks[group], kind="stable")[:count]]] = True
    return chosen


def validation_fold(x: np.ndarray, labels: np.ndarray | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part the training split for tuning: a quarter of each class, chosen by the content of its images.

    Returns:
        Indices (rising, disjoint, together all) of what is trained on and of the fold that is scored against.
    """
    fold = stratified_choice(x, labels, round(len(x) * VALIDATION_SHARE), "validation fold")
    return np.flatnonzero(~fold), np.flatnonzero(fold)


def materialise(spec: DatasetSpec, cache: Path) -> Path:
    """The folder ``<cache>/<name>-<first 16 digits of the hash>`` with the splits as ``.npy`` files, made if need be.

    A folder that is already there is read and hashed; one that was changed or cut short is made again. Files that the
    data are read from are downloaded if need be, unless ``GENBENCH_OFFLINE`` forbids it.

    Raises:
        DataError: if the data cannot be had or loaded, or are not what the spec says.
        StoreError: if the cache cannot be read or written.
    """
    with _cache_errors(cache, spec, "looked for"):
        if is_intact(cache, spec):
            return cached_folder(spec, cache)
    return keep(spec, load(spec), cache)


def keep(spec: DatasetSpec, splits: Mapping[str, Examples], cache: Path) -> Path:
    """Check loaded data and put them into the cache, in place of what may stand there.

    Raises:
        DataError: if they are not what the spec says.
        StoreError: if they cannot be written.
    """
    check(spec, splits)
    with _cache_errors(cache, spec, "stored"):
        cache.mkdir(parents=True, exist_ok=True)
        _write(cached_folder(spec, cache), spec, splits)
    return cached_folder(spec, cache)


@contextlib.contextmanager
def _cache_errors(cache: Path, spec: DatasetSpec, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{cache}: the data set {spec.name!r} cannot be {what} there: {error.strerror}; "
            "set GENBENCH_CACHE to a folder that can be read and written"
        ) from None


def load_split(folder: Path, split: str) -> Examples:
    """A split, ``train`` or ``test``, of a materialised data set.

    Raises:
        DataError: if its files are missing or are no arrays.
    """
    labels = folder / f"{split}.labels.npy"
    return _read(folder / f"{split}.x.npy"), _read(labels) if labels.exists() else None


def first_images(folder: Path, split: str, count: int) -> NDArray[np.uint8]:
    """The first examples of a split of a materialised data set, uint8 ``[count, *shape]``; the others are not read.

    Raises:
        DataError: as :func:`load_split`.
    """
    return np.array(_read(folder / f"{split}.x.npy", mapped=True)[:count])


def check(spec: DatasetSpec, splits: Mapping[str, Examples]) -> None:
    """Hold loaded data to their declaration.

    Raises:
        DataError: naming the split, what was promised and what was found.
    """
    if set(splits) != set(SPLITS):
        raise DataError(f"data set {spec.name!r}: must have the splits train and test, not {', '.join(splits)}")
    for split, count in (("train", spec.train), ("test", spec.test)):
        _check_split(spec, f"data set {spec.name!r}, split {split}", splits[split], count)
    if spec.identified_by == "files":
        return
    found = content_sha256(splits)
    if found != spec.sha256:
        raise DataError(
            f"data set {spec.name!r}: its content has the hash {found}, where {spec.sha256} is declared; "
            "what it is loaded from has changed, or another version of it is installed; in a plugin of your "
            "own, whose data you have changed, declare the hash that was found"
        )


def _check_split(spec: DatasetSpec, where: str, examples: Examples, count: int) -> None:
    x, labels = examples
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8:
        raise DataError(f"{where}: x must be an array of uint8, not {getattr(x, 'dtype', type(x).__name__)}")
    if x.shape != (count, *spec.data.shape):
        raise DataError(f"{where}: x must have shape {(count, *spec.data.shape)}, not {x.shape}")
    if int(x.max(initial=0)) >= spec.data.levels:
        raise DataError(f"{where}: values must lie in 0 .. {spec.data.levels - 1}, and the largest is {int(x.max())}")
    if spec.data.classes is None:
        if labels is not None:
            raise DataError(f"{where}: has labels, where the declaration says classes=None")
        return
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.shape != (count,):
        found = f"{labels.dtype} {labels.shape}" if isinstance(labels, np.ndarray) else type(labels).__name__
        raise DataError(f"{where}: labels must be int64 of shape {(count,)}, not {found}")
    if int(labels.min()) < 0 or int(labels.max()) >= spec.data.classes:
        raise DataError(
            f"{where}: labels must lie in 0 .. {spec.data.classes - 1}, "
            f"and they range from {int(labels.min())} to {int(labels.max())}"
        )


def load(spec: DatasetSpec) -> Mapping[str, Examples]:
    """What the data set's loader gives, unchecked; files that it reads are found or downloaded before.

    Raises:
        MissingData: if its files cannot be had, or a package is not installed that the loader imports.
        DataError: if the loader fails.
    """
    given: tuple[object, ...] = ()
    if spec.files:
        given = (find_files(spec, paths.files_cache(), paths.offline()),)
    elif spec.source:
        given = (Path(spec.source),)
    try:
        splits: Mapping[str, Examples] = resolve(spec.loader)(*given)
    except DataError:
        raise
    except ModuleNotFoundError as error:
        raise MissingData(
            f"data set {spec.name!r}: its loader {spec.loader} needs {error.name}, which is not installed"
        ) from error
    except Exception as error:
        raise DataError(
            f"data set {spec.name!r}: its loader {spec.loader} failed: {type(error).__name__}: {error}"
        ) from error
    return splits


def is_intact(cache: Path, spec: DatasetSpec) -> bool:
    """Whether the data set stands in the cache as it was put there.

    Raises:
        OSError: if that cannot be seen.
    """
    folder = cached_folder(spec, cache)
    if not folder.is_dir():
        return False
    try:
        found = content_sha256({split: load_split(folder, split) for split in SPLITS})
    except DataError:
        return False
    return found == (spec.sha256 if spec.identified_by == "content" else noted_content(folder))


def _write(folder: Path, spec: DatasetSpec, splits: Mapping[str, Examples]) -> None:
    """Write to a folder beside the final one, then rename: nobody ever sees half a data set."""
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for split, (x, labels) in splits.items():
            _write_array(draft / f"{split}.x.npy", x)
            if labels is not None:
                _write_array(draft / f"{split}.labels.npy", labels)
        if spec.identified_by == "files":
            (draft / CONTENT).write_text(f"{content_sha256(splits)}\n")
        draft.chmod(0o755)
        _replace(draft, folder, spec)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())


def _replace(draft: Path, folder: Path, spec: DatasetSpec) -> None:
    """Put ``draft`` in the place of ``folder``, unless another process has just put intact data there."""
    with contextlib.suppress(OSError):
        draft.rename(folder)
        return
    if is_intact(folder.parent, spec):
        return
    damaged = Path(tempfile.mkdtemp(prefix=f".{folder.name}-damaged-", dir=folder.parent))
    try:
        if folder.exists():
            folder.rename(damaged / "was")
        draft.rename(folder)
    finally:
        shutil.rmtree(damaged, ignore_errors=True)


def _read(path: Path, mapped: bool = False) -> np.ndarray:
    try:
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing; the data set must be materialised again") from None
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise DataError(f"{path}: cannot be read as an array: {error}") from None
    return array
