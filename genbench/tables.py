"""The leaderboard of a results folder: what ``genbench table`` and :func:`genbench.table` show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from genbench.errors import NothingSelected
from genbench.leaderboard import Leaderboard, from_registry
from genbench.report.printable import printable

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.plugins import Registry
    from genbench.results import Results


def read_leaderboard(
    store: Results, benchmark: Benchmark, registry: Registry, sort: str | None, run_command: str
) -> Leaderboard:
    """The leaderboard of what the results folder holds.

    Args:
        run_command: what makes such results, for the error.

    Raises:
        NothingSelected: if it has no row, with what was left out and how to get results.
    """
    from genbench.report import legend

    scale = store.load(replace(benchmark, division="closed").folder) if benchmark.division == "open" else None
    board = from_registry(benchmark, registry, store.load(benchmark.folder), sort, scale)
    if not board.rows or (scale is not None and all(row.anchor for row in board.rows)):
        lines = [f"no results of {benchmark.folder} in {store.root}; get some with `{run_command}`"]
        names = {path.name for path in store.root.glob(f"{benchmark.name}+*")} - {benchmark.folder}
        if names:
            found = printable(", ".join(sorted(names)))
            lines.append(f"there is {found}: name the --dev, --budget or --division that it was made with")
        raise NothingSelected("\n".join([*lines, *legend.omissions(board)]))
    return board


def selected(board: Leaderboard, models: str | None, verified: int | None) -> Leaderboard:
    """The rows that a person asked for; see :meth:`genbench.leaderboard.Leaderboard.only`.

    Raises:
        NothingSelected: if no contender is verified at the level.
        SpecError: if a model is not in the table.
    """
    view = board.only(models, verified)
    if verified is not None and all(row.anchor for row in view.rows):
        raise NothingSelected(f"no contender is verified at level {verified}; see `genbench verify --help`")
    return view
