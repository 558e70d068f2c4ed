"""The fork server: imports torch once and forks a process for every stage of every run.

Importing torch and the metrics' libraries takes seconds, a fork milliseconds, and a bench starts hundreds of
processes. The server itself never runs a model, starts no thread and touches no device, so each child begins as
if it had just been started.

It speaks JSON lines over a socket: ``{"id", "log", "cwd", ...}`` starts a child (the rest is for
:func:`genbench.engine.worker.main`); the server answers ``{"started": id, "pid"}`` and, when the child has ended,
``{"ended": id, "exit", "cpu_seconds"}`` with a negative exit for a signal. When the socket closes, every child
and its descendants in its session are killed: a harness that dies leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

from genbench.job import job_adapter

PRELOAD = ("torch", "genbench.engine.worker", "genbench.engine.train", "genbench.engine.evaluate")
PRELOAD_TO_SCORE = (
    "genbench.engine.score",
    "genbench.engine.audit",
    "torch_fidelity.feature_extractor_base",
    "PIL.PngImagePlugin",
)
"""Imported too where runs will be scored: torch-fidelity brings torchvision, and that the compiler."""
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve on the socket whose descriptor is the first argument; the second is ``scoring`` or ``no-scoring``.

    Everything is imported before the first request: while the server is busy nobody hears of a child's end.
    """
    for module in PRELOAD + (PRELOAD_TO_SCORE if sys.argv[2] == "scoring" else ()):
        importlib.import_module(module)
    job_adapter()
    gc.collect()
    gc.freeze()  # children then share these objects' pages
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        Server(channel).serve()


class Server:
    """Starts children on request and tells of their ends."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._children: dict[int, int] = {}  # process id -> request id
        self._buffer = b""

    def serve(self) -> None:
        """Until the other side closes the socket."""
        wake_read, wake_write = os.pipe()
        for descriptor in (wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A terminal's Ctrl-C goes to the whole foreground group; the harness decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            self._send({"ready": os.getpid()})
            try:
                while True:
                    ready = {key.fileobj for key, _ in selector.select()}
                    if wake_read in ready:
                        os.read(wake_read, 4096)
                        self._reap()
                    if self._channel in ready and not self._receive():
                        break
            finally:
                for process in self._children:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process, signal.SIGKILL)

    def _receive(self) -> bool:
        """Take what has arrived; False once the other side has closed."""
        try:
            received = self._channel.recv(1 << 16)
        except ConnectionResetError:  # the harness died with our messages unread
            return False
        self._buffer += received
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._start(json.loads(line))
        return bool(received)

    def _start(self, request: dict[str, Any]) -> None:
        try:
            process = os.fork()
        except OSError:
            self._send({"ended": request["id"], "exit": None, "cpu_seconds": 0.0})
            return
        if process == 0:
            self._become_worker(request)
        self._children[process] = request["id"]
        self._send({"started": request["id"], "pid": process})

    def _become_worker(self, request: dict[str, Any]) -> None:
        """In the child: a session of its own, its output in the log, then the work. Never returns."""
        code = 70
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._channel.close()
            _redirect(request["log"])
            os.chdir(request["cwd"])
            faulthandler.enable()
            from genbench.engine import worker

            code = worker.main(request)
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self._children:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if process == 0:
                return
            if process in self._children:
                self._send(
                    {
                        "ended": self._children.pop(process),
                        "exit": os.waitstatus_to_exitcode(status),
                        "cpu_seconds": usage.ru_utime + usage.ru_stime,
                    }
                )

    def _send(self, message: dict[str, Any]) -> None:
        # The harness may have died: then the next read sees the end of the stream.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")


def _redirect(log: str) -> None:
    """Standard input from nowhere, standard output and error to the end of the log."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nowhere, 0)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(nowhere)
    os.close(target)
    sys.stdin = os.fdopen(0, "r")
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="backslashreplace")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")


if __name__ == "__main__":
    main()
