"""The one way by which anything is downloaded: into a file beside the target, hashed, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from genbench.errors import StoreError

DOWNLOAD_TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
PIECE = 1 << 20
"""Bytes that are read at a time."""
DOWNLOAD_ERRORS = (OSError, RuntimeError, ValueError, http.client.HTTPException)
"""Of :func:`download`, what is the address's fault. ValueError is urllib's word for what is no address, RuntimeError
torch hub's for a file that is not the wanted one."""
WAY_OUT = "make room there or mend its permissions, or set GENBENCH_CACHE to a folder that can be written"


class Stream(Protocol):
    """What is downloaded, read piece by piece."""

    def read(self, size: int, /) -> bytes: ...


def download(url: str, target: Path, sha256: str, size: int | None = None) -> None:
    """Fetch ``url``.

    Args:
        target: the path to be; its folder is made if need be. Nothing stands there unless the whole file has come.
        sha256: of the file, 64 hex digits.
        size: its bytes; as soon as more have come the download is given up. None where nobody declared them.

    Raises:
        OSError, RuntimeError, ValueError, http.client.HTTPException: if it cannot be had, is longer, or has another
            hash.
        StoreError: if it cannot be written.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "genbench"})
    with urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT) as stream, _draft_of(target) as draft:
        _copy(stream, draft, target, sha256, size)


@contextlib.contextmanager
def _draft_of(target: Path) -> Iterator[BinaryIO]:
    """A new file beside the target, open for writing; it takes the target's place unless something fails."""
    path = target.parent / f".{target.name}.{secrets.token_hex(8)}"
    with _as_store_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = path.open("xb", buffering=0)
    try:
        with draft:
            yield draft
        with _as_store_error(target):
            os.replace(path, target)
    finally:
        path.unlink(missing_ok=True)


def _copy(stream: Stream, draft: BinaryIO, target: Path, sha256: str, size: int | None) -> None:
    digest = hashlib.sha256()
    come = 0
    while piece := stream.read(PIECE):
        come += len(piece)
        if size is not None and come > size:
            raise RuntimeError(f"it is longer than the {size} bytes that are declared")
        digest.update(piece)
        with _as_store_error(target):
            _write_all(draft, piece)
    if digest.hexdigest() != sha256:
        raise RuntimeError(f'invalid hash value (expected "{sha256}", got "{digest.hexdigest()}")')


def _write_all(draft: BinaryIO, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[draft.write(rest) :]  # an unbuffered file may take a part


@contextlib.contextmanager
def _as_store_error(target: Path) -> Iterator[None]:
    """The disk's refusals, which no other address would mend."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}; {WAY_OUT}") from None
