"""Durable operations on a disk, and the store's under every fault of it."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import store_faults
from faulty_disk import Counting, Failing, Forgetting, build
from store_faults import SCENARIOS, Points

import genbench.store
from genbench.disk import Calls, Disk
from genbench.errors import RecordError
from genbench.reading import is_there, read_file
from genbench.store import Store

SLICE = 8
"""Each so many-th step is tried here, another for each scenario; ``tests/store_faults.py`` tries all."""


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def memory() -> Iterator[Path]:
    with store_faults.in_memory() as folder:
        yield folder


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[scenario.name for scenario in SCENARIOS])
def test_no_fault_of_the_disk_loses_or_tears_a_record(number: int, memory: Path) -> None:
    points = Points(SCENARIOS[number], memory, every=SLICE, first=number)
    points.run()
    assert points.total > 20
    assert set(points.counts) == {"ENOSPC", "EIO", "EROFS", "ENOSPC from then on", "death", "SIGKILL", "power loss"}


def scenario(name: str, folder: Path) -> Points:
    return Points(next(each for each in SCENARIOS if each.name == name), folder)


def without_flushing_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "move", lambda self, source, target: self.calls.rename(source, target))


def without_flushing_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def write_new(self: Disk, path: Path, content: bytes) -> None:
        descriptor = self.calls.create(path)
        self.calls.write(descriptor, content)
        os.close(descriptor)

    monkeypatch.setattr(Disk, "write_new", write_new)


def without_flushing_artifacts(monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(self: Disk, source: Path, target: Path, copy: bool) -> str:
        self.calls.link(source, target)
        return genbench.store.sha256_of(target)

    monkeypatch.setattr(Disk, "adopt", adopt)


@pytest.mark.parametrize(
    "break_it",
    [without_flushing_names, without_flushing_files, without_flushing_artifacts],
    ids=lambda break_it: break_it.__name__,
)
def test_a_store_that_does_not_flush_is_caught_by_a_power_loss(
    break_it: Any, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = scenario("an old record", memory)
    break_it(monkeypatch)
    with pytest.raises((AssertionError, RecordError)):
        points.lose()


def test_a_store_that_removes_the_old_record_first_is_caught_by_a_death(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = scenario("an old record", memory)

    def put(work: Any, publish: Path) -> None:
        work.disk.remove_tree(work.final)
        work.disk.move(publish, work.final)

    monkeypatch.setattr(genbench.store, "put", put)
    with pytest.raises(AssertionError):
        any(points.kill(step) for step in points.steps)


def test_a_store_that_builds_a_run_in_its_place_is_caught_by_an_error(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = scenario("a first commit", memory)

    def put(work: Any, publish: Path) -> None:
        work.disk.make_folders(work.final)
        for path in sorted(publish.iterdir()):
            work.disk.move(path, work.final / path.name)

    monkeypatch.setattr(genbench.store, "put", put)
    with pytest.raises(AssertionError):
        any(points.fail(step, errno.EIO, persistent=False) for step in points.steps)


def test_a_fault_is_tried_at_every_step_of_a_commit(memory: Path) -> None:
    points = scenario("an old record", memory)
    names: list[str] = []

    class Logging(Counting):
        def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
            names.append(name)
            return super().step(name, arguments)

    store_faults.commit(Store(points.start, Disk(Logging())), Counting(), store_faults.Seen(), 2.0)
    assert len(points.steps) == points.total == len(names)
    wanted = {name for name in vars(Calls) if not name.startswith("_")} - {"open_up"}
    assert set(names) == wanted


def test_what_was_not_flushed_is_lost_in_the_model_and_what_was_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "results"
    root.mkdir()
    calls = Forgetting(root)
    disk = Disk(calls)
    disk.write_whole(root / "flushed", b"content")
    disk.write_new(root / "nameless", b"content")
    calls.outside(root / "outside", b"content")
    found = []
    for number, node in enumerate(calls.losses(calls.done)):
        place = tmp_path / str(number)
        build(node, place)
        found.append({path.name: path.read_bytes() for path in (place / "results").iterdir()})
    assert found[0] == {"flushed": b"content"}
    assert all(state["flushed"] == b"content" for state in found)
    assert {"flushed": b"content", "nameless": b"content"} in found
    assert {"flushed": b"content", "outside": b""} in found


@pytest.mark.parametrize("step", range(5))
def test_a_file_that_cannot_be_replaced_keeps_its_content_and_leaves_nothing_beside_it(
    tmp_path: Path, step: int
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(OSError, match="No space") as caught:
        Disk(Failing(step, errno.ENOSPC)).write_whole(tmp_path / "file", b"new content")
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    # The last step flushes the name: the new content stands there already.
    assert (tmp_path / "file").read_bytes() == (b"new content" if step == 4 else b"old")


def test_a_tree_is_removed_whatever_is_in_it(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("stays")
    tree = tmp_path / "tree"
    deep = tree
    for _ in range(300):  # far beyond the length of a path that the system takes
        deep.mkdir()
        deep = deep / ("d" * 10)
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    (tree / "odd \n\x1b name").write_text("")
    (tree / "closed" / "inner").mkdir(parents=True)
    (tree / "closed" / "file").write_text("")
    (tree / "closed").chmod(0)
    disk.remove_tree(tree)
    assert not is_there(tree)
    assert (tmp_path / "outside" / "file").read_text() == "stays"


def test_a_tree_of_thousands_of_levels_is_removed(tmp_path: Path, disk: Disk) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _ in range(2000):  # Python's own removal recurses, to a thousand
        os.mkdir("d" * 20, dir_fd=here)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        disk.remove_tree(tree)
        assert not is_there(tree)
    finally:
        subprocess.run(["rm", "-rf", tree], check=True)  # else pytest would fail at it after a failure here


def test_a_tree_is_removed_while_a_dying_process_writes_into_it(tmp_path: Path, disk: Disk) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    ends = time.monotonic() + 0.3

    def write() -> None:
        number = 0
        while time.monotonic() < ends and tree.is_dir():
            number += 1
            try:
                (tree / str(number)).write_text("")
            except FileNotFoundError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    disk.remove_tree(tree)
    writer.join()
    assert not is_there(tree)


def test_a_link_to_a_folder_is_removed_and_the_folder_is_not(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    disk.remove_tree(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_with_another_name_is_copied_since_it_could_be_written_through_that(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "file").write_bytes(b"content")
    os.link(tmp_path / "file", tmp_path / "elsewhere")
    disk.adopt(tmp_path / "file", tmp_path / "adopted", copy=False)
    (tmp_path / "elsewhere").write_bytes(b"changed")
    assert (tmp_path / "adopted").read_bytes() == b"content"


@pytest.mark.parametrize("copy", [False, True])
def test_a_link_a_folder_and_a_pipe_are_not_adopted(tmp_path: Path, disk: Disk, copy: bool) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(OSError):  # noqa: PT011
            disk.adopt(tmp_path / name, tmp_path / "adopted", copy)
        assert not is_there(tmp_path / "adopted")


def test_a_file_is_read_up_to_its_limit_and_refused_beyond_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_file(tmp_path / "file", 4)


def test_a_device_without_end_is_not_read() -> None:
    with pytest.raises(OSError, match="no regular file"):
        read_file(Path("/dev/zero"), 5)
