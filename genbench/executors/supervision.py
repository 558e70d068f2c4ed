"""The harness's side of a supervisor: started, listened to, and made an end of."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from genbench.executors.cores import claims_folder
from genbench.executors.launcher import HarnessError, Launcher
from genbench.executors.mark import signal_name
from genbench.executors.protocol import (
    CANCEL,
    CANCELLED,
    STANDSTILL_SECONDS,
    START_SECONDS,
    StageEnd,
    Supervision,
)

POLL_SECONDS = 0.1
"""Between two looks at whether to stop."""
MARGIN_SECONDS = 60.0
"""Beyond all that a supervisor may wait for, after which it is taken for dead."""
MOST_WORDS = 4096
"""Bytes of a supervisor's last words that are looked at."""

PROGRAM = "import sys; sys.path += sys.argv[2:]; from genbench.executors.supervisor import main; sys.exit(main())"
"""-S and -P: site's own work takes twice as long as all else that a supervisor does before its first word, and the
current folder is the user's. The harness's path stands at the end, so that it shadows nothing."""

Stop = Callable[[], Literal["cancel", "kill"] | None]
OnProgress = Callable[[str, float], None]


class Killed(Exception):
    """The harness was told to end everything at once; nothing is known of the run."""


def supervise(supervision: Supervision, launcher: Launcher, stop: Stop, on_progress: OnProgress) -> list[StageEnd]:
    """Have stages carried out in processes of their own, under a supervisor, and wait for it.

    Args:
        stop: asked a few times a second; ``cancel`` for an orderly end, ``kill`` for one at once.
        on_progress: told the stage's name when it begins, and then the share of it that is done.

    Returns:
        The end of each stage that was begun. Where the supervisor itself was ended the last one is ``lost``, and where
        it had an error ``harness_error``.

    Raises:
        HarnessError: if the fork server has ended and can't be started again.
        Killed: if ``stop`` said so; the supervisor is dead then, and what it watched over is being ended.
    """
    wanted = stop()  # a fork server, if the last one has ended, is not started for that
    if wanted == "kill":
        raise Killed
    if wanted == "cancel":
        return [StageEnd(supervision.stages[0].name, "cancelled", CANCELLED, None)]
    with _supervisor(supervision, launcher) as supervisor:
        return supervisor.attend(stop, on_progress)


class _Supervisor:
    """A supervisor's process.

    Args:
        errors: file that takes what it prints on stderr.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], supervision: Supervision) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._errors = errors
        self._supervision = supervision
        self._to_say = json.dumps(dataclasses.asdict(supervision) | {"claims": claims_folder()}).encode() + b"\n"
        self._heard = b""
        self._ends: list[StageEnd] = []
        self._begun: str | None = None
        self._began = self._word = self._looked = time.monotonic()  # of the stage; of its last word; our last look
        for stream in (self._stdin, self._stdout):
            os.set_blocking(stream.fileno(), False)

    def attend(self, stop: Stop, on_progress: OnProgress) -> list[StageEnd]:
        cancelled = False
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            while True:
                wanted = stop()
                if wanted == "kill":
                    raise Killed
                if wanted == "cancel" and not cancelled:
                    cancelled = True
                    self._to_say += CANCEL.encode() + b"\n"
                self._say()
                if selector.select(POLL_SECONDS) and not self._listen(on_progress):
                    return self._ended()
                self._pardon_standstill()
                if time.monotonic() > self._patience():
                    return self._ended_by("lost", "its supervisor has not answered for too long")

    def end(self) -> None:
        """Kill it if it still runs, and let go of everything."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            self._stdin.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._stdout.close()

    def _say(self) -> None:
        # One that has ended hears nothing: its stdout tells.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._to_say:
                self._to_say = self._to_say[os.write(self._stdin.fileno(), self._to_say) :]

    def _listen(self, on_progress: OnProgress) -> bool:
        """Take what it has said; False once it has said everything."""
        received = os.read(self._stdout.fileno(), 1 << 20)
        self._word = time.monotonic()
        *lines, self._heard = (self._heard + received).split(b"\n")
        for line in lines:
            message: dict[str, Any] = json.loads(line)
            if "ended" in message:
                self._ends.append(StageEnd(**message["ended"]))
                self._begun = None
            else:
                if self._begun is None:
                    self._begun, self._began = message["stage"], time.monotonic()
                on_progress(message["stage"], message["progress"])
        return bool(received)

    def _pardon_standstill(self) -> None:
        """Where this process was held itself, so may the supervisor have been; the time counts for neither."""
        now = time.monotonic()
        if now - self._looked > STANDSTILL_SECONDS:
            self._word += now - self._looked
        self._looked = now

    def _patience(self) -> float:
        """When to take it for dead, on the monotonic clock."""
        allowed = next((stage.seconds for stage in self._supervision.stages if stage.name == self._begun), 0.0)
        return self._word + allowed + START_SECONDS + MARGIN_SECONDS

    def _done(self) -> bool:
        """Whether the ends of all stages have been heard that were to be carried out."""
        if self._ends and self._ends[-1].status != "ok":
            return True
        return len(self._ends) == len(self._supervision.stages)

    def _ended(self) -> list[StageEnd]:
        """All ends, with one for the stage that it did not come to tell of."""
        if self._done():
            return self._ends
        try:
            code = self._process.wait(MARGIN_SECONDS)
        except subprocess.TimeoutExpired:
            return self._ended_by("lost", "its supervisor fell silent")
        words = self._last_words()
        if code < 0:
            said = f": {words}" if words else ""
            return self._ended_by("lost", f"its supervisor was ended by {signal_name(-code)}{said}")
        return self._ended_by("harness_error", f"its supervisor ended with {code}: {words or 'without a word'}")

    def _ended_by(self, status: Literal["lost", "harness_error"], reason: str) -> list[StageEnd]:
        """The ends heard, and one for the stage that was under way or to come; none if there is no such stage."""
        if self._done():
            return self._ends
        name = self._begun or self._supervision.stages[len(self._ends)].name
        seconds = time.monotonic() - self._began if self._begun else 0.0
        return [*self._ends, StageEnd(name, status, f"{name}: {reason}", None, seconds=seconds)]

    def _last_words(self) -> str:
        """The last line on its stderr: of a traceback the error."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - MOST_WORDS))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _import_path() -> list[str]:
    """Where this process finds modules, this package first: an editable install is on no path."""
    return [str(Path(__file__).parents[2]), *(folder for folder in sys.path if folder)]


@contextlib.contextmanager
def _supervisor(supervision: Supervision, launcher: Launcher) -> Iterator[_Supervisor]:
    with tempfile.TemporaryFile() as errors:
        with launcher.connect() as channel:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-S", "-P", "-c", PROGRAM, str(channel.fileno()), *_import_path()],
                    pass_fds=[channel.fileno(), *supervision.held],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    # A terminal's Ctrl-C is for the harness, which tells its supervisors what it means.
                    start_new_session=True,
                )
            except OSError as error:
                raise HarnessError(f"no supervisor could be started: {error.strerror}") from error
        supervisor = _Supervisor(process, errors, supervision)
        try:
            yield supervisor
        finally:
            supervisor.end()
