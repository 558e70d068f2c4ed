"""Files of samples: ``.npy`` and ``.npz``."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from corpus import Canary, Case, pickled, written

SHAPE = (3, 1, 8, 8)
GOOD = np.zeros(SHAPE, np.uint8)


def npy(array: np.ndarray, pickling: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickling)
    return stream.getvalue()


def header(text: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An ``.npy`` file with any text for a header."""
    raw = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(raw)) + raw + body


def claim(shape: str, descr: str = "'|u1'", body: bytes = bytes(192), **more: object) -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", body, **more)  # type: ignore[arg-type]


def npz(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names, which are wanted here
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content)
        archive.comment = comment
    return stream.getvalue()


def forged(archive: bytes, local: int, central: int, value: bytes) -> bytes:
    """With bytes of the first member's two headers replaced, at these offsets."""
    raw = bytearray(archive)
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        start = raw.index(signature) + offset
        raw[start : start + len(value)] = value
    return bytes(raw)


def many_members() -> bytes:
    return npz(*((f"a{index}.npy", b"") for index in range(5000)), method=zipfile.ZIP_STORED)


def pickled_member(folder: Path) -> Path:
    objects = np.empty(1, object)
    objects[0] = Canary(folder)
    (folder / "a.npz").write_bytes(npz(("samples.npy", npy(objects, pickling=True))))
    return folder / "a.npz"


def pickled_array(folder: Path) -> Path:
    objects = np.empty(1, object)
    objects[0] = Canary(folder)
    (folder / "a.npy").write_bytes(npy(objects, pickling=True))
    return folder / "a.npy"


def bare_pickle(suffix: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / f"a{suffix}").write_bytes(pickled(folder))
        return folder / f"a{suffix}"

    return build


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "a.npy")
    return folder / "a.npy"


def device(folder: Path) -> Path:
    (folder / "a.npz").symlink_to("/dev/zero")
    return folder / "a.npz"


def bomb() -> bytes:
    """80 KB for 80 MiB of honest zeros."""
    return npz(("samples.npy", claim(f"({80 << 14}, 1, 8, 8)", body=bytes(80 << 20))))


def lying_sizes(size: int) -> bytes:
    """A member that says it unpacks to another size than it does."""
    return forged(npz(("samples.npy", npy(GOOD))), 22, 24, struct.pack("<I", size))


GOOD_NPZ = npz(("samples.npy", npy(GOOD)))
DEEP = "(" * 400 + ")" * 400

