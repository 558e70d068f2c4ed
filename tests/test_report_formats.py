"""A table as wide as that of ``digits`` in every format: marks, ranks, warnings, withheld scores, legends."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest
from rich.console import Console

from genbench.leaderboard import Leaderboard, build
from genbench.report import legend, live, site, text
from genbench.report.terminal import print_leaderboard
from genbench.specs import MetricSpec
from genbench.store import Loaded, RunKey, Store


def printed(board: Leaderboard, width: int, **options: Any) -> str:
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False, **options)
    print_leaderboard(board, console)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def many() -> Leaderboard:
    """A table as wide as that of ``digits``: two evaluators, four groups, warnings, withheld scores, ranks."""
    names = ("density", "coverage", "fd_inf", "class_histogram")
    extra = (
        *(MetricSpec(name, name.title(), "nowhere:f", "higher") for name in names),
        MetricSpec("label_accuracy", "Label accuracy", "nowhere:f", "higher", "control"),
        *(MetricSpec(name, name.title(), "nowhere:f", "higher", "copying") for name in ("nn_ratio", "auth_pct", "c_t")),
    )
    specs = (*factories.METRICS, *extra)
    of = factories.benchmark(second_evaluator="tiny-random-v1", metrics=[spec.name for spec in specs])
    second = {**factories.FINGERPRINT, "evaluator": f"tiny-random-v1@{'f' * 16}"}
    found = []
    for place, model in enumerate(("pixelcnn", "vae", "flatterer", "unaudited", "train-copy", "flow")):
        for seed in range(5):
            more = {spec.name: factories.score(0.9 + 0.001 * seed, "higher") for spec in extra}
            del more["label_accuracy"]
            fid = (1 + place) * (1 + 0.01 * seed)
            more["fid"] = factories.score(fid, repeats=[fid * 1.03, fid * 0.96])
            more["fid@tiny-random-v1"] = factories.score(3 * fid, fingerprint=second)
            if model == "train-copy":
                more["nn_ratio"] = replace(more["nn_ratio"], flag="closer to the training data than held-out data")
            changes: dict[str, Any] = {"kind": {"vae": "iwae", "flow": "estimate"}.get(model, "exact")}
            if model == "unaudited":
                changes["audit"] = None
            if model == "flatterer":
                reason = "no distribution has this entropy"
                changes |= {"bits": None, "withheld": {"bits_per_dim": reason}, "audit": factories.failed_audit(reason)}
            record = factories.record(model, seed, of, more=more, **changes)
            if model == "vae":
                details = {"effective_draws": 12.5}
                bound = replace(record.scores["bits_per_dim"], details=details)
                record = replace(record, scores={**record.scores, "bits_per_dim": bound})
            found.append(record)
    return build(of, specs, Loaded(found, []), anchors={"train-copy"})


@pytest.fixture(scope="module")
def wide() -> Leaderboard:
    return many()


def flat(output: str) -> str:
    return " ".join(output.split())


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_wide_table_fits_a_terminal_with_the_scores_read_first_and_their_intervals(
    wide: Leaderboard, width: int
) -> None:
    output = printed(wide, width)
    assert all(len(line.rstrip()) <= width for line in output.splitlines())
    head = output[: output.index("pixelcnn")]
    for title in ("FID", "IS", "Precision", "Recall", "bits/dim"):
        assert title in head
    assert "±" in output
    left_out = flat(output).partition("Not shown for want of width: ")[2].partition(". --columns")[0].split(", ")
    assert {"KID", "FID [tiny-random-v1]", "Density", "Nn_Ratio"} <= set(left_out)


def test_a_column_that_no_row_has_is_not_shown_and_not_missed(wide: Leaderboard) -> None:
    assert "Label accuracy" not in printed(wide, 400)
    assert "Label accuracy" in text.markdown(wide)


@pytest.mark.parametrize("width", [100, 400])
def test_columns_that_are_asked_for_are_shown_and_no_others(wide: Leaderboard, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), markup=False, highlight=False)
    print_leaderboard(wide, console, "kid,fid@tiny-random-v1,train_seconds")
    assert isinstance(console.file, io.StringIO)
    head = console.file.getvalue().partition("pixelcnn")[0]
    assert "KID" in head
    assert "random-v1]" in head
    assert "Train" in head
    assert not re.search(r"IS|Precision|Peak", head)
    assert "Not shown" not in console.file.getvalue()


def page_of(board: Leaderboard, folder: Path) -> str:
    """The page of a leaderboard whose runs have no artifacts."""
    store = Store(folder / "results")
    for record in [record for row in board.rows for record in row.records]:
        place = store.root / RunKey("tiny", record.model.name, record.seed).path
        place.mkdir(parents=True)
        (place / "record.json").write_text(record.to_json())
    site.write([site.Entry(board)], store, folder / "site", nearest=False)
    return (folder / "site" / "tiny" / "index.html").read_text()


def in_every_format(board: Leaderboard, folder: Path) -> dict[str, str]:
    page = page_of(board, folder)
    return {
        "rich": printed(board, 400),
        "md": text.markdown(board),
        "latex": text.latex(board),
        "html": page,
        "csv": text.comma_separated(board),
        "json": json.dumps(text.document(board)),
    }


FORMATS = ("rich", "md", "latex", "html", "csv", "json")


@pytest.fixture(scope="module")
def outputs(wide: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return in_every_format(wide, tmp_path_factory.mktemp("outputs"))


def line_of(output: str, model: str) -> str:
    """What a format says in the row of a model."""
    if "<tbody" in output:
        (found,) = re.findall(rf'<tr data-model="{model}".*?</tr>', output, re.DOTALL)
        return re.sub(r"<[^>]*>", "", found)
    return next(line for line in output.splitlines() if re.match(rf"[^%\w]*{model}\b", line))


@pytest.mark.parametrize("format_", ["rich", "md", "latex", "html"])
def test_a_bound_an_estimate_and_an_exact_value_are_told_apart(outputs: dict[str, str], format_: str) -> None:
    bound, estimate = {
        "rich": (r"<= 2\.02", r"~ 2\.02"),
        "md": (r"<= \*\*2\.02", r"~ 2\.02"),
        "latex": (r"\$\\leq\$ \$\\mathbf\{2\.02", r"\$\\sim\$ \$2\.02"),
        "html": (r"&lt;= 2\.02", r"~ 2\.02"),
    }[format_]
    lines = {model: line_of(outputs[format_], model) for model in ("vae", "flow", "pixelcnn")}
    assert re.search(bound, lines["vae"])
    assert re.search(estimate, lines["flow"])
    assert "2.02" in lines["pixelcnn"]
    assert not re.search(rf"{bound}|{estimate}", lines["pixelcnn"])


def test_csv_and_json_name_the_kind_of_each_likelihood(outputs: dict[str, str]) -> None:
    rows = {entry["model"]: entry for entry in csv.DictReader(io.StringIO(outputs["csv"]))}
    assert [rows[model]["bits_per_dim_kind"] for model in ("vae", "pixelcnn", "flow")] == ["iwae", "exact", ""]
    assert rows["flow"]["bits_per_dim_estimate_kind"] == "estimate"
    document = {entry["model"]: entry["scores"] for entry in json.loads(outputs["json"])["rows"]}
    assert document["vae"]["bits_per_dim"]["kind"] == "iwae"
    assert document["pixelcnn"]["bits_per_dim"]["kind"] == "exact"
    assert document["flow"]["bits_per_dim_estimate"]["kind"] == "estimate"
    assert "bits_per_dim" not in document["flow"]


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_withholds_a_likelihood_and_says_why(outputs: dict[str, str], format_: str) -> None:
    assert "no distribution has this entropy" in outputs[format_]
    if format_ in ("rich", "md", "latex", "html"):
        assert "withheld" in line_of(outputs[format_], "flatterer")


def test_a_withheld_score_is_null_in_json_and_empty_in_csv(outputs: dict[str, str]) -> None:
    rows = {entry["model"]: entry for entry in csv.DictReader(io.StringIO(outputs["csv"]))}
    assert rows["flatterer"]["bits_per_dim"] == ""
    assert rows["flatterer"]["bits_per_dim_withheld"] == "no distribution has this entropy"
    document = {entry["model"]: entry for entry in json.loads(outputs["json"])["rows"]}
    assert "bits_per_dim" not in document["flatterer"]["scores"]
    assert document["flatterer"]["withheld"]["bits_per_dim"][0]["reason"] == "no distribution has this entropy"


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_marks_an_unaudited_likelihood(outputs: dict[str, str], format_: str) -> None:
    if format_ in ("csv", "json"):
        assert "unaudited" in re.sub(r'"model": "unaudited"', "", outputs[format_])
    else:
        assert re.search(r"2\.02\$?\?", line_of(outputs[format_], "unaudited"))
        assert not re.search(r"2\.02\$?\?", line_of(outputs[format_], "pixelcnn"))
        assert "? unaudited: nothing has checked" in flat(outputs[format_])


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_shows_a_warning_and_what_it_means(outputs: dict[str, str], format_: str) -> None:
    flag = "closer to the training data than held-out data"
    assert (flag if format_ in ("csv", "json") else "may be copying: train-copy: Nn") in flat(outputs[format_])
    if format_ not in ("csv", "json", "rich"):
        assert re.search(r"0\.902\$?!", line_of(outputs[format_], "train-copy"))
        assert not re.search(r"0\.902\$?!", line_of(outputs[format_], "pixelcnn"))


@pytest.mark.parametrize("width", [80, 120])
def test_a_warning_is_told_where_its_column_is_not_shown(wide: Leaderboard, width: int) -> None:
    output = flat(printed(wide, width))
    assert "! may be copying: train-copy: Nn_Ratio in 5 of 5 seeds" in output


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_the_ranks(outputs: dict[str, str], wide: Leaderboard, format_: str) -> None:
    ranks = {entry.model: entry.scores["fid"].rank for entry in wide.rows}
    assert ranks == {"pixelcnn": 1, "vae": 2, "flatterer": 3, "unaudited": 4, "train-copy": None, "flow": 5}
    if format_ == "csv":
        found = {entry["model"]: entry["fid_rank"] for entry in csv.DictReader(io.StringIO(outputs["csv"]))}
        assert found == {model: "" if rank is None else str(rank) for model, rank in ranks.items()}
    elif format_ == "json":
        rows = json.loads(outputs["json"])["rows"]
        assert {entry["model"]: entry["scores"]["fid"]["rank"] for entry in rows} == ranks
    else:
        assert "(5)" in line_of(outputs[format_], "flow")
        assert not re.search(r"\(\d\)", line_of(outputs[format_], "train-copy"))
        assert "1 + the number of contenders that are significantly better" in flat(outputs[format_]).replace(
            "&#39;", "'"
        )


def test_bounds_are_said_to_rank_by_their_bound(outputs: dict[str, str]) -> None:
    assert "Bounds rank by their bound" in flat(outputs["rich"])
    assert "(12 of them effective" in flat(outputs["rich"]).replace("12.5", "12")


@pytest.mark.parametrize("format_", ["rich", "md", "latex", "html"])
def test_the_legend_has_training_and_sampling_variance_and_the_agreement_of_evaluators(
    outputs: dict[str, str], format_: str
) -> None:
    output = re.sub(r"\\(?=[\[\]%])", "", flat(outputs[format_]))
    assert "median over rows: FID [tiny-cnn-v1] 0 % and 3.5 %" in output
    assert "tau-b: FID 1.00 (6 rows)" in output


def test_json_has_training_and_sampling_variance_the_audit_and_the_agreement(outputs: dict[str, str]) -> None:
    document = json.loads(outputs["json"])
    vae = next(entry for entry in document["rows"] if entry["model"] == "vae")["scores"]
    assert vae["fid"]["variance"]["sampling"] > vae["fid"]["variance"]["training"] >= 0
    assert vae["fid"]["variance"]["log_scale"]
    assert (vae["bits_per_dim"]["audit"], vae["bits_per_dim"]["smallest_flattery"]) == ("passed", 0.05)
    assert vae["bits_per_dim"]["effective_draws"] == 12.5
    assert document["agreement"] == [
        {"metric": "fid", "title": "FID", "evaluators": ["tiny-cnn-v1", "tiny-random-v1"], "tau": 1.0, "rows": 6}
    ]


def test_fewer_than_five_seeds_are_said_to_have_no_ranks() -> None:
    of = factories.benchmark(seeds=[0, 1, 2])
    found = [factories.record(model, seed, of) for model in ("a", "b") for seed in range(3)]
    board = build(of, factories.METRICS, Loaded(found, []))
    assert "No ranks: they need 5 seeds, and there are 3." in text.markdown(board)


EXTREMES = (1e200, 1e-300, 1.7e308)


@pytest.mark.parametrize("extreme", EXTREMES)
def test_every_format_survives_extreme_scores_and_prints_them_with_an_exponent(extreme: float, tmp_path: Path) -> None:
    found = [factories.record("toy", seed, fid=2.0 + 0.1 * seed) for seed in range(5)]
    for seed in range(5):
        kid = factories.score(extreme * (1 - 0.01 * seed), repeats=[extreme, extreme * 0.99])
        found.append(factories.record("odd", seed, fid=extreme * (1 - 0.01 * seed), more={"kid": kid}))
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors=())
    json.dumps(text.document(board), allow_nan=False)
    outputs = [printed(board, 200), text.markdown(board), text.comma_separated(board), page_of(board, tmp_path)]
    latex = text.latex(board)
    sign = "-" if extreme < 1 else ""
    assert all(re.search(rf"\de{sign or '[+]'}\d{{3}}\b", output) for output in outputs)
    assert re.search(rf"\d \\times 10\^{{{sign}\d{{3}}}}", latex)
    assert not any(re.search(r"\d{30}", output) for output in (*outputs, latex))


def test_copying_columns_have_neither_rank_nor_arrow_and_are_said_to_flag_only(wide: Leaderboard) -> None:
    table = text.markdown(wide)
    assert "<br>Nn\\_Ratio |" in table
    assert "Nn\\_Ratio, Auth\\_Pct, C\\_T: only the flag ! counts" in table
    assert not [
        cell for row in wide.rows for key, cell in row.scores.items() if key == "nn_ratio" and cell.rank is not None
    ]


def test_only_scores_of_an_evaluator_are_said_to_be_of_its_features(wide: Leaderboard) -> None:
    (line,) = [line for line in legend.explanations(wide) if line.startswith("Features of the evaluator")]
    assert "FID" in line
    assert "bits/dim" not in line
    (others,) = [line for line in legend.explanations(wide) if line.startswith("Other scores: n = 600 for")]
    assert "bits/dim" in others
    assert "FID" not in others


def test_the_flattery_that_audits_see_leaves_out_estimates_and_names_the_unknown() -> None:
    audits = {"flow": 0.9, "vae": None, "pixelcnn": 0.05}
    found = [
        factories.record(
            model,
            seed,
            kind="estimate" if model == "flow" else "exact",
            audit=replace(factories.AUDIT, smallest_flattery=flattery),
        )
        for model, flattery in audits.items()
        for seed in range(5)
    ]
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors=())
    (line,) = [line for line in legend.explanations(board) if "flattery" in line]
    assert line.endswith("sees a flattery of 0.050 bits/dim or more; unknown for vae.")


def test_the_flattery_of_likelihoods_in_another_unit_is_told_of_a_whole_example_too() -> None:
    board = build(factories.benchmark(), factories.METRICS, Loaded([factories.record()], []))
    assert legend.flattery(0.05, board) == "0.050 bits/dim"
    letters = tuple(replace(column, unit="bits/letter") for column in board.columns if column.group == "likelihood")
    assert board.benchmark.dataset.data.dims == 64
    assert legend.flattery(0.05, replace(board, columns=letters)) == "0.050 bits/dim (3.2 bits an example)"


def test_models_that_the_same_tests_flag_share_a_line() -> None:
    metric = MetricSpec("nn_ratio", "NN ratio", "nowhere:nn", "higher", "copying")
    flagged = {"nn_ratio": replace(factories.score(0.9, "higher"), flag="near")}
    found = [factories.record(model, 0, more=flagged if model != "c" else {}) for model in "abc"]
    board = build(factories.benchmark(), [*factories.METRICS, metric], Loaded(found, []))
    lines = [line for line in legend.explanations(board) if "may be copying" in line]
    assert lines == ["! may be copying: a, b: NN ratio in 1 of 1 seeds."]


def test_costs_below_a_thousandth_are_mathematics_in_latex_and_names_with_signs_text_in_markdown() -> None:
    found = [factories.record("toy", seed, cost={"train_seconds": 1e-5}) for seed in range(5)]
    output = text.latex(build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors=()))
    assert r"\textless{} 0.001" in output
    assert " < " not in output
    assert text.escape_markdown("$x$ &amp;") == r"\$x\$ \&amp;"


def test_an_interval_that_has_a_width_is_not_printed_as_zero() -> None:
    found = [factories.record("toy", seed, bits=2.44 + 0.0005 * seed) for seed in range(5)]
    found += [factories.record(f"wide{i}", seed, bits=2.4 + 0.1 * seed) for i in range(2) for seed in range(5)]
    board = build(factories.benchmark(), factories.METRICS, Loaded(found, []), anchors=())
    assert "± < 0.01" in line_of(text.markdown(board), "toy")
    assert r"$\pm$ \textless{} 0.01" in line_of(text.latex(board), "toy")


def test_a_run_is_told_with_the_name_of_its_evaluator() -> None:
    record = factories.record(fid=7.9)
    assert "FID [tiny-cnn-v1] 7.9" in live._verdict(record)
    inception = factories.score(7.9, fingerprint={**factories.FINGERPRINT, "evaluator": "inception-v3-compat@1"})
    assert "ok  FID 7.9" in live._verdict(replace(record, scores={"fid": inception}))


COPYING = MetricSpec("nn_ratio", "NN ratio", "nowhere:f", "higher", "copying", both_evaluators=True)


def of_copying(fingerprint: dict[str, Any]) -> Leaderboard:
    of = factories.benchmark(second_evaluator="tiny-random-v1", metrics=["fid", "nn_ratio"])
    found = []
    for place, model in enumerate(("a", "b")):
        for seed in range(5):
            score = factories.score(1 + place + 0.01 * seed, "higher", fingerprint=fingerprint)
            more = {"nn_ratio": score, "nn_ratio@tiny-random-v1": score}
            found.append(factories.record(model, seed, of, fid=1.0 + place + 0.01 * seed, more=more))
    return build(of, [factories.METRICS[0], COPYING], Loaded(found, []))


def test_tests_of_copying_flag_and_neither_rank_nor_have_a_better() -> None:
    board = of_copying({"data": "d" * 16, "split": "test", "space": "pixels"})
    places = {row.model: [row.scores[key].rank for key in ("fid", "nn_ratio")] for row in board.rows}
    assert places == {"a": [1, None], "b": [2, None]}
    (column,) = [column for column in board.columns if column.key == "nn_ratio"]
    assert (column.better, column.direction, column.ranked) == ("none", "higher", False)


def test_scores_that_name_no_evaluator_are_no_evaluators_order(wide: Leaderboard) -> None:
    assert [entry.metric for entry in wide.agreements()] == ["fid"]
    pixels = of_copying({"data": "d" * 16, "split": "test", "space": "pixels"})
    assert [entry.metric for entry in pixels.agreements() if entry.tau is not None] == []
