"""Plugins probed: each loaded by a child process first, under limits, so that none can harm the process that asks.

A child may take so many seconds, hold so much memory and print so much; it ends as a tree, with whatever it started.
What a plugin promises is that it can be imported, that its hooks and its models' declarations return, that the
interpreter ends afterwards, and that no process stays behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psutil

from genbench.probe import EXIT
from genbench.report.printable import printable
from genbench.verdicts import VARIABLE, Verdict

if TYPE_CHECKING:
    from genbench.plugins import Plugin

SIDE_BY_SIDE = 8
MAX_MEMORY = 4 << 30
MAX_OUTPUT = 1 << 20
MAX_ANSWER = 1 << 20
TAIL = 300
"""Bytes of a child's output that are kept, for its last words."""
POLL_SECONDS = 0.1
LEAVING_SECONDS = 0.5
"""Time that a plugin's own children have to end after it."""
ENDING_SECONDS = 5.0
"""For how long those that are left are looked for and killed: some may have been started meanwhile."""
TAG = "GENBENCH_PROBE_TAG"
"""Environment variable by which the processes of a probe are known, whoever has become their parent."""


def probe_all(plugins: Sequence[tuple[Plugin, str]], seconds: float) -> list[Verdict]:
    """Probe plugins, several at once; nothing of them is left running, however this ends.

    Args:
        plugins: each with the path of its file, or ``""`` where it is an installed module.
        seconds: that each may take.
    """
    waiting = deque(enumerate(plugins))
    running: dict[int, _Probe] = {}
    verdicts: dict[int, Verdict] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < SIDE_BY_SIDE:
                    index, (plugin, file) = waiting.popleft()
                    running[index] = _Probe(plugin, file, seconds, selector)
                for key, _ in selector.select(POLL_SECONDS):
                    key.data.read(key.fd)
                for index, probe in list(running.items()):
                    verdict = probe.verdict()
                    if verdict is not None:
                        running.pop(index).close()
                        verdicts[index] = verdict
        finally:
            for probe in running.values():
                probe.close()
    return [verdicts[index] for index in range(len(plugins))]


class _Probe:
    """One child: what it has said so far, and what that means."""

    def __init__(self, plugin: Plugin, file: str, seconds: float, selector: selectors.BaseSelector) -> None:
        self._seconds, self._selector = seconds, selector
        self._tag = secrets.token_hex(16)
        self._answer, self._tail, self._printed = b"", b"", 0
        request = {
            "plugin": asdict(plugin),
            "file": file,
            "parent": os.getpid(),
            "seconds": seconds,
            "sys_path": sys.path,
        }
        self._result, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "genbench.probe", str(theirs), json.dumps(request)],
                pass_fds=[theirs],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, TAG: self._tag},
                start_new_session=True,
            )
        except BaseException:
            os.close(self._result)
            raise
        finally:
            os.close(theirs)
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._began = time.monotonic()
        for descriptor in (self._result, self._output):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ, self)

    def read(self, descriptor: int) -> bool:
        """Take what has arrived, a bounded part at a time; whether there was something."""
        try:
            part = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return False
        if not part:
            self._selector.unregister(descriptor)
        elif descriptor == self._result:
            self._answer = (self._answer + part)[:MAX_ANSWER]
        else:
            self._printed += len(part)
            self._tail = (self._tail + part)[-TAIL:]
        return bool(part)

    def verdict(self) -> Verdict | None:
        """What is found, or None as long as it is not known."""
        taken = time.monotonic() - self._began
        code = self._process.poll()
        if code is not None:
            self._drain()
            return self._ended(code, taken)
        where = _where(self._said()[0])
        if taken > self._seconds:
            return Verdict(f"hangs {where}: no end after {self._seconds:g} s; {VARIABLE} allows more", (), taken)
        if self._printed > MAX_OUTPUT:
            return Verdict(f"prints without end {where}: more than {MAX_OUTPUT >> 20} MiB", (), taken)
        with contextlib.suppress(psutil.Error):
            if psutil.Process(self._process.pid).memory_info().rss > MAX_MEMORY:
                return Verdict(f"holds more than {MAX_MEMORY >> 20} MiB of memory {where}", (), taken)
        return None

    def close(self) -> None:
        """End whatever is left of it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        until = time.monotonic() + ENDING_SECONDS
        while (survivors := self._survivors()) and time.monotonic() < until:
            for process in survivors:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(survivors, timeout=POLL_SECONDS)
        self._process.wait()
        for descriptor in (self._result, self._output):
            with contextlib.suppress(KeyError):  # read to its end before
                self._selector.unregister(descriptor)
        os.close(self._result)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ended(self, code: int, taken: float) -> Verdict:
        step, found = self._said()
        where = _where(step)
        if found is not None and found["problem"] is not None:
            return Verdict(found["problem"], (), taken)
        if code < 0:
            known = {number.value for number in signal.Signals}
            name = signal.Signals(-code).name if -code in known else f"signal {-code}"
            return Verdict(f"is ended by {name} {where}", (), taken)
        if found is None or code != 0:
            words = printable(self._tail.decode(errors="replace").strip().rpartition("\n")[2])
            said = f"; its last words: {words}" if words else ""
            return Verdict(f"ends the process with exit code {code} {where}{said}", (), taken)
        count = self._count_left()
        if count:
            return Verdict(f"leaves {count} process{'es' * (count > 1)} running when it is imported", (), taken)
        notes = [*found["notes"], *(["prints when it is imported; that goes to stderr"] if self._printed else [])]
        return Verdict(None, tuple(notes), taken)

    def _said(self) -> tuple[str, dict[str, Any] | None]:
        """The step that the child has come to, and what it found if it got there."""
        step, found = "", None
        for line in self._answer.splitlines():
            try:
                words = json.loads(line)
            except ValueError:
                continue  # the last line may be torn
            match words:
                case {"step": str(told)}:
                    step = told
                case {"problem": str() | None, "notes": list()}:
                    found = words
        return printable(step), found

    def _drain(self) -> None:
        """What the pipes still hold of an ended child; a child of its own may hold them open."""
        for descriptor in (self._result, self._output):
            for _ in range(16):  # as much as any pipe holds
                if descriptor not in self._selector.get_map() or not self.read(descriptor):
                    break

    def _count_left(self) -> int:
        """Processes that it started and that do not end within a moment."""
        until = time.monotonic() + LEAVING_SECONDS
        while (survivors := self._survivors()) and time.monotonic() < until:
            psutil.wait_procs(survivors, timeout=POLL_SECONDS)
        return len(survivors)

    def _survivors(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # gone, a zombie, or another user's
                if process.pid != self._process.pid and process.environ().get(TAG) == self._tag:
                    found.append(process)
        return found


def _where(step: str) -> str:
    if step == EXIT:
        return "as the interpreter ends, through an exit handler or a thread that is no daemon"
    return {"": "before it is imported", "import": "when it is imported"}.get(step, f"in {step}")
