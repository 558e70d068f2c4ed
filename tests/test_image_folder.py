"""Folders of images as data sets: what is read, how it is split, and what is refused."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genbench.engine import image_folder
from genbench.engine.image_folder import decode, has_splits, read_folder
from genbench.errors import DataError


def pixels(seed: int, height: int = 4, width: int = 6, channels: int = 3) -> np.ndarray:
    """uint8 ``[H, W, C]``, or ``[H, W]`` for one channel."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path: Path, image: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def fill(folder: Path, count: int, seed: int = 0, **form: int) -> None:
    for index in range(count):
        save(folder / f"{index:02}.png", pixels(100 * seed + index, **form))


# ---- what is read


def test_class_folders_are_labels_in_the_order_of_their_names(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("test", 2)):
        fill(tmp_path / split / "wren", count, seed=1)
        fill(tmp_path / split / "auk", count, seed=2)
    folder = read_folder(tmp_path, None, None)
    x, labels = folder.splits["train"]
    assert folder.classes == ("auk", "wren")
    assert labels is not None
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.array_equal(x[3], pixels(100).transpose(2, 0, 1))
    assert folder.splits["test"][0].shape == (4, 3, 4, 6)


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    fill(tmp_path, 10, channels=1)
    folder = read_folder(tmp_path, None, 0.3)
    assert {split: (x.shape, labels) for split, (x, labels) in folder.splits.items()} == {
        "train": ((7, 1, 4, 6), None),
        "test": ((3, 1, 4, 6), None),
    }


def test_the_split_hangs_on_the_pixels_and_not_on_the_names(tmp_path: Path) -> None:
    fill(tmp_path / "one", 12)
    for index in range(12):
        save(tmp_path / "two" / f"{100 - index}.png", pixels(index))
    splits = [read_folder(tmp_path / name, None, 0.25).splits["test"][0] for name in ("one", "two")]
    assert {image.tobytes() for image in splits[0]} == {image.tobytes() for image in splits[1]}


def test_the_test_split_takes_its_share_of_each_class(tmp_path: Path) -> None:
    fill(tmp_path / "a", 8, seed=1)
    fill(tmp_path / "b", 4, seed=2)
    _, labels = read_folder(tmp_path, None, 0.25).splits["test"]
    assert labels is not None
    assert labels.tolist() == [0, 0, 1]


def test_grey_images_among_colour_ones_become_rgb(tmp_path: Path) -> None:
    save(tmp_path / "train" / "0.png", pixels(0))
    save(tmp_path / "test" / "0.png", pixels(1, channels=1))
    x, _ = read_folder(tmp_path, None, None).splits["test"]
    assert np.array_equal(x[0], np.stack([pixels(1, channels=1)] * 3))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(pixels(0)).convert("P", palette=Image.Palette.ADAPTIVE), "RGB"),
        (Image.fromarray(pixels(0, channels=1) > 99), "L"),
        (Image.fromarray(np.dstack([pixels(0), np.full((4, 6), 255, np.uint8)])), "RGB"),
    ],
    ids=["a palette", "black and white", "opaque alpha"],
)
def test_other_forms_of_grey_and_colour_are_read_as_what_they_show(
    tmp_path: Path, image: Image.Image, expected: str
) -> None:
    found, size = decode(save(tmp_path / "0.png", image), None)
    assert np.array_equal(found.squeeze(), np.asarray(image.convert(expected)))
    assert size == (4, 6)


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to view; EXIF 2.32, 4.6.5.1
    image = Image.new("L", (16, 8), 0)
    image.paste(255, (0, 0, 8, 8))
    found, size = decode(save(tmp_path / "0.jpg", image, exif=exif), None)
    assert size == (16, 8)
    assert found[:8].min() > 200  # its left half has become the upper one
    assert found[8:].max() < 50


def test_images_are_cropped_in_the_middle_and_averaged(tmp_path: Path) -> None:
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200  # the middle square, that a size of 2x2 keeps
    found, size = decode(save(tmp_path / "0.png", wide), (2, 2))
    assert size == (4, 12)
    assert np.array_equal(found[..., 0], np.full((2, 2), 200))


def test_images_that_have_the_wanted_size_stay_as_they_are(tmp_path: Path) -> None:
    save(tmp_path / "train" / "0.png", pixels(0))
    save(tmp_path / "test" / "0.png", pixels(1))
    folder = read_folder(tmp_path, (4, 6), None)
    assert np.array_equal(folder.splits["train"][0][0], pixels(0).transpose(2, 0, 1))
    assert not folder.resized


def test_files_that_are_no_images_are_told_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    (tmp_path / "README.txt").write_text("about")
    (tmp_path / ".DS_Store").write_text("of a file manager")
    assert read_folder(tmp_path, None, 0.5).left_out == (str(tmp_path / "README.txt"),)


# ---- what is refused


