"""A run's log: clean, small, and with its beginning and its end."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench.executors.log import HEAD_BYTES, TAIL_BYTES, CappedLog, Cleaner

MOST = HEAD_BYTES + TAIL_BYTES + 100


def cleaned(*pieces: bytes) -> str:
    cleaner = Cleaner()
    return "".join(cleaner.feed(piece) for piece in pieces) + cleaner.feed(b"", last=True)


def logged(path: Path, *pieces: bytes) -> bytes:
    with CappedLog(str(path)) as log:
        for piece in pieces:
            log.feed(piece)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        (b"plain\n\ttext\n", "plain\n\ttext\n"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b[2J\x1b[H\x1b[?25lgone", "gone"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1$r0m\x1b\\x", "x"),
        (b"\x1b(Bx\x1b7\x1bcy", "xy"),
        (b"\xc2\x9b31mred", "red"),
        (b"10%\r20%\r\n", "10%\n20%\n"),
        (b"a\x00b\x07c\x08d\x7fe\x0bf", "abcdef"),
        (b"\x1b", ""),
        (b"cut \x1b[31", "cut "),
        (b"cut\r", "cut\n"),
        (b"\x1b]0;no end\nnext line", "0;no end\nnext line"),
        ("Zürich 雪".encode(), "Zürich 雪"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_a_terminal_would_obey_is_stripped(printed: bytes, kept: str) -> None:
    assert cleaned(printed) == kept


@given(st.lists(st.sampled_from([b"\x1b", b"[", b"3", b"1m", b"]", b"0;t", b"\x07", b"\\", b"\r", b"\n", b"x",
                                 b"\xc2", b"\x9b", b"\xe9\x9b", b"\xaa", b"P", b"(", b" "]), max_size=30))  # fmt: skip
def test_a_cut_of_the_output_changes_nothing(pieces: list[bytes]) -> None:
    assert cleaned(*pieces) == cleaned(b"".join(pieces))


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_no_control_character_but_newline_and_tab_is_left(pieces: list[bytes]) -> None:
    assert not [c for c in cleaned(*pieces) if (ord(c) < 32 or 127 <= ord(c) < 160) and c not in "\n\t"]


def test_a_small_output_stands_in_the_log_as_it_is(tmp_path: Path) -> None:
    assert logged(tmp_path / "log", b"one\n", b"two\n") == b"one\ntwo\n"


def test_the_head_can_be_read_while_it_is_printed(tmp_path: Path) -> None:
    with CappedLog(str(tmp_path / "log")) as log:
        log.feed(b"first\n")
        assert (tmp_path / "log").read_bytes() == b"first\n"


def lines(first: int, last: int) -> bytes:
    return b"".join(b"line %09d\n" % number for number in range(first, last))


def test_of_a_large_output_head_and_tail_are_kept_and_what_is_between_is_counted(tmp_path: Path) -> None:
    printed = lines(0, 200_000)
    text = logged(tmp_path / "log", *(printed[start : start + 9999] for start in range(0, len(printed), 9999)))
    head, _, rest = text.partition(b"\n[")
    number, _, tail = rest.partition(b" bytes left out here]\n")
    assert len(text) < MOST
    assert printed.startswith(head)
    assert printed.endswith(tail)
    assert len(head) >= HEAD_BYTES
    assert len(tail) > TAIL_BYTES - 10_100
    assert len(head) + int(number) + len(tail) == len(printed)


def test_an_output_that_just_fits_is_whole(tmp_path: Path) -> None:
    printed = lines(0, (HEAD_BYTES + TAIL_BYTES) // 15)
    assert logged(tmp_path / "log", printed) == printed


def test_the_log_of_a_second_attempt_goes_on_with_the_first(tmp_path: Path) -> None:
    logged(tmp_path / "log", b"first\n")
    assert logged(tmp_path / "log", b"second\n") == b"first\nsecond\n"


def test_many_attempts_stay_within_the_bounds_of_one(tmp_path: Path) -> None:
    printed = 0
    for attempt in range(6):
        piece = lines(attempt * 20_000, (attempt + 1) * 20_000)
        printed += len(piece)
        text = logged(tmp_path / "log", piece)
        assert len(text) < MOST
        assert text.startswith(lines(0, 1000))
        assert text.endswith(piece[-1000:])
    head, _, rest = text.partition(b"\n[")
    number, _, tail = rest.partition(b" bytes left out here]\n")
    assert text.count(b"left out here") == 1
    assert len(head) + int(number) + len(tail) == printed


def test_the_tail_is_in_the_file_after_each_stage(tmp_path: Path) -> None:
    with CappedLog(str(tmp_path / "log")) as log:
        log.feed(lines(0, 100_000))
        log.settle()
        assert (tmp_path / "log").read_bytes().endswith(b"line %09d\n" % 99_999)
        log.feed(b"the next stage\n")
    assert (tmp_path / "log").read_bytes().endswith(b"line %09d\nthe next stage\n" % 99_999)


def test_a_full_disk_stops_the_log_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    with pytest.raises(OSError, match="symbolic links"):  # a link could lead anywhere
        CappedLog(str(tmp_path / "log"))
    log = CappedLog("/dev/full")
    log.feed(b"x")
    log.close()
    assert log.error is not None


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    logged(tmp_path / "log", lines(0, 10))
    assert len(os.listdir("/proc/self/fd")) == before
