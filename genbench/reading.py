"""Reading of files and folders that may come from anyone: links are refused, FIFOs not waited for, sizes capped.

Nothing here changes the disk; what does is in :mod:`genbench.disk`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20
"""Bytes that are read at once."""
FOR_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither followed where it is a link nor waited for where it is a FIFO."""


def is_folder(path: Path) -> bool:
    """Whether a folder stands there, which a link to one is not."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_there(path: Path) -> bool:
    """Whether anything stands there, a dangling link included."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_in(folder: int, name: str) -> bool:
    """Whether anything of that name stands in an open folder, a dangling link included."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def read_file(path: Path, limit: int, below: Path | None = None) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; it is no link, nor below ``below`` in one.

    Raises:
        OSError: FileNotFoundError where there is none, ELOOP or ENOTDIR for a link, EINVAL for what is no regular file,
            EFBIG for one that is too large.
    """
    with open_inside(path, below) as descriptor:
        return _content(descriptor, limit, str(path))


def read_in(folder: int, name: str, limit: int) -> bytes:
    """As :func:`read_file`, of a file in an open folder."""
    descriptor = os.open(name, FOR_READING, dir_fd=folder)
    try:
        return _content(descriptor, limit, name)
    finally:
        os.close(descriptor)


def _content(descriptor: int, limit: int, name: str) -> bytes:
    """What a regular file holds, which may grow while it is read, so that its size is no promise.

    Raises:
        OSError: EINVAL for what is no regular file, EFBIG for one that is larger than ``limit`` bytes.
    """
    status = os.fstat(descriptor)
    _refuse_irregular(status.st_mode, name)
    parts = [os.read(descriptor, min(status.st_size, limit) + 1)]
    while parts[-1] and sum(map(len, parts)) <= limit:
        parts.append(os.read(descriptor, CHUNK))
    content = b"".join(parts)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", name)
    return content


def sha256_of(path: Path) -> str:
    """``sha256:<hex>`` of a file's content; a link that someone has named is followed."""
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def hash_inside(path: Path, below: Path) -> str:
    """``sha256:<hex>`` of the content of a regular file; links below ``below`` are refused as in :func:`read_file`."""
    with open_inside(path, below) as descriptor:
        return digest_of(descriptor)


@contextmanager
def open_inside(path: Path, below: Path | None = None) -> Iterator[int]:
    """A descriptor to read a regular file by, which is neither waited for (a FIFO) nor followed (a link).

    Unlike :func:`genbench.foreign_files.open_regular` it looks at the folders on the way too, and has no cap.

    Raises:
        OSError: as of :func:`read_file`.
    """
    if below is None:
        descriptor = os.open(path, FOR_READING)
    else:
        with folder_inside(path.parent, below) as folder:
            descriptor = os.open(path.name, FOR_READING, dir_fd=folder)
    try:
        _refuse_irregular(os.fstat(descriptor).st_mode, str(path))
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def folder_inside(path: Path, below: Path) -> Iterator[int]:
    """A descriptor of a folder; none between it and ``below`` is a link.

    Raises:
        OSError: ELOOP or ENOTDIR for a link, EINVAL for a path that leads out of ``below``.
    """
    folders = path.relative_to(below).parts
    if ".." in folders:
        raise OSError(errno.EINVAL, "leads out of its folder", str(path))
    inside = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            outer, inside = inside, os.open(folder, os.O_DIRECTORY | FOR_READING, dir_fd=inside)
            os.close(outer)
        yield inside
    finally:
        os.close(inside)


@contextmanager
def folder_in(folder: int, name: str) -> Iterator[int]:
    """A descriptor of a folder, which is no link, in an open one."""
    descriptor = os.open(name, os.O_DIRECTORY | FOR_READING, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_irregular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is no regular file", name)


def digest_of(descriptor: int) -> str:
    """``sha256:<hex>`` of the rest of an open file."""
    digest = hashlib.sha256()
    while chunk := os.read(descriptor, CHUNK):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"
