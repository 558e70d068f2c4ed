"""PNG files taken apart chunk by chunk: what is not picture is left out, and nothing is unpacked to more than it says.

After the W3C recommendation "Portable Network Graphics (PNG) Specification", third edition, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_SIDE = 1 << 14
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a channel that each colour type may have."""
GREY, RGB = 0, 2
KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
PASSES = 7
"""Of Adam7. Each may add the filter byte of half-empty lines, and rounds bits up to bytes."""


class PngError(ValueError):
    """A file that is no PNG, damaged, or more than a still picture of the promised size."""


@dataclass(frozen=True)
class Png:
    """A still picture.

    Attributes:
        width, height: pixels.
        depth: bits a channel, 1 to 16.
        colour: PNG's colour type, a key of :data:`CHANNELS`.
        content: the file without anything but header, palette and pixels.
    """

    width: int
    height: int
    depth: int
    colour: int
    content: bytes


def essential(content: bytes, most_pixels: int) -> Png:
    """The picture in a PNG file, its pixels proved to be as many as its header says, unpacked no further.

    Text, colour profiles and whatever else may hide in a file are left out.

    Args:
        most_pixels: width times height.

    Raises:
        PngError: saying what is wrong.
    """
    if not content.startswith(SIGNATURE):
        raise PngError("it is no PNG")
    chunks = _chunks(content)
    if chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PngError("it does not begin with a header")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or width * height > most_pixels:
        raise PngError(f"it is {width}x{height}, and at most {most_pixels} pixels are read")
    if depth not in DEPTHS.get(colour, ()) or (compression, filtering) != (0, 0) or interlace > 1:
        raise PngError("its header is not one that PNG knows")
    kinds = [kind for kind, _ in chunks]
    if any(kind in ANIMATION for kind in kinds):
        raise PngError("it is animated")
    unknown = [kind for kind in kinds if kind not in KEPT and not kind[0] & 0x20]
    if unknown or kinds.count(b"IHDR") > 1 or kinds.count(b"PLTE") > 1 or b"IDAT" not in kinds:
        raise PngError("its chunks are not those of a picture")
    line = 1 + (width * CHANNELS[colour] * depth + 7) // 8
    most = line * height + (PASSES * (height + line) if interlace else 0)
    unpacked = _unpacked(b"".join(body for kind, body in chunks if kind == b"IDAT"), most)
    if unpacked > most or (not interlace and unpacked != most):
        raise PngError(f"its pixels take {'more than' if unpacked > most else f'{unpacked} bytes, not'} {most} bytes")
    kept = b"".join(_chunk(kind, body) for kind, body in chunks if kind in KEPT)
    return Png(width, height, depth, colour, SIGNATURE + kept)


def _chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and body of each chunk, to the end, which must be that of the file."""
    found = []
    place = len(SIGNATURE)
    while True:
        if len(content) - place < 12:
            raise PngError("it is cut short")
        length, kind = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + length]
        place += 12 + length
        if place > len(content):
            raise PngError("it is cut short")
        if struct.unpack_from(">I", content, place - 4)[0] != zlib.crc32(body, zlib.crc32(kind)):
            raise PngError("a checksum in it is wrong")
        found.append((kind, body))
        if kind == b"IEND":
            break
    if place != len(content):
        raise PngError("something follows its end")
    return found


def _unpacked(packed: bytes, most: int) -> int:
    """How many bytes it unpacks to; ``most + 1`` where more."""
    stream = zlib.decompressobj()
    try:
        size = len(stream.decompress(packed, most + 1))
    except zlib.error as error:
        raise PngError(f"its pixels cannot be unpacked: {error}") from None
    if size <= most and not stream.eof:
        raise PngError("its pixels are cut short")
    return size


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
