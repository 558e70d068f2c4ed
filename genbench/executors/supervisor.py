"""The supervisor of a run: a small process that has its stages carried out, one after another, within their limits.

It is started with a socket to a run server (:mod:`genbench.executors.connection`); what is said on stdin and stdout is
in :mod:`genbench.executors.protocol`. It runs no code of plugins and imports next to nothing, so neither a hang nor an
exhausted memory of theirs is one of its own. One loop, which waits for nothing longer than until the next poll.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from genbench.executors import tree
from genbench.executors.connection import Connection, output_pipe
from genbench.executors.cores import Cores
from genbench.executors.log import CappedLog
from genbench.executors.mark import judge
from genbench.executors.protocol import CANCEL, StageEnd, StageRequest, Supervision
from genbench.executors.stage import Stage

if TYPE_CHECKING:
    from genbench.record import Status

PROGRESS_SECONDS = 0.2
"""Between two words of progress."""
LONGEST_PAUSE = 0.1
"""Seconds without a look at the clock."""
CHUNK = 1 << 18
"""Bytes of output that are taken before the other duties have their turn."""
START_SECONDS = 300.0
"""That a fork server may take to import everything."""
STUCK_SECONDS = 3.0
"""After SIGKILL, that the run server has to say that nothing is left."""


class HarnessGone(Exception):
    """Nobody is at the other end of the lifeline."""


class Supervisor:
    """Carries out a :class:`~genbench.executors.protocol.Supervision`.

    Args:
        connection: to the run server.
        stdin, stdout: descriptors of the lifeline and of the way back.
    """

    def __init__(self, connection: Connection, stdin: int, stdout: int) -> None:
        self._connection = connection
        self._stdin = stdin
        self._stdout = stdout
        self._heard = b""
        self._to_tell = b""
        self._cancelled = False
        self._server: int | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """From the first line on stdin to the last on stdout.

        Raises:
            HarnessGone: if the lifeline has closed; nothing runs any more then.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._cancel())
        supervision = self._first_line()
        self._hear(b"")
        for descriptor in (self._stdin, self._stdout):
            os.set_blocking(descriptor, False)
        self._selector.register(self._stdin, selectors.EVENT_READ)
        self._selector.register(self._connection, selectors.EVENT_READ)
        cores = Cores(supervision.threads, supervision.claims)
        try:
            for request in supervision.stages:
                end = self._carry_out(request, supervision.log, cores.claimed)
                self._tell({"ended": dataclasses.asdict(end)})
                if end.status != "ok":
                    break
        finally:
            self._leave_nothing(STUCK_SECONDS)
            cores.close()
        os.set_blocking(self._stdout, True)
        self._flush()

    def _first_line(self) -> Supervision:
        while b"\n" not in self._heard:
            received = os.read(self._stdin, 1 << 16)
            if not received:
                raise HarnessGone
            self._heard += received
        line, _, self._heard = self._heard.partition(b"\n")
        given = json.loads(line)
        return Supervision(**{**given, "stages": [StageRequest(**stage) for stage in given["stages"]]})

    def _carry_out(self, request: StageRequest, log: str, cores: list[int]) -> StageEnd:
        self._tell({"stage": request.name, "progress": 0.0})
        if self._cancelled:
            return StageEnd(request.name, "cancelled", "the harness was asked to stop", None)
        try:
            with CappedLog(log) as capped, _folder(request.cwd):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(request.mark)  # of an earlier attempt
                end = self._watched(Stage(request), capped, cores)
        except OSError as error:
            reason = f"{request.name} could not be started: {error.strerror}: {error.filename or log}"
            return StageEnd(request.name, "harness_error", reason, None)
        if capped.error is not None:
            end.warnings.append(f"{os.path.basename(log)} could not be written in whole: {capped.error}")
        return end

    def _watched(self, stage: Stage, log: CappedLog, cores: list[int]) -> StageEnd:
        """A stage, from its start until nothing of it is left."""
        request, oom_kills = stage.request, tree.oom_kills()
        read, write = output_pipe()
        with contextlib.suppress(OSError, AttributeError):  # a larger pipe, where one may be had: fewer wake-ups
            fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._selector.register(read, selectors.EVENT_READ)
        try:
            try:
                self._connection.start(request.work, request.cwd, write, cores)
            except OSError:
                stage.lost = True
            finally:
                os.close(write)
            while stage.exit_code is None and not stage.lost:
                self._duties(stage)
                self._attend(stage, log, read)
            while self._pump(read, log):
                pass
        finally:
            if stage.exit_code is None:  # in whatever way we came here
                self._leave_nothing(0.0 if stage.lost else STUCK_SECONDS)
                if stage.watch is not None:
                    stage.watch.tree.kill()
            with contextlib.suppress(KeyError):
                self._selector.unregister(read)
            os.close(read)
        status: Status
        reason: str | None
        result: dict[str, Any] | None = None
        if stage.verdict is not None:
            status, reason = stage.verdict
        elif stage.exit_code is None:
            status, reason = "lost", f"{stage.title}: the server of its processes has gone"
        else:
            name = os.path.basename
            oom_killed = tree.oom_kills() > oom_kills
            status, reason, result = judge(stage.title, request.mark, name(log.path), stage.exit_code, oom_killed)
        code = stage.exit_code
        return StageEnd(
            name=request.name,
            status=status,
            reason=reason,
            result=result,
            signal=-code if code is not None and code < 0 else None,
            seconds=stage.seconds(),
            cpu_seconds=stage.cpu_seconds,
            peak_memory=stage.peak_memory(),
            cores=cores,
        )

    def _duties(self, stage: Stage) -> None:
        """What is due now: limits enforced, progress told."""
        now = time.monotonic()
        if self._cancelled:
            stage.condemn("cancelled", "the harness was asked to stop", now)
        if stage.watch is None and now > stage.began + START_SECONDS:
            stage.condemn("harness_error", f"the fork server did not answer within {START_SECONDS:g} s", now)
        for number in stage.check(now):
            self._connection.signal(number)
        if stage.killed_at is not None and now > stage.killed_at + STUCK_SECONDS:
            stage.lost = True
        if not self._to_tell and (progress := stage.news(now, PROGRESS_SECONDS)) is not None:
            self._tell({"stage": stage.request.name, "progress": progress})

    def _attend(self, stage: Stage, log: CappedLog, output: int) -> None:
        """Wait for whatever comes first: a word from anybody, output, or the next duty."""
        self._flush()
        ready = {key.fileobj for key, _ in self._selector.select(stage.pause(LONGEST_PAUSE))}
        if self._stdin in ready:
            self._hear_harness()
        if output in ready and not self._pump(output, log):
            self._selector.unregister(output)
        if self._connection in ready:
            messages = self._connection.receive()
            if messages is None:
                stage.lost = True
            for message in messages or ():
                self._server = message.get("server", self._server)
                stage.hear(message)

    def _pump(self, output: int, log: CappedLog) -> bool:
        """Bring what was printed into the log, a bounded part of it; False if nothing more will come now."""
        try:
            received = os.read(output, CHUNK)
        except BlockingIOError:
            return False
        if received:
            log.feed(received)
        return bool(received)

    def _hear_harness(self) -> None:
        received = os.read(self._stdin, 4096)
        if not received:
            raise HarnessGone
        self._hear(received)

    def _hear(self, received: bytes) -> None:
        *lines, self._heard = (self._heard + received).split(b"\n")
        if CANCEL.encode() in lines:
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True

    def _tell(self, message: dict[str, Any]) -> None:
        self._to_tell += json.dumps(message).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        """What the pipe takes now: a harness that is held (Ctrl-Z) must not keep limits from being enforced.

        Raises:
            HarnessGone: if nobody reads.
        """
        try:
            while self._to_tell:
                self._to_tell = self._to_tell[os.write(self._stdout, self._to_tell) :]
        except BlockingIOError:
            return
        except BrokenPipeError as error:
            raise HarnessGone from error

    def _leave_nothing(self, patience: float) -> None:
        """Let the run server end everything and itself; if it can't within some seconds, do it from here."""
        self._connection.hang_up()
        if self._server is None:  # so there are no processes
            return
        end = time.monotonic() + patience
        while self._connection.receive() is not None:
            if time.monotonic() > end:
                known = tree.descendants(self._server)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._server, signal.SIGKILL)
                tree.send(known, signal.SIGKILL)
                return
            time.sleep(0.001)