CASES: dict[str, Case] = {
    "npy: a pickled object": Case(pickled_array, "where plain numbers are expected"),
    "npz: a pickled object": Case(pickled_member, "where plain numbers are expected"),
    "npy: a bare pickle": Case(bare_pickle(".npy"), "lacks the first bytes"),
    "npz: a bare pickle": Case(bare_pickle(".npz"), "no table of contents"),
    "npy: an oversized header": Case(written("a.npy", claim("(3, 1, 8, 8)" + " " * 60000)), "header of 6.... bytes"),
    "npy: a header of 4 GiB": Case(
        written("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(64)), "header of 4294967295 bytes"
    ),
    "npy: a header that claims terabytes": Case(
        written("a.npy", claim("(1099511627776, 1, 8, 8)")), "would take 65536 GiB"
    ),
    "npy: terabytes in version 3 of the format": Case(
        written("a.npy", claim("(1099511627776, 1, 8, 8)", version=(3, 0))), "would take 65536 GiB"
    ),
    "npy: a shape that the file does not hold": Case(
        written("a.npy", claim("(100000, 1, 8, 8)")), "6400000 bytes, and has 192"
    ),
    "npy: bytes beyond the shape": Case(written("a.npy", npy(GOOD) + b"tail"), "192 bytes, and has 196"),
    "npy: a negative shape": Case(written("a.npy", claim("(-3, 1, 8, 8)")), "impossible shape"),
    "npy: a shape of 2^63": Case(written("a.npy", claim("(9223372036854775808,)")), "impossible shape"),
    "npy: a shape of 2^63 without samples": Case(
        written("a.npy", claim("(0, 9223372036854775808)", body=b"")), "impossible shape"
    ),
    "npy: a shape that overflows in a product": Case(
        written("a.npy", claim("(0, 1099511627776, 1099511627776)", body=b"")), "must have shape|too big|array is too"
    ),
    "npy: no samples at all": Case(written("a.npy", npy(GOOD[:0])), None),
    "npy: an unknown version": Case(written("a.npy", b"\x93NUMPY\x09\x00" + bytes(200)), r"version 9\.0"),
    "npy: a structured dtype": Case(written("a.npy", npy(np.zeros(3, [("a", "u1"), ("b", "i4")]))), "plain numbers"),
    "npy: an empty tuple for a dtype": Case(written("a.npy", claim("(3, 1, 8, 8)", descr="()")), "plain numbers"),
    "npy: a dtype of no bytes": Case(written("a.npy", claim("(3, 1, 8, 8)", descr="'|S0'")), "plain numbers"),
    "npy: a dtype with markup": Case(written("a.npy", claim("(3,)", descr=r"'\x1b[31m<b>'")), "plain numbers"),
    "npy: floats": Case(written("a.npy", npy(GOOD.astype(np.float32))), "must be uint8"),
    "npy: a header of code": Case(
        written("a.npy", header("__import__('os').system('touch canary')")), "not that of an array"
    ),
    "npy: a header nested deeply": Case(written("a.npy", header(DEEP)), "not that of an array"),
    "npy: a header of minus signs": Case(
        written("a.npy", header("-" * 900 + "1")), "not that of an array|without descr"
    ),
    "npy: cut short in the header": Case(written("a.npy", npy(GOOD)[:40]), "not that of an array"),
    "npy: cut short in the array": Case(written("a.npy", npy(GOOD)[:-40]), "192 bytes, and has 152"),
    "npy: empty": Case(written("a.npy", b""), "lacks the first bytes"),
    "npy: a named pipe": Case(fifo, "is no file"),
    "npz: a link to an endless device": Case(device, "is no file"),
    "npz: cut short": Case(written("a.npz", GOOD_NPZ[:-30]), "no table of contents"),
    "npz: a zip in a zip": Case(written("a.npz", npz(("samples.npy", GOOD_NPZ))), "lacks the first bytes"),
    "npz: a bomb": Case(lambda folder: written("a.npz", bomb())(folder), "times as many"),
    "npz: an encrypted member": Case(written("a.npz", forged(GOOD_NPZ, 6, 8, b"\x01")), "is encrypted"),
    "npz: an unknown method": Case(written("a.npz", forged(GOOD_NPZ, 8, 10, b"\x63")), "another method"),
    "npz: packed with LZMA": Case(
        written("a.npz", npz(("samples.npy", npy(GOOD)), method=zipfile.ZIP_LZMA)), "another method"
    ),
    "npz: a member named ../": Case(written("a.npz", npz(("../outside/x.npy", npy(GOOD)))), "no array's name"),
    "npz: a member with an absolute path": Case(written("a.npz", npz(("/tmp/x.npy", npy(GOOD)))), "no array's name"),
    "npz: a member that is no array": Case(written("a.npz", npz(("run.sh", b"rm"))), "no array's name"),
    "npz: two members of one name": Case(
        written("a.npz", npz(("samples.npy", npy(GOOD)), ("samples.npy", npy(GOOD)))), "two members"
    ),
    "npz: thousands of members": Case(lambda folder: written("a.npz", many_members())(folder), "table of contents"),
    "npz: a hundred members": Case(
        written("a.npz", npz(*((f"a{index}.npy", npy(GOOD)) for index in range(100)))), "at most 64"
    ),
    "npz: a comment of 64 KiB": Case(written("a.npz", npz(("samples.npy", npy(GOOD)), comment=b"P" * 65535)), None),
    "npz: no members": Case(written("a.npz", npz()), "holds the arrays"),
    "npz: a member larger than it says": Case(written("a.npz", lying_sizes(100)), "has|CRC|ends"),
    "npz: a member smaller than it says": Case(written("a.npz", lying_sizes(1 << 20)), "has"),
    "npz: a member of 4 GiB by its own word": Case(written("a.npz", lying_sizes(0xFFFFFFFE)), "times as many|has"),
    "npz: Fortran order": Case(written("a.npz", npz(("samples.npy", npy(np.asfortranarray(GOOD))))), None),
}
