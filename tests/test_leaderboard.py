"""The table that is made of records: its rows, columns and ranks, and what it leaves out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import factories
import pytest

from genbench.errors import SpecError
from genbench.leaderboard import Leaderboard, Row, build, from_registry
from genbench.ranking import ranks
from genbench.record import Record, Score
from genbench.specs import MetricSpec
from genbench.statistics import Components, mean_interval, variance_components
from genbench.store import Loaded

METRICS = [metric.name for metric in factories.METRICS]


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


def test_a_table_of_dev_runs_holds_dev_runs_only_and_is_no_leaderboard() -> None:
    dev = replace(factories.benchmark(), dev=True)
    board = build(dev, factories.METRICS, Loaded([factories.record(of=dev), factories.record(seed=1)], []))
    assert [record.seed for record in board.rows[0].records] == [0]
    assert not board.official
    assert table(cell()).official


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
    inception = replace(of, evaluator=replace(of.evaluator, name="inception-v3-compat"))
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


def spread(model: str, around: float, **changes: Any) -> list[Record]:
    """Five seeds with a FID near ``around``, without two alike."""
    return [factories.record(model, seed, fid=around * (1 + 0.02 * (seed - 2)), **changes) for seed in range(5)]


def ranks_of(board: Leaderboard, key: str = "fid") -> dict[str, int | None]:
    return {entry.model: entry.scores[key].rank for entry in board.rows if key in entry.scores}


def test_contenders_are_ranked_by_welch_and_holm_on_the_scale_of_the_metric() -> None:
    board = table(spread("good", 1.0) + spread("near", 1.03) + spread("bad", 3.0))
    values = [list(row(board, model).scores["fid"].values.values()) for model in ("good", "near", "bad")]
    assert list(ranks_of(board).values()) == ranks(values, "lower", log_scale=True) == [1, 1, 3]


def test_ranks_of_a_score_that_rises_begin_at_the_highest() -> None:
    low = [factories.record("low", seed, inception=2.0 + 0.01 * seed) for seed in range(5)]
    high = [factories.record("high", seed, inception=9.0 + 0.01 * seed) for seed in range(5)]
    assert ranks_of(table(low + high), "is") == {"low": 2, "high": 1}


def test_anchors_have_no_rank_and_change_none() -> None:
    contenders = spread("good", 1.0) + spread("bad", 3.0)
    board = table(contenders + spread("train-copy", 0.1), {"train-copy"})
    assert ranks_of(board) == {"train-copy": None, "good": 1, "bad": 2}


def test_anchors_are_not_in_the_family_of_tests() -> None:
    pair = spread("a", 1.0) + spread("b", 1.06)
    assert ranks_of(table(pair)) == {"a": 1, "b": 2}
    alike = spread("x", 50.0) + spread("y", 50.1) + spread("z", 50.2)
    assert ranks_of(table(pair + alike, {"x", "y", "z"}))["b"] == 2
    assert ranks_of(table(pair + alike))["b"] == 1  # with their three pairs in the family


def test_a_row_with_a_failed_seed_has_no_rank_and_the_others_keep_theirs() -> None:
    lucky = spread("lucky", 0.1)
    lucky[0] = factories.record("lucky", 0, status="failed")
    board = table(spread("good", 1.0) + spread("bad", 3.0) + lucky)
    assert ranks_of(board) == {"good": 1, "bad": 2, "lucky": None}


@pytest.mark.parametrize(("seeds", "ranked"), [([0, 1, 2, 3], None), ([0, 1, 2, 3, 4], 1)])
def test_ranks_need_five_seeds(seeds: list[int], ranked: int | None) -> None:
    of = factories.benchmark(seeds=seeds)
    records = [
        factories.record(model, seed, of, fid=fid * (1 + 0.01 * seed))
        for model, fid in (("good", 1.0), ("bad", 3.0))
        for seed in seeds
    ]
    board = build(of, factories.METRICS, Loaded(records, []))
    assert ranks_of(board)["good"] == ranked
    assert row(board, "good").scores["fid"].estimate.half_width is not None


def test_one_contender_alone_has_no_rank() -> None:
    assert ranks_of(table(spread("good", 1.0))) == {"good": None}


def test_a_bound_ranks_by_its_bound_and_an_estimate_not_at_all() -> None:
    def bits(model: str, around: float, kind: str) -> list[Record]:
        return [factories.record(model, seed, bits=around + 0.01 * seed, kind=kind) for seed in range(5)]

    board = table(bits("exact", 2.0, "exact") + bits("low", 1.0, "iwae") + bits("high", 3.0, "bound"))
    assert ranks_of(board, "bits_per_dim") == {"exact": 2, "low": 1, "high": 3}
    guesses = table(bits("one", 1.0, "estimate") + bits("two", 2.0, "estimate"))
    assert ranks_of(guesses, "bits_per_dim_estimate") == {"one": None, "two": None}


def with_fid(record: Record, **changes: Any) -> Record:
    return replace(record, scores={**record.scores, "fid": replace(record.scores["fid"], **changes)})


def test_a_cell_tells_training_variance_from_sampling_variance() -> None:
    sets = [[2.0, 2.1, 1.9], [2.6, 2.5, 2.7], [1.5, 1.6, 1.4], [2.2, 2.3, 2.1], [1.9, 2.0, 1.8]]
    records = [with_fid(factories.record(seed=seed), value=of[0], repeats=of[1:]) for seed, of in enumerate(sets)]
    scores = row(table(records), "toy").scores
    assert scores["fid"].components == variance_components(sets, log_scale=True)
    assert scores["is"].components == Components(None, None, 5, 5)


def test_repeats_do_not_move_the_mean_nor_the_interval() -> None:
    plain = cell()
    repeated = [with_fid(record, repeats=[9.0, 9.5]) for record in plain]
    assert row(table(repeated), "toy").scores["fid"].estimate == row(table(plain), "toy").scores["fid"].estimate


def withheld(model: str, reason: str = "too good to be true", **changes: Any) -> list[Record]:
    return cell(model, bits=None, withheld={"bits_per_dim": reason}, audit=factories.failed_audit(reason), **changes)


def test_a_withheld_likelihood_has_no_cell_and_a_reason_and_the_row_is_complete() -> None:
    found = row(table(withheld("flatterer") + spread("good", 3.0)), "flatterer")
    assert "bits_per_dim" not in found.scores
    assert found.complete
    assert found.scores["fid"].estimate.half_width is not None
    assert found.scores["fid"].rank is not None
    assert found.problem == "bits_per_dim withheld: too good to be true"


def test_a_likelihood_that_stands_beside_its_failed_audit_is_withheld_all_the_same() -> None:
    smuggled = cell(audit=factories.failed_audit("caught"))
    found = row(table(smuggled), "toy")
    assert "bits_per_dim" not in found.scores
    assert found.problem == "bits_per_dim withheld: caught"


def test_one_seed_that_failed_its_audit_withholds_the_models_likelihood() -> None:
    records = cell()
    records[2] = replace(records[2], audit=factories.failed_audit("caught"))
    found = row(table(records), "toy")
    assert "bits_per_dim" not in found.scores
    assert found.problem == "bits_per_dim of seed 2 withheld: caught"


def test_a_third_partys_metric_that_broke_on_one_seed_keeps_the_others_without_an_interval() -> None:
    records = cell()
    scores = {key: score for key, score in records[1].scores.items() if key != "kid"}
    records[1] = replace(records[1], scores=scores, withheld={"kid": "it raised"})
    found = row(table(records), "toy")
    assert set(found.scores["kid"].values) == {0, 2, 3, 4}
    assert found.scores["kid"].estimate.half_width is None
    assert found.problem == "kid of seed 1 withheld: it raised"


def test_a_likelihood_without_an_audit_is_unaudited_and_not_ranked() -> None:
    unaudited = [factories.record("unaudited", seed, bits=1.0 + 0.01 * seed, audit=None) for seed in range(5)]
    others = [
        factories.record(model, seed, bits=bits + 0.01 * seed)
        for model, bits in (("a", 2.0), ("b", 3.0))
        for seed in range(5)
    ]
    board = table(unaudited + others)
    assert not row(board, "unaudited").scores["bits_per_dim"].audited
    assert row(board, "a").scores["bits_per_dim"].audited
    assert row(board, "unaudited").scores["fid"].audited
    assert ranks_of(board, "bits_per_dim") == {"unaudited": None, "a": 1, "b": 2}


def test_a_cell_carries_the_least_flattery_that_all_its_audits_saw() -> None:
    records = [replace(entry, audit=replace(factories.AUDIT, smallest_flattery=0.01 * entry.seed)) for entry in cell()]
    assert row(table(records), "toy").scores["bits_per_dim"].smallest_flattery == 0.04
    records[0] = replace(records[0], audit=replace(factories.AUDIT, smallest_flattery=None))
    assert row(table(records), "toy").scores["bits_per_dim"].smallest_flattery is None


def test_effective_draws_are_the_mean_over_seeds() -> None:
    def drawn(record: Record) -> Score:
        return replace(record.scores["bits_per_dim"], details={"effective_draws": 10.0 + record.seed})

    records = [replace(entry, scores={**entry.scores, "bits_per_dim": drawn(entry)}) for entry in cell(kind="iwae")]
    assert row(table(records), "toy").scores["bits_per_dim"].effective_draws == 12.0
    assert row(table(cell()), "toy").scores["bits_per_dim"].effective_draws is None


def test_flags_stand_in_the_cell_by_seed() -> None:
    records = cell()
    records[3] = with_fid(records[3], flag="a copy")
    assert row(table(records), "toy").scores["fid"].flags == {3: "a copy"}


def test_seeds_of_several_kinds_are_told_and_have_no_interval() -> None:
    records = [factories.record(seed=seed, kind="exact" if seed else "iwae") for seed in range(5)]
    board = table(records)
    assert row(board, "toy").scores["bits_per_dim"].estimate.half_width is None
    assert any("several kinds (exact, iwae)" in note for note in board.notes)


def of_two(fids: dict[str, tuple[float, float]], anchors: Any = ()) -> Leaderboard:
    """A table of models with the FID of both evaluators."""
    of = factories.benchmark(second_evaluator="tiny-random-v1")
    second = {**factories.FINGERPRINT, "evaluator": f"tiny-random-v1@{'f' * 16}"}
    records = [
        factories.record(
            model, seed, of, fid=first, more={"fid@tiny-random-v1": factories.score(other, fingerprint=second)}
        )
        for model, (first, other) in fids.items()
        for seed in range(5)
    ]
    return build(of, factories.METRICS, Loaded(records, []), anchors=anchors)


def test_the_second_evaluators_scores_stand_beside_the_firsts_under_its_name() -> None:
    columns = of_two({"a": (1.0, 10.0)}).columns
    assert [column.key for column in columns][:3] == ["fid", "fid@tiny-random-v1", "kid"]
    assert [column.title for column in columns][:3] == ["FID [tiny-cnn-v1]", "FID [tiny-random-v1]", "KID"]
    assert not any(column.evaluator for column in table(cell()).columns)


def test_scores_of_the_second_evaluator_are_taken_on_the_metrics_scale() -> None:
    assert row(of_two({"a": (1.0, 10.0)}), "a").scores["fid@tiny-random-v1"].estimate.log_scale


@pytest.mark.parametrize(
    ("fids", "tau"),
    [
        ({"a": (1.0, 10.0), "b": (2.0, 20.0), "c": (3.0, 30.0)}, 1.0),
        ({"a": (1.0, 30.0), "b": (2.0, 20.0), "c": (3.0, 10.0)}, -1.0),
        ({"a": (1.0, 10.0), "b": (2.0, 30.0), "c": (3.0, 20.0)}, 1 / 3),
        ({"a": (1.0, 10.0)}, None),
    ],
)
def test_the_agreement_of_evaluators_is_kendalls_tau_of_contenders_and_anchors(
    fids: dict[str, tuple[float, float]], tau: float | None
) -> None:
    (found,) = of_two(fids, {"a"}).agreements()
    assert found.tau == (None if tau is None else pytest.approx(tau))
    assert (found.metric, found.rows) == ("fid", len(fids))
    assert found.evaluators == ("tiny-cnn-v1", "tiny-random-v1")


def test_a_third_partys_metric_carries_its_plugin_in_the_title() -> None:
    board = build(factories.benchmark(), factories.METRICS, Loaded(cell(), []), plugins={"kid": "stranger"})
    assert {column.key: column.title for column in board.columns}["kid"] == "KID [stranger]"
    assert {column.key: column.title for column in board.columns}["is"] == "IS"


def test_a_registry_says_whose_a_metric_is() -> None:
    registry = factories.registry()
    board = from_registry(factories.benchmark(), registry, Loaded(cell(), []))
    assert {column.key: column.title for column in board.columns}["kid"] == "KID [toys]"


def test_columns_stand_by_group_whatever_the_order_of_the_benchmark() -> None:
    metrics = [
        MetricSpec(name, name, "nowhere:f", "lower", group)
        for name, group in (("c", "copying"), ("k", "control"), ("l", "likelihood"), ("q", "quality"), ("r", "quality"))
    ]
    board = build(factories.benchmark(), metrics, Loaded([], []))
    assert [column.key for column in board.columns] == ["q", "r", "l", "k", "c"]


def test_a_view_has_the_columns_asked_for_in_that_order() -> None:
    view = table(cell()).view("kid,train_seconds,fid")
    assert [column.key for column in view.columns] == ["kid", "fid"]
    assert view.costs == ("train_seconds",)
    assert table(cell()).view("all") == table(cell())


@pytest.mark.parametrize(("wanted", "message"), [("fid,kdi", "did you mean 'kid'"), (" , ", "no column is named")])
def test_columns_that_are_not_there_are_refused(wanted: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        table(cell()).view(wanted)
