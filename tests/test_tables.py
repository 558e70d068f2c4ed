"""Every format of the table read by its consumer, pandas, a Markdown renderer, pdflatex; and which rows it shows."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import factories
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from genbench.errors import NothingSelected, SpecError
from genbench.leaderboard import Leaderboard, build
from genbench.plugins import discover
from genbench.record import Record
from genbench.report import text
from genbench.report.numbers import COST_TITLES
from genbench.report.terminal import print_leaderboard
from genbench.results import Results
from genbench.selection import load_benchmark
from genbench.specs import MetricSpec
from genbench.store import Loaded
from genbench.tables import read_leaderboard
from genbench.verification import Verification

ANCHORS = ("train-copy", "noise")
FIDS = {"vae": 1.5, "cgan": 2.5, "dcgan[width=8]": 2.6, "noise": 40.0, "train-copy": 41.0}
SHOWN = ("fid", "is", "bits_per_dim", "train_seconds")


def of_model(model: str, fid: float, **changes: object) -> list[Record]:
    return [factories.record(model, seed, fid=fid * (1 + 0.02 * (seed - 2)), **changes) for seed in range(5)]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    found = [record for model, fid in FIDS.items() for record in of_model(model, fid)]
    return [*found, *of_model("half_run", 1.0)[:3], *of_model("down", 1.0, status="diverged", reason="50 % & NaN_1")]


def board_of(records: list[Record], sort: str | None = None, levels: dict[str, list[int]] | None = None) -> Leaderboard:
    verified = {
        record.run: Verification(levels[record.model.name][record.seed], "sha256:0", "0.1.0", "today", {})
        for record in records
        if levels and record.seed < len(levels.get(record.model.name, []))
    }
    return build(factories.benchmark(), factories.METRICS, Loaded(records, [], verified), sort, ANCHORS)


@pytest.fixture(scope="module")
def board(records: list[Record]) -> Leaderboard:
    return board_of(records)


def printed(board: Leaderboard, width: int) -> str:
    file = io.StringIO()
    print_leaderboard(board, Console(width=width, file=file, markup=False, highlight=False))
    return file.getvalue()


class Cells(HTMLParser):
    """The rows of the tables of a page, as text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def rendered(board: Leaderboard) -> list[list[str]]:
    """The Markdown table as a browser would show it."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    return [[cell.strip() for cell in row] for row in Cells(renderer.render(text.markdown(board))).rows]


def numbers(cell: str) -> list[float]:
    return [float(part) for part in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", cell)]


def expected(board: Leaderboard) -> dict[str, list[float]]:
    """Model to what its row has to say of the first scores, unrounded, by the document that JSON is made of."""
    frame = pd.DataFrame(json.loads(json.dumps(text.document(board)))["rows"]).set_index("model")
    return {
        str(model): [row.scores[key]["mean"] for key in SHOWN[:-1] if key in row.scores]
        for model, row in frame.iterrows()
    }


def test_csv_as_pandas_reads_it_has_the_numbers_of_json_unrounded(board: Leaderboard) -> None:
    frame = pd.read_csv(io.StringIO(text.comma_separated(board))).set_index("model")
    assert list(frame.index) == [row.model for row in board.rows]
    for model, values in expected(board).items():
        assert frame.loc[model, list(SHOWN[: len(values)])].tolist() == values


def test_json_has_a_schema_and_a_row_a_model_for_pandas(board: Leaderboard) -> None:
    document = json.loads(json.dumps(text.document(board), allow_nan=False))
    assert document["schema"] == 1
    assert document["benchmark"]["division"] == "closed"
    frame = pd.json_normalize(document["rows"]).set_index("model")
    assert frame.loc["vae", "scores.fid.rank"] == 1
    assert frame.anchor.sum() == 2


def test_markdown_as_it_is_rendered_has_the_numbers_of_json_rounded(board: Leaderboard) -> None:
    rows = {row[0].removesuffix(" †"): row for row in rendered(board.view(",".join(SHOWN)))}
    for model, values in expected(board).items():
        means = [numbers(cell)[0] for cell in rows[model][2:-1] if numbers(cell)]
        assert means == pytest.approx(values, abs=0.0051)


def test_markdown_names_the_groups_above_their_columns_and_the_anchors_before_their_rows(board: Leaderboard) -> None:
    header, *rows = rendered(board.view(",".join(SHOWN)))
    assert [cell for cell in header if re.match("quality|likelihood|cost", cell)] == [
        "qualityFID [tiny-cnn-v1] ↓",
        "likelihoodbits/dim ↓",
        "costTrain s",
    ]
    names = [row[0] for row in rows]
    assert names[names.index("Anchors") + 1] == "train-copy †"
    assert names[names.index("Incomplete") :] == ["Incomplete", "half_run", "down"]


def has_booktabs() -> bool:
    """Whether there is a LaTeX with the package that the tables need."""
    if not shutil.which("pdflatex") or not shutil.which("kpsewhich"):
        return False
    return subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, timeout=20, check=False).returncode == 0


@pytest.mark.skipif(not has_booktabs(), reason="no LaTeX with booktabs (texlive-latex-base, texlive-latex-recommended)")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed (poppler-utils)")
def test_latex_compiles_to_a_pdf_with_the_numbers_of_json_rounded(board: Leaderboard, tmp_path: Path) -> None:
    table = text.latex(board.view(",".join(SHOWN)))
    page = r"\documentclass{article}\usepackage[a2paper,landscape]{geometry}\usepackage{booktabs}\begin{document}"
    (tmp_path / "page.tex").write_text(f"{page}\n\\noindent\n{table}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    subprocess.run(["pdftotext", "-layout", "page.pdf"], cwd=tmp_path, timeout=60, check=True)
    lines = (tmp_path / "page.txt").read_text().splitlines()
    for model, values in expected(board).items():
        if values:
            line = next(line for line in lines if line.strip().startswith(model.replace("_", " "))).partition("/5")[2]
            found = numbers(line)
            for value in values:
                assert any(number == pytest.approx(value, abs=0.0051) for number in found)
    assert sum("Anchors" in line for line in lines) == 1


def test_latex_puts_a_rule_under_each_group(board: Leaderboard) -> None:
    output = text.latex(board.view(",".join(SHOWN)))
    assert r"\multicolumn{2}{c}{quality} & \multicolumn{1}{c}{likelihood}" in output
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-5} \cmidrule(lr){6-6}" in output


@pytest.mark.parametrize("width", [80, 110, 160, 220])
def test_a_terminal_names_groups_over_their_columns_and_sets_anchors_apart(board: Leaderboard, width: int) -> None:
    lines = printed(board, width).splitlines()
    assert all(len(line) <= width for line in lines)
    groups = lines[1]
    titles = next(line for line in lines if "bits/dim" in line)
    start = groups.index("likelihood")
    assert start <= titles.index("bits/dim") < start + len(re.match(r"likelihood ?─*", groups[start:])[0])  # type: ignore[index]
    order = [
        next(place for place, line in enumerate(lines) if line.startswith(name))
        for name in ("vae", "dcgan", "Anchors", "train-copy", "noise", "Incomplete", "half_run", "down")
    ]
    assert order == sorted(order)


def test_long_and_wide_names_are_folded_and_keep_the_columns_in_line() -> None:
    board = board_of([*of_model("模型" * 12, 1.0), *of_model("a", 2.0)])
    output = printed(board, 80)
    assert output.replace("\n", "").count("模型") >= 9
    assert "│" not in output
    assert all(line.isascii() or "模型" in line or re.search("[↓↑─±]", line) for line in output.splitlines())


def test_contenders_left_out_change_neither_ranks_nor_decimals_and_it_is_said(board: Leaderboard) -> None:
    few = board.only("cgan,dcgan[width=8]")
    ranks = {row.model: row.scores["fid"].rank for row in board.rows if "fid" in row.scores}
    assert [row.model for row in few.rows] == ["cgan", "dcgan[width=8]", "train-copy", "noise"]
    assert [row.scores["fid"].rank for row in few.rows] == [ranks[row.model] for row in few.rows]
    assert ranks["cgan"] == 2
    for output in (printed(few, 400), text.markdown(few), text.latex(few)):
        assert "2 of 5 contenders are shown; ranks, and the tests behind them, are those of the whole table" in output
        assert "(3 pairs)" in output
    assert text.document(few)["hidden"] == ["vae", "half_run", "down"]


@pytest.mark.parametrize(
    ("wanted", "models"),
    [
        ("*gan", ["cgan"]),
        ("*gan*", ["cgan", "dcgan[width=8]"]),
        ("dcgan[width=8], vae", ["vae", "dcgan[width=8]"]),
        ("noise", []),
    ],
)
def test_models_are_chosen_by_name_or_pattern(board: Leaderboard, wanted: str, models: list[str]) -> None:
    assert [row.model for row in board.only(wanted).rows if not row.anchor] == models


def test_a_comma_between_options_does_not_part_a_name() -> None:
    board = board_of([*of_model("gan[a=1,b=2]", 1.0), *of_model("vae", 2.0)])
    assert [row.model for row in board.only("gan[a=1,b=2]").rows] == ["gan[a=1,b=2]"]


@pytest.mark.parametrize(("wanted", "said"), [("vea", "did you mean 'vae'"), ("vae,z*", "z\\*"), (" , ", "no model")])
def test_a_model_that_is_not_in_the_table_is_refused(board: Leaderboard, wanted: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        board.only(wanted)


@pytest.mark.parametrize(("sort", "first"), [("train_seconds", "cgan"), ("samples_per_second", "vae")])
def test_rows_are_sorted_by_cost_the_cheapest_first(sort: str, first: str) -> None:
    cheap = {"train_seconds": 1.0, "samples_per_second": 10.0}
    dear = {"train_seconds": 9.0, "samples_per_second": 90.0}
    found = board_of([*of_model("vae", 2.0, cost=dear), *of_model("cgan", 3.0, cost=cheap)], sort)
    assert found.rows[0].model == first
    assert f"Sorted by {COST_TITLES[sort]}." in printed(found, 80)


def test_a_name_that_is_too_long_is_parted_before_its_options() -> None:
    lines = printed(board_of([*of_model("convtransformer[width=79]", 1.0), *of_model("a", 2.0)]), 80).splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("convtransformer "))
    assert lines[place + 1].startswith("[width=79] ")


def test_a_row_is_verified_at_the_least_level_of_its_seeds_and_only_if_all_are(records: list[Record]) -> None:
    levels = {"vae": [1, 2, 3, 2, 1], "cgan": [3, 3, 3, 3], "noise": [2] * 5}
    found = {row.model: row.verified for row in board_of(records, levels=levels).rows}
    assert (found["vae"], found["cgan"], found["dcgan[width=8]"], found["noise"]) == (1, None, None, 2)


def test_the_column_of_verification_is_there_only_where_a_row_is_verified(records: list[Record]) -> None:
    board = board_of(records, levels={"vae": [1] * 5})
    for output in (printed(board, 200), text.markdown(board), text.latex(board)):
        assert re.search(r"vae\W+5/5\W+L1\b", output)
        assert "L1 re-scored" in output
    assert "Verified" not in printed(board_of(records), 200)
    frame = pd.read_csv(io.StringIO(text.comma_separated(board))).set_index("model")
    assert frame.loc["vae", "verified"] == 1
    assert frame.loc["cgan":, "verified"].isna().all()  # type: ignore[misc]


def test_rows_of_a_level_are_kept_with_all_anchors(records: list[Record]) -> None:
    board = board_of(records, levels={"vae": [1] * 5, "cgan": [2] * 5})
    assert [row.model for row in board.only(verified=2).rows] == ["cgan", "train-copy", "noise"]
    assert [row.model for row in board.only(verified=0).rows] == ["vae", "cgan", "train-copy", "noise"]


def test_the_open_table_has_the_anchors_of_the_closed_one_and_none_of_its_own(records: list[Record]) -> None:
    closed = factories.benchmark()
    outside = [replace(record, division="open") for record in [*of_model("theirs", 2.0), *of_model("noise", 0.1)]]
    board = build(
        replace(closed, division="open"),
        factories.METRICS,
        Loaded(outside, []),
        None,
        ANCHORS,
        None,
        Loaded(records, []),
    )
    rows = [(row.model, row.anchor, row.records[0].division) for row in board.rows]
    assert rows == [("noise", False, "open"), ("theirs", False, "open"), ("train-copy", True, "closed"),
                    ("noise", True, "closed")]  # fmt: skip
    assert [row.scores["fid"].rank for row in board.rows] == [1, 2, None, None]
    assert "open division: samples from outside" in text.markdown(board)


def test_at_80_columns_the_scores_of_other_peoples_metrics_stay_beside_fid_and_the_likelihood() -> None:
    mine = [MetricSpec(name, name, "theirs:metric", "lower") for name in ("sharpness", "symmetry")]
    metrics = [*factories.METRICS, *mine]
    of = factories.benchmark(metrics=[spec.name for spec in metrics])
    more = {spec.name: factories.score(0.5) for spec in mine}
    found = [factories.record("convtransformer[width=79]", seed, of, more=more) for seed in range(5)]
    theirs = {spec.name: "genbench-with-a-long-name" for spec in mine}
    output = printed(build(of, metrics, Loaded(found, []), plugins=theirs), 80)
    table, told = output.split("Not shown for want of width: ")
    titles, left_out = table.split("convtransformer")[0], told.partition(". --columns")[0].replace("\n", " ")
    for kept in ("FID", "bits/dim", "sharpness", "symmetry"):
        assert kept in titles
        assert kept not in left_out
    assert "KID" in left_out
    assert "Recall" in left_out


def test_every_column_is_either_shown_or_named_as_left_out_at_any_width(board: Leaderboard) -> None:
    for width in (60, 80, 100, 140, 400):
        table, _, told = printed(board, width).partition("Not shown for want of width: ")
        titles, left_out = table.split("\nvae")[0], " ".join(told.split())
        for title in [*(column.title for column in board.columns), "Samples/s"]:
            is_named = f"{title}," in left_out or f"{title}. " in left_out
            assert (title.partition(" [")[0] in titles) != is_named, (width, title)


def test_a_benchmark_whose_results_were_all_made_with_other_options_names_them(tmp_path: Path) -> None:
    (tmp_path / "digits-smoke+dev").mkdir()
    benchmark = load_benchmark(discover(), "digits-smoke")
    with pytest.raises(NothingSelected, match=r"there is digits-smoke\+dev: name the --dev"):
        read_leaderboard(Results(tmp_path), benchmark, discover(), None, "genbench run")
