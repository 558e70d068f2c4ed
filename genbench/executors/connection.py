"""The client's end of the socket to a run server: what supervisors and one-off calls say to it and hear from it.

JSON lines. ``{"start": request, "cwd", "cores", "tells"}`` comes with a descriptor for the output of the process, and
where it ``tells`` its progress with that of a pipe for it. The answer is
``{"started": pid, "server": pid}`` or ``{"refused": reason}``, and when the process has ended and all that it started
is gone, ``{"ended": pid, "exit", "cpu_seconds"}`` with a negative exit for a signal. ``{"signal": "SIGTERM"}`` goes to
all its processes; with SIGKILL to all, until none is left. When the socket closes, the server ends everything and
itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any


class Connection:
    """A socket to a run server, as :meth:`genbench.executors.launcher.Launcher.connect` gives it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._received = b""

    def fileno(self) -> int:
        return self._channel.fileno()

    def start(
        self,
        request: Mapping[str, Any],
        cwd: str,
        output: int,
        cores: Sequence[int] = (),
        progress: int | None = None,
    ) -> None:
        """Ask for a process that carries out a request of :func:`genbench.engine.worker.main`.

        Args:
            cwd: path of the folder that it starts in.
            output: descriptor for its standard output and error.
            cores: that it is pinned to; none for all.
            progress: descriptor of a pipe that it says its progress into, as :mod:`genbench.engine.progress` has it.

        Raises:
            OSError: if the server is gone.
        """
        message = {"start": dict(request), "cwd": cwd, "cores": list(cores), "tells": progress is not None}
        line = json.dumps(message).encode() + b"\n"
        sent = socket.send_fds(self._channel, [line], [output] if progress is None else [output, progress])
        self._channel.sendall(line[sent:])

    def signal(self, name: str) -> None:
        """Ask for a signal, ``SIGTERM`` or ``SIGKILL``, to all processes; a server that has gone needs none."""
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps({"signal": name}).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """What has come since, without waiting; None once the server is gone and all that it said has been heard."""
        try:
            received = self._channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not received:
            return None
        *lines, self._received = (self._received + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def hang_up(self) -> None:
        """Let the server end everything; what it still says can be received."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def output_pipe() -> tuple[int, int]:
    """Ends of a pipe for what a process prints: ours to read without waiting, and the one that it writes to."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, write