def png_claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head claims a size: W3C PNG (third edition), section 11.2.1."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def transparent() -> np.ndarray:
    image = np.dstack([pixels(0), np.full((4, 6), 255, np.uint8)])
    image[0, 0, 3] = 254
    return image


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_bytes(b"text"), "is no readable PNG or JPEG: cannot identify"),
        (lambda path: path.write_bytes(save(path, pixels(0)).read_bytes()[:60]), "is no readable PNG or JPEG"),
        (lambda path: path.write_bytes(png_claiming(20_000, 20_000)), "is no readable PNG or JPEG: Image size"),
        (lambda path: path.write_bytes(png_claiming(8_000, 9_000)), "has 8000x9000 pixels, and at most"),
        (lambda path: save(path, Image.new("L", (2, 2)), save_all=True, append_images=[Image.new("L", (2, 2), 9)]),
         "is animated"),
        (lambda path: save(path, transparent()), "is transparent in part"),
        (lambda path: save(path, np.zeros((2, 2), np.uint16)), "has 16 bits a channel"),
        (lambda path: save(path, Image.new("CMYK", (2, 2)), format="JPEG"), "has the colour mode CMYK"),
        (lambda path: Image.new("L", (2, 2)).save(path, format="GIF"), "is no readable PNG or JPEG: cannot identify"),
    ],
    ids=["text", "cut short", "a bomb", "too large", "animated", "transparent", "16 bits", "for print", "a GIF"],
)  # fmt: skip
def test_a_file_that_is_no_plain_image_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    make(tmp_path / "bad.png")
    with pytest.raises(DataError, match=rf"bad\.png: {why}"):
        decode(tmp_path / "bad.png", None)


def linked_file(folder: Path) -> None:
    (folder / "x.png").symlink_to("/etc/passwd")


def linked_folder(folder: Path) -> None:
    (folder / "00.png").unlink()
    (folder / "x").symlink_to("/etc")


def another_size(folder: Path) -> None:
    save(folder / "x.png", pixels(0, height=5))


def beside_a_folder(folder: Path) -> None:
    fill(folder / "x", 1)


def deeper(folder: Path) -> None:
    fill(folder / "y" / "x", 1)
    (folder / "00.png").rename(folder / "y" / "00.png")


def empty_class(folder: Path) -> None:
    (folder / "x").mkdir()
    (folder / "00.png").unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (linked_file, r"x\.png: is a link"),
        (linked_folder, "x: is a link"),
        (another_size, r"x\.png: is 5x6 pixels .* and .*00\.png is 4x6; give --size"),
        (beside_a_folder, r"holds images, such as 00\.png, beside folders, such as x"),
        (deeper, "x: is a folder inside a class folder"),
        (empty_class, "x: holds no images"),
        (lambda folder: (folder / "00.png").unlink(), "holds no images"),
        (lambda folder: None, "of its 1 images a share of 0.2 gives 0 to the test split"),
    ],
    ids=["a link", "a linked folder", "two sizes", "mixed", "nested", "an empty class", "empty", "too few"],
)
def test_a_folder_that_is_not_of_the_form_is_refused_by_name(
    tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    fill(tmp_path, 1)
    spoil(tmp_path)
    with pytest.raises(DataError, match=why):
        read_folder(tmp_path, None, 0.2)


def test_a_class_that_only_the_test_split_holds_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "a", 1)
    fill(tmp_path / "test" / "b", 1)
    with pytest.raises(DataError, match="test holds 'b', a class that train does not hold"):
        read_folder(tmp_path, None, None)


def test_a_folder_with_one_of_the_two_splits_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", 1)
    with pytest.raises(DataError, match="holds the folder train and not test"):
        has_splits(tmp_path)


@pytest.mark.parametrize("read", [has_splits, lambda root: read_folder(root, None, None)], ids=["adding", "loading"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_split_that_is_a_link_is_refused_by_name(tmp_path: Path, read: Callable[[Path], object], split: str) -> None:
    for name in ("train", "test"):
        fill(tmp_path / name, 1)
    (tmp_path / split).rename(tmp_path / "elsewhere")
    (tmp_path / split).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"/{split}: is a link"):
        read(tmp_path)


def test_grey_images_that_one_in_colour_makes_rgb_are_held_to_the_cap_as_rgb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, 9, channels=1)
    monkeypatch.setattr(image_folder, "MAX_TOTAL_BYTES", 10 * 24 * 3 - 1)
    read_folder(tmp_path, None, 0.5)  # 9 * 24 bytes
    save(tmp_path / "99.png", pixels(99))  # 9 * 24 + 72 bytes as they are decoded, 10 * 72 as they are kept
    with pytest.raises(DataError, match="takes more than"):
        read_folder(tmp_path, None, 0.5)
    monkeypatch.setattr(image_folder, "MAX_TOTAL_BYTES", 10 * 24 * 3)
    assert read_folder(tmp_path, None, 0.5).splits["train"][0].shape == (5, 3, 4, 6)
