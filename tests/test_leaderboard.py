"""Statistics over seeds, and the table that is made of records."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from genbench.errors import SpecError
from genbench.leaderboard import Leaderboard, Row, build
from genbench.record import Record
from genbench.statistics import mean_interval, student_t
from genbench.store import Loaded, Unreadable

METRICS = [metric.name for metric in factories.METRICS]

finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
positive = st.floats(1e-3, 1e6)


@given(st.lists(finite, min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-3), st.floats(0.5, 0.999))
def test_the_interval_is_scipys_student_t_interval(values: list[float], level: float) -> None:
    estimate = mean_interval(values, level=level)
    low, high = scipy.stats.t.interval(level, len(values) - 1, np.mean(values), scipy.stats.sem(values))
    scale = max(map(abs, values))
    assert estimate.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
    assert (estimate.low, estimate.high) == (
        pytest.approx(low, abs=1e-7 * scale),
        pytest.approx(high, abs=1e-7 * scale),
    )


@given(st.lists(positive, min_size=2, max_size=8))
def test_on_a_log_scale_it_is_the_interval_of_the_logarithms_transformed_back(values: list[float]) -> None:
    estimate, of_logs = mean_interval(values, log_scale=True), mean_interval([math.log(value) for value in values])
    assert estimate.mean == pytest.approx(scipy.stats.gmean(values))
    assert of_logs.low is not None
    assert of_logs.high is not None
    assert estimate.low == pytest.approx(math.exp(of_logs.low))
    assert estimate.high == pytest.approx(math.exp(of_logs.high))


@pytest.mark.parametrize("degrees", [1, 2, 4, 9, 99])
def test_the_quantile_is_scipys(degrees: int) -> None:
    assert student_t(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_of_five_seeds_covers_the_mean_95_times_in_100() -> None:
    draws = np.random.default_rng(0).normal(3.0, 0.7, size=(2000, 5))
    covered = sum(e.low <= 3.0 <= e.high for e in map(mean_interval, draws.tolist()) if e.low and e.high)
    assert abs(covered / 2000 - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_one_value_has_no_interval() -> None:
    estimate = mean_interval([3.0], log_scale=True)
    assert (estimate.mean, estimate.low, estimate.high, estimate.half_width) == (3.0, None, None, None)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert mean_interval([2.0] * 5).half_width == 0


def test_scores_of_zero_or_less_are_taken_as_they_are() -> None:
    assert mean_interval([0.0, 1.0], log_scale=True) == mean_interval([0.0, 1.0])
    assert not mean_interval([-1.0, 1.0], log_scale=True).log_scale


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_values_without_a_mean_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        mean_interval(values)


def table(records: list[Record], anchors: Any = (), sort: str | None = None, **changes: Any) -> Leaderboard:
    return build(factories.benchmark(**changes), factories.METRICS, Loaded(records, []), sort, anchors)


def cell(model: str = "toy", **changes: Any) -> list[Record]:
    return [factories.record(model, seed, **changes) for seed in range(5)]


def row(board: Leaderboard, model: str) -> Row:
    (found,) = [row for row in board.rows if row.model == model]
    return found


def test_a_row_has_the_mean_and_the_interval_over_its_seeds() -> None:
    scores = row(table(cell()), "toy").scores
    fid = scores["fid"]
    assert fid.values == {seed: 2.0 + 0.1 * seed for seed in range(5)}
    assert fid.estimate == mean_interval(list(fid.values.values()), log_scale=True)
    assert scores["is"].estimate == mean_interval([8.0 + 0.05 * seed for seed in range(5)])
    assert (fid.n, fid.kind) == (600, "metric")


def test_rows_stand_by_fid_with_complete_ones_first_and_those_without_scores_last() -> None:
    records = cell("worse", fid=9.0) + cell("best", fid=1.0) + cell("middle", fid=5.0)
    records += cell("lucky", fid=0.1)[:4]
    records += [factories.record("none", seed, status="failed") for seed in range(5)]
    assert [entry.model for entry in table(records).rows] == ["best", "middle", "worse", "lucky", "none"]


def test_sorting_by_a_score_that_rises_puts_the_highest_first_and_the_lacking_last() -> None:
    records = cell("low", inception=2.0) + cell("high", inception=9.0)
    assert [entry.model for entry in table(records, sort="is").rows] == ["high", "low"]
    records += cell("silent", bits=None)
    assert [entry.model for entry in table(records, sort="bits_per_dim").rows][-1] == "silent"


def test_an_unknown_score_to_sort_by_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(SpecError, match=r"did you mean 'fid'\?"):
        table(cell(), sort="fidd")


def test_a_cell_with_a_failed_seed_counts_it_has_a_mean_and_no_interval() -> None:
    records = cell()
    records[1] = factories.record(seed=1, status="diverged", reason="loss became nan at step 40")
    found = row(table(records), "toy")
    assert (found.ok, found.seeds, found.complete) == (4, 5, False)
    assert found.scores["fid"].estimate.n == 4
    assert found.scores["fid"].estimate.half_width is None
    assert found.problem == "seed 1 diverged: loss became nan at step 40"


def test_failures_are_grouped_and_missing_seeds_named() -> None:
    records = [factories.record(seed=seed, status="failed", reason="boom") for seed in (0, 2)]
    records.append(factories.record(seed=3, status="timeout", reason="60 s were not enough"))
    found = row(table(records), "toy")
    assert found.problem == "seeds 0, 2 failed: boom; seed 3 timeout: 60 s were not enough; seeds 1, 4 not run"
    assert found.scores == {}


def test_costs_are_means_over_the_seeds_that_are_ok() -> None:
    records = [
        factories.record(seed=seed, cost={"train_seconds": float(seed), "peak_memory": 3 << 20}) for seed in range(4)
    ]
    records.append(factories.record(seed=4, status="failed", cost={"train_seconds": 1e9}))
    means = row(table(records), "toy").costs
    assert means["train_seconds"] == 1.5
    assert means["peak_memory_mib"] == 3
    assert means["train_tflop"] == pytest.approx(0.95)
    assert means["parameters"] is None


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


def test_a_table_of_dev_runs_holds_dev_runs_only_and_is_no_leaderboard() -> None:
    dev = replace(factories.benchmark(), dev=True)
    board = build(dev, factories.METRICS, Loaded([factories.record(of=dev), factories.record(seed=1)], []))
    assert [record.seed for record in board.rows[0].records] == [0]
    assert not board.official
    assert table(cell()).official


@pytest.mark.parametrize("change", [{"n": 300}, {"fingerprint": {"evaluator": "other"}}])
def test_a_score_measured_in_another_way_is_left_out_and_told(change: dict[str, Any]) -> None:
    records = cell("toy") + cell("odd")
    odd = records[-1]
    records[-1] = replace(odd, scores={**odd.scores, "fid": replace(odd.scores["fid"], value=0.001, **change)})
    board = table(records)
    assert set(row(board, "odd").scores["fid"].values) == {0, 1, 2, 3}
    assert row(board, "odd").scores["fid"].estimate.half_width is None
    assert row(board, "odd").scores["is"].estimate.half_width is not None
    assert any("tiny/odd/seed-4: its fid was measured in another way" in note for note in board.notes)


def test_seeds_from_two_versions_of_the_code_are_told() -> None:
    records = cell()
    records[0] = replace(records[0], model=replace(records[0].model, code_sha256="0" * 64))
    assert any("2 versions of its code" in note for note in table(records).notes)
    assert table(cell()).notes == ()


def test_anchors_are_marked_with_and_without_options() -> None:
    records = cell("noise") + cell("noise[levels=3]") + cell("noisy")
    assert {entry.model: entry.anchor for entry in table(records, {"noise"}).rows} == {
        "noise": True,
        "noise[levels=3]": True,
        "noisy": False,
    }


@pytest.mark.parametrize(("kind", "mark"), [("exact", ""), ("iwae", "<= "), ("bound", "<= ")])
def test_kinds_of_likelihood_are_told_apart(kind: str, mark: str) -> None:
    found = row(table(cell(kind=kind)), "toy").scores["bits_per_dim"]
    assert (found.kind, found.mark) == (kind, mark)


def test_estimates_have_a_column_of_their_own_that_is_there_only_for_them() -> None:
    board = table(cell("sure") + cell("guess", kind="estimate"))
    assert [column.key for column in board.columns] == [*METRICS, "bits_per_dim_estimate"]
    assert row(board, "guess").scores["bits_per_dim_estimate"].mark == "~ "
    assert "bits_per_dim" not in row(board, "guess").scores
    assert [column.key for column in table(cell()).columns] == METRICS


def test_fid_carries_its_evaluator_but_for_inception() -> None:
    of = factories.benchmark()
    assert table(cell()).columns[0].title == "FID [tiny-cnn-v1]"
    inception = replace(of, evaluator=replace(of.evaluator, name="inception-v3"))
    assert build(inception, factories.METRICS, Loaded([], [])).columns[0].title == "FID"


def test_the_frame_has_a_row_a_model_and_unrounded_numbers() -> None:
    board = table(cell() + cell("other", fid=1.0, bits=None))
    frame = board.frame().set_index("model")
    assert list(frame.index) == ["other", "toy"]
    fid = row(board, "toy").scores["fid"].estimate
    assert frame.loc["toy", ["fid", "fid_low", "fid_high"]].tolist() == [fid.mean, fid.low, fid.high]
    assert frame.loc["toy", "bits_per_dim_kind"] == "exact"
    assert math.isnan(frame.loc["other", "bits_per_dim"])


def test_a_table_of_nothing_has_its_columns_and_no_rows() -> None:
    board = table([])
    assert board.rows == ()
    assert len(board.columns) == 6
    assert len(board.frame()) == 0
