"""Processes that the fork server started, and their ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass, field

import psutil

TERM_SECONDS = 2.0


@dataclass
class Child:
    """A process that the fork server started.

    Attributes:
        pid: its process id, which is also its session's; None until it has started.
        exit: its exit code, negative for a signal; None while it runs, or if the server was lost.
        cpu_seconds: user and system time, of the process and the children that it waited for.
    """

    pid: int | None = None
    exit: int | None = None
    cpu_seconds: float = 0.0
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def kill_tree(child: Child) -> None:
    """End a process, all its descendants and what is left of its session: TERM, a grace, KILL."""
    assert child.pid is not None
    if child.ended.is_set():  # its number may already be another process's
        kill_session(child.pid)
        return
    members = family(child.pid)
    for process in members:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    child.ended.wait(TERM_SECONDS)
    for process in {*members, *family(child.pid)}:
        with contextlib.suppress(psutil.Error):
            process.kill()
    child.ended.wait()
    kill_session(child.pid)


def kill_session(session: int) -> None:
    """What a stage left running in its session (forked helpers, say) ends with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants; empty once it is gone."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []
