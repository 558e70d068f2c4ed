"""A TensorBoard of every run, for those who ask for it: the example of a plugin that observes.

It is at work only where the environment variable ``GENBENCH_TENSORBOARD`` names a folder. Hooks have no options, and
what is to be watched is a matter of the person and the machine, never of the benchmark.

    GENBENCH_TENSORBOARD=board genbench run --all
    tensorboard --logdir board

This module is imported by every ``genbench`` command, so it imports nothing but genbench; what writes event files is in
:mod:`genbench_tensorboard.board`. The entry point names the object ``observer``, whose methods are the hooks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from genbench import hookimpl

if TYPE_CHECKING:
    from genbench import Record
    from genbench_tensorboard.board import Board

VARIABLE = "GENBENCH_TENSORBOARD"


class TensorBoardObserver:
    """Keeps a :class:`~genbench_tensorboard.board.Board` for each run under way.

    The core tells what a hook raises and goes on. What is missing here would be missing in each hook of each run, so it
    is raised once and then left alone.
    """

    def __init__(self) -> None:
        self._boards: dict[tuple[str, str, int], Board] = {}
        self._given_up = False

    @hookimpl
    def run_started(self, benchmark: str, model: str, seed: int) -> None:
        earlier = self._boards.pop((benchmark, model, seed), None)  # of an attempt that left no record
        if earlier is not None:
            earlier.close()
        self._board(benchmark, model, seed)

    @hookimpl
    def run_progressed(self, benchmark: str, model: str, seed: int, stage: str, progress: float) -> None:
        board = self._board(benchmark, model, seed)
        if board is not None:
            board.progress(stage, progress)

    @hookimpl
    def run_finished(self, record: Record, folder: Path) -> None:
        benchmark, model, seed = folder.parent.parent.name, record.model.name, record.seed
        board = self._board(benchmark, model, seed)
        if board is None:
            return
        del self._boards[benchmark, model, seed]
        try:
            board.result(record, folder)
        finally:
            board.close()

    def _board(self, benchmark: str, model: str, seed: int) -> Board | None:
        """The run's board, made anew if need be; None where nobody asked for one, or none can be had."""
        root = os.environ.get(VARIABLE)
        if not root or self._given_up:
            return None
        run = benchmark, model, seed
        if run not in self._boards:
            self._given_up = True
            try:
                from genbench_tensorboard.board import Board
            except ImportError as error:
                raise RuntimeError(
                    f"{VARIABLE} is set, but TensorBoard cannot be imported ({error}); install it with "
                    "`pip install 'genbench[tensorboard]'`. Runs go on without it"
                ) from None
            try:
                self._boards[run] = Board(Path(root), *run)
            except OSError as error:
                raise RuntimeError(
                    f"{VARIABLE}: {root} cannot be written to ({error.strerror or error}); name another folder. Runs "
                    "go on without it"
                ) from None
            self._given_up = False
        return self._boards[run]


observer = TensorBoardObserver()
