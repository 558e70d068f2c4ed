"""NumPy's array files, read by what their format says and nothing else: no pickle, no allocation on a header's word.

After NEP 1 ("A Simple File Format for NumPy Arrays"). :func:`numpy.load` makes an array as large as a header claims
before it looks at the file, and unpacks archives with methods that may ask for gigabytes themselves.
"""

from __future__ import annotations

import ast
import math
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from genbench.foreign_files import open_regular

MAX_BYTES = 8 << 30
"""Of a file, and of an array in it."""
MAX_HEADER = 1 << 10
"""Bytes of an array's header: one that holds numbers needs about 100."""
MAX_MEMBERS = 64
MAX_DIRECTORY = 1 << 16
"""Bytes of an archive's table of contents."""
MAX_SIZE = 1 << 40
"""Of one dimension."""
MAX_RATIO, FREE_BYTES = 250, 64 << 20
"""An array may be that many times larger than its packed form, or so large whatever that is: a bomb is 1,000 times."""
MAX_WORD = 32
"""Characters of a text that is an array."""
PIECE = 1 << 20
"""Bytes unpacked at a time, so that memory is taken for what has come and not for what is claimed."""
ENCRYPTED = 1
"""The flag of a member that needs a password."""


def read_npy(path: Path) -> np.ndarray:
    """The array of whole numbers in an ``.npy`` file.

    Raises:
        OSError: if it cannot be read, is no regular file or too large.
        ValueError: saying how it departs from the format.
    """
    with open_regular(path, MAX_BYTES) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        return _read(stream, size)


def read_npz(path: Path, name: str, beside: str | None = None) -> np.ndarray | None:
    """The array of that name in an ``.npz`` file, or the only one that the file holds. No other is unpacked.

    Args:
        beside: another array that must be there too, for this one to mean anything.

    Returns:
        None where the array, or the one beside it, is not there.

    Raises:
        OSError: if it cannot be read, is no regular file or too large.
        ValueError: saying how it departs from the format, or that none of several arrays has the name.
    """
    with open_regular(path, MAX_BYTES) as stream:
        _check_directory(stream)
        try:
            with zipfile.ZipFile(stream) as archive:
                members = _members(archive)
                if beside is not None and not {name, beside} <= set(members):
                    return None
                if name not in members and len(members) != 1:
                    raise ValueError(f"holds the arrays {sorted(members)}; which is meant? Name it {name!r}")
                return _read_member(archive, members.get(name) or next(iter(members.values())))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, struct.error, OverflowError) as error:
            # RuntimeError's subclass NotImplementedError is zipfile's word for what it lacks.
            raise ValueError(f"is damaged, or no .npz: {error}") from None


