"""The fork server: imports torch once and forks what starts the processes of every run.

Importing torch and the metrics' libraries takes seconds, a fork milliseconds, and a bench starts hundreds of
processes. The server itself never runs a model, starts no thread and touches no device, so each process begins as
if it had just been started.

On its control socket come the sockets of those who want processes: for each it forks a run server
(:mod:`genbench.engine.runserver`) that serves it. When the control socket closes, or this process ends in any other
way, the run servers end and everything below them: a harness that dies leaves nothing behind. What a run server leaves
that was killed itself comes here, and is killed too.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import NoReturn

from genbench.engine.runserver import SWEEP_SECONDS, RunServer, adopt_orphans, name_process, wake_on_children
from genbench.executors import tree
from genbench.job import job_adapter

PRELOAD = ("torch", "genbench.engine.worker", "genbench.engine.train", "genbench.engine.evaluate")
PRELOAD_TO_SCORE = (
    "genbench.engine.score",
    "genbench.engine.audit",
    "torch_fidelity.feature_extractor_base",
    "PIL.PngImagePlugin",
)
"""Imported too where runs will be scored: torch-fidelity brings torchvision, and that the compiler."""
READY = b"r"
"""Said once on the control socket, when everything has been imported."""
LAST_SECONDS = 5.0
"""That run servers have to end what they started, before they are killed themselves."""


def main() -> None:
    """Serve on the control socket whose descriptor is the first argument; the second is ``scoring`` or ``no-scoring``.

    Everything is imported before the first connection: while the server is busy nobody is served.
    """
    for module in PRELOAD + (PRELOAD_TO_SCORE if sys.argv[2] == "scoring" else ()):
        importlib.import_module(module)
    job_adapter()
    gc.collect()
    gc.freeze()  # forked processes then share these objects' pages
    with socket.socket(fileno=int(sys.argv[1])) as control:
        ForkServer(control).serve()


class ForkServer:
    """Forks run servers, and ends what comes to it from those that were killed.

    Args:
        control: on which sockets arrive, one with each byte.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._servers: set[int] = set()
        # The run servers read from it, and see its end when this process ends, in whatever way.
        self._alive, self._living = os.pipe()
        self._wake, self._waking = wake_on_children()
        self._orphans = False

    def serve(self) -> None:
        """Until the other side closes the control socket."""
        adopt_orphans()
        # A terminal's Ctrl-C goes to the whole foreground group; the harness decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        self._control.sendall(READY)
        try:
            with selectors.PollSelector() as selector:
                selector.register(self._control, selectors.EVENT_READ)
                selector.register(self._wake, selectors.EVENT_READ)
                while True:
                    timeout = SWEEP_SECONDS if self._orphans else None
                    ready = {key.fileobj for key, _ in selector.select(timeout)}
                    if self._wake in ready:
                        os.read(self._wake, 4096)
                    self._clear()
                    if self._control in ready and not self._receive():
                        break
        finally:
            self._end()

    def _receive(self) -> bool:
        """Take the sockets that have arrived; False once the other side has closed."""
        try:
            received, descriptors, _, _ = socket.recv_fds(self._control, 16, 16)
        except ConnectionResetError:
            return False
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as channel:
                self._fork(channel)
        return bool(received)

    def _fork(self, channel: socket.socket) -> None:
        try:
            process = os.fork()
        except OSError as error:
            refusal = {"refused": f"the system refused another process: {error.strerror}"}
            with contextlib.suppress(OSError):  # who asked has gone
                channel.sendall(json.dumps(refusal).encode() + b"\n")
            return
        if process == 0:
            self._become_run_server(channel)
        self._servers.add(process)

    def _become_run_server(self, channel: socket.socket) -> NoReturn:
        code = 70
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for descriptor in (self._living, self._wake, self._waking):
                os.close(descriptor)
            self._control.close()
            adopt_orphans()
            name_process("genbench-run")
            RunServer(channel, self._alive).serve()
            code = 0
        except SystemExit:  # SIGTERM
            code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _clear(self) -> None:
        """Reap run servers that have ended; and if one of them left anything, kill that."""
        while self._reap():
            pass
        if self._orphans:
            left = {pid: started for pid, started in tree.children(os.getpid()).items() if pid not in self._servers}
            tree.send(left, signal.SIGKILL)  # whose own children come here then
            self._orphans = bool(left)

    def _reap(self) -> bool:
        try:
            process, status, _ = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if process:
            # One that came to its end by itself has left nothing.
            self._orphans = self._orphans or process not in self._servers or status != 0
            self._servers.discard(process)
        return bool(process)

    def _end(self) -> None:
        """Let the run servers end everything, and wait for them."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.close(self._living)
        patience = time.monotonic() + LAST_SECONDS
        while tree.children(os.getpid()) and time.monotonic() < patience + LAST_SECONDS:
            if time.monotonic() > patience:
                tree.send(tree.children(os.getpid()), signal.SIGKILL)
            self._clear()
            time.sleep(SWEEP_SECONDS / 4)


if __name__ == "__main__":
    main()
