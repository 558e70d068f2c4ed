"""What all pages of a benchmark share, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from genbench.columns import ESTIMATE, Column
from genbench.leaderboard import Leaderboard
from genbench.plugins import Registry
from genbench.record import Record
from genbench.report.fitting import is_empty
from genbench.report.numbers import decimals_of
from genbench.report.site.axes import Scale
from genbench.report.site.metrics import Metric, metrics_of
from genbench.rows import Cell, Row
from genbench.store import model_folder

INDEX = "index.html"
FILES = (".html", ".csv", ".md", ".tex", ".json", ".toml")
"""What the names of files beside a benchmark's page end with."""


@dataclass(frozen=True)
class Context:
    """A leaderboard and what its pages need of it.

    Attributes:
        folder, title: of the benchmark.
        board: without columns that no row has anything in.
        metrics: its columns, explained.
        decimals: of each column.
        scales: of each column's bars.
        own: the rows whose runs are of this division: in the open one, anchors come from the closed one.
        pages: model to the folder of its pages, within the benchmark's; of the own rows.
        elsewhere: the same of the others, ``../digits/noise``; without those whose pages are not on the site.
        definition: name of the benchmark's file beside its page; empty where it is installed.
        registry: the installed models and data; None for pages without their summaries and families.
        updated: day of the newest run, or empty.
    """

    board: Leaderboard
    folder: str
    title: str
    metrics: tuple[Metric, ...]
    decimals: Mapping[str, int]
    scales: Mapping[str, Scale]
    own: tuple[Row, ...]
    pages: Mapping[str, str]
    elsewhere: Mapping[str, str]
    definition: str
    registry: Registry | None
    updated: str

    def place(self, row: Row) -> str:
        """The folder of a row's pages, from the benchmark's; empty where they are not on the site."""
        return self.pages[row.model] if row in self.own else self.elsewhere.get(row.model, "")

    def address(self, row: Row) -> str:
        """The address of a row's page, from the benchmark's; empty where there is none."""
        place = self.place(row)
        return place and f"{place}/{INDEX}"

    def link(self, model: str) -> str:
        """The same by name, as charts know models: of two rows of a name, the own."""
        place = self.pages.get(model) or self.elsewhere.get(model, "")
        return place and f"{place}/{INDEX}"

    @property
    def is_open(self) -> bool:
        """Whether it is the table of samples from outside."""
        return self.board.benchmark.division == "open"

    @property
    def quality(self) -> Column | None:
        """The column that stands for quality: FID, else the first of its group."""
        quality = [column for column in self.board.columns if column.group == "quality"]
        return next((column for column in quality if column.key == "fid"), quality[0] if quality else None)

    @property
    def likelihood(self) -> Column | None:
        """The column that stands for likelihood: the first of its group that ranks."""
        columns = (column for column in self.board.columns if column.group == "likelihood")
        return next((column for column in columns if not column.key.endswith(ESTIMATE)), None)


def context_of(board: Leaderboard, definition: str, registry: Registry | None, closed: Mapping[str, str]) -> Context:
    """What the pages of a leaderboard share; ``definition`` and ``registry`` as in :class:`Context`.

    Args:
        closed: of the open division, the pages of the closed one, where they are on the site; else empty.
    """
    # A column that no row has anything in, as one of labels where no model is told any, says nothing.
    filled = tuple(column for column in board.columns if not is_empty(board, column))
    board = replace(board, columns=filled or board.columns)
    benchmark = board.benchmark
    own = tuple(row for row in board.rows if row.records[0].division == benchmark.division)
    return Context(
        board,
        benchmark.folder,
        benchmark.file.title or benchmark.name,
        tuple(metrics_of(board)),
        decimals_of(board),
        scales_of(board),
        own,
        {row.model: page_folder(row.model) for row in own},
        {model: f"../{benchmark.name}/{page}" for model, page in closed.items()},
        definition,
        registry,
        max((_day(record) for row in own for record in row.records), default=""),
    )


def page_folder(model: str) -> str:
    """The folder of a model's pages: that of its runs, unless a file beside the benchmark's page may have its name."""
    folder = model_folder(model)
    return f"{folder}~" if folder.endswith(FILES) else folder


def scales_of(board: Leaderboard) -> dict[str, Scale]:
    """The scale of each column's bars: that of the contenders, since some anchors are orders of magnitude off."""
    scales = {}
    rows = [row for row in board.rows if not row.anchor] or list(board.rows)
    for column in board.columns:
        found = [end for row in rows if column.key in row.scores for end in ends_of(row.scores[column.key])]
        scales[column.key] = Scale.around(found, column.log_scale and all(end > 0 for end in found))
    return scales


def ends_of(cell: Cell) -> Iterable[float]:
    """Mean and ends of the interval, those there are."""
    estimate = cell.estimate
    return (end for end in (estimate.mean, estimate.low, estimate.high) if end is not None)


def _day(record: Record) -> str:
    """The day on which a run ended, if that is a day: records may hold any text."""
    day = record.finished[:10]
    return day if len(day) == 10 and day.isascii() and day.replace("-", "").isdigit() else ""
