"""What charts are put together from: bars of intervals, ticks, names moved apart, the Pareto front."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.report.site.axes import Scale, tick_text, ticks
from genbench.report.site.charts import interval_bar
from genbench.report.site.labels import spread
from genbench.report.site.scatter import Point, pareto_front

numbers = st.one_of(st.floats(), st.floats(1e-9, 1e9), st.sampled_from([0.0, 1.0, -1.0, 5e-324, 1.7e308]))
few = st.integers(0, 4).map(float)
small = st.lists(st.builds(Point, st.integers(0, 99).map(str), st.just(""), few, few), max_size=12)
ways = st.sampled_from(["lower", "higher"])


def test_a_bar_reaches_from_end_to_end_and_marks_the_mean() -> None:
    svg = ElementTree.fromstring(interval_bar(2.0, 1.0, 3.0, Scale(0.0, 4.0), "2 [1, 3]"))
    (bar,) = svg.iter("rect")
    assert (bar.attrib["x"], bar.attrib["width"]) == ("25", "50")
    assert [mark.attrib["d"] for mark in svg.iter("path")] == ["M50 0V8"]
    assert svg.attrib["aria-label"] == "2 [1, 3]"


def test_a_bar_without_an_interval_or_a_mean_draws_neither() -> None:
    assert [child.tag for child in ElementTree.fromstring(interval_bar(2.0, None, None, Scale(0.0, 4.0), ""))] == [
        "path"
    ]
    assert list(ElementTree.fromstring(interval_bar(math.nan, None, math.inf, Scale(0.0, 4.0), ""))) == []


@given(numbers, st.none() | numbers, st.none() | numbers, st.lists(numbers), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_bar_stays_within_its_picture(
    mean: float, low: float | None, high: float | None, column: list[float], log: bool
) -> None:
    svg = ElementTree.fromstring(interval_bar(mean, low, high, Scale.around(column, log), '"><script>'))
    for bar in svg.iter("rect"):
        assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= 100.1
    for mark in svg.iter("path"):
        assert 0 <= float(re.findall(r"M([-\d.]+)", mark.attrib["d"])[0]) <= 100


# ---- ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 100e3, ["0", "20k", "40k", "60k", "80k", "100k"]),
        (1.8, 2.55, ["1.8", "2.0", "2.2", "2.4"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        (0.0, 6e-7, ["0", "1e-7", "2e-7", "3e-7", "4e-7", "5e-7", "6e-7"]),
    ],
)
def test_linear_ticks_are_steps_of_one_two_or_five(low: float, high: float, wanted: list[str]) -> None:
    assert [tick.text for tick in ticks(Scale(low, high))] == wanted


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.5, 2e3, ["1", "10", "100", "1k"]),
        (0.14, 20.0, ["0.2", "0.5", "1", "2", "5", "10", "20"]),
        (0.9, 1.19, ["0.90", "0.95", "1.00", "1.05", "1.10", "1.15"]),
        (1e-4, 1e12, ["0.001", "1", "1k", "1M", "1G", "1T"]),
    ],
)
def test_ticks_on_a_log_scale_are_decades_or_finer_where_these_are_few(
    low: float, high: float, wanted: list[str]
) -> None:
    assert [tick.text for tick in ticks(Scale(low, high, log=True)) if tick.major] == wanted


def test_minor_ticks_stand_between_decades() -> None:
    minor = [tick.value for tick in ticks(Scale(1.0, 1000.0, log=True)) if not tick.major]
    assert minor[:9] == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 20.0]


@settings(max_examples=25, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=5), st.booleans())
def test_ticks_of_any_values_are_few_rise_within_the_scale_and_say_different_numbers(
    values: list[float], log: bool
) -> None:
    scale = Scale.around(values, log)
    found = [tick for tick in ticks(scale) if tick.major]
    assert 2 <= len(found) <= 16
    assert len({tick.text for tick in found}) == len(found)
    drawn = [tick.value for tick in ticks(scale)]
    assert drawn == sorted(drawn)
    assert scale.low <= drawn[0] <= drawn[-1] <= scale.high


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.1, "0.1"),
        (1, "1"),
        (10, "10"),
        (1e3, "1k"),
        (2e6, "2M"),
        (5e9, "5G"),
        (1e-5, "1e-5"),
        (1e18, "1e18"),
    ],
)
def test_numbers_at_axes_are_written_as_people_write_them(value: float, text: str) -> None:
    assert tick_text(value) == text


# ---- names that are moved apart


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 400), max_size=12).map(sorted))
def test_spread_places_are_the_nearest_that_keep_their_distance(wanted: list[float]) -> None:
    from scipy.optimize import isotonic_regression

    found = spread(wanted, 15.0, 0.0, 400.0)
    apart = [15.0 * k for k in range(len(wanted))]
    best = isotonic_regression([w - a for w, a in zip(wanted, apart, strict=True)]).x if wanted else []
    top = 400.0 - 15.0 * (len(wanted) - 1)
    expected = [min(max(place, 0.0), top) + a for place, a in zip(best, apart, strict=True)]
    assert found == pytest.approx(expected)


def test_more_names_than_fit_keep_equal_distances_within_the_plot() -> None:
    found = spread([50.0] * 101, 15.0, 0.0, 100.0)
    assert found == pytest.approx([float(k) for k in range(101)])


# ---- the Pareto front


@settings(max_examples=25, deadline=None)
@given(small, ways, ways)
def test_the_front_holds_all_points_that_no_other_dominates(points: list[Point], x_better: Any, y_better: Any) -> None:
    def costs(point: Point) -> tuple[float, float]:
        return (point.x * (1 if x_better == "lower" else -1), point.y * (1 if y_better == "lower" else -1))

    def dominated(point: Point) -> bool:
        mine = costs(point)
        return any(other != mine and other[0] <= mine[0] and other[1] <= mine[1] for other in map(costs, points))

    assert set(pareto_front(points, x_better, y_better)) == {point for point in points if not dominated(point)}


def test_a_front_needs_two_directions_and_leaves_out_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="a better and a worse"):
        pareto_front([], "none", "lower")
    good, bad = Point("a", "", 1.0, 1.0), Point("b", "", 0.0, math.nan)
    assert pareto_front([bad, good], "lower", "lower") == (good,)
