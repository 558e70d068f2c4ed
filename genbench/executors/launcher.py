"""The harness's side of the fork server: starts processes and hears of their ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genbench.errors import GenbenchError
from genbench.executors.processes import Child, kill_tree


class HarnessError(GenbenchError):
    """genbench's own machinery failed; not a result of the model."""

    exit_code = 1


class Launcher:
    """A fork server, started with the environment that determinism and thread limits need.

    Thread counts are read by OpenMP and MKL when torch starts, so all processes of a launcher share one.

    Args:
        threads: CPU threads a process.
        scoring: whether runs will be scored, which wants more imported.
    """

    def __init__(self, threads: int, scoring: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self._channel = ours
        self._children: dict[int, Child] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the launcher
        with theirs:
            self._server = subprocess.Popen(
                # -P: the current folder is the user's and must not shadow modules.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "genbench.engine.forkserver",
                    str(theirs.fileno()),
                    "scoring" if scoring else "no-scoring",
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env=environment(threads),
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="fork-server", daemon=True)
        self._reader.start()

    def start(self, request: Mapping[str, Any], log: Path, cwd: Path) -> Child:
        """Start a process that carries out a request of :func:`genbench.engine.worker.main`.

        Args:
            log: file to which its output is appended.
            cwd: its current folder.

        Raises:
            HarnessError: if the fork server is gone.
        """
        child = Child()
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._children[number] = child
            message = {**request, "id": number, "log": str(log), "cwd": str(cwd)}
            try:
                self._channel.sendall(json.dumps(message).encode() + b"\n")
            except OSError as error:
                raise HarnessError(f"the fork server has ended: {self._last_words() or error}") from error
        child.started.wait()
        if child.pid is None:
            self.check_alive()
            raise HarnessError("no process could be started: the system refused another one")
        return child

    def check_alive(self) -> None:
        """Raises:
        HarnessError: if the fork server has ended.
        """
        if not self._reader.is_alive():
            raise HarnessError(f"the fork server has ended: {self._last_words() or 'without a word'}")

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
        """
        with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
            outcome, log = Path(folder, "outcome.json"), Path(folder, "log.txt")
            request = {
                "task": target,
                "arguments": dict(arguments),
                "outcome": str(outcome),
                "sys_path": sys_path or [],
            }
            child = self.start(request, log, Path(folder))
            try:
                if not child.ended.wait(seconds):
                    raise HarnessError(f"{target} was still running after {seconds:g} s")
            finally:
                kill_tree(child)
            written = log.read_text(errors="replace") if log.exists() else ""
            if not outcome.exists():
                raise HarnessError(f"{target} ended with {child.exit} and no outcome\n{written}")
            found = json.loads(outcome.read_text())
            if found["status"] == "refused":
                error = GenbenchError(found["reason"])
                error.exit_code = found["exit_code"]
                raise error
            if found["status"] != "ok":
                raise HarnessError(f"{found['reason']}\n{written}")
            return found["result"]

    def kill(self) -> None:
        """End every process at once, without waiting for any."""
        self._server.terminate()

    def close(self) -> None:
        """End the server and every process that it started."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        if not self._ready.is_set():
            self._server.kill()  # still importing, and with no children yet
        self._server.wait()
        self._reader.join()
        self._channel.close()
        self._errors.close()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._channel.makefile("rb") as lines:
            for line in lines:
                self._hear(json.loads(line))
        # The server is gone, and with it all that it started.
        self._ready.set()
        for child in list(self._children.values()):
            child.started.set()
            child.ended.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self._ready.set()
        elif "started" in message:
            child = self._children[message["started"]]
            child.pid = message["pid"]
            child.started.set()
        elif "ended" in message:
            child = self._children.pop(message["ended"])
            child.exit, child.cpu_seconds = message["exit"], message["cpu_seconds"]
            child.started.set()  # also where it could not be started at all
            child.ended.set()

    def _last_words(self) -> str:
        self._server.wait(timeout=5)
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()


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
