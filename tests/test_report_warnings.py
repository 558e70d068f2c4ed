"""What a reader must know beside the numbers: runs that the clock ended, warnings of records; and hostile text."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest
from rich.console import Console

from genbench.comparison import compare, side_of
from genbench.leaderboard import Leaderboard, build
from genbench.matrix import PlannedRun
from genbench.record import Attempt, Record
from genbench.report import live, site, text
from genbench.report.comparison import print_comparison
from genbench.report.comparison_text import document
from genbench.report.run import print_record
from genbench.report.site import commands
from genbench.report.site.context import context_of
from genbench.report.terminal import print_leaderboard
from genbench.store import Loaded, RunKey, Store

TOLD = "ended by the clock: outside the promise of bit-identity"
WARNING = "it changed torch's default dtype"
HOSTILE = "<script>x</script> [red]y[/red] \x1b[31m\x9b2J \u202e\u2066 \ud800 =1+1"


def runs(model: str, timed: int = 0, warned: int = 0, **changes: Any) -> list[Record]:
    """Five seeds, the first of which the clock ended or that warn of something."""
    found = []
    for seed in range(5):
        record = factories.record(model, seed, **changes)
        spent = {**record.spent, "ended_by": "seconds" if seed < timed else "images"}
        found.append(replace(record, spent=spent, warnings=[WARNING, "another"] if seed < warned else []))
    return found


@pytest.fixture
def board() -> Leaderboard:
    found = [*runs("timed", timed=3), *runs("warned", warned=2), *runs("plain")]
    return build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors=["plain"])


def rich(board: Leaderboard, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False)
    print_leaderboard(board, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("make", [rich, text.markdown, text.latex])
def test_a_row_that_the_clock_ended_is_marked_and_explained(make: Any, board: Leaderboard) -> None:
    output = make(board)
    flat = " ".join(output.split())
    assert TOLD in flat
    assert "timed (3 of 5 seeds)" in flat
    mark = r"\$\^\\ddagger\$" if make is text.latex else " ‡"
    assert re.search(rf"timed{mark}", output)
    assert not re.search(rf"(warned|plain)[^|&\n]{{0,3}}{mark}", output)


@pytest.mark.parametrize("make", [rich, text.markdown, text.latex])
def test_warnings_of_records_are_counted_below_the_table(make: Any, board: Leaderboard) -> None:
    flat = " ".join(make(board).split())
    assert f"! warning in 2 of 5 runs of warned: {WARNING} and 1 more" in flat
    assert flat.count("! warning in") == 1


def test_a_table_without_such_runs_says_nothing_of_them() -> None:
    board = build(factories.benchmark(), factories.METRICS, Loaded(runs("plain"), []))
    assert "‡" not in rich(board)
    assert "! warning" not in rich(board)


@pytest.mark.parametrize("make", [rich, text.markdown, text.latex])
def test_a_model_whose_runs_have_warnings_is_marked_and_the_mark_explained(make: Any, board: Leaderboard) -> None:
    output = make(board)
    assert re.search(r"warned\$\^!\$" if make is text.latex else r"warned !", output)
    assert not re.search(r"(timed|plain)[ †‡]*(\$\^)?!", output)
    assert "! behind a model: its runs have warnings, which" in " ".join(output.split())


def test_json_and_csv_carry_both(board: Leaderboard) -> None:
    rows = {row["model"]: row for row in text.document(board)["rows"]}
    assert rows["timed"]["ended_by_clock"] == [0, 1, 2]
    assert rows["warned"]["warnings"] == {"0": [WARNING, "another"], "1": [WARNING, "another"]}
    assert (rows["plain"]["ended_by_clock"], rows["plain"]["warnings"]) == ([], {})
    flat = {row["model"]: row for row in csv.DictReader(io.StringIO(text.comma_separated(board)))}
    assert [flat[name]["seeds_ended_by_clock"] for name in ("timed", "warned")] == ["3", "0"]
    assert flat["warned"]["warnings"] == f"{WARNING}; another"


def test_the_page_marks_and_explains_both(board: Leaderboard, tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    for record in [record for row in board.rows for record in row.records]:
        factories.commit(store, record)
    site.write([site.Entry(board)], store, tmp_path / "site", nearest=False)
    page = (tmp_path / "site" / "tiny" / "index.html").read_text()
    rows = {name: re.sub(r"<a [^>]*>|</a>", "", row) for name, row in re.findall(
        r'<tr data-model="(\w+)"(.*?)</th>', page, re.DOTALL)}  # fmt: skip
    assert [name for name, row in rows.items() if "‡" in row] == ["timed"]
    assert [name for name, row in rows.items() if re.search(r">!<|!$", row.strip())] == ["warned"]
    assert TOLD in page
    assert "! warning in 2 of 5 runs of warned: it changed torch&#39;s default dtype" in page


def shown(record: Record) -> str:
    console = Console(width=200, file=io.StringIO(), markup=False, highlight=False)
    print_record(record, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_showing_a_run_tells_of_the_clock_and_has_every_warning() -> None:
    output = shown(runs("timed", timed=1, warned=1)[0])
    assert "Ended by the clock: outside the promise of bit-identity." in output
    assert f"! {WARNING}\n! another\n" in output
    plain = shown(runs("plain")[0])
    assert "clock" not in plain
    assert "! " not in plain


def test_a_comparison_tells_of_both() -> None:
    of, loaded = factories.benchmark(), Loaded([*runs("timed", timed=5), *runs("warned", warned=1)], [])
    sides = [side_of(of, loaded, name, name) for name in ("timed", "warned")]
    comparison = compare(of, factories.METRICS, *sides)
    console = Console(width=200, file=io.StringIO(), markup=False, highlight=False)
    print_comparison(comparison, console)
    assert isinstance(console.file, io.StringIO)
    output = " ".join(console.file.getvalue().split())
    assert "A = timed ‡, B = warned ! on" in output
    assert f"{TOLD}, and a faster machine trains for longer: timed (5 of 5 seeds)" in output
    assert f"! warning in 1 of 5 runs of warned: {WARNING} and 1 more" in output
    found = document(comparison)
    assert found["ended_by_clock"] == {"a": [0, 1, 2, 3, 4], "b": []}
    assert found["warnings"] == {"a": {}, "b": {"0": [WARNING, "another"]}}


def planned(model: str) -> PlannedRun:
    return PlannedRun(RunKey("tiny", model, 0), None, "new", None)  # type: ignore[arg-type]


def test_progress_lines_have_no_character_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    run, registry = planned(HOSTILE), factories.registry()
    with live.live_view(registry, [run], 0, 1, Path()) as view:
        view.started(run)
        view.retried(run, "lost", HOSTILE, 1, 3)
        view.finished(run, factories.record(status="failed", reason=HOSTILE))
    lines = capsys.readouterr().err.splitlines()
    assert "[red]y[/red]" in lines[-1]
    assert f"lost (attempt 1 of 3): {live.printable(HOSTILE)}; tried again" in lines[-2]
    assert "seed-0  lost" in lines[-2]
    assert all(line.isprintable() for line in lines)


def told(record: Record, stopping: bool = False) -> list[str]:
    """The lines of a call of two runs of which one ends."""
    lines: list[str] = []
    runs = [planned("toy"), planned("other")]
    view = live.View(factories.registry(), runs, 0, 1, Path(), lines.append, lambda: stopping)
    view.started(runs[0])
    view._began["tiny/toy/seed-0"] -= 90
    view.finished(runs[0], record)
    return lines


def test_the_line_of_a_run_tells_of_warnings_and_of_what_is_withheld() -> None:
    warned = replace(factories.record(), warnings=[WARNING])
    assert "  ok, 1 warning  FID [tiny-cnn-v1] 2  bits/dim 2  " in told(warned)[1]
    failed = replace(factories.record(audit=factories.failed_audit()), warnings=[WARNING, "b"])
    assert "  ok, 2 warnings, bits/dim withheld  FID [tiny-cnn-v1] 2  90." in told(failed)[1]
    assert "  ok  FID" in told(factories.record())[1]


def test_the_line_of_a_lost_run_says_how_often_it_was_tried_and_what_comes_next() -> None:
    lost = factories.record(status="lost", reason="gone")
    attempts = [Attempt("lost", "gone", "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00")] * 3
    line = told(replace(lost, attempts=attempts))[1]
    assert "lost: gone (3 attempts; the next call tries again)" in line


def test_no_time_left_is_told_while_a_call_is_being_stopped() -> None:
    assert "left)" in told(factories.record())[1]
    assert "left)" not in told(factories.record(), stopping=True)[1]


def test_live_bars_have_no_character_that_a_terminal_obeys() -> None:
    from rich.progress import Progress, TextColumn

    run, stream = planned(HOSTILE), io.StringIO()
    console = Console(file=stream, width=400, force_terminal=False, color_system=None)
    progress = Progress(TextColumn("{task.description}", markup=False), console=console, disable=False)
    lines: list[str] = []
    view = live.LiveView(progress, factories.registry(), [run], 0, 1, Path(), lines.append)
    view.started(run)
    view.progressed(run, "train", 0.5)
    assert all(task.description.isprintable() for task in progress.tasks)
    live._print_above(console, f"{HOSTILE}")
    assert stream.getvalue().rstrip("\n").isprintable()
    assert "[red]y[/red]" in stream.getvalue()


def test_commands_on_the_page_name_no_option_and_no_address_to_pip(tmp_path: Path) -> None:
    names = ["--index-url=https://x.invalid/", "evil @ https://x.invalid/e.whl", "ok-plugin", "../x", "-r"]
    found = [replace(record, model=replace(record.model, version="1.0; x" if name == "../x" else "1.0"))
             for index, name in enumerate(names) for record in runs(f"m{index}", plugin=name)]  # fmt: skip
    found += runs("--results=/tmp/x")
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []))
    install, run, _ = commands.of_board(context_of(board, "", None, {}))
    assert re.fullmatch(r"pip install genbench==\S+ toys==1\.0 ok-plugin==1\.0", install)
    assert run == "genbench run m0 m1 m2 m3 m4 -b tiny"


def test_a_picture_on_the_page_has_nothing_but_its_pixels(tmp_path: Path) -> None:
    from corpus.pictures import BOMB, GOOD, IDAT, IEND, chunk, png

    store = Store(tmp_path / "results")
    text_chunk = chunk(b"tEXt", b"Comment\0<script>x</script>")
    factories.commit(store, factories.record("texts"), samples=png(text_chunk, IDAT, IEND))
    factories.commit(store, factories.record("bomb"), samples=png(chunk(b"IDAT", BOMB), IEND))
    factories.commit(store, factories.record("tail"), samples=GOOD + b"<script>x</script>")
    board = build(factories.benchmark(), factories.METRICS, store.load("tiny"))
    problems = site.write([site.Entry(board)], store, tmp_path / "site", nearest=False)
    assert [path.read_bytes() for path in (tmp_path / "site").rglob("*.png")] == [GOOD]
    assert len(problems) == 2
    assert "its pixels take more than" in problems[0]
    assert "something follows its end" in problems[1]


def test_a_name_of_any_length_leaves_a_table_that_can_be_read() -> None:
    board = build(factories.benchmark(), factories.METRICS, Loaded(runs("x" * 100_000), []))
    assert len(rich(board)) < 20_000
    assert len(text.markdown(board)) < 20_000
    assert len(text.latex(board)) < 20_000
