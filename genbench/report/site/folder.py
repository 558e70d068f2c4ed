"""The folder of a site: what an earlier site wrote is replaced, file by file; what others put there is left alone."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from genbench.errors import GenbenchError, StoreError
from genbench.foreign_files import read_regular

SITE = "genbench-site.txt"
"""The list of a site's files, one a line, by which a folder is known to have been written by ``genbench publish``."""
HEAD = "# Files of this site, as genbench publish wrote them; it replaces these and no others."
MAX_BYTES = 64 << 20
LAST = "index.html"
"""The file that is put in its place after all others."""


class Staging:
    """A new site that is being written, aside."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """A folder of the site, made."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path


@contextmanager
def staging(target: Path) -> Iterator[Staging]:
    """A folder in which a new site is written; at the end it takes the place of the one in ``target``.

    After an error ``target`` is as it was before.

    Raises:
        GenbenchError: if ``target`` holds something that is no site.
        StoreError: if it cannot be written.
    """
    before = _files_of(target)
    made = not target.exists()
    work = target / f".new-{uuid.uuid4().hex}"
    try:
        work.mkdir(parents=True)
        try:
            yield Staging(work)
            _replace(target, work, before)
        finally:
            shutil.rmtree(work)
            if made and not any(target.iterdir()):
                target.rmdir()
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from error


def _files_of(target: Path) -> list[str]:
    """The files of the site that stands in a folder, by their paths from there; none in a folder that is empty.

    Raises:
        GenbenchError: if something else stands there.
    """
    if not target.is_dir() or all(path.name.startswith(".") for path in target.iterdir()):
        return []
    marker = target / SITE
    if not marker.is_file():
        raise GenbenchError(
            f"{target} is not empty and was not written by `genbench publish`; name another folder, or empty it"
        )
    try:
        head, *files = read_regular(marker, MAX_BYTES, follow=False).decode("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise GenbenchError(f"{marker}: cannot be read: {error}; name another folder") from None
    if head != HEAD or not all(_is_inside(name) for name in files):
        raise GenbenchError(f"{marker}: is not the list of a site's files; name another folder")
    return files


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _replace(target: Path, work: Path, before: list[str]) -> None:
    """Put every file of ``work`` in its place, then remove those of ``before`` that are no more."""
    files = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    # Whoever is cut short leaves a list that has the files of both.
    _list(target, sorted({*files, *before}))
    for name in sorted(files, key=lambda name: (name == LAST, name)):
        place = target / name
        _make_folders(place.parent, target)
        os.replace(work / name, place)
    kept = set(files)
    for name in before:
        if name not in kept and not _through_link(target, name):
            (target / name).unlink(missing_ok=True)
    for folder in sorted({parent for name in before for parent in (target / name).parents}, reverse=True):
        if target in folder.parents:
            _remove_if_empty(folder)
    _list(target, files)


def _list(target: Path, files: list[str]) -> None:
    temporary = target / f".{SITE}.{uuid.uuid4().hex}"
    temporary.write_text("\n".join([HEAD, *files]) + "\n", encoding="utf-8")
    os.replace(temporary, target / SITE)


def _make_folders(folder: Path, target: Path) -> None:
    """Nothing is written through a link, which may lead anywhere."""
    if folder == target:
        return
    _make_folders(folder.parent, target)
    if folder.is_symlink():
        raise OSError(errno.ELOOP, f"{folder.name} is a link, and links are not followed")
    folder.mkdir(exist_ok=True)


def _through_link(target: Path, name: str) -> bool:
    return any((target / parent).is_symlink() for parent in PurePosixPath(name).parents if str(parent) != ".")


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.ENOENT, errno.EEXIST, errno.ENOTDIR):
            raise
