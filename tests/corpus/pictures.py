"""Folders of PNGs, and the pictures that records name."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from corpus import Case

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ihdr(width: int = 8, height: int = 8, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


IDAT = chunk(b"IDAT", zlib.compress(bytes(9 * 8)))
IEND = chunk(b"IEND", b"")
BOMB = zlib.compress(bytes(40 << 20), 9)
GOOD = SIGNATURE + ihdr() + IDAT + IEND


def png(*chunks: bytes, head: bytes | None = None) -> bytes:
    return SIGNATURE + (ihdr() if head is None else head) + b"".join(chunks)


def folder_of(content: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / "0.png").write_bytes(GOOD)
        (folder / "1.png").write_bytes(content)
        return folder

    return build


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "0.png")
    return folder


def endless(folder: Path) -> Path:
    (folder / "0.png").symlink_to("/dev/zero")
    return folder


def link_outside(folder: Path) -> Path:
    (folder.parent / "outside" / "0.png").write_bytes(GOOD)
    (folder / "0.png").symlink_to(folder.parent / "outside" / "0.png")
    return folder


def nested(folder: Path) -> Path:
    (folder / "0.png").mkdir()
    return folder


def wrong_checksum() -> bytes:
    raw = bytearray(GOOD)
    raw[-1] ^= 1
    return bytes(raw)


BROKEN: dict[str, tuple[bytes, str]] = {
    "a bomb of pixels": (png(chunk(b"IDAT", BOMB), IEND), "more than 72 bytes"),
    "dimensions of 2^31": (png(IDAT, IEND, head=ihdr((1 << 31) - 1, (1 << 31) - 1)), "pixels are read"),
    "dimensions of nothing": (png(IDAT, IEND, head=ihdr(0, 0)), "pixels are read"),
    "dimensions beyond the benchmark's": (
        png(chunk(b"IDAT", zlib.compress(bytes(17 * 16))), IEND, head=ihdr(16, 16)),
        "nothing is resized",
    ),
    "cut short": (GOOD[:-20], "cut short"),
    "cut short in its pixels": (png(chunk(b"IDAT", zlib.compress(bytes(72))[:9]), IEND), "cut short|unpacked"),
    "too few pixels": (png(chunk(b"IDAT", zlib.compress(bytes(30))), IEND), "30 bytes, not 72"),
    "a wrong checksum": (wrong_checksum(), "checksum"),
    "a chunk of 4 GiB": (SIGNATURE + ihdr() + struct.pack(">I", 0xFFFFFFFF) + b"IDAT" + bytes(50), "cut short"),
    "no header": (SIGNATURE + IDAT + IEND, "does not begin with a header"),
    "two headers": (png(ihdr(), IDAT, IEND), "not those of a picture"),
    "no pixels": (png(IEND), "not those of a picture"),
    "an unknown critical chunk": (png(chunk(b"EVIL", b"x"), IDAT, IEND), "not those of a picture"),
    "an animation": (png(chunk(b"acTL", struct.pack(">II", 9, 0)), IDAT, IEND), "animated"),
    "a script behind its end": (GOOD + b"<script>alert(1)</script>", "follows its end"),
    "no PNG but a script": (b"<html><script>alert(1)</script>", "no PNG"),
    "no PNG but a GIF": (b"GIF89a" + bytes(50), "no PNG"),
    "empty": (b"", "no PNG"),
    "a palette": (png(chunk(b"PLTE", bytes(3)), IDAT, IEND, head=ihdr(colour=3)), "mode P"),
    "16 bits": (png(chunk(b"IDAT", zlib.compress(bytes(17 * 8))), IEND, head=ihdr(depth=16)), "of 16 bits"),
    "an impossible depth": (png(IDAT, IEND, head=ihdr(depth=7)), "not one that PNG knows"),
    "damaged pixels": (png(chunk(b"IDAT", b"x\x9c" + b"\xff" * 60), IEND), "cannot be unpacked"),
    "megabytes of text": (png(chunk(b"tEXt", b"k\0" + bytes(2 << 20)), IDAT, IEND), "larger than"),
}
HARMLESS: dict[str, bytes] = {
    "a bomb in a colour profile": png(chunk(b"iCCP", b"x\0\0" + BOMB), IDAT, IEND),
    "a bomb in a text": png(chunk(b"zTXt", b"k\0\0" + BOMB), chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB), IDAT, IEND),
    "interlacing": png(chunk(b"IDAT", zlib.compress(bytes(64 + 15))), IEND, head=ihdr(interlace=1)),
}
CASES: dict[str, Case] = {
    **{f"png: {name}": Case(folder_of(content), says) for name, (content, says) in BROKEN.items()},
    **{f"png: {name}": Case(folder_of(content), None) for name, content in HARMLESS.items()},
    "png: a named pipe": Case(fifo, "no regular file"),
    "png: a link to an endless device": Case(endless, "is a link"),
    "png: a link out of the folder": Case(link_outside, "is a link"),
    "png: a folder of that name": Case(nested, "regular file|directory"),
}
