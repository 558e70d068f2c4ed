"""Disks that fail, die or forget at a chosen step; see :class:`genbench.disk.Calls` for what a step is."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genbench.disk import Calls

STEPS = [name for name in vars(Calls) if not name.startswith("_")]


class Death(BaseException):
    """A process that dies at a step; no step happens after it."""


class Counting(Calls):
    """Counts the steps and carries them out, but for flushing, which no test could see."""

    def __init__(self) -> None:
        self.done = 0

    def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.done += 1
        return None if name in ("sync", "sync_folder") else getattr(Calls, name)(self, *arguments)

    def outside(self, path: Path, content: bytes) -> None:
        """A file that a run's own processes write, which flush nothing."""
        path.write_bytes(content)

    def removed_outside(self, folder: Path) -> None:
        """A plugin removes a folder of files."""
        shutil.rmtree(folder)

    def half(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Of what is interrupted, only writing can be half done."""
        if name == "write":
            descriptor, content = arguments
            Calls.write(self, descriptor, content[: len(content) // 2])


def _stepping(name: str) -> Callable[..., Any]:
    def call(self: Counting, *arguments: Any) -> Any:
        return self.step(name, arguments)

    return call


for _name in STEPS:
    setattr(Counting, _name, _stepping(_name))


class Failing(Counting):
    """The system refuses step ``at``, and all later ones too if ``persistent``."""

    def __init__(self, at: int, number: int, persistent: bool = False) -> None:
        super().__init__()
        self.at, self.number, self.persistent = at, number, persistent

    def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if self.done == self.at or (self.persistent and self.done > self.at):
            self.done += 1
            self.half(name, arguments)
            raise OSError(self.number, os.strerror(self.number))
        return super().step(name, arguments)


class Dying(Counting):
    """The process dies at step ``at``, or where ``when`` says so; ``kill`` does it in earnest."""

    def __init__(
        self, at: int | None = None, when: Callable[[str, tuple[Any, ...]], bool] | None = None, kill: bool = False
    ) -> None:
        super().__init__()
        self.at, self.when, self.kill = at, when, kill
        self.dead = False

    def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if not self.dead and (self.done == self.at or (self.when is not None and self.when(name, arguments))):
            self.dead = True
            self.half(name, arguments)
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.dead:
            raise Death
        return super().step(name, arguments)


class Unlinking(Counting):
    """A file system that has no second names."""

    def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "link":
            self.done += 1
            raise OSError(1, "Operation not permitted")
        return super().step(name, arguments)


@dataclass(eq=False)
class Node:
    """A file or folder of the model, in which names and content are lost apart."""

    folder: bool
    entries: dict[str, Node] = field(default_factory=dict)
    content: bytes = b""


@dataclass(eq=False)
class Change:
    """Something that a power loss may undo until it is flushed: an entry, a rename, or content.

    ``flushed_at`` is the number of steps after which it can't be lost any more.
    """

    step: int
    apply: Callable[[dict[int, Node]], None]
    holders: tuple[Node, ...]
    flushed_at: int | None = None


class Forgetting(Counting):
    """Keeps account of what has been flushed, so that the folder can be built as a power loss would leave it.

    A rename is atomic, and flushed with either of its folders, as journaling file systems do it. Everything else is
    lost or kept by itself: the entries of each folder, the content of each file.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.place = root.parent
        self.nodes = Node(True)
        self.changes: list[Change] = []
        if root.exists():
            self.nodes.entries[root.name] = _read(root)
        self.first = [(node, dict(node.entries), node.content) for node in _all(self.nodes)]

    def step(self, name: str, arguments: tuple[Any, ...]) -> Any:
        before = self.done
        if name == "sync":
            self._flush(self._at(_path(arguments[0])))
        elif name == "sync_folder":
            self._flush(self._at(arguments[0]))
        elif name == "unlink" or name == "remove_folder":
            result = super().step(name, arguments)
            self._entry(arguments[0], None)
            return result
        elif name == "rename":
            result = super().step(name, arguments)
            self._rename(*arguments)
            return result
        elif name == "link":
            result = super().step(name, arguments)
            self._entry(arguments[1], self._at(arguments[0]))
            return result
        elif name in ("create", "make_folder", "open_lock"):
            new = name != "open_lock" or not arguments[0].exists()
            result = super().step(name, arguments)
            if new:
                self._entry(arguments[0], Node(name == "make_folder"))
            return result
        elif name == "write":
            path = _path(arguments[0])
            half = path.read_bytes() + arguments[1][: len(arguments[1]) // 2]
            self._content(path, half)
            result = super().step(name, arguments)
            self._content(path, path.read_bytes())
            return result
        assert self.done == before
        return super().step(name, arguments)

    def outside(self, path: Path, content: bytes) -> None:
        super().outside(path, content)
        self._entry(path, Node(False))
        self._content(path, content)

    def removed_outside(self, folder: Path) -> None:
        super().removed_outside(folder)
        for name in list(self._at(folder).entries):
            self._entry(folder / name, None)
        self._entry(folder, None)

    def losses(self, steps: int) -> Iterator[Node]:
        """Every folder that a power loss after so many steps can leave: with each single change kept, with each lost,
        with all changes up to each kept, with all lost."""
        made = [change for change in self.changes if change.step <= steps]
        pending = [change for change in made if change.flushed_at is None or change.flushed_at > steps]
        keeps: list[set[Change]] = [set()]
        for index, change in enumerate(pending):
            keeps += [{change}, set(pending[: index + 1]), set(pending) - {change}]
        for keep in keeps:
            copies: dict[int, Node] = {}
            for node, entries, content in self.first:
                copy = _known(copies, node)
                copy.entries = {name: _known(copies, entry) for name, entry in entries.items()}
                copy.content = content
            for change in made:
                if change in keep or change not in pending:
                    change.apply(copies)
            yield _known(copies, self.nodes)

    def _at(self, path: Path) -> Node:
        node = self.nodes
        for part in path.relative_to(self.place).parts:
            node = node.entries[part]
        return node

    def _flush(self, node: Node) -> None:
        for change in self.changes:
            if change.flushed_at is None and node in change.holders:
                change.flushed_at = self.done + 1

    def _change(self, apply: Callable[[dict[int, Node]], None], *holders: Node) -> None:
        self.changes.append(Change(self.done, apply, holders))

    def _entry(self, path: Path, node: Node | None) -> None:
        folder = self._at(path.parent)
        _set(folder, path.name, node)
        self._change(lambda copies: _set(_known(copies, folder), path.name, node and _known(copies, node)), folder)

    def _rename(self, source: Path, target: Path) -> None:
        one, other, node = self._at(source.parent), self._at(target.parent), self._at(source)

        def apply(copies: dict[int, Node]) -> None:
            moved = _known(copies, node)
            # A folder is in one place only, whatever else was lost.
            for holder in [*copies.values()] if node.folder else [_known(copies, one)]:
                for name in [name for name, found in holder.entries.items() if found is moved]:
                    del holder.entries[name]
            _set(_known(copies, other), target.name, moved)

        self._change(apply, one, other)
        del one.entries[source.name]
        other.entries[target.name] = node

    def _content(self, path: Path, content: bytes) -> None:
        node = self._at(path)

        def apply(copies: dict[int, Node]) -> None:
            _known(copies, node).content = content

        self._change(apply, node)


def build(node: Node, path: Path) -> None:
    """Make the files and folders of a model."""
    if not node.folder:
        path.write_bytes(node.content)
        return
    path.mkdir(exist_ok=True)
    for name, entry in node.entries.items():
        build(entry, path / name)


def print_of(node: Node) -> tuple[Any, ...]:
    """What tells two models apart."""
    return (node.folder, node.content, tuple((name, print_of(node.entries[name])) for name in sorted(node.entries)))


def _set(folder: Node, name: str, node: Node | None) -> None:
    if node is None:
        folder.entries.pop(name, None)
    else:
        folder.entries[name] = node


def _known(copies: dict[int, Node], node: Node) -> Node:
    """The copy of a node, or a new one where the node was made later."""
    return copies.setdefault(id(node), Node(node.folder))


def _all(node: Node) -> Iterator[Node]:
    yield node
    for entry in node.entries.values():
        yield from _all(entry)


def _read(path: Path) -> Node:
    if path.is_dir():
        return Node(True, {entry.name: _read(entry) for entry in path.iterdir()})
    return Node(False, content=path.read_bytes())


def _path(descriptor: int) -> Path:
    return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
