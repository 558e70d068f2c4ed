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
import threading
import time
from typing import TYPE_CHECKING, Any

from genbench.executors import tree
from genbench.executors.connection import Connection, output_pipe
from genbench.executors.cores import Cores
from genbench.executors.log import CappedLog
from genbench.executors.mark import DISK_REFUSALS, Judgement, judge
from genbench.executors.protocol import (
    CANCEL,
    CANCELLED,
    STANDSTILL_SECONDS,
    StageEnd,
    StageRequest,
    Supervision,
)
from genbench.executors.watched import WatchedStage

if TYPE_CHECKING:
    from genbench.record import Status

PROGRESS_SECONDS = 0.2
"""Between two words of progress."""
LONGEST_PAUSE = 0.1
"""Seconds without a look at the clock."""
CHUNK = 1 << 18
"""Bytes of output that are taken before the other duties have their turn."""
SIGN_OF_LIFE_SECONDS = 10.0
"""Between two words while a folder is removed."""
STUCK_SECONDS = 3.0
"""After SIGKILL, that the run server has to say that nothing is left."""
LAST_SECONDS = 5.0
"""After we were told to stop, that a folder may still take to be removed."""


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
        self._stopped: tuple[Status, str] | None = None
        self._looked = time.monotonic()
        self._ends = ""
        self._server: int | None = None
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """From the first line on stdin to the last on stdout.

        Raises:
            HarnessGone: if the lifeline has closed; nothing runs any more then.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The harness does not end us so: somebody outside does, which says nothing about the model.
        signal.signal(signal.SIGTERM, lambda *_: self._stop("lost", "its supervisor was told to end by SIGTERM"))
        supervision = self._first_line()
        self._ends = supervision.ends
        self._hear(b"")
        for descriptor in (self._stdin, self._stdout):
            os.set_blocking(descriptor, False)
        self._selector.register(self._stdin, selectors.EVENT_READ)
        self._selector.register(self._connection, selectors.EVENT_READ)
        cores = Cores(supervision.threads, supervision.claims)
        try:
            for request in supervision.stages:
                end = self._carry_out(request, supervision.log, cores.claimed)
                _note(end, self._ends)
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
        scratch = request.cwd if request.cwd != os.path.dirname(request.mark) else ""
        try:
            with contextlib.ExitStack() as closing:
                try:
                    capped = closing.enter_context(CappedLog(log))
                    if scratch:
                        self._remove(scratch, request)  # what an earlier attempt left
                    if self._stopped is not None:
                        return StageEnd(request.name, *self._stopped, None)
                    if scratch:
                        os.mkdir(scratch)
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(request.mark)  # of an earlier attempt
                except OSError as error:
                    return _refused(request, "started", error)
                end = self._told(request, capped, cores)
        except OSError as error:
            return _refused(request, "watched", error)
        if capped.error is not None:
            end.warnings.append(f"{os.path.basename(log)} could not be written in whole: {capped.error}")
        if scratch:
            try:
                self._remove(scratch, request)
            except OSError as error:  # it goes with the run's folder, or the next stage does not start
                end.warnings.append(f"{os.path.basename(scratch)} could not be removed: {error.strerror}")
        return end

    def _told(self, request: StageRequest, log: CappedLog, cores: list[int]) -> StageEnd:
        """A stage, with a pipe for its progress if it tells it."""
        if not request.progress:
            return self._watched(WatchedStage(request), log, cores, None)
        told, telling = output_pipe()
        os.set_blocking(telling, False)
        try:
            return self._watched(WatchedStage(request, told), log, cores, telling)
        finally:
            os.close(told)
            os.close(telling)

    def _watched(self, stage: WatchedStage, log: CappedLog, cores: list[int], telling: int | None) -> StageEnd:
        """A stage, from its start until nothing of it is left.

        Args:
            telling: descriptor that it says its progress into, if it does.
        """
        request, oom_kills = stage.request, tree.oom_kills()
        read, write = output_pipe()
        with contextlib.suppress(OSError, AttributeError):  # a larger pipe, where one may be had: fewer wake-ups
            fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 1 << 20)
        self._selector.register(read, selectors.EVENT_READ)
        try:
            try:
                self._connection.start(request.work, request.cwd, write, cores, telling)
            except OSError:
                stage.lost = True
            finally:
                os.close(write)
            self._looked = time.monotonic()
            while stage.exit_code is None and not stage.lost:
                self._duties(stage)
                self._attend(stage, log, read)
            while self._pump(read, log):
                pass
        except HarnessGone:
            self._note_last(stage, log, cores)
            raise
        finally:
            if stage.exit_code is None:  # in whatever way we came here
                self._leave_nothing(0.0 if stage.lost else STUCK_SECONDS)
                if stage.watch is not None:
                    stage.watch.tree.kill()
            with contextlib.suppress(KeyError):
                self._selector.unregister(read)
            os.close(read)
        return self._end_of(stage, log, cores, tree.oom_kills() > oom_kills)

    def _note_last(self, stage: WatchedStage, log: CappedLog, cores: list[int]) -> None:
        """End a stage whose harness has gone, and note what it has cost, for the next harness to read."""
        stage.condemn("lost", "the harness has gone", time.monotonic())
        self._connection.signal("SIGKILL")
        end = time.monotonic() + STUCK_SECONDS
        while stage.exit_code is None and time.monotonic() < end:
            if (messages := self._connection.receive()) is None:
                break
            for message in messages:
                self._server = message.get("server", self._server)
                stage.hear(message)
            time.sleep(0.001)
        stage.lost = stage.exit_code is None
        _note(self._end_of(stage, log, cores, False), self._ends)

    def _end_of(self, stage: WatchedStage, log: CappedLog, cores: list[int], oom_killed: bool) -> StageEnd:
        """What came of a stage that has ended or is lost."""
        code, mark, title = stage.exit_code, stage.request.mark, stage.title
        if stage.verdict is not None:
            judgement = Judgement(*stage.verdict)
        elif code is None:
            judgement = Judgement("lost", f"{title}: the server of its processes has gone")
        else:
            judgement = judge(title, mark, os.path.basename(log.path), code, oom_killed)
        if judgement.status == "oom_host" or stage.over_memory:
            judgement = judgement._replace(reason=f"{judgement.reason} ({stage.memory_figures()})")
        return StageEnd(
            name=stage.request.name,
            **judgement._asdict(),
            signal=-code if code is not None and code < 0 else None,
            seconds=stage.seconds(),
            cpu_seconds=stage.cpu_seconds,
            peak_memory=stage.peak_memory(),
            cores=cores,
            warnings=stage.warnings(),
        )

    def _duties(self, stage: WatchedStage) -> None:
        """What is due now: limits enforced, progress told."""
        now = time.monotonic()
        if now - self._looked > STANDSTILL_SECONDS:
            stage.stand_still(now - self._looked)
            self._tell({"stage": stage.request.name, "progress": stage.progress})
        self._looked = now
        if self._stopped is not None:
            stage.condemn(*self._stopped, now)
        for number in stage.check(now):
            self._connection.signal(number)
        if stage.killed_at is not None and now > stage.killed_at + STUCK_SECONDS:
            stage.lost = True
        if not self._to_tell and (progress := stage.news(now, PROGRESS_SECONDS)) is not None:
            self._tell({"stage": stage.request.name, "progress": progress})

    def _attend(self, stage: WatchedStage, log: CappedLog, output: int) -> None:
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
            self._stop("cancelled", CANCELLED)

    def _stop(self, status: Status, reason: str) -> None:
        self._stopped = self._stopped or (status, reason)

    def _remove(self, folder: str, request: StageRequest) -> None:
        """Remove a folder, if there is one, while the lifeline is watched: it may hold millions of files.

        Where we are told to stop meanwhile it is left half done after some seconds, and goes with the run's folder.

        Raises:
            OSError: if it can't be removed.
            HarnessGone: if the lifeline has closed.
        """
        if not os.path.lexists(folder):
            return
        errors: list[OSError] = []
        # It does not outlive this process, and nothing of the model runs beside it.
        remover = threading.Thread(target=_remove_tree, args=(folder, errors), daemon=True)
        remover.start()
        said, stopped = time.monotonic(), None
        while remover.is_alive():
            remover.join(LONGEST_PAUSE)
            now = time.monotonic()
            if self._stopped is not None:
                stopped = stopped or now
                if now > stopped + LAST_SECONDS:
                    return
            if now > said + SIGN_OF_LIFE_SECONDS:
                self._tell({"stage": request.name, "progress": 0.0})
                said = now
            if any(key.fileobj == self._stdin for key, _ in self._selector.select(0)):
                self._hear_harness()
        if errors:
            raise errors[0]

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


def _refused(request: StageRequest, done: str, error: OSError) -> StageEnd:
    """The end of a stage for which the system refused us something."""
    where = f": {os.fsdecode(error.filename)}" if error.filename else ""
    reason = f"{request.name} could not be {done}: {error.strerror}{where}"
    return StageEnd(request.name, "harness_error", reason, None, disk=error.errno in DISK_REFUSALS)


def _note(end: StageEnd, path: str) -> None:
    """Add what a stage has cost to a file, in one line; nothing if there is none."""
    if not path:
        return
    line = json.dumps({**dataclasses.asdict(end), "result": None}).encode() + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        end.warnings.append(f"what {end.name} has cost could not be noted: {error.strerror}")


def _remove_tree(folder: str, errors: list[OSError]) -> None:
    from pathlib import Path  # they take a good part of a start, and this is seldom one

    from genbench.disk import Disk

    try:
        Disk().remove_tree(Path(folder))
    except OSError as error:
        errors.append(error)


def main() -> int:
    """Supervise on the socket whose descriptor is the first argument.

    Returns the exit code: 0 if the work came to its end, 1 if the harness had gone."""
    with Connection(socket.socket(fileno=int(sys.argv[1]))) as connection:
        try:
            Supervisor(connection, 0, 1).run()
        except HarnessGone:
            return 1
    return 0
