"""Files of the cache, which several processes may write and read at once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first and rename it, so that nobody reads half of it. Its folder is made.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", delete=False) as stream:
            draft = Path(stream.name)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise
