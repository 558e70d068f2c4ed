"""Commits: how a record gets into its place, and what is done about one that was cut short.

1. A publish folder is built in ``.work``: the run's files, flushed, then ``record.json``, flushed, then the folder.
2. A record that stands in the place is moved to ``.superseded``, or to ``.quarantine`` if it can't be trusted.
3. The publish folder is renamed into the place, and that is flushed. Now the record is acknowledged.
4. The attempt's folder is removed, or left for the next call.

After a crash at any point the old or the new record is in place or the old one in its heap, and a publish folder that
is complete is put in its place by the next claim. Until the end of step 3 the attempt's folder is whole: the publish
folder has second names of its files, or copies.
"""

from __future__ import annotations

import errno
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from genbench.claims import Claim, Work
from genbench.errors import RecordError, StoreError
from genbench.layout import RECORD
from genbench.reading import hash_inside, is_folder, is_there
from genbench.record import Record, parse
from genbench.results import UNTRUSTED, read_record

FILE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._+=,-]{0,127}\Z")
"""Names of artifacts."""


def build(work: Work, claim: Claim, record: Record, files: Sequence[str], copy: bool) -> Path:
    """The publish folder of a record and its files, flushed. What was built is removed where that fails.

    Args:
        copy: for a folder that is gone on with: a second name of its files would let them change after the commit.

    Raises:
        StoreError: if the files are not those that the record names with their hashes.
        OSError: if the disk refuses.
    """
    if set(files) != set(record.artifacts):
        raise StoreError(
            f"{work.final}: its record names the files {sorted(record.artifacts)}, where {sorted(files)} are to be kept"
        )
    for name in files:
        if not FILE.match(name) or name == RECORD:
            raise StoreError(f"{work.final}: {name!r} is no name for a file of a run")
    folder = work.publish(claim.token, claim.identity)
    work.discard(folder)
    work.disk.calls.make_folder(folder)
    try:
        for name in files:
            _take_file(work, claim.folder / name, folder / name, record.artifacts[name], copy)
        content = record.to_json().encode()
        parse(content)  # what is committed must be readable again
        work.disk.write_new(folder / RECORD, content)
        work.disk.calls.sync_folder(folder)
        work.disk.calls.sync_folder(work.folder)
    except (OSError, StoreError, RecordError) as error:
        try:
            work.discard(folder)
        except OSError as second:
            error.add_note(f"{folder} is left for the next claim: {second}")
        raise
    return folder


def complete(work: Work, publish: Path, identity: str | None = None) -> Record | None:
    """The record of a publish folder that lacks nothing but its place; None if it is of another run, or half built.

    Args:
        identity: that it was made for; None for whatever it was.

    Raises:
        OSError: if it can't be read.
    """
    if (identity is not None and not work.is_of(publish, identity)) or not is_folder(publish):
        return None
    try:
        record = read_record(publish / RECORD, below=work.folder)
        found = {path.name: hash_inside(path, below=work.folder) for path in publish.iterdir() if path.name != RECORD}
    except (RecordError, FileNotFoundError):
        return None
    except OSError as error:
        if error.errno in UNTRUSTED:
            return None
        raise
    return record if found == record.artifacts else None


def put(work: Work, publish: Path) -> None:
    """Move a complete publish folder into its place, and what stands there out of it.

    Raises:
        OSError: if the disk refuses.
    """
    work.disk.make_folders(work.final.parent, below=work.root)
    if is_there(work.final):
        move_away(work, ".superseded" if _is_record(work) else ".quarantine")
    work.disk.move(publish, work.final)


def move_away(work: Work, heap: str) -> Path:
    """Move what stands in a run's place to a heap; returns where it went.

    Raises:
        OSError: if the disk refuses.
    """
    target = work.root.joinpath(heap, *work.parts[:-1], f"{work.parts[-1]}.{secrets.token_hex(4)}")
    work.disk.make_folders(target.parent, below=work.root)
    work.disk.move(work.final, target)
    return target


def _is_record(work: Work) -> bool:
    try:
        read_record(work.final / RECORD, below=work.root)
    except (RecordError, FileNotFoundError):
        return False
    return True


def _take_file(work: Work, source: Path, target: Path, expected: str, copy: bool) -> None:
    try:
        found = work.disk.adopt(source, target, copy)
    except OSError as error:
        if error.errno not in (*UNTRUSTED, errno.ENOENT):
            raise
        found = "nothing"
    if found != expected:
        raise StoreError(
            f"{source}: has changed since its hash was taken: {found}, where the record has {expected}; "
            f"a process of the run is still writing"
        )
