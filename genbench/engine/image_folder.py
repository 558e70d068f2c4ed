"""A folder of PNG and JPEG images as a data set. Its maker is not trusted: no links, nothing unbounded."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from genbench.added import read_registration
from genbench.engine.data import SPLITS, Examples, stratified_choice
from genbench.errors import DataError, MissingData
from genbench.foreign_files import read_regular

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MAX_IMAGES = 1_000_000
MAX_CLASSES = 10_000
MAX_FILE_BYTES = 64 << 20
MAX_PIXELS = 1 << 26
"""Of an image, before it is resized; looked at before anything is unpacked."""
MAX_TOTAL_BYTES = 8 << 30
"""Of all images together, decoded, all of them RGB if one is."""
A_LINK = "is a link, and links are not followed; put the images themselves there"
RESIZED = "cropped in the middle to the aspect ratio, then resized with Pillow's bicubic filter"
PNG_DEPTH_AT = 24
"""Offset of a PNG's bits a channel: behind the signature, the first chunk's head, width and height."""

Size = tuple[int, int]
"""Height and width."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    Attributes:
        splits: uint8 ``[N, C, H, W]`` with C 1 or 3, and int64 labels ``[N]`` or None, of ``train`` and ``test``.
        classes: names of the class folders, sorted; label i is ``classes[i]``. Empty where there are none.
        left_out: files that are neither PNG nor JPEG by their suffix.
        resized: whether any image had another size.
    """

    splits: dict[str, Examples]
    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    resized: bool


@dataclass(frozen=True)
class _Group:
    """The image files of a class in a split; ``name`` is None for images that stand in no class folder."""

    name: str | None
    files: list[Path]


def load(file: Path) -> dict[str, Examples]:
    """The loader of added data sets: reads the folder that the registration in ``file`` names as it was read then.

    Raises:
        MissingData: if the folder is no longer there.
        DataError: if the registration or the folder cannot be read.
    """
    registration = read_registration(file)
    if not Path(registration.path).exists():
        raise MissingData(
            f"data set {registration.name!r}: {registration.path} is not there, where its images were when it was "
            f"added; put them back, or remove {file} to forget the data set, and add them where they are now"
        )
    size = registration.shape[1:] if registration.resized else None
    return read_folder(Path(registration.path), size, registration.test_share).splits


def read_folder(root: Path, size: Size | None, test_share: float | None) -> Folder:
    """All images of a folder, in the order of their names.

    The folder holds ``train`` and ``test``, or what one of these would hold: images, or a folder of images a class.

    Args:
        size: to bring images to, as :data:`RESIZED` says; None where all must have the same.
        test_share: the part of each class that a hash of the pixels puts into the test split; None where the folder
            holds the splits.

    Raises:
        DataError: naming the file or folder: links, images that are broken, too large, animated, transparent, of more
            than 8 bits a channel or of another size, and layouts other than these.
    """
    left_out: list[str] = []
    if test_share is None:
        _refuse_linked_splits(root)
        parts = {split: _groups(root / split, left_out) for split in SPLITS}
        if unknown := {group.name for group in parts["test"]} - {group.name for group in parts["train"]}:
            raise DataError(f"{root}: test holds {sorted(map(str, unknown))[0]!r}, a class that train does not hold")
    else:
        parts = {"all": _groups(root, left_out)}
    names = sorted({group.name for groups in parts.values() for group in groups if group.name is not None})
    reader = _Reader(root, size)
    read = {split: reader.read(groups, names) for split, groups in parts.items()}
    splits = _alike(read)
    if test_share is not None:
        splits = _split(root, splits["all"], test_share)
    return Folder(splits, tuple(names), tuple(left_out), reader.resized)


def has_splits(root: Path) -> bool:
    """Whether the folder holds ``train`` and ``test``.

    Raises:
        DataError: if there is no such folder, or it holds one of the two only, or one is a link.
    """
    if not root.is_dir():
        raise DataError(f"{root}: {'is no folder' if root.exists() else 'no such folder'}")
    _refuse_linked_splits(root)
    there = [split for split in SPLITS if (root / split).is_dir()]
    if len(there) == 1:
        (missing,) = set(SPLITS) - set(there)
        raise DataError(f"{root}: holds the folder {there[0]} and not {missing}; add that, or rename it")
    return bool(there)


def _refuse_linked_splits(root: Path) -> None:
    for split in SPLITS:
        if (root / split).is_symlink():
            raise DataError(f"{root / split}: {A_LINK}")


def _groups(folder: Path, left_out: list[str]) -> list[_Group]:
    """The images of a split by class.

    Raises:
        DataError: for links, folders inside class folders, images beside class folders, and folders without images.
    """
    images, folders = _entries(folder, left_out)
    if images and folders:
        raise DataError(f"{folder}: holds images, such as {images[0].name}, beside folders, such as {folders[0].name}")
    if not folders:
        groups = [_Group(None, images)]
    else:
        groups = []
        for inner in folders:
            files, deeper = _entries(inner, left_out)
            if deeper:
                raise DataError(f"{deeper[0]}: is a folder inside a class folder; each class is one folder of images")
            groups.append(_Group(inner.name, files))
    empty = next((group for group in groups if not group.files), None)
    if empty is not None:
        raise DataError(f"{folder / (empty.name or '')}: holds no images ({', '.join(SUFFIXES)})")
    if len(groups) > MAX_CLASSES or sum(len(group.files) for group in groups) > MAX_IMAGES:
        raise DataError(f"{folder}: more than {MAX_IMAGES} images or {MAX_CLASSES} classes are not read")
    return groups


def _entries(folder: Path, left_out: list[str]) -> tuple[list[Path], list[Path]]:
    """Images and folders in a folder, sorted by the bytes of their names; hidden entries are passed over."""
    images, folders = [], []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from None
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            raise DataError(f"{path}: {A_LINK}")
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            left_out.append(str(path))
    return images, folders


class _Reader:
    """Decodes images and holds them to one size and to the cap on all of them together."""

    def __init__(self, root: Path, size: Size | None) -> None:
        self.resized = False
        self._root = root
        self._wanted = size
        self._first: tuple[Path, Size] | None = None
        self._pixels = 0
        self._channels = 1

    def read(self, groups: list[_Group], names: list[str]) -> tuple[list[Pixels], NDArray[np.int64] | None]:
        """The images ``[H, W, C]`` of a split one after another, and their labels ``[N]`` or None."""
        pixels, labels = [], []
        for group in groups:
            for file in group.files:
                pixels.append(self._image(file))
                labels.append(0 if group.name is None else names.index(group.name))
        return pixels, np.array(labels, np.int64) if names else None

    def _image(self, file: Path) -> Pixels:
        pixels, size = decode(file, self._wanted)
        self.resized |= size != pixels.shape[:2]
        height, width, channels = pixels.shape
        self._pixels += height * width
        self._channels = max(self._channels, channels)
        if self._pixels * self._channels > MAX_TOTAL_BYTES:
            raise DataError(f"{self._root}: takes more than {MAX_TOTAL_BYTES >> 30} GiB; choose a smaller --size")
        if self._first is None:
            self._first = file, size
        first, expected = self._first
        if self._wanted is None and size != expected:
            raise DataError(
                f"{file}: is {size[0]}x{size[1]} pixels (height x width), and {first} is {expected[0]}x{expected[1]}; "
                "give --size to bring all to one size"
            )
        return pixels


def decode(file: Path, size: Size | None) -> tuple[Pixels, Size]:
    """An image as uint8 ``[H, W, C]``, C 1 or 3, turned as its EXIF orientation says, and the size that it had.

    Raises:
        DataError: naming the file and what of it is wrong.
    """
    try:
        content = read_regular(file, MAX_FILE_BYTES, follow=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                problem = next(_refused(image, content), None)
                if problem is not None:
                    raise DataError(f"{file}: {problem}")
                upright = _plain(ImageOps.exif_transpose(image), file)
                found = upright.height, upright.width
                array = np.asarray(upright if size in (None, found) else _resized(upright, size or found))
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{file}: there is not enough memory to decode it") from None
    except Exception as error:  # whatever a decoder raises on a broken file
        said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise DataError(f"{file}: is no readable PNG or JPEG: {said}") from None
    return array.reshape(*array.shape[:2], -1), found


def _refused(image: Image.Image, content: bytes) -> Iterator[str]:
    """What the head of a file tells against it."""
    if image.width * image.height > MAX_PIXELS:
        yield f"has {image.width}x{image.height} pixels, and at most {MAX_PIXELS} are decoded"
    if image.format == "PNG" and getattr(image, "is_animated", False):
        yield "is animated; a data set takes still images"
    if image.format == "PNG" and content[PNG_DEPTH_AT] > 8:
        yield f"has {content[PNG_DEPTH_AT]} bits a channel; convert it to 8"
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        yield f"has the colour mode {image.mode}; convert it to grey or RGB"


def _plain(image: Image.Image, file: Path) -> Image.Image:
    """The image as L (grey) or RGB; opaque alpha is dropped."""
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        alpha = image.convert("LA" if grey else "RGBA")
        (least, _) = alpha.getchannel("A").getextrema()
        if least < 255:  # type: ignore[operator]
            raise DataError(f"{file}: is transparent in part; put it on a background first")
        image = alpha
    return image.convert("L" if grey else "RGB")


def _resized(image: Image.Image, size: Size) -> Image.Image:
    """:data:`RESIZED`."""
    height, width = size
    scale = min(image.height / height, image.width / width)
    kept_width, kept_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (image.width - kept_width) // 2, (image.height - kept_height) // 2
    # Not resize(box=...), whose filter looks at pixels beyond the box.
    kept = image.crop((left, top, left + kept_width, top + kept_height))
    return kept.resize((width, height), Image.Resampling.BICUBIC)


def _alike(read: dict[str, tuple[list[Pixels], NDArray[np.int64] | None]]) -> dict[str, Examples]:
    """All splits with one number of channels: grey images among colour ones become RGB, which changes no pixel."""
    channels = max(pixels.shape[2] for images, _ in read.values() for pixels in images)
    made: dict[str, Examples] = {}
    for split, (images, labels) in read.items():
        x = np.empty((len(images), channels, *images[0].shape[:2]), np.uint8)
        for index, pixels in enumerate(images):
            x[index] = pixels.transpose(2, 0, 1)  # [H, W, 1 or C] -> [1 or C, H, W], repeated over C
        made[split] = x, labels
    return made


def _split(root: Path, examples: Examples, share: float) -> dict[str, Examples]:
    x, labels = examples
    wanted = round(len(x) * share)
    if not 0 < wanted < len(x):
        raise DataError(f"{root}: of its {len(x)} images a share of {share:g} gives {wanted} to the test split; "
                        "both splits need one at least")  # fmt: skip
    test = stratified_choice(x, labels, wanted, "image folder test")
    return {
        split: (x[chosen], None if labels is None else labels[chosen])
        for split, chosen in (("train", ~test), ("test", test))
    }
