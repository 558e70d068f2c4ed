"""What may stand in one column: each reason for which a record or a score is left out, by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import pytest

from genbench.comparability import comparable_scores, why_different, why_foreign, why_not_demanded
from genbench.leaderboard import Leaderboard, Row, build
from genbench.record import BenchmarkId, Record
from genbench.report import site, text
from genbench.store import Loaded, Store, Unreadable

GROUPS = {metric.name: metric.group for metric in factories.METRICS}


def cell(model: str = "toy", **changes: Any) -> list[Record]:
    return [factories.record(model, seed, **changes) for seed in range(5)]


def table(records: list[Record], anchors: Any = (), **options: Any) -> Leaderboard:
    return build(factories.benchmark(), factories.METRICS, Loaded(records, []), anchors=anchors, **options)


def row(board: Leaderboard, model: str) -> Row:
    (found,) = [row for row in board.rows if row.model == model]
    return found


def test_records_that_do_not_belong_are_left_out_with_the_reason() -> None:
    of = factories.benchmark()
    foreign = {
        "--dev": factories.record("a", of=replace(of, dev=True)),
        "--budget": factories.record("b", of=of.with_budget({"images": 3})),
        "another definition": factories.record("c", of=factories.benchmark(samples__chunk=7)),
        "of the benchmark other": factories.record("d", of=factories.benchmark(name="other")),
        "seed 9 is not one": factories.record("e", seed=9),
    }
    broken = Unreadable(Path("results/tiny/f/seed-0/record.json"), "not JSON")
    board = build(of, factories.METRICS, Loaded([*cell(), *foreign.values()], [broken]))
    assert [entry.model for entry in board.rows] == ["toy"]
    for reason, record in foreign.items():
        (entry,) = [entry for entry in board.left_out if entry.run == record.run]
        assert reason in entry.reason
    assert [entry.run for entry in board.left_out if entry.reason == "unreadable: not JSON"] == [str(broken.path)]
    assert len(board.left_out) == 6


def passed_off(record: Record, **changes: Any) -> Record:
    """The record with its identity edited to look like one of the benchmark's own."""
    of = factories.benchmark()
    identity = {"name": of.name, "digest": record.benchmark.digest, **changes}
    return replace(record, benchmark=BenchmarkId(**identity))


def test_the_digest_gives_away_a_dev_record_whose_flag_was_flipped() -> None:
    dev = replace(factories.benchmark(), dev=True)
    why = why_foreign(factories.benchmark(), passed_off(factories.record(of=dev)))
    assert why is not None
    assert "another definition" in why


def test_the_digest_gives_away_a_budget_record_whose_flag_was_flipped() -> None:
    why = why_foreign(factories.benchmark(), passed_off(factories.record(of=more_budget())))
    assert why is not None
    assert "another definition" in why


def more_budget() -> Any:
    return factories.benchmark().with_budget({"images": 9000})


def test_the_split_gives_away_a_dev_record_with_the_digest_edited_too() -> None:
    dev = replace(factories.benchmark(), dev=True)
    edited = passed_off(factories.record(of=dev), digest=factories.benchmark().digest)
    board = table([edited])
    assert row(board, "toy").scores == {}
    assert any("split validation, where the benchmark has test" in note for note in board.notes)


@pytest.mark.parametrize(
    ("key", "value"), [("images", 9000), ("flops", 9e12), ("seconds", 600.0), ("memory", 9 << 30), ("parameters", 1)]
)
def test_the_limits_give_away_a_budget_record_with_the_digest_edited_too(key: str, value: float) -> None:
    record = factories.record()
    edited = replace(record, budget={**record.budget, key: value})
    why = why_foreign(factories.benchmark(), edited)
    assert why is not None
    assert f"another budget than its digest stands for: {key}" in why
    assert why_foreign(factories.benchmark(), record) is None


