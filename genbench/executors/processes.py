"""Processes that threads of the harness watch, for :mod:`genbench.executors.stages`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from genbench.executors.connection import Connection

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


def start_child(connection: Connection, request: Mapping[str, Any], log: Path, cwd: Path) -> Child:
    """Start a process, its output to the end of a file, and hear of its end in a thread."""
    child = Child()
    threading.Thread(target=_attend, args=(child, connection, request, log, cwd), daemon=True).start()
    child.started.wait()
    return child


def _attend(child: Child, connection: Connection, request: Mapping[str, Any], log: Path, cwd: Path) -> None:
    with connection, contextlib.suppress(OSError):
        with log.open("ab") as output:
            connection.start(request, str(cwd), output.fileno())
        while child.exit is None:
            select.select([connection], [], [])
            messages = connection.receive()
            if messages is None:
                break
            for message in messages:
                if "started" in message:
                    child.pid = message["started"]
                    child.started.set()
                if "ended" in message:
                    child.exit, child.cpu_seconds = message["exit"], message["cpu_seconds"]
    child.started.set()  # also where it could not be started at all
    child.ended.set()


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
