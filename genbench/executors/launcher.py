"""The harness's side of the fork server: sockets on which processes can be had, and one-off calls."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from genbench.errors import GenbenchError
from genbench.executors.connection import Connection, output_pipe
from genbench.executors.log import CappedLog
from genbench.executors.mark import signal_name

MOST_STARTS = 4
"""Of a fork server within ``STARTS_SECONDS``: what keeps ending has a reason that starting it again does not mend."""
STARTS_SECONDS = 600.0
LAST_WORDS_SECONDS = 5.0


class HarnessError(GenbenchError):
    """genbench's own machinery failed; not a result of the model."""

    exit_code = 1


class NoOutcome(HarnessError):
    """The process of a call ended, or was ended after its time, before what it was asked for was done.

    Attributes:
        how: it ended, such as ``ended by SIGSEGV``.
        log: what it printed; of one that was ended after its time, also where it stood.
    """

    def __init__(self, target: str, how: str, log: str) -> None:
        super().__init__(f"{target} {how}, without an outcome\n{log}".rstrip())
        self.how = how
        self.log = log


class Launcher:
    """A fork server, started with the environment that determinism and thread limits need.

    Thread counts are read by OpenMP and MKL when torch starts, so all processes of a launcher share one. A server that
    has ended is started again when it is next needed, at most three times within ten minutes, so that accidents do not
    end a night's runs. Safe to use from several threads.

    Args:
        threads: CPU threads a process.
        scoring: whether runs will be scored, which wants more imported.
    """

    def __init__(self, threads: int, scoring: bool = False) -> None:
        self._threads = threads
        self._scoring = scoring
        self._lock = threading.Lock()
        self._closed = False
        self._starts: list[float] = []  # on the monotonic clock, those of the last minutes
        self._start_server()

    def connect(self) -> socket.socket:
        """A socket to a new run server; :class:`~genbench.executors.connection.Connection` says what is said on it.

        The server ends, and all that it started, when every copy of the socket has been closed.

        Raises:
            HarnessError: if the fork server has ended and can't be started again, or the system refuses a socket.
        """
        with self._lock:
            while True:
                if self._closed:
                    raise HarnessError("the fork server was told to end")
                if self._server.poll() is None:
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it is ending just now
                        return self._connected()
                self._start_again()

    def _connected(self) -> socket.socket:
        """
        Raises:
            BrokenPipeError, ConnectionResetError: if the fork server has closed its socket.
            HarnessError: if the system refuses: too many open files, or no memory. Another server would not mend that.
        """
        with contextlib.ExitStack() as closing:
            try:
                ours, theirs = map(closing.enter_context, socket.socketpair())
                socket.send_fds(self._control, [b"c"], [theirs.fileno()])
            except (BrokenPipeError, ConnectionResetError):
                raise
            except OSError as error:
                raise HarnessError(f"no connection to the fork server could be made: {error.strerror}") from error
            theirs.close()
            closing.pop_all()
            return ours

    @property
    def server_pid(self) -> int:
        """Process id of the fork server."""
        return self._server.pid

    def check_alive(self) -> None:
        """Make sure that processes can be had: from the fork server that runs, or from one to be started in its place.

        Raises:
            HarnessError: if it was told to end, or has ended and can't be started again.
        """
        with self._lock:
            if self._closed:
                raise HarnessError("the fork server was told to end")
            if self._server.poll() is not None and self._recent_starts() >= MOST_STARTS:
                raise self._given_up()

    def call(
        self,
        target: str,
        arguments: Mapping[str, Any],
        sys_path: list[str] | None = None,
        seconds: float | None = None,
    ) -> Any:
        """Run a function of the engine, ``"package.module:function"``, in a process and return its result.

        Args:
            seconds: after which the process is ended; None to wait for as long as it takes.

        Raises:
            GenbenchError: what the function refused, with its exit code, or why it failed with its traceback.
            NoOutcome: if the process ended without a word, or was ended.
        """
        with tempfile.TemporaryDirectory(prefix="genbench-", ignore_cleanup_errors=True) as folder:
            outcome, log = Path(folder, "outcome.json"), Path(folder, "log.txt")
            request = {
                "task": target,
                "arguments": dict(arguments),
                "outcome": str(outcome),
                "sys_path": sys_path or [],
                "seconds": seconds,
            }
            with Connection(self.connect()) as connection, CappedLog(str(log)) as capped:
                code = self._attend(connection, request, folder, capped, seconds)
            written = log.read_text()
            if code is None:
                raise NoOutcome(target, f"was still running after {seconds:g} s", written)
            if not outcome.exists():
                how = f"by {signal_name(-code)}" if code < 0 else f"with {code}"
                raise NoOutcome(target, f"ended {how}", written)
            found = json.loads(outcome.read_text())
            if found["status"] == "refused":
                error = GenbenchError(found["reason"])
                error.exit_code = found["exit_code"]
                raise error
            if found["status"] != "ok":
                raise HarnessError(f"{found['reason']}\n{written}")
            return found["result"]

    def close(self) -> None:
        """End the server and every process that it started."""
        self._closed = True
        with self._lock:
            self._end_server()
            self._errors.close()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_server(self) -> None:
        self._starts.append(time.monotonic())
        self._control, theirs = socket.socketpair()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the launcher
        with theirs:
            self._server = subprocess.Popen(
                # -P: the current folder is the user's and must not shadow modules.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "genbench.engine.forkserver",
                    str(theirs.fileno()),
                    "scoring" if self._scoring else "no-scoring",
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=environment(self._threads),
                start_new_session=True,
            )

    def _start_again(self) -> None:
        """
        Raises:
            HarnessError: if it has ended too often.
        """
        self._end_server()
        if self._recent_starts() >= MOST_STARTS:
            raise self._given_up()
        self._errors.close()
        self._start_server()

    def _recent_starts(self) -> int:
        now = time.monotonic()
        self._starts = [start for start in self._starts if now - start < STARTS_SECONDS]
        return len(self._starts)

    def _given_up(self) -> HarnessError:
        often = f"{len(self._starts)} times within {STARTS_SECONDS / 60:g} minutes"
        return HarnessError(f"the fork server has ended {often}, the last time {self._last_words()}")

    def _end_server(self) -> None:
        ready = False
        with contextlib.suppress(OSError):
            ready = bool(self._control.recv(1, socket.MSG_DONTWAIT))
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if not ready:
            self._server.kill()  # still importing, and without children yet
        self._server.wait()
        self._control.close()

    def _attend(
        self, connection: Connection, request: Mapping[str, Any], folder: str, log: CappedLog, seconds: float | None
    ) -> int | None:
        """Start a process and wait until it and all that it started has ended.

        Returns:
            Its exit code; None if it had to be ended after its time.
        """
        read, write = output_pipe()
        try:
            connection.start(request, folder, write)
        except OSError as error:
            os.close(read)
            raise self._lost(request) from error
        finally:
            os.close(write)
        deadline = None if seconds is None else time.monotonic() + seconds
        expired = False
        with os.fdopen(read, "rb", buffering=0) as output, selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(output, selectors.EVENT_READ)
            while True:
                timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = {key.fileobj for key, _ in selector.select(timeout)}
                if output in ready and not pump(output, log):
                    selector.unregister(output)
                if connection in ready and (code := self._heard(connection, request)) is not None:
                    if expired:
                        break
                    while pump(output, log):
                        pass
                    return code
                if deadline is not None and time.monotonic() >= deadline:
                    if expired:
                        break
                    connection.signal("SIGKILL")
                    expired, deadline = True, deadline + LAST_WORDS_SECONDS
        return None

    def _heard(self, connection: Connection, request: Mapping[str, Any]) -> int | None:
        """The exit code, once the process has ended.

        Raises:
            HarnessError: if it could not be started, or nobody is there any more.
        """
        messages = connection.receive()
        if messages is None:
            raise self._lost(request)
        for message in messages:
            if "refused" in message:
                raise HarnessError(f"no process could be started: {message['refused']}")
            if "ended" in message:
                return int(message["exit"])
        return None

    def _lost(self, request: Mapping[str, Any]) -> HarnessError:
        """Why a run server has gone: with the fork server, or alone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(LAST_WORDS_SECONDS)
            return HarnessError(f"the fork server has ended {self._last_words()}")
        return HarnessError(f"the process that {request['task']} was started by has ended")

    def _last_words(self) -> str:
        """How it ended, and what it said."""
        if self._errors.closed:
            return "because it was told to"
        code = self._server.returncode
        how = f"by {signal_name(-code)}" if code < 0 else f"with {code}"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return f"{how}: {said}" if said else how


def pump(output: IO[bytes], log: CappedLog) -> bool:
    """Bring into a log what has been printed, a bounded part of it at a time; False if nothing more will come now."""
    received = output.read(1 << 16)
    if received:
        log.feed(received)
    return bool(received)


def environment(threads: int) -> dict[str, str]:
    """The environment of worker processes."""
    pinned = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {
        **os.environ,
        **pinned,
        # cuBLAS is deterministic only with a fixed workspace, set before it starts.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "0",
    }
