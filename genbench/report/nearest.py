"""The training examples nearest to the samples that runs published, found by the engine, for a page to show."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench import paths
from genbench.data_files import bytes_to_download, cached_folder
from genbench.errors import GenbenchError
from genbench.matrix import sys_path
from genbench.record import Record
from genbench.report.artifacts import PICTURE, read_picture, reason
from genbench.report.printable import printable
from genbench.report.spelled import SPELLED, read_spelled
from genbench.rows import Row
from genbench.store import RunKey, Store

if TYPE_CHECKING:
    from genbench.executors.launcher import Launcher
    from genbench.leaderboard import Leaderboard
    from genbench.plugins import Registry

MAX_PIXELS = 1 << 22
"""Of a picture that the engine unpacks."""
LONGEST_TEXT = 64
"""Letters of the texts that are compared: the work goes with the square."""
SECONDS = 600.0
"""After which a search is ended."""


@dataclass(frozen=True)
class Nearest:
    """The first samples of a run and their nearest training examples.

    Attributes:
        run: whose samples.
        picture: samples in a row, and below each its examples, nearest first; None of texts.
        distances: of each sample to each of its examples, rising.
        unit: of distances: Euclidean, in levels of a pixel; or letters inserted, deleted or replaced.
        held_out: median over so many (``compared``) test examples of the distance to the nearest training example:
            how far new data are.
        samples, examples: of texts, each sample and its examples; else empty.
    """

    run: str
    picture: Path | None
    distances: tuple[tuple[float, ...], ...]
    unit: str
    held_out: float
    compared: int
    samples: tuple[str, ...] = ()
    examples: tuple[tuple[str, ...], ...] = ()

    @property
    def median(self) -> float:
        """Median over the samples of the distance to the nearest example."""
        return statistics.median(distances[0] for distances in self.distances)

    @property
    def copies(self) -> int:
        """How many of the samples are training examples, letter by letter or pixel by pixel."""
        return sum(distances[0] == 0 for distances in self.distances)


class Search:
    """Searches the training data of any number of benchmarks; a context manager.

    The engine's process, which takes seconds to start, is started at the first search and ends with the context.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._launcher: Launcher | None = None
        self._ending = ExitStack()

    def __enter__(self) -> Search:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def nearest_pictures(
        self, board: Leaderboard, store: Store, pictures: Mapping[str, Path]
    ) -> tuple[dict[str, Nearest], list[str]]:
        """The nearest training examples of each model, of the samples of its first seed that is ok.

        Nothing is downloaded: data that are not on this machine are a problem that is told.

        Args:
            board: a leaderboard of ``store``.
            pictures: model to the PNG that is written; models that are not in it are left out.

        Returns:
            Model to what was found, and what could not be shown, a line each. A run that published no samples is in
            neither.
        """
        chosen: list[tuple[Row, Record]] = []
        for row in board.rows:
            record = min((r for r in row.records if r.status == "ok"), key=lambda r: r.seed, default=None)
            if record is not None and row.model in pictures and {PICTURE, SPELLED} & set(record.artifacts):
                chosen.append((row, record))
        problem = self._why_not(board) if chosen else None
        if problem is not None:
            return {}, [f"{board.benchmark.folder}: nearest training examples are not shown: {problem}"]
        with tempfile.TemporaryDirectory(prefix="genbench-", ignore_cleanup_errors=True) as folder:
            offered, problems = _offered(board, store, chosen, pictures, Path(folder))
            if not offered:
                return {}, problems
            try:
                found = self._call(board, [entry for _, _, entry in offered])
            except GenbenchError as error:
                first = printable(str(error).partition("\n")[0])
                return {}, [*problems, f"{board.benchmark.folder}: nearest training examples are not shown: {first}"]
        results = {}
        for (model, record, _), entry in zip(offered, found["models"], strict=True):
            if "problem" in entry:
                problems.append(_line(record, entry["problem"]))
            else:
                results[model] = _nearest(board, record, pictures[model], entry, found)
        return results, problems

    def _why_not(self, board: Leaderboard) -> str | None:
        """Why the data of a benchmark can't be searched, or None."""
        spec = board.benchmark.dataset
        if spec.name not in self._registry.datasets:
            return f"the data set {spec.name} is not installed"
        if not cached_folder(spec, paths.data_cache()).is_dir() and bytes_to_download(spec):
            return f"the data are not on this machine; `genbench data fetch {spec.name}` brings them"
        if spec.alphabet and spec.data.shape[0] > LONGEST_TEXT:
            return f"texts of more than {LONGEST_TEXT} letters are not compared"
        return None

    def _call(self, board: Leaderboard, offered: list[dict[str, Any]]) -> dict[str, Any]:
        from genbench.executors.launcher import Launcher

        if self._launcher is None:
            self._launcher = self._ending.enter_context(Launcher(threads=1))
        spec = board.benchmark.dataset
        arguments = {
            "dataset": asdict(spec),
            "cache": str(paths.data_cache()),
            "drawn": board.benchmark.file.samples.n,
            "offered": offered,
        }
        plugin = self._registry.find("datasets", spec.name).plugin
        found: dict[str, Any] = self._launcher.call(
            "genbench.engine.nearest:nearest", arguments, sys_path(plugin), SECONDS
        )
        return found


def _offered(
    board: Leaderboard,
    store: Store,
    chosen: list[tuple[Row, Record]],
    pictures: Mapping[str, Path],
    folder: Path,
) -> tuple[list[tuple[str, Record, dict[str, Any]]], list[str]]:
    """What is handed to the engine: texts, or proved pictures in a folder of our own; and what is not."""
    offered, problems = [], []
    for index, (row, record) in enumerate(chosen):
        run = store.root / RunKey(board.benchmark.folder, row.model, record.seed).path
        try:
            if board.benchmark.dataset.alphabet:
                entry: dict[str, Any] = {"texts": _texts(run, record)}
            else:
                entry = {"grid": str(folder / f"{index}.png"), "picture": str(pictures[row.model].absolute())}
                Path(entry["grid"]).write_bytes(read_picture(run, record, MAX_PIXELS).content)
        except (OSError, ValueError) as error:
            problems.append(_line(record, reason(error)))
            continue
        offered.append((row.model, record, entry))
    return offered, problems


def _texts(run: Path, record: Record) -> list[str]:
    """
    Raises:
        OSError, ValueError: as :func:`~genbench.report.spelled.read_spelled`; also if there is none, or a long one.
    """
    texts = [text for text, _ in read_spelled(run, record)]
    if not texts or max(map(len, texts)) > LONGEST_TEXT:
        raise ValueError(f"it holds no texts, or one of more than {LONGEST_TEXT} letters")
    return texts


def _nearest(
    board: Leaderboard, record: Record, picture: Path, entry: Mapping[str, Any], found: Mapping[str, Any]
) -> Nearest:
    texts = bool(board.benchmark.dataset.alphabet)
    return Nearest(
        record.run,
        None if texts else picture,
        tuple(map(tuple, entry["distances"])),
        "letters" if texts else "levels",
        found["held_out"],
        found["compared"],
        tuple(map(printable, entry["samples"])),
        tuple(tuple(map(printable, examples)) for examples in entry["examples"]),
    )


def _line(record: Record, why: str) -> str:
    return printable(f"{record.run}: the training examples nearest to its samples are not shown: {why}")
