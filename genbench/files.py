"""Files of the cache, which several processes may write and read at once."""

from __future__ import annotations

from pathlib import Path

from genbench.disk import Disk


def write_whole(path: Path, content: bytes) -> None:
    """:meth:`~genbench.disk.Disk.write_whole` into a folder that is made if need be.

    Permissions are those of any new file, so that a cache can be shared.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    disk = Disk()
    disk.make_folders(path.parent)
    disk.write_whole(path, content)
