"""Data sets that a person registered with ``genbench data add``: a small JSON file each, found by every command."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genbench import paths
from genbench.errors import DataError, GenbenchError
from genbench.specs import DatasetSpec, DataSpec

if TYPE_CHECKING:
    from genbench.plugins import Registry

MAX_BYTES = 1 << 20
DISTRIBUTION = "genbench data add"
"""What such a data set is listed as coming from, in place of a package."""


@dataclass(frozen=True)
class Registration:
    """A folder of images as it was read when it was added.

    Attributes:
        name: of the data set.
        path: of the folder.
        shape: ``(C, H, W)`` of each image.
        resized: how images were brought to that size, or empty where they all had it.
        test_share: the share of the images that a hash put into the test split; None where the folder has one.
        classes: names of the class folders in the order of the labels; empty for images without labels.
        train, test: numbers of images.
        sha256: of the content, as :func:`genbench.engine.data.content_sha256` computes it.
        pillow: version of the library that decoded the images; another may decode JPEGs a little differently.
    """

    name: str
    path: str
    shape: tuple[int, int, int]
    resized: str
    test_share: float | None
    classes: tuple[str, ...]
    train: int
    test: int
    sha256: str
    pillow: str
    schema: Literal[1] = 1

    __pydantic_config__ = {"extra": "forbid", "strict": True, "allow_inf_nan": False}  # noqa: RUF012

    def spec(self, file: Path) -> DatasetSpec:
        """The data set of this registration, which stands in ``file``."""
        return DatasetSpec(
            name=self.name,
            data=DataSpec(self.shape, levels=256, classes=len(self.classes) or None),
            loader="genbench.engine.image_folder:load",
            sha256=self.sha256,
            train=self.train,
            test=self.test,
            summary=f"images of {self.path}" + (f", {self.resized}" if self.resized else ""),
            licence="not stated",
            source=str(file),
            class_names=self.classes,
        )


def file_of(name: str) -> Path:
    """Where the registration of a data set stands."""
    return paths.added_folder() / f"{name}.json"


def checked(document: object) -> Registration:
    """A registration of what was read from JSON.

    Raises:
        ValueError: saying what of it is wrong.
    """
    from pydantic import TypeAdapter

    return TypeAdapter(Registration).validate_json(json.dumps(document))


def read_registration(file: Path) -> Registration:
    """
    Raises:
        DataError: if the file cannot be read, or is no registration of the name that it bears.
    """
    from genbench.foreign_files import read_regular
    from genbench.strict_json import strict_json

    try:
        found = checked(strict_json(read_regular(file, MAX_BYTES)))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, GenbenchError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{file}: is no registration of a data set: {why}; remove it, and add the data again") from None
    if file.stem != found.name:
        raise DataError(f"{file}: is the registration of {found.name!r}; give it that name back, or remove it")
    return found


def refuse_another(registration: Registration) -> None:
    """Refuse a registration whose name has been given to other data; the same data may be added once more.

    Raises:
        DataError: saying where the other stands.
    """
    file = file_of(registration.name)
    if not file.exists():
        return
    before = read_registration(file)
    if before.sha256 != registration.sha256:
        raise DataError(
            f"{file}: {before.name!r} is registered already, with other content, from {before.path}; give another "
            "--name, or remove that file first"
        )


def write_registration(registration: Registration) -> Path:
    """Put a registration in its place.

    Raises:
        DataError: if it cannot be written.
    """
    from genbench.files import write_whole

    file = file_of(registration.name)
    document = json.dumps(dataclasses.asdict(registration), indent=2, ensure_ascii=True)
    try:
        write_whole(file, f"{document}\n".encode())
    except OSError as error:
        raise DataError(
            f"{file}: cannot be written: {error.strerror or error}; set {paths.DATA_VARIABLE} to a folder that can be"
        ) from None
    return file


def register_added(registry: Registry) -> None:
    """Put all registered data sets into the registry; one that cannot be used is reported, and harms no other."""
    from genbench.plugins import NAME, Plugin, Registered

    folder = paths.added_folder()
    try:
        files = sorted(entry for entry in os.listdir(folder) if entry.endswith(".json"))
    except FileNotFoundError:
        return
    except OSError as error:
        plugin = Plugin("data sets", DISTRIBUTION, "1", str(folder))
        registry.report(plugin, f"{folder} cannot be read: {error.strerror}")
        return
    for file in (folder / entry for entry in files):
        plugin = Plugin(file.stem, DISTRIBUTION, "1", str(file))
        try:
            spec = read_registration(file).spec(file)
            if not NAME.fullmatch(spec.name):
                raise DataError(f"{file}: names match {NAME.pattern}")
            taken: Mapping[str, Any] = registry.datasets
            if spec.name in taken:
                raise DataError(f"{file}: the plugin {taken[spec.name].plugin.name!r} has a data set of this name")
        except GenbenchError as error:
            registry.report(plugin, str(error))
            continue
        registry.datasets[spec.name] = Registered(spec, plugin)
        registry.plugins.append(plugin)