def test_a_record_of_another_protocol_version_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cell()
    monkeypatch.setattr("genbench.PROTOCOL_VERSION", 10_000)
    board = table(before)
    assert board.rows == ()
    assert all("another definition of tiny" in entry.reason for entry in board.left_out)
    assert len(board.left_out) == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda of: replace(of, evaluator=replace(of.evaluator, sha256="0" * 64)),
        lambda of: replace(of, dataset=replace(of.dataset, sha256="0" * 64)),
        lambda of: replace(of, second_evaluator=factories.SECOND),
    ],
    ids=["evaluator", "data", "second evaluator"],
)
def test_a_record_of_other_weights_or_data_is_left_out(change: Callable[[Any], Any]) -> None:
    record = factories.record(of=change(factories.benchmark()))
    assert "another definition" in (why_foreign(factories.benchmark(), record) or "")


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("fid", {"evaluator": "tiny-cnn-v1@0000"}, "evaluator tiny-cnn-v1@0000"),
        ("fid", {"data": "0" * 16}, "data 0000000000000000"),
        ("fid", {"split": "validation"}, "split validation"),
        ("bits_per_dim", {"split": "train"}, "split train"),
    ],
)
def test_a_score_that_is_not_what_the_benchmark_demands_is_left_out_even_if_all_others_are_alike(
    name: str, change: dict[str, str], why: str
) -> None:
    records = []
    for record in cell():
        score = record.scores[name]
        changed = replace(score, fingerprint={**score.fingerprint, **change})
        records.append(replace(record, scores={**record.scores, name: changed}))
    board = table(records)
    assert name not in row(board, "toy").scores
    assert sum(f"its {name} is left out: {why}" in note for note in board.notes) == 5


@pytest.mark.parametrize(("name", "things"), [("fid", "samples"), ("bits_per_dim", "examples")])
def test_the_number_of_samples_and_of_examples_is_the_benchmarks(name: str, things: str) -> None:
    score = replace(factories.record().scores[name], n=300)
    why = why_not_demanded(factories.benchmark(), name, score, GROUPS[name])
    assert why == f"300 {things}, where the benchmark has 600"


def test_the_draws_of_a_bound_are_the_benchmarks() -> None:
    score = factories.score(2.0, kind="iwae", fingerprint={"draws": 5000})
    why = why_not_demanded(factories.benchmark(), "bits_per_dim", score, "likelihood")
    assert why == "draws 5000, where the benchmark has 16"
    exact = replace(score, kind="exact", fingerprint={"draws": 1})
    assert why_not_demanded(factories.benchmark(), "bits_per_dim", exact, "likelihood") is None


def test_a_score_of_the_second_evaluator_has_to_be_of_its_weights() -> None:
    of = factories.benchmark(second_evaluator="tiny-random-v1")
    right = factories.score(1.0, fingerprint={"evaluator": f"tiny-random-v1@{'f' * 16}"})
    wrong = factories.score(1.0)
    assert why_not_demanded(of, "fid@tiny-random-v1", right, "quality") is None
    assert "evaluator tiny-cnn-v1" in (why_not_demanded(of, "fid@tiny-random-v1", wrong, "quality") or "")


def test_of_a_third_partys_metric_nothing_is_demanded_but_that_its_scores_agree() -> None:
    records = cell()
    strange = replace(records[0].scores["kid"], n=7, fingerprint={"evaluator": "their own"})
    alike = [replace(record, scores={**record.scores, "kid": strange}) for record in records]
    assert "kid" in row(table(alike, plugins={"kid": "stranger"}), "toy").scores
    assert "kid" not in row(table(alike), "toy").scores


def version(records: list[Record], of: str, **changes: Any) -> list[Record]:
    """The same records with FID measured by another version of the metric."""
    changed = []
    for record in records:
        fingerprint = {**record.scores["fid"].fingerprint, "metric": of}
        scores = {**record.scores, "fid": replace(record.scores["fid"], fingerprint=fingerprint)}
        changed.append(replace(record, scores=scores, **changes))
    return changed


def measured(board: Leaderboard) -> set[str]:
    return {entry.model for entry in board.rows if "fid" in entry.scores}


