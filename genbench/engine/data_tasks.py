"""What ``genbench data`` asks of the engine, each in a process of its own; plain values in and out."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import PIL
from pydantic import TypeAdapter

from genbench import paths
from genbench.added import Registration, file_of, refuse_another
from genbench.data_files import cached_folder
from genbench.engine import data
from genbench.engine.image_folder import RESIZED, Size, has_splits, read_folder
from genbench.engine.sources import find_files
from genbench.errors import DataError, MissingData
from genbench.specs import DatasetSpec


def fetch(dataset: dict[str, Any], given: list[str]) -> str:
    """Bring a data set into the cache: :func:`genbench.engine.data.materialise`, after a look into folders of a person.

    Args:
        dataset: a :class:`~genbench.specs.DatasetSpec` as a dict.
        given: folders to look for its files in first; what is taken from there is copied.

    Returns:
        The folder of its splits.

    Raises:
        DataError: if it cannot be had, or is not what its declaration says.
    """
    spec: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(dataset)
    if given:
        if not spec.files:
            raise DataError(f"data set {spec.name!r}: is not read from files that could be taken from a folder")
        find_files(spec, paths.files_cache(), paths.offline(), [Path(folder) for folder in given])
    return str(data.materialise(spec, paths.data_cache()))


def verify(dataset: dict[str, Any]) -> dict[str, Any]:
    """Load a data set anew from what is on this machine, hold it to its declaration, and its copy in the cache to it.

    Returns:
        ``{"state", "problem", "content_sha256", "cached"}``: ``state`` is ``ok``, ``wrong``, or ``missing`` where what
        the data are read from is not at hand and no copy contradicts the declaration; ``cached`` whether there is one.
    """
    os.environ[paths.OFFLINE] = "1"  # this process ends with the task
    spec: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(dataset)
    found: dict[str, Any] = {"state": "ok", "problem": None, "content_sha256": None}
    folder = cached_folder(spec, paths.data_cache())
    found["cached"] = folder.is_dir()
    try:
        splits = data.load(spec)
        data.check(spec, splits)
        found["content_sha256"] = data.content_sha256(splits)
        if found["cached"]:
            _check_copy(spec, folder, found["content_sha256"])
    except MissingData as error:
        found |= _without_source(spec, folder, str(error))
    except DataError as error:
        found |= {"state": "wrong", "problem": str(error)}
    return found


def _without_source(spec: DatasetSpec, folder: Path, why: str) -> dict[str, Any]:
    """State and problem of data that cannot be loaded anew; a damaged copy in the cache is wrong all the same."""
    if not folder.is_dir() or data.is_intact(folder.parent, spec):
        return {"state": "missing", "problem": why}
    damaged = f"its copy {folder} was changed, and what it would be made from again is not at hand"
    return {"state": "wrong", "problem": f"data set {spec.name!r}: {damaged}: {why}"}


def _check_copy(spec: DatasetSpec, folder: Path, content: str) -> None:
    """
    Raises:
        DataError: if the copy is not what was loaded, saying whether the next run mends that.
    """
    if not data.is_intact(folder.parent, spec):
        raise DataError(f"data set {spec.name!r}: its copy {folder} was changed; the next run makes it again")
    copy = data.content_sha256({split: data.load_split(folder, split) for split in data.SPLITS})
    if copy != content:
        raise DataError(
            f"data set {spec.name!r}: its copy {folder} is as it was made, with the hash {copy}, and from the same "
            f"files {spec.loader} now gives {content}: the loader, or a library that it uses, has changed. Remove that "
            "folder, and the next run reads the files anew; records that were made from it are of other data. Whoever "
            "changed the loader has to raise the declaration's loader_version, which makes it another data set"
        )


def add(name: str, path: str, size: list[int] | None, test_share: float | None, default_share: float) -> dict[str, Any]:
    """Read a folder of images and put them into the cache as a data set.

    Args:
        size: height and width to bring images to, or None.
        test_share: of the images that a hash puts into the test split, or None where nobody asked for one: then the
            folder's own splits, or ``default_share``.

    Returns:
        ``{"registration", "left_out", "in_both"}``: the :class:`~genbench.added.Registration` as a dict, files that are
        no images, and the number of test images that stand in the training split too.

    Raises:
        DataError: if the folder cannot be used, naming the file.
    """
    root = Path(path)
    if not has_splits(root):
        test_share = default_share if test_share is None else test_share
    elif test_share is not None:
        raise DataError(f"{root}: holds train and test, so there is nothing for --test-share to split")
    wanted: Size | None = None if size is None else (size[0], size[1])
    folder = read_folder(root, wanted, test_share)
    train, test = folder.splits["train"][0], folder.splits["test"][0]
    registration = Registration(
        name=name,
        path=path,
        shape=(train.shape[1], train.shape[2], train.shape[3]),
        resized=RESIZED if folder.resized else "",
        test_share=test_share,
        classes=folder.classes,
        train=len(train),
        test=len(test),
        sha256=data.content_sha256(folder.splits),
        pillow=PIL.__version__,
    )
    refuse_another(registration)
    data.keep(registration.spec(file_of(name)), folder.splits, paths.data_cache())
    seen = {image.tobytes() for image in train}
    return {
        "registration": asdict(registration),
        "left_out": list(folder.left_out),
        "in_both": sum(image.tobytes() in seen for image in test),
    }