def read_word(path: Path, name: str) -> str:
    """The short text that an ``.npz`` file holds as an array without dimensions, of Unicode characters.

    Raises:
        OSError, ValueError: as :func:`read_npz`; also if it is missing or longer than ``MAX_WORD``.
    """
    with open_regular(path, MAX_BYTES) as stream:
        _check_directory(stream)
        try:
            with zipfile.ZipFile(stream) as archive:
                member = _members(archive).get(name)
                if member is None or member.file_size > MAX_HEADER + 4 * MAX_WORD or member.flag_bits & ENCRYPTED:
                    raise ValueError(f"lacks {name!r}, or holds more under that name than a word")
                with archive.open(member) as packed:
                    content = packed.read(MAX_HEADER + 4 * MAX_WORD)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, struct.error, OverflowError) as error:
            raise ValueError(f"is damaged, or no .npz: {error}") from None
    header, _, characters = content.partition(b"\n")
    if not header.startswith(b"\x93NUMPY\x01\x00") or not re.search(rb"'descr': '<U[0-9]{1,2}'.*'shape': \(\)", header):
        raise ValueError(f"holds no word under {name!r}")
    try:
        return characters.decode("utf-32-le").rstrip("\0")
    except UnicodeDecodeError:
        raise ValueError(f"holds no word under {name!r}") from None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays by name."""
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise ValueError(f"holds {len(entries)} members, and at most {MAX_MEMBERS} are read")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or not name.isidentifier():
            raise ValueError(f"holds {entry.filename[:80]!r}, which is no array's name")
        if name in found:
            raise ValueError(f"holds two members of the name {entry.filename!r}")
        found[name] = entry
    return found


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.flag_bits & ENCRYPTED:
        raise ValueError(f"{entry.filename} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is packed by another method than NumPy's, which are stored and deflated")
    if entry.file_size > MAX_BYTES:
        raise ValueError(f"would take {entry.file_size >> 30} GiB of memory; at most {MAX_BYTES >> 30} GiB are read")
    if entry.file_size > max(FREE_BYTES, MAX_RATIO * entry.compress_size):
        raise ValueError(
            f"{entry.filename} would unpack from {entry.compress_size} bytes to {entry.file_size}, more than "
            f"{MAX_RATIO} times as many"
        )
    with archive.open(entry) as member:
        return _read(member, entry.file_size)


def _read(stream: IO[bytes], size: int) -> np.ndarray:
    """The array in a stream of ``size`` bytes."""
    prefix = stream.read(8)
    if prefix[:6] != b"\x93NUMPY" or len(prefix) < 8:
        raise ValueError("is no array: it lacks the first bytes of one")
    if prefix[6] not in (1, 2, 3) or prefix[7] != 0:
        raise ValueError(f"is an array in version {prefix[6]}.{prefix[7]} of the format, which is not known")
    width = 2 if prefix[6] == 1 else 4
    counted = stream.read(width)
    length = int.from_bytes(counted, "little")
    if len(counted) < width or length > MAX_HEADER:
        raise ValueError(f"claims a header of {length} bytes, and at most {MAX_HEADER} are read")
    dtype, fortran, shape = _header(stream.read(length))
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > MAX_BYTES:
        raise ValueError(f"would take {wanted >> 30} GiB of memory; at most {MAX_BYTES >> 30} GiB are read")
    if size != 8 + width + length + wanted:
        raise ValueError(f"claims the shape {shape} of {dtype}, {wanted} bytes, and has {size - 8 - width - length}")
    content = bytearray()
    while len(content) < wanted:
        piece = stream.read(min(PIECE, wanted - len(content)))
        if not piece:
            raise ValueError(f"ends after {len(content)} bytes of {wanted}")
        content += piece
    if stream.read(1):
        raise ValueError(f"has more than the {wanted} bytes of its shape")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def _header(text: bytes) -> tuple[np.dtype, bool, tuple[int, ...]]:
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ValueError("has a header that is not that of an array") from None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("has a header without descr, fortran_order and shape, or with more")
    descr, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    if not isinstance(descr, str) or descr[:1] not in "<>|=" or descr[1:2] not in tuple("iufb") or len(descr) != 3:
        raise ValueError(f"is an array of {ascii(descr)[:60]}, where plain numbers are expected")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise ValueError(f"is an array of {descr!r}, which is no type of numbers") from None
    if not isinstance(fortran, bool):
        raise ValueError("has a header whose fortran_order is neither True nor False")
    if not isinstance(shape, tuple) or len(shape) > 8 or not all(_is_size(entry) for entry in shape):
        raise ValueError(f"claims the impossible shape {ascii(shape)[:80]}")
    return dtype, fortran, shape


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_SIZE


def _check_directory(stream: IO[bytes]) -> None:
    """Refuse an archive with a table of contents of millions of members, of which :mod:`zipfile` keeps every one.

    PKWARE's APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.
    """
    size = stream.seek(0, 2)
    start = max(0, size - (1 << 16) - 22 - 76)
    stream.seek(start)
    tail = stream.read()
    stream.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        raise ValueError("is no .npz: it has no table of contents")
    lengths = [struct.unpack_from("<I", tail, end + 12)[0]]
    if end >= 20 and tail[end - 20 : end - 16] == b"PK\x06\x07":
        wide = end - 76  # right before its locator, where zipfile looks for it
        if wide < 0 or tail[wide : wide + 4] != b"PK\x06\x06":
            raise ValueError("is no .npz: its table of contents is not where it says")
        if struct.unpack_from("<Q", tail, end - 12)[0] != size - len(tail) + wide:
            raise ValueError("is no .npz: its table of contents is not where it says")
        lengths.append(struct.unpack_from("<Q", tail, wide + 40)[0])
    if any(length > MAX_DIRECTORY and length != 0xFFFFFFFF for length in lengths):
        raise ValueError(f"has a table of contents of {max(lengths)} bytes, and at most {MAX_DIRECTORY} are read")
    if lengths == [0xFFFFFFFF]:
        raise ValueError("has a table of contents of 4 GiB")
