"""Where in a plugin's code an error arose, or a process stood: the line that its author can do something about.

Of a traceback that is the innermost frame in the plugin's own code, not the one in torch that raised at last. Nothing
here imports torch, since the harness reads what a process left in its log.
"""

from __future__ import annotations

import faulthandler
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("genbench", "torch", "numpy")
"""Packages whose frames say nothing about where in a plugin an error arose; the standard library's say nothing too."""
INSTALLED = ("site-packages", "dist-packages")
MOST_MESSAGE = 300
"""Characters of an exception's message that are told, so that the place still follows."""
MOST_MARGIN = 0.5
"""Seconds before a deadline at which the stacks are printed; a tenth of the time where that is less."""
DUMP = re.compile(r"^(?:Timeout \(|Fatal Python error)", re.MULTILINE)
DUMPED = re.compile(r'^  File "(.*)", line (\d+) in ', re.MULTILINE)
THREAD = re.compile(r"^(?=(?:Current thread|Thread) 0x)", re.MULTILINE)

Frame = tuple[str, int]
"""File and line."""


def message_of(error: BaseException) -> str:
    """Type and first line of the message; ``...`` at the end where there is more of it."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # of the plugin's own, and may fail even to give its message
        lines = ["its message cannot be read"]
    if not lines:
        return type(error).__name__
    first = lines[0].rstrip()
    cut = len(first) > MOST_MESSAGE
    return f"{type(error).__name__}: {first[:MOST_MESSAGE]}" + (" ..." if cut or len(lines) > 1 else "")


def place_of(error: BaseException, package: str | None = None) -> str | None:
    """``package/file.py:line`` of the innermost frame in a plugin's own code; None where there is no such frame.

    Args:
        package: the top-level package or module that it must be of; by default any but :data:`LIBRARIES` and the
            standard library.
    """
    frames = _frames(error)
    if package is None:
        frame = innermost(frames)
        return None if frame is None else _said(frame)
    found = [frame for frame in frames if Path(shown(frame[0])).with_suffix("").parts[0] == package]
    return _said(found[-1]) if found else None


def raised_at(error: BaseException) -> str | None:
    """The same of the innermost frame of all, whose ever it is."""
    files = [frame for frame in _frames(error) if not frame[0].startswith("<")]
    return _said(files[-1]) if files else None


def _frames(error: BaseException) -> list[Frame]:
    """Of an error's traceback, the innermost last; the file that a SyntaxError is in is never entered, and is added."""
    frames = [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno or 0))
    return frames


def innermost(frames: Sequence[Frame]) -> Frame | None:
    """The last frame in a plugin's own code, of frames with the innermost last; None if there is none.

    One outside the folders of installed packages goes before those inside: a plugin under work calls others.
    """
    own = [frame for frame in frames if not _is_library(frame[0])]
    at_work = [frame for frame in own if not set(INSTALLED) & set(Path(frame[0]).parts)]
    chosen = at_work or own
    return chosen[-1] if chosen else None


def place_in(log: str) -> str | None:
    """Where the plugin stood when :mod:`faulthandler` last printed stacks into a log, on a deadline or a fatal signal.

    Returns:
        ``package/file.py:line``; None if nothing was printed, or no thread was in code of the plugin's own.
    """
    dumps = [match.start() for match in DUMP.finditer(log)]
    if not dumps:
        return None
    threads = THREAD.split(log[dumps[-1] :])[1:]
    # The thread that a signal hit stands in its own words; of others the first thread of a process is printed last.
    threads = [thread for thread in threads if thread.startswith("Current")] + threads[::-1]
    for thread in threads:
        frames = [(file, int(line)) for file, line in DUMPED.findall(thread)]
        if (found := innermost(frames[::-1])) is not None:
            return _said(found)
    return None


@contextmanager
def standing_told(seconds: float | None) -> Iterator[None]:
    """Print the stacks of all threads on stderr shortly before a deadline, unless the work inside has ended by then.

    A thread of :mod:`faulthandler`'s own does that: it needs no Python, so also tells of code that holds the
    interpreter's lock.

    Args:
        seconds: until the deadline; None for none.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds - min(MOST_MARGIN, seconds / 10), file=sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def shown(file: str) -> str:
    """A file's path from the parent of its outermost package: ``package/file.py``."""
    path = Path(file)
    top = path.parent
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    return str(path.relative_to(top))


def _said(frame: Frame) -> str:
    return f"{shown(frame[0])}:{frame[1]}"


def _is_library(file: str) -> bool:
    if file.startswith(("<", *_folders())):
        return True
    return file.startswith(_standard()) and not set(INSTALLED) & set(Path(file).parts)


@lru_cache(maxsize=1)
def _folders() -> tuple[str, ...]:
    """The folders of :data:`LIBRARIES`, found without importing them."""
    specs = (find_spec(name) for name in LIBRARIES)
    return tuple(f"{folder}/" for spec in specs if spec for folder in spec.submodule_search_locations or ())


@lru_cache(maxsize=1)
def _standard() -> tuple[str, ...]:
    return tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib")})
