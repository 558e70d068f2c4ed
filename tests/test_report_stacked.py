"""Columns that a person names are all shown, however narrow the terminal."""

from __future__ import annotations

import io

import factories
import pytest
from rich.console import Console

from genbench.columns import COST_KEYS
from genbench.leaderboard import Leaderboard, build
from genbench.report.numbers import COST_TITLES
from genbench.report.terminal import print_leaderboard
from genbench.store import Loaded


@pytest.fixture
def board() -> Leaderboard:
    found = [factories.record(model, seed) for model in ("toy[width=128]", "noise") for seed in range(5)]
    return build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors={"noise"})


def printed(board: Leaderboard, width: int, wanted: str | None) -> str:
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False)
    print_leaderboard(board, console, wanted)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_all_columns_are_shown_below_each_other_where_they_do_not_fit(board: Leaderboard, width: int) -> None:
    output = printed(board, width, "all")
    assert all(len(line.rstrip()) <= width for line in output.splitlines())
    assert "Not shown" not in output
    assert "…" not in output
    words = output.split()
    blocks = words.count("Model")
    assert blocks > 1 or width == 120
    assert words.count("noise") >= blocks
    for column in board.columns:
        assert column.title.partition(" [")[0] in words
    for title in (COST_TITLES[key] for key in COST_KEYS):
        assert title.split()[0] in words


def test_named_columns_keep_their_order_over_the_blocks(board: Leaderboard) -> None:
    output = printed(board, 24, "recall,fid,precision,peak_memory_mib")
    places = [output.index(title) for title in ("Recall", "FID", "Precision", "Peak")]
    assert places == sorted(places)
    assert "IS" not in output.split("Mean over")[0]


def test_the_advice_to_use_an_option_is_given_only_where_it_was_not_given(board: Leaderboard) -> None:
    assert "--columns all shows every column" in " ".join(printed(board, 60, None).split())
    for width in (20, 40, 60):
        assert "--columns" not in printed(board, width, "all")
