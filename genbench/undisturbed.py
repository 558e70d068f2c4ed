"""Running a plugin's code in genbench's own process without letting it change that process."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

NOTHING = -1


@contextlib.contextmanager
def undisturbed() -> Iterator[list[str]]:
    """Put back what a plugin's code changes of the process: its current folder, environment, signal handlers, umask,
    recursion limit, exception hook, standard streams, and the order of ``sys.path``. What it prints goes to stderr,
    since stdout is for what was asked of genbench.

    Folders that it adds to ``sys.path`` stay, behind those that were there, for its own later imports.

    Yields:
        A list that holds, after the block, what was changed, a phrase each.
    """
    changed: list[str] = []
    path = list(sys.path)
    before = [(what, read(), write) for what, read, write in KEPT]
    readers = {what: read for what, read, _ in KEPT}
    try:
        with _stdout_to_stderr():
            yield changed
    finally:
        for what, value, write in before:
            if readers[what]() != value:
                changed.append(what)
                write(value)
        if sys.path[: len(path)] != path:
            changed.append("the order of sys.path")
            sys.path[:] = [*path, *(folder for folder in sys.path if folder not in path)]


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Both Python's stream and the descriptor, which C code writes to."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    _flush(*streams)
    saved = _duplicate(1)
    if saved != NOTHING:
        target = _duplicate(2)
        target = os.open(os.devnull, os.O_WRONLY) if target == NOTHING else target
        os.dup2(target, 1)
        os.close(target)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        # What a plugin left in a buffer must not come out on stdout later.
        _flush(sys.__stdout__, *streams, sys.stdout)
        sys.stdin, sys.stdout, sys.stderr = streams
        if saved != NOTHING:
            os.dup2(saved, 1)
            os.close(saved)


def _duplicate(descriptor: int) -> int:
    """A copy of a descriptor that no child inherits, or ``NOTHING`` where it is closed."""
    try:
        return os.dup(descriptor)
    except OSError:
        return NOTHING


def _flush(*streams: Any) -> None:
    for stream in streams:
        # A stream may be None, closed, its reader gone, or a plugin's own.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.flush()


def _folder() -> str | None:
    """The current folder; None where it has been deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _handlers() -> dict[int, Any]:
    """Signal handlers that Python knows of and can set again."""
    found = {int(number): signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in found.items() if handler is not None}


def _set_handlers(handlers: dict[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # neither could the plugin set any here
    for number, handler in handlers.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _set_environment(environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_excepthook(hook: Any) -> None:
    sys.excepthook = hook


KEPT: tuple[tuple[str, Callable[[], Any], Callable[[Any], object]], ...] = (
    ("the current folder", _folder, _enter),
    ("environment variables", lambda: dict(os.environ), _set_environment),
    ("signal handlers", _handlers, _set_handlers),
    ("the umask", _umask, os.umask),
    ("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("sys.excepthook", lambda: sys.excepthook, _set_excepthook),
)
"""What is put back: its name, how it is read and how it is set."""