@contextlib.contextmanager
def _folder(path: str) -> Iterator[None]:
    """A folder for the time of a stage: one that was not there before is gone afterwards."""
    try:
        os.mkdir(path)
    except FileExistsError:
        yield
        return
    try:
        yield
    finally:
        _remove(path)


def _remove(path: str) -> None:
    """Remove a folder, whatever is in it; what can't be removed goes with the run's folder."""
    import shutil  # with its archives it takes a fifth of the start, and there is time now
    import subprocess

    try:
        shutil.rmtree(path, onerror=_open_up)
    except RecursionError:  # a thousand folders in one another
        subprocess.run(["rm", "-rf", "--", path], stderr=subprocess.DEVNULL, check=False)


def _open_up(function: Callable[[str], object], path: str, error: object) -> None:
    """Remove what its owner had closed to himself."""
    with contextlib.suppress(OSError):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700, follow_symlinks=False) if os.chmod in os.supports_follow_symlinks else None
        function(path)


def main() -> int:
    """Supervise on the socket whose descriptor is the first argument.

    Returns the exit code: 0 if the work came to its end, 1 if the harness had gone."""
    with Connection(socket.socket(fileno=int(sys.argv[1]))) as connection:
        try:
            Supervisor(connection, 0, 1).run()
        except HarnessGone:
            return 1
    return 0
