"""From a leaderboard to its charts: the means, intervals and marks of the table, and milestones measured alike."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import factories
import pytest

from genbench.leaderboard import Leaderboard, build
from genbench.record import Milestone, Record, Score
from genbench.report.site.axes import Axis
from genbench.report.site.chart_data import (
    OTHERS,
    axis_of,
    families,
    floor,
    milestone_curves,
    points,
    seeds_at_milestones,
)
from genbench.statistics import mean_interval
from genbench.store import Loaded


def board(records: list[Record], anchors: tuple[str, ...] = ()) -> Leaderboard:
    return build(factories.benchmark(), factories.METRICS, Loaded(records, []), anchors=anchors)


def at(fraction: float, fid: float, flops: float, **changes: Any) -> Milestone:
    score = factories.score(fid, n=300, **changes)
    return Milestone(fraction, int(32 * fraction), 100, flops, 1.0, {"fid": score})


def cell(model: str = "toy", seeds: int = 5, **changes: Any) -> list[Record]:
    steps = [[at(0.25, 8.0 + seed, 1e11), at(0.5, 4.0 + seed, 2e11 + seed)] for seed in range(seeds)]
    return [factories.record(model, seed, milestones=steps[seed], **changes) for seed in range(seeds)]


def test_a_curve_has_the_geometric_mean_and_interval_of_its_seeds_at_each_milestone_and_at_the_end() -> None:
    table = board(cell())
    (found,) = milestone_curves(table, "fid", "{}.html".format, {"toy": "toys"})
    estimate = mean_interval([8.0, 9.0, 10.0, 11.0, 12.0], log_scale=True)
    assert found.points[0] == (pytest.approx(0.1), estimate.mean, estimate.low, estimate.high)
    assert found.points[1][0] == pytest.approx(0.2)
    final = table.rows[0].scores["fid"].estimate
    assert found.final == (pytest.approx(0.95), final.mean, final.low, final.high)
    assert (found.href, found.group, found.anchor) == ("toy.html", "toys", False)


def test_a_curve_has_no_intervals_where_a_seed_is_missing() -> None:
    (found,) = milestone_curves(board(cell(seeds=4)), "fid")
    assert [place[2:] for place in found.all] == [(None, None)] * 3


def test_milestones_that_were_measured_in_another_way_are_left_out() -> None:
    odd = [replace(r, milestones=[at(0.25, 1.0, 1e11, fingerprint={"evaluator": "x"})]) for r in cell("odd")]
    found = {curve.model: curve for curve in milestone_curves(board(cell("a") + cell("b") + odd), "fid")}
    assert [len(found[model].points) for model in ("a", "b", "odd")] == [2, 2, 0]


def test_the_row_of_training_examples_has_no_curve_but_is_the_floor() -> None:
    table = board(cell() + cell("train-copy", fid=0.5), anchors=("train-copy",))
    assert [curve.model for curve in milestone_curves(table, "fid")] == ["toy"]
    assert floor(table, "fid") == pytest.approx(0.5)
    assert floor(table, "is") == 9.25


def test_points_have_the_tables_means_intervals_and_marks() -> None:
    table = board(cell(kind="bound"))
    (found,) = points(table, "bits_per_dim", "fid")
    scores = table.rows[0].scores
    assert (found.x, found.y) == (scores["bits_per_dim"].estimate.mean, scores["fid"].estimate.mean)
    assert found.x_interval == (scores["bits_per_dim"].estimate.low, scores["bits_per_dim"].estimate.high)
    assert (found.x_mark, found.y_mark) == ("≤ ", "")
    (found,) = points(table, "samples_per_second", "fid")
    assert (found.x, found.x_interval) == (5400.0, None)
    assert points(board(cell(bits=None)), "bits_per_dim", "fid") == []


def test_axes_say_what_is_better_and_whether_ratios_count() -> None:
    table = board(cell())
    assert axis_of(table, "fid") == Axis(table.columns[0].title, log=True, better="lower")
    assert axis_of(table, "samples_per_second").better == "higher"
    with pytest.raises(KeyError, match="no column nothing"):
        axis_of(table, "nothing")


def test_each_seed_has_its_own_curve_of_milestones() -> None:
    table = board(cell())
    found = seeds_at_milestones(table.rows[0], table.columns[0])
    assert found[3] == [(pytest.approx(0.1), 11.0), (pytest.approx(0.2), 7.0)]
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_a_score_of_another_kind_or_that_is_no_number_is_no_point_of_a_curve() -> None:
    nan = Score(math.nan, 300, "lower", fingerprint=factories.FINGERPRINT)
    records = [
        replace(r, milestones=[*r.milestones, Milestone(0.75, 24, 100, 3e11, 1.0, {"fid": nan})]) for r in cell()
    ]
    (found,) = milestone_curves(board(records), "fid")
    assert len(found.points) == 2


def test_a_contenders_family_is_the_plugin_that_registers_it_and_anchors_have_none() -> None:
    table = board(cell("toy[width=8]") + cell("stranger") + cell("noise"), anchors=("noise",))
    assert families(table, factories.registry()) == {"toy[width=8]": "toys", "stranger": OTHERS}
