"""Opening files that somebody else may have made: regular files only, under a cap, without waiting for anything."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path


def open_regular(path: Path, most: int, follow: bool = True) -> io.BufferedReader:
    """The file at ``path``, open for reading.

    A named pipe would be waited for and a device read without end, so that the kind is asked of what was opened, not
    of the name before.

    Args:
        most: bytes that it may hold.
        follow: whether a link is followed, as for a path that a person typed; not for one that a record names.

    Raises:
        OSError: if it cannot be opened, is no regular file, or holds more; ``strerror`` says which.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except ValueError:  # NUL characters, lone surrogates
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", ascii(str(path))) from None
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise OSError(errno.ELOOP, "is a link, and links of others are not followed", str(path)) from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"is larger than {most} bytes: {found.st_size}", str(path))
        return os.fdopen(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int, follow: bool = True) -> bytes:
    """The content of the file at ``path``; see :func:`open_regular`.

    Raises:
        OSError: as :func:`open_regular`; also if the file grew beyond ``most`` meanwhile.
    """
    with open_regular(path, most, follow) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"is larger than {most} bytes", str(path))
    return content
