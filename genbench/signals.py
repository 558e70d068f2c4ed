"""Signals that end a call: the first one in order, a second one at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Stoppable(Protocol):
    """What carries out runs and can be told to end."""

    def cancel(self) -> None:
        """Start nothing more, end what is running, and commit it as ``cancelled``."""
        ...

    def kill(self) -> None:
        """End everything at once and commit nothing."""
        ...


class Signals:
    """Signals that end a call while something is running. Only the main thread can take any; elsewhere none come.

    Args:
        numbers: of the signals that are taken, such as ``(signal.SIGINT,)``.
        say: told, once, what the first signal does.

    Attributes:
        received: the numbers of the signals that came, in order.
    """

    def __init__(self, numbers: Sequence[int], say: Callable[[str], None]) -> None:
        self.received: list[int] = []
        self._numbers = numbers
        self._say = say

    @contextmanager
    def stopping(self, executor: Stoppable) -> Iterator[None]:
        """The first signal cancels the executor's runs; a second one does not wait for them."""

        def handle(number: int, frame: FrameType | None) -> None:
            self.received.append(number)
            if len(self.received) > 1:
                executor.kill()
                return
            executor.cancel()
            self._say(
                "Stopping: what is running ends now, what is finished is kept; the same command goes on from the last "
                "checkpoints. Once more to quit at once."
            )

        with handled_by(handle, self._numbers):
            yield


@contextmanager
def handled_by(handle: Callable[[int, FrameType | None], None], numbers: Sequence[int]) -> Iterator[None]:
    """Have signals handled by a function, and then by what handled them before; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not set from Python, as that of a program around it may be.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
