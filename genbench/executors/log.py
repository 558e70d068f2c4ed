"""What a run's processes print: head and tail of it in a file, cleaned of what a terminal would obey."""

from __future__ import annotations

import codecs
import os
import re
from collections import deque

HEAD_BYTES = 256 << 10
"""Written as it comes, so that a person can watch it."""
TAIL_BYTES = 256 << 10
"""Kept of the end, and written when a stage has ended."""
LONGEST_SEQUENCE = 1024
"""Characters of an escape sequence; a longer one is none."""

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x00-\x1f\x7f\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS: titles, links
    r"|\x1b[ -/]*[0-~]"  # all others
)
_UNFINISHED = re.compile(
    r"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x00-\x1f\x7f\x9c]*\x1b?|\x1b[ -/]*|\r)\Z"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LEFT_OUT = re.compile(rb"\n?\[(\d+) bytes left out here\]\n")


class Cleaner:
    """Turns bytes that come in pieces into text without escape sequences and control characters.

    Newlines and tabs stay, a carriage return becomes a newline, what is not UTF-8 the replacement character.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, received: bytes, last: bool = False) -> str:
        """The next piece, cleaned. A sequence that is cut at its end waits for the next one; in the last it goes."""
        text = self._rest + self._decoder.decode(received, last)
        self._rest = ""
        # Only the last of the escape characters can begin an unfinished sequence, and that not far from the end.
        start = max(0, len(text) - LONGEST_SEQUENCE)
        if cut := _UNFINISHED.search(text, start):
            text, self._rest = text[: cut.start()], text[cut.start() :]
        if last:
            text, self._rest = text + ("\n" if self._rest == "\r" else ""), ""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        return _CONTROL.sub("", _SEQUENCE.sub("", text))


class CappedLog:
    """A log file that takes any amount of output and stays small.

    The first :data:`HEAD_BYTES` are cleaned and written at once. Of what comes after them only the last
    :data:`TAIL_BYTES` are held, as they came, and cleaned when they are written: a gigabyte costs no more than being
    read. An existing file is gone on with, within the same bounds.

    Args:
        path: of the file; made if need be.

    Attributes:
        error: why the file could not be written in whole, or None. What is printed is then thrown away: a full disk
            ends a run by its results, not by its log.

    Raises:
        OSError: if the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags, 0o644)
        self.error: str | None = None
        self._head = 0  # bytes in the file that stay
        self._cleaner = Cleaner()
        self._tail: deque[bytes] = deque()
        self._held = 0  # bytes in the tail
        self._left_out = 0
        self._fresh = False  # the tail holds what the file does not
        self._go_on()

    def feed(self, received: bytes) -> None:
        """Take what was printed next."""
        if self._head < HEAD_BYTES and not self._tail:
            received = self._write_head(self._cleaner.feed(received).encode())
        if received:
            self._keep(received)

    def settle(self) -> None:
        """Bring the file up to date: its end is now the end of what was printed."""
        if self._head < HEAD_BYTES and not self._tail:
            self._keep(self._write_head(self._cleaner.feed(b"", last=True).encode()))
            self._cleaner = Cleaner()
        if not self._fresh:
            return
        tail = Cleaner().feed(b"".join(self._tail), last=True).encode()
        left_out = self._left_out
        if left_out or len(tail) > TAIL_BYTES:
            # From a whole line on, if there is one: what was cut may have been a sequence.
            start = max(0, len(tail) - TAIL_BYTES)
            start = tail.find(b"\n", start) + 1 or start
            left_out += start
            tail = b"\n[%d bytes left out here]\n" % left_out + tail[start:]
        self._write(tail, self._head)
        self._fresh = False

    def close(self) -> None:
        """Bring the file up to date and close it."""
        self.settle()
        os.close(self._file)

    def __enter__(self) -> CappedLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _go_on(self) -> None:
        """Take up what an earlier attempt left in the file."""
        size = os.fstat(self._file).st_size
        self._head = min(size, HEAD_BYTES)
        begin = self._head
        if found := _LEFT_OUT.match(os.pread(self._file, 64, begin)):
            self._left_out, begin = int(found[1]), begin + found.end()
        start = max(begin, size - TAIL_BYTES)
        self._left_out += start - begin
        self._keep(os.pread(self._file, TAIL_BYTES, start))

    def _write_head(self, cleaned: bytes) -> bytes:
        """Write as much as the head still takes; returns the rest."""
        now = cleaned[: HEAD_BYTES - self._head]
        self._write(now, self._head)
        self._head += len(now)
        if self._head < HEAD_BYTES:
            return b""
        rest = cleaned[len(now) :] + self._cleaner.feed(b"", last=True).encode()
        self._cleaner = Cleaner()
        return rest

    def _keep(self, received: bytes) -> None:
        if not received:
            return
        self._fresh = True
        self._tail.append(received)
        self._held += len(received)
        while self._held - len(self._tail[0]) >= TAIL_BYTES:
            dropped = len(self._tail.popleft())
            self._held -= dropped
            self._left_out += dropped

    def _write(self, content: bytes, offset: int) -> None:
        """The file ends with this."""
        if self.error is not None:
            return
        try:
            if os.fstat(self._file).st_size > offset:
                os.ftruncate(self._file, offset)
            while content:
                written = os.pwrite(self._file, content, offset)
                content, offset = content[written:], offset + written
        except OSError as error:
            self.error = f"{error.strerror}"