def test_what_the_benchmark_does_not_name_has_to_be_that_of_the_anchors() -> None:
    few, many = version(cell("noise"), "fid/2"), version(cell("a"), "fid/1") + version(cell("b"), "fid/1")
    board = table(few + many, {"noise"})
    assert measured(board) == {"noise"}
    assert any("tiny/a/seed-0: its fid was measured in another way" in note for note in board.notes)
    assert any("metric fid/1, not fid/2" in note for note in board.notes)


def test_of_anchors_measured_in_two_ways_the_one_finished_last_counts() -> None:
    old = version(cell("noise"), "fid/2", finished="2026-01-01T00:00:00Z")
    new = version(cell("marginals"), "fid/1", finished="2026-06-01T00:00:00Z")
    assert measured(table(old + new + version(cell("a"), "fid/1"), {"noise", "marginals"})) == {"marginals", "a"}


def test_without_anchors_a_model_does_not_outvote_others_with_its_options_and_seeds() -> None:
    many = [record for width in range(4) for record in version(cell(f"a[width={width}]"), "fid/2")]
    board = table(many + version(cell("b"), "fid/1")[:1] + version(cell("c"), "fid/1")[:1])
    assert measured(board) == {"b", "c"}


def test_which_way_counts_does_not_hang_on_the_order_of_the_records() -> None:
    records = version(cell("a"), "fid/2") + version(cell("b"), "fid/1")
    assert measured(table(records)) == measured(table(records[::-1])) == {"b"}


def test_what_differs_between_two_scores_is_named() -> None:
    score = factories.record().scores["fid"]
    other = replace(score, n=5, fingerprint={**score.fingerprint, "k": 3})
    assert why_different(score, score) is None
    assert why_different(score, other) == "n 600, not 5; k absent, not 3"


def test_details_repeats_and_flags_do_not_part_scores() -> None:
    score = factories.record().scores["fid"]
    assert why_different(score, replace(score, details={"a": 1}, repeats=[2.0], flag="!", stderr=0.1)) is None


def test_scores_of_different_kinds_do_not_vote_against_each_other() -> None:
    records = cell("sure") + cell("bounded", kind="iwae")
    scores, notes = comparable_scores(factories.benchmark(), records, GROUPS, lambda record: False)
    assert notes == []
    assert all("bits_per_dim" in found for found in scores.values())


@pytest.mark.parametrize("of", [replace(factories.benchmark(), dev=True), more_budget()], ids=["dev", "budget"])
@pytest.mark.parametrize("edited", [False, True])
def test_a_dev_or_budget_record_laid_into_the_benchmarks_folder_enters_neither_table_nor_page(
    tmp_path: Path, of: Any, edited: bool
) -> None:
    store = Store(tmp_path / "results")
    for record in cell():
        factories.commit(store, record)
    smuggled = factories.record("smuggled", of=of, fid=0.01)
    factories.commit(store, passed_off(smuggled) if edited else smuggled, folder="tiny")
    board = build(factories.benchmark(), factories.METRICS, store.load("tiny"))
    site.write([site.Entry(board)], store, tmp_path / "site")
    page = (tmp_path / "site/tiny/index.html").read_text()
    assert [entry.model for entry in board.rows] == ["toy"]
    assert [entry["model"] for entry in text.document(board)["rows"]] == ["toy"]
    assert "Left out: tiny/smuggled/seed-0" in page
    assert page.count("smuggled") == 1


def test_a_likelihood_below_zero_is_left_out_since_no_discrete_distribution_has_it() -> None:
    board = table([*cell("a"), *cell("edited", bits=-0.5)])
    assert "bits_per_dim" not in row(board, "edited").scores
    assert "bits_per_dim" in row(board, "a").scores
    assert sum("-0.5 bits/dim is below 0" in note for note in board.notes) == 5


def test_a_record_in_a_folder_of_an_odd_name_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = factories.commit(store, factories.record())
    folder.rename(folder.with_name("seed-1x"))
    loaded = store.load("tiny")
    assert loaded.records == []
    assert [entry.path for entry in loaded.unreadable] == [folder.with_name("seed-1x") / "record.json"]
    assert store.load("other").unreadable == []
