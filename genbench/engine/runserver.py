"""A run server: the parent of a run's processes, which reaps all that they start and lets nothing outlive them.

A fork of the fork server, one for each connection (:mod:`genbench.executors.connection` says what is said on it). It
runs no model. It is a child subreaper where the system has that: whatever its stages start comes to it when its own
parent ends, daemons too, so that "no child is left" means that nothing is left.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
import traceback
from typing import Any

from genbench.engine.progress import tell_on
from genbench.executors import tree

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PROGRESS = 3
"""Descriptor, in a stage's process, of the pipe that it says its progress into."""
MOST_DESCRIPTORS = 1 << 16
SWEEP_SECONDS = 0.02
"""Between two rounds of killing: who forks faster than that is met again in the next."""
LAST_SECONDS = 10.0
"""After which processes that SIGKILL does not end (waiting for a dead disk, say) are left."""
OOM_SCORE = "500"
"""Added to a stage's score, so that a system short of memory ends it and not what watches it."""


def adopt_orphans() -> None:
    """Make this process the one to which orphans below it come; without that in the system, init takes them."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """The name that ``ps`` and ``top`` show."""
    _prctl(PR_SET_NAME, name.encode())


def wake_on_children() -> tuple[int, int]:
    """A pipe, its first end readable when a child has ended."""
    read, write = os.pipe()
    for descriptor in (read, write):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read, write


class RunServer:
    """Starts one process after another, and clears away what each leaves.

    Args:
        channel: socket to a supervisor or a one-off call.
        alive: descriptor that is closed on the other side when the fork server ends.
    """

    def __init__(self, channel: socket.socket, alive: int) -> None:
        self._channel = channel
        self._alive = alive
        self._wake, _ = wake_on_children()
        self._received = b""
        self._outputs: list[int] = []  # descriptors that came, for the requests that come with them
        self._main: int | None = None
        self._exit: int | None = None
        self._cpu_seconds = 0.0
        self._killing = False

    def serve(self) -> None:
        """Until the other side or the fork server has gone. Then everything is killed."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            # Of poll and not of epoll, which a forked process would share with this one.
            with selectors.PollSelector() as selector:
                for source in (self._channel, self._alive, self._wake):
                    selector.register(source, selectors.EVENT_READ)
                while True:
                    timeout = SWEEP_SECONDS if self._killing else None
                    ready = {key.fileobj for key, _ in selector.select(timeout)}
                    if self._wake in ready:
                        os.read(self._wake, 4096)
                        self._reap()
                    if self._alive in ready or (self._channel in ready and not self._receive()):
                        return
                    if self._killing:
                        self._sweep()
        finally:
            self._kill_all()

    def _receive(self) -> bool:
        """Take what has arrived; False once the other side has closed."""
        try:
            received, descriptors, _, _ = socket.recv_fds(self._channel, 1 << 16, 8)
        except ConnectionResetError:
            return False
        self._outputs += descriptors
        *lines, self._received = (self._received + received).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "start" in message:
                output = self._outputs.pop(0)
                self._start(message, output, self._outputs.pop(0) if message["tells"] else None)
            elif self._main is not None:
                self._signal(message["signal"])
        return bool(received)

    def _start(self, message: dict[str, Any], output: int, progress: int | None) -> None:
        try:
            process = os.fork()
            if process == 0:
                self._become_stage(message, output, progress)
        except OSError as error:
            self._send({"refused": f"the system refused another process: {error.strerror}"})
            return
        finally:
            os.close(output)
            if progress is not None:
                os.close(progress)
        self._main, self._exit, self._cpu_seconds, self._killing = process, None, 0.0, False
        self._send({"started": process, "server": os.getpid()})

    def _become_stage(self, message: dict[str, Any], output: int, progress: int | None) -> None:
        """In the child: a session of its own, its output to where it was asked to go, then the work. Never returns."""
        code = 70
        server = os.getppid()
        try:
            os.setsid()
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != server:  # it had ended before that was set
                os._exit(code)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            redirect(output)
            if progress is not None:
                os.dup2(progress, PROGRESS, inheritable=False)
                tell_on(PROGRESS)
            os.closerange(PROGRESS + (progress is not None), MOST_DESCRIPTORS)
            name_process("genbench-stage")
            _offer_to_oom_killer()
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # they are huge
            os.chdir(message["cwd"])
            if message["cores"]:
                os.sched_setaffinity(0, message["cores"])
            faulthandler.enable()
            from genbench.engine import worker

            code = worker.main(message["start"])
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _signal(self, name: str) -> None:
        if name == "SIGKILL":
            self._killing = True  # and so until none is left
        else:
            tree.send(tree.descendants(os.getpid()), signal.Signals[name])

    def _sweep(self) -> None:
        tree.send(tree.descendants(os.getpid()), signal.SIGKILL)
        self._reap()

    def _reap(self) -> bool:
        """Collect who has ended; True if no child is left."""
        while True:
            try:
                process, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._tell_end()
                return True
            if process == 0:
                return False
            self._cpu_seconds += usage.ru_utime + usage.ru_stime
            if process == self._main:
                self._exit = os.waitstatus_to_exitcode(status)
                self._killing = True

    def _tell_end(self) -> None:
        """Once nothing is left of a stage."""
        if self._exit is not None:
            ended, self._main, self._killing = self._main, None, False
            self._send({"ended": ended, "exit": self._exit, "cpu_seconds": self._cpu_seconds})
            self._exit = None

    def _kill_all(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._main = None  # its end says nothing about the stage, and is not told
        end = time.monotonic() + LAST_SECONDS
        while not self._reap() and time.monotonic() < end:
            tree.send(tree.descendants(os.getpid()), signal.SIGKILL)
            time.sleep(SWEEP_SECONDS / 10)

    def _send(self, message: dict[str, Any]) -> None:
        # The other side may have gone: then the next read sees the end of the stream.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")


def redirect(output: int) -> None:
    """Standard input from nowhere, standard output and error to a descriptor."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nowhere)
    sys.stdin = os.fdopen(0, "r")
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def _offer_to_oom_killer() -> None:
    """First of all processes to be ended where the system is short of memory."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # where there is such a thing
        score.write(OOM_SCORE)


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
