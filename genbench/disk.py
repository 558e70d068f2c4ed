"""All input and output of results and of the cache: small durable operations, made of numbered steps.

Every change of the disk is one method of :class:`Calls`, which is one step. :class:`Disk` puts them together into what
the store needs: a file written whole, a folder that is there to stay, a rename that has happened for good. Tests give
it other calls, which fail, die or forget at a chosen step; ``tests/store_faults.py`` does so at each of them.

What is relied on, as on every journaling file system of POSIX: a rename is atomic, also across folders; what ``fsync``
of a file has returned for is its content, and what ``fsync`` of a folder has returned for are its entries.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genbench.reading import CHUNK, digest_of, is_folder, open_inside

MAX_LEVELS = 100_000
"""Folders inside one another that a plugin may leave."""
REMOVAL_SECONDS = 2.0
"""How long a folder is emptied that a dying process still writes into."""
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""How file systems say that they can't link a file, which can still be copied."""

NO_FOLDER_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}
"""How file systems say that they have no such thing as flushing a folder."""


class Calls:
    """The system calls that change a disk. Each is one step: it has happened or it has not."""

    def create(self, path: Path) -> int:
        """Open a new, empty file for writing; nothing may stand at its path, a link neither."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Flush the content of an open file."""
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Flush the entries of a folder: what it is called and holds."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)

    def open_lock(self, path: Path) -> int:
        """Open a file to hold a lock by, made if need be."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)

    def make_folder(self, path: Path) -> None:
        os.mkdir(path)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or folder another name; a file that has it is replaced, an empty folder too."""
        os.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name; of a link, the link itself."""
        os.link(source, target, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def open_up(self, path: Path) -> None:
        """Let the owner of a folder list and change it."""
        os.chmod(path, 0o700)


class Disk:
    """Durable operations on files and folders.

    All of them raise OSError where the system refuses. ``calls`` is what changes the disk; tests give others.
    """

    def __init__(self, calls: Calls | None = None) -> None:
        self.calls = calls or Calls()

    # Writing.

    def write_new(self, path: Path, content: bytes) -> None:
        """A new file with its content flushed; its folder is not. A file that could not be written is removed."""
        with self._created(path) as descriptor:
            self.calls.write(descriptor, content)

    def write_whole(self, path: Path, content: bytes) -> None:
        """Write a file, or replace one, so that a reader sees all of the old or all of the new, after a crash too.

        Its permissions are those of any new file. Nothing is left beside it where it can't be written.
        """
        draft = path.with_name(f".draft-{secrets.token_hex(8)}")
        self.write_new(draft, content)
        try:
            self.calls.rename(draft, path)
        except OSError:
            self._try_unlink(draft)
            raise
        self.calls.sync_folder(path.parent)

    def adopt(self, source: Path, target: Path, copy: bool) -> str:
        """Give a regular file a second name, or copy it, with its content flushed; returns ``sha256:<hex>`` of it.

        A file that has other names already is copied, since something else could be written through them.

        Raises:
            OSError: ELOOP for a link, EINVAL for what is no regular file.
        """
        with open_inside(source) as descriptor:
            if not copy and os.fstat(descriptor).st_nlink == 1 and self._linked(source, target):
                with open_inside(target) as linked:
                    self.calls.sync(linked)
                    return digest_of(linked)
            digest = hashlib.sha256()
            with self._created(target) as copied:
                while chunk := os.read(descriptor, CHUNK):
                    digest.update(chunk)
                    self.calls.write(copied, chunk)
            return f"sha256:{digest.hexdigest()}"

    def make_folders(self, path: Path, below: Path | None = None) -> None:
        """Make a folder and those above it that are missing, and flush their names.

        Args:
            below: the folders between it and ``path`` are flushed even where they exist already, since another
                process may have made them and not come to that yet.

        Raises:
            OSError: ENOTDIR if a file or, below ``below``, a link stands where a folder must.
        """
        above = [path, *path.parents]
        if below is not None:
            self.make_folders(below)
            wanted = above[: above.index(below)]
        else:
            wanted = [folder for folder in above if not folder.exists()]
        for folder in reversed(wanted):
            # Another harness may make the same folder at the same time.
            with suppress(FileExistsError):
                self.calls.make_folder(folder)
            if not folder.is_dir() or (below is not None and folder.is_symlink()):
                raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(folder))
            self.calls.sync_folder(folder.parent)

    def move(self, source: Path, target: Path) -> None:
        """Rename a file or folder for good; the target's folder is flushed first, so that it is never nowhere."""
        self.calls.rename(source, target)
        self.calls.sync_folder(target.parent)
        if source.parent != target.parent:
            self.calls.sync_folder(source.parent)

    # Removing. That something is gone already is no error: a dying process may remove its own files.

    def remove_file(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            self.calls.unlink(path)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all in it, or a file or link; links are not followed, depth is no limit.

        Raises:
            OSError: ENOTEMPTY where a process has kept on writing into it for ``REMOVAL_SECONDS``.
        """
        if not is_folder(path):
            self.remove_file(path)
            return
        deadline = None
        while True:
            for _ in range(MAX_LEVELS):
                if not self._empty(path):
                    break
            try:
                self.calls.remove_folder(path)
            except FileNotFoundError:
                return
            except OSError as error:
                deadline = deadline or time.monotonic() + REMOVAL_SECONDS
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or time.monotonic() >= deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _empty(self, folder: Path) -> bool:
        """Remove the files in a folder and in the folders in it, whose own folders become the folder's: were there any?

        So every path stays short, however deep a plugin has nested its folders.
        """
        deeper = False
        for entry in self._entries(folder):
            path = Path(entry.path)
            if not entry.is_dir(follow_symlinks=False):
                self.remove_file(path)
                continue
            for inner in self._entries(path):
                if not inner.is_dir(follow_symlinks=False):
                    self.remove_file(Path(inner.path))
                    continue
                deeper = True
                with suppress(FileNotFoundError):
                    self._move_up(Path(inner.path), folder / secrets.token_hex(8))
            try:
                self.calls.remove_folder(path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise
        return deeper

    def _move_up(self, source: Path, target: Path) -> None:
        try:
            self.calls.rename(source, target)
        except PermissionError:  # a folder that can't be written can't be given another parent
            self.calls.open_up(source)
            self.calls.rename(source, target)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What a folder holds, which is let in where a plugin has closed it."""
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) and is_folder(folder):
            self.calls.open_up(folder)
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    @contextmanager
    def _created(self, path: Path) -> Iterator[int]:
        descriptor = self.calls.create(path)
        try:
            try:
                yield descriptor
                self.calls.sync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self._try_unlink(path)
            raise

    def _linked(self, source: Path, target: Path) -> bool:
        try:
            self.calls.link(source, target)
        except OSError as error:
            if error.errno in NO_LINKS:
                return False
            raise
        return True

    def _try_unlink(self, path: Path) -> None:
        """Take away what could not be written; the error that is being raised says more than that this failed too."""
        with suppress(OSError):
            self.calls.unlink(path)
