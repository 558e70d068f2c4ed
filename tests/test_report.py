"""The leaderboard as text, in a terminal and as a page."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest
from rich.console import Console

import genbench.plugins
from genbench import cli
from genbench.leaderboard import Leaderboard, build
from genbench.record import Record
from genbench.report import text
from genbench.report.numbers import cost, significant
from genbench.report.terminal import print_leaderboard
from genbench.store import Loaded, Store

HOSTILE = "<script>alert(1)</script> [red]x[/red] | a_b & 50% $x$ \\input{y} ~^#{} \x1b[31m"


def records(model: str, count: int = 5, **changes: Any) -> list[Record]:
    return [factories.record(model, seed, **changes) for seed in range(count)]


def board_of(*groups: list[Record]) -> Leaderboard:
    found = [record for group in groups for record in group]
    return build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors={"noise", "train-copy"})


@pytest.fixture
def board() -> Leaderboard:
    failed = [factories.record("fails", seed, status="failed", reason=HOSTILE) for seed in range(5)]
    return board_of(
        records("toy[ema=true,lr=0.0001,width=128]", kind="iwae", fid=1.5),
        records("noise", fid=44.0, bits=4.087),
        records("guess", fid=3.0, kind="estimate", bits=1.5),
        records("half", 3),
        failed,
    )


def printed(board: Leaderboard, width: int, **options: Any) -> str:
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False, **options)
    print_leaderboard(board, console)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


@pytest.mark.parametrize("width", [48, 60, 80, 100, 120, 160, 200])
def test_the_terminal_table_fits_and_no_number_is_cut(board: Leaderboard, width: int) -> None:
    output = printed(board, width)
    assert all(len(line.rstrip()) <= width for line in output.splitlines())
    assert "…" not in output
    for number in ("1.50", "44.00", "3.00"):
        assert number in output


def test_cost_columns_go_last_first_and_it_is_said(board: Leaderboard) -> None:
    assert "Not shown" not in printed(board, 240)
    hidden = [re.search(r"Not shown for want of width: (.*?)\. --columns", " ".join(printed(board, width).split()))
              for width in (120, 110, 80)]  # fmt: skip
    names = [match.group(1).split(", ") if match else [] for match in hidden]
    assert names[0][-1] == "Peak MiB"
    assert names[0] == names[1][-len(names[0]) :]
    assert names[2][-5:] == ["Parameters", "Train TFLOP", "Train s", "Samples/s", "Peak MiB"]


def test_intervals_stay_at_80_columns(board: Leaderboard) -> None:
    usual = board_of(records("class-marginals", kind="iwae"), records("noise", fid=44.0))
    assert "[44.00,44.00]" in printed(usual, 80)
    assert "the intervals" not in printed(usual, 80)


def test_text_of_records_is_never_read_as_markup(board: Leaderboard) -> None:
    output = " ".join(printed(board, 400).split())
    assert "[red]x[/red]" in output
    assert "toy[ema=true,lr=0.0001,width=128]" in output


def test_control_characters_of_records_do_not_reach_the_terminal(board: Leaderboard) -> None:
    assert "\x1b" not in printed(board, 200)


def test_no_color_is_kept_to(board: Leaderboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in printed(board, 200, force_terminal=True)
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[31m" in printed(board, 200, force_terminal=True)


@pytest.mark.parametrize("make", [lambda board: printed(board, 200), text.markdown, text.latex])
def test_every_format_tells_kinds_anchors_and_failures_apart(make: Any, board: Leaderboard) -> None:
    output = make(board)
    assert re.search(r"(<=|\$\\leq\$) \$?2\.02", output)
    assert re.search(r"(~|\$\\sim\$) \$?1\.50", output)
    assert re.search(r"(?<!<= )(?<!\\leq\$ )\$?4\.09", output)
    assert "†" in output or r"$^\dagger$" in output
    assert "3/5" in output
    assert "0/5" in output


def test_json_and_csv_carry_the_kind_of_likelihood(board: Leaderboard) -> None:
    document = {row["model"]: row for row in text.document(board)["rows"]}
    assert document["noise"]["scores"]["bits_per_dim"]["kind"] == "exact"
    assert document["toy[ema=true,lr=0.0001,width=128]"]["scores"]["bits_per_dim"]["kind"] == "iwae"
    assert document["guess"]["scores"]["bits_per_dim_estimate"]["kind"] == "estimate"
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(text.comma_separated(board)))}
    assert rows["noise"]["bits_per_dim_kind"] == "exact"
    assert rows["guess"]["bits_per_dim"] == ""


def test_json_is_json_and_has_the_value_of_each_seed(board: Leaderboard) -> None:
    document = json.loads(json.dumps(text.document(board), allow_nan=False))
    (half,) = [row for row in document["rows"] if row["model"] == "half"]
    assert half["scores"]["fid"]["values"] == {"0": 2.0, "1": 2.1, "2": 2.2}
    assert half["scores"]["fid"]["low"] is None
    assert half["missing"] == [3, 4]


def test_csv_reads_back_unrounded(board: Leaderboard) -> None:
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(text.comma_separated(board)))}
    (half,) = [row for row in board.rows if row.model == "half"]
    assert float(rows["half"]["fid"]) == half.scores["fid"].estimate.mean
    assert len(rows) == 5


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_text_is_no_formula(start: str) -> None:
    output = text.comma_separated(board_of(records(f"{start}1+1")))
    (row,) = csv.DictReader(io.StringIO(output, newline=""))
    assert row["model"] == f"'{start}1+1".replace("'\t", "").replace("'\r", "")


def test_markdown_has_the_same_number_of_cells_in_each_line_whatever_the_names() -> None:
    output = text.markdown(board_of(records("a|b\n| c"), records("toy")))
    lines = [line for line in output.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == 4


def test_markdown_text_is_literal() -> None:
    assert text.escape_markdown("*a* _b_ [c](d) <i> `e` \\ |") == r"\*a\* \_b\_ \[c\](d) \<i\> \`e\` \\ \|"


def test_latex_specials_are_escaped() -> None:
    escaped = text.escape_latex("a_b & 50% $x$ #1 {y} ~ ^ \\input")
    assert escaped == (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}input"
    )  # fmt: skip


def test_a_newline_in_a_name_does_not_leave_the_latex_comment_or_row() -> None:
    failed = [factories.record("a\n\\evil", seed, status="failed", reason="b\n\\evil") for seed in range(5)]
    assert all(not line.startswith("\\evil") for line in text.latex(board_of(failed)).splitlines())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (None, "-"),
        (1234, "1234"),
        (12345, "12.3 k"),
        (1234567, "1.23 M"),
        (0.95, "0.950"),
        (2.5e9, "2.50 G"),
        (1e-6, "< 0.001"),
    ],
)
def test_costs_have_three_digits(value: float | None, shown: str) -> None:
    assert cost(value) == shown


def test_significant_digits_never_cut_the_whole_part() -> None:
    assert [significant(value) for value in (98765.4, 0.001234, -1.5)] == ["98765", "0.00123", "-1.50"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results")
    for seed in range(5):
        factories.commit(store, factories.record("toy", seed), samples=factories.png(shade=seed))
        factories.commit(store, factories.record("train-copy", seed, fid=0.1), samples=factories.png(shade=100 + seed))
        factories.commit(store, factories.record("<b>x</b>", seed, status="failed", reason=HOSTILE))
    return store


def test_a_dev_or_budget_table_says_that_it_is_no_leaderboard() -> None:
    for of in (replace(factories.benchmark(), dev=True), factories.benchmark().with_budget({"images": 9})):
        board = build(of, factories.METRICS, Loaded([factories.record(of=of)], []))
        assert "not a leaderboard" in text.markdown(board)


@pytest.fixture
def run(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """``genbench table`` on ``store``: status, stdout, stderr."""
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)

    def call(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(["table", "-b", "tiny", "--results", str(store.root), *args])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


@pytest.mark.parametrize("format_", ["rich", "md", "latex"])
def test_the_columns_of_a_table_can_be_chosen(run: Callable[..., tuple[int, str, str]], format_: str) -> None:
    status, out, err = run("--format", format_, "--columns", "is,parameters")
    assert (status, err) == (0, "")
    head = out.partition("5/5")[0] if format_ == "rich" else next(x for x in out.splitlines() if "Model" in x)
    assert re.search(r"IS.*Param", head, re.DOTALL)
    assert not re.search("FID|KID|Train", head)


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_formats_for_programs_always_have_all_columns(run: Callable[..., tuple[int, str, str]], format_: str) -> None:
    status, out, err = run("--format", format_, "--columns", "is")
    assert (status, out) == (2, "")
    assert f"{format_} always has all columns" in err


def test_a_column_that_is_not_there_is_answered_with_the_nearest(run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = run("--columns", "fid,bits_per_dimm")
    assert status == 2
    assert "did you mean 'bits_per_dim'?" in err
