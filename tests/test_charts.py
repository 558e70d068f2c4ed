"""The charts of the site: what they draw, where, and what becomes of names and numbers that are not fit to be drawn."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import factories
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genbench.report.site.charts
from genbench.leaderboard import Leaderboard, build
from genbench.record import Milestone, Record, Score
from genbench.report.site.axes import Axis, Scale, drawable, tick_text, ticks
from genbench.report.site.chart_data import axis_of, floor, milestone_curves, points, seeds_at_milestones
from genbench.report.site.charts import FEW, Curve, curves, interval_bar, seed_curves
from genbench.report.site.labels import spread
from genbench.report.site.looks import SHAPES
from genbench.report.site.scatter import Point, pareto_front, scatter
from genbench.statistics import mean_interval
from genbench.store import Loaded

SVG = ElementTree.Element
STYLE = Path(genbench.report.site.charts.__file__).with_name("charts.css").read_text()
LOG, PLAIN = Axis("FID", log=True, better="lower"), Axis("bits/dim", better="lower")
COMPUTE = Axis("TFLOP", log=True)
HOSTILE = "\"><script>alert(1)</script></svg> onload='x' \x1b[2J\u202e &amp; ünïcode"

numbers = st.one_of(st.floats(), st.floats(1e-9, 1e9), st.sampled_from([0.0, 1.0, -1.0, 5e-324, 1.7e308]))
names = st.sampled_from(["vae", "gan[width=128]", HOSTILE, "", "名" * 60])
places = st.tuples(numbers, numbers, st.none() | numbers, st.none() | numbers)
some_curves = st.lists(
    st.builds(Curve, names, names, st.lists(places, max_size=4).map(tuple), st.booleans(), names, st.none() | places),
    max_size=6,
)
ends = st.none() | st.tuples(numbers, numbers)
some_points = st.lists(st.builds(Point, names, names, numbers, numbers, ends, ends, st.booleans(), names), max_size=6)
axes = st.sampled_from([LOG, PLAIN, COMPUTE, Axis("a", True, "higher"), Axis("b", False, "higher")])


def parsed(chart: str) -> SVG:
    return ElementTree.fromstring(chart)


def coordinates(svg: SVG) -> list[tuple[float, float]]:
    """Every place that is drawn at, in the picture's pixels."""
    found: list[tuple[float, float]] = []

    def walk(element: SVG, right: float, down: float) -> None:
        moved = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform", ""))
        if moved:
            right, down = right + float(moved[1]), down + float(moved[2])
        if element.get("x") is not None and element.tag != "rect":
            found.append((float(element.attrib["x"]) + right, float(element.attrib["y"]) + down))
        for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", element.get("d", "")):
            found.append((float(x) + right, float(y) + down))
        for child in element:
            walk(child, right, down)

    walk(svg, 0.0, 0.0)
    return found


def check(chart: str) -> SVG:
    """What holds of every chart: all of it within the picture, nothing that a policy forbids, each id only once."""
    svg = parsed(chart)
    left, top, width, height = map(float, svg.attrib["viewBox"].split())
    outside = [at for at in coordinates(svg) if not (left <= at[0] <= width and top <= at[1] <= height)]
    assert not outside
    for element in svg.iter():
        assert element.tag in {"svg", "g", "a", "path", "text", "title", "desc", "rect"}
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
    ids = [element.attrib["id"] for element in svg.iter() if "id" in element.attrib]
    assert sorted(ids) == sorted({svg.attrib["aria-labelledby"], svg.attrib["aria-describedby"]})
    return svg


def of_class(svg: SVG, name: str) -> list[SVG]:
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def notes(svg: SVG) -> str:
    return " ".join(element.text or "" for element in of_class(svg, "chart-note"))


def curve(model: str, *values: float, **changes: Any) -> Curve:
    found = Curve(model, f"{model}/index.html", tuple((2.0**k, v, None, None) for k, v in enumerate(values)))
    return replace(found, **changes)


@settings(max_examples=25, deadline=None)
@given(some_curves, axes, axes, st.none() | numbers)
def test_curves_of_any_numbers_and_names_stay_within_their_picture(
    drawn: list[Curve], x: Axis, y: Axis, real: float | None
) -> None:
    check(curves(HOSTILE, HOSTILE, drawn, x, y, real))


@settings(max_examples=25, deadline=None)
@given(some_points, axes, axes)
def test_points_of_any_numbers_and_names_stay_within_their_picture(drawn: list[Point], x: Axis, y: Axis) -> None:
    check(scatter(HOSTILE, HOSTILE, drawn, x, y, front=True))


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.lists(st.tuples(numbers, numbers), max_size=4)), axes, axes)
def test_curves_of_seeds_of_any_numbers_stay_within_their_picture(series: dict[int, Any], x: Axis, y: Axis) -> None:
    check(seed_curves(HOSTILE, HOSTILE, series, x, y))


@pytest.mark.parametrize("values", [[], [math.nan], [3.0], [3.0, 3.0, 3.0], [-1.0, 0.0]])
def test_nothing_one_value_or_equal_ones_are_a_chart_too(values: list[float]) -> None:
    svg = check(curves("t", "d", [curve("m", *values)], COMPUTE, LOG))
    wanted = len([value for value in values if drawable(value, log=True)])
    assert len(of_class(svg, "chart-mark")) == wanted
    assert ("nothing to draw" in notes(svg)) == (wanted == 0)


def test_values_that_have_no_place_are_counted_in_a_note() -> None:
    svg = check(curves("t", "d", [curve("m", 3.0, math.inf, -2.0, 5.0)], COMPUTE, LOG))
    assert "2 values not drawn: not finite or not above 0 on a log scale." in notes(svg)
    assert "not drawn" in "".join(svg.find("desc").itertext())  # type: ignore[union-attr]
    svg = check(scatter("t", "d", [Point("m", "", -1.0, 1.0), Point("n", "", 1.0, 1.0)], COMPUTE, PLAIN, front=False))
    assert "1 value not drawn" in notes(svg)


def test_a_hostile_name_is_text_and_nothing_else() -> None:
    chart = curves("t", "d", [curve(HOSTILE, 3.0, 2.0, group=HOSTILE)], COMPUTE, LOG)
    assert "<script" not in chart
    assert "\x1b" not in chart
    (link,) = of_class(check(chart), "chart-series")
    assert link.attrib["data-model"].startswith('"><script>alert(1)</script></svg> onload=')


def test_every_model_is_a_link_named_by_its_values_and_known_to_the_filter() -> None:
    drawn = [curve("vae", 4.0, 2.0), curve("gan", 3.0, 1.0, final=(8.0, 0.5, 0.4, 0.6), mark="≤ ")]
    links = {
        link.attrib["data-model"]: link
        for link in of_class(check(curves("t", "d", drawn, COMPUTE, LOG)), "chart-series")
    }
    assert {name: (link.tag, link.attrib["href"]) for name, link in links.items()} == {
        "vae": ("a", "vae/index.html"),
        "gan": ("a", "gan/index.html"),
    }
    title = links["gan"].find("title")
    assert title is not None
    assert (title.text or "").splitlines() == [
        "gan", "FID ≤ 3.00, TFLOP 1.00", "FID ≤ 1.00, TFLOP 2.00", "FID ≤ 0.500 [0.400, 0.600], TFLOP 8.00",
    ]  # fmt: skip
    svg = check(scatter("t", "d", [Point("vae", "", 1.0, 2.0, y_interval=(1.0, 3.0))], COMPUTE, PLAIN, front=False))
    (point,) = of_class(svg, "chart-series")
    assert (point.tag, "".join(point.find("title").itertext()).splitlines()) == (  # type: ignore[union-attr]
        "g",
        ["vae", "TFLOP 1.00", "bits/dim 2.00 [1.00, 3.00]"],
    )


def test_a_chart_with_links_is_no_picture_to_a_screen_reader_and_one_without_is() -> None:
    assert parsed(curves("t", "d", [curve("m", 1.0)], COMPUTE, LOG)).attrib["role"] == "group"
    assert parsed(seed_curves("t", "d", {0: [(1.0, 1.0)]}, COMPUTE, LOG)).attrib["role"] == "img"


def test_names_at_the_right_do_not_cover_one_another() -> None:
    drawn = [curve(f"model-{k}", 3.0, 1.0 + 0.001 * k) for k in range(24)]
    svg = check(curves("t", "d", drawn, COMPUTE, LOG))
    heights = sorted(float(name.attrib["y"]) for name in of_class(svg, "chart-name"))
    assert len(heights) == 24
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 12


def test_of_a_hundred_models_the_best_are_named_and_the_others_when_pointed_at() -> None:
    drawn = [curve(f"model-{k:02}", 5.0 + k, 1.0 + k) for k in range(100)]
    drawn.append(curve("noise", 50.0, anchor=True))
    svg = check(curves("t", "d", drawn, COMPUTE, LOG))
    always = {name.text for name in of_class(svg, "chart-name") if "chart-hover" not in name.attrib["class"]}
    assert always == {f"model-{k:02}" for k in range(FEW)} | {"noise"}
    assert len(of_class(svg, "chart-hover")) == 100 - FEW
    assert len(of_class(svg, "chart-faint")) == 100 - FEW


def test_points_names_stand_apart_and_beside_their_points() -> None:
    drawn = [Point(f"m{k}", "", 1.0 + 0.02 * k, 1.0 + 0.02 * (k * 7 % 12)) for k in range(12)]
    svg = check(scatter("t", "d", drawn, PLAIN, PLAIN, front=True))
    shown = [name for name in of_class(svg, "chart-name") if "chart-hover" not in name.attrib["class"]]
    assert len(shown) == 12
    boxes = [(float(name.attrib["x"]), float(name.attrib["y"])) for name in shown]
    for (x, y), (other_x, other_y) in itertools.combinations(boxes, 2):
        assert abs(x - other_x) >= 12 or abs(y - other_y) >= 11


def test_anchors_and_models_that_spend_nothing_are_level_lines() -> None:
    anchor = curve("noise", 5.0, anchor=True)
    free = Curve("ngram", "", (), final=(0.0, 2.0, None, None), group="counting")
    svg = check(curves("t", "d", [curve("m", 4.0, 3.0), anchor, free], COMPUTE, LOG))
    lines = {link.attrib["data-model"]: of_class(link, "chart-line")[0] for link in of_class(svg, "chart-series")}
    for model in ("noise", "ngram"):
        (_, y), (_, other) = re.findall(r"[ML]([-\d.]+) ([-\d.]+)", lines[model].attrib["d"])
        assert y == other
        assert lines[model].get("stroke-dasharray")
    assert "spend no floating-point operations" in notes(svg)
    assert "not drawn" not in notes(svg)


def test_an_anchor_that_would_flatten_the_others_is_left_out_and_told() -> None:
    drawn = [curve("m", 2.0, 1.9), curve("noise", 90.0, anchor=True), curve("near", 2.1, anchor=True)]
    svg = check(curves("t", "d", drawn, COMPUTE, PLAIN))
    assert {link.attrib["data-model"] for link in of_class(svg, "chart-series")} == {"m", "near"}
    assert "Anchors far outside the plot: noise." in notes(svg)
    ones = [Point("m", "", 1.0, 2.0), Point("n", "", 1.2, 2.2), Point("noise", "", 1.0, 90.0, anchor=True)]
    svg = check(scatter("t", "d", ones, PLAIN, PLAIN, front=True))
    assert "Anchors far outside the plot: noise." in notes(svg)


def test_what_real_data_get_is_a_line_that_says_so() -> None:
    svg = check(curves("t", "d", [curve("m", 4.0, 3.0)], COMPUTE, LOG, floor=0.5))
    assert len(of_class(svg, "chart-floor")) == 1
    assert "real data 0.500" in notes(svg)


def test_bands_are_drawn_where_neighbours_have_intervals() -> None:
    with_gap = Curve(
        "m", "", ((1.0, 3.0, 2.0, 4.0), (2.0, 2.0, 1.0, 3.0), (4.0, 2.0, None, None), (8.0, 1.0, 0.5, 2.0))
    )
    assert len(of_class(check(curves("t", "d", [with_gap], COMPUTE, LOG)), "chart-band")) == 1
    bare = curve("m", 3.0, 2.0)
    assert of_class(check(curves("t", "d", [bare], COMPUTE, LOG)), "chart-band") == []


def test_one_family_has_the_same_look_in_charts_of_other_models() -> None:
    families = ["autoregressive", "gan", "vae"]
    both = check(
        curves("t", "d", [curve("a", 2.0, group="gan"), curve("b", 2.0, group="vae")], COMPUTE, LOG, groups=families)
    )
    alone = check(
        scatter("t", "d", [Point("b", "", 1.0, 1.0, group="vae")], COMPUTE, LOG, front=False, groups=families)
    )

    def colour(svg: SVG, model: str) -> str:
        (link,) = (link for link in of_class(svg, "chart-series") if link.attrib["data-model"] == model)
        return next(name for name in link.attrib["class"].split() if re.fullmatch(r"chart-c\d", name))

    assert colour(both, "b") == colour(alone, "b") != colour(both, "a")


def test_every_class_of_a_chart_has_a_style() -> None:
    drawn = [curve(f"m{k}", 3.0 + k, 2.0 + k, group=str(k), final=(9.0, 1.0 + k, 0.9, 2.0 + k)) for k in range(50)]
    drawn += [curve("noise", 9.0, anchor=True), Curve("n", "", ((1.0, 3.0, 2.0, 4.0), (2.0, 2.0, 1.0, 3.0)))]
    charts = [
        curves("t", "d", drawn, COMPUTE, LOG, floor=0.9),
        curves("t", "d", drawn[-1:], COMPUTE, LOG),
        scatter("t", "d", [Point(f"m{k}", "", 1.0 + k % 3, 1.0, (0.5, 2.0)) for k in range(60)], LOG, LOG, front=True),
    ]
    used = {name for chart in charts for element in parsed(chart).iter() for name in element.get("class", "").split()}
    plain = {"chart-series", "chart-legend", "chart-final"}  # the filter's, and names for a reader of the page
    assert {f".{name}" for name in used - plain} <= set(re.findall(r"\.[a-z][a-z0-9-]*", STYLE))


@pytest.mark.parametrize(("dark", "ground"), [(False, "#ffffff"), (True, "#14171c")])
def test_colours_stand_out_from_the_ground(dark: bool, ground: str) -> None:
    """Three to one, which WCAG 2.2 asks of graphical objects (1.4.11)."""
    colours = re.findall(r"--chart-\w+: (#[0-9a-f]{6})", STYLE.split("prefers-color-scheme: dark")[dark])
    assert len(colours) == 9
    for colour in colours:
        lighter, darker = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_families_that_share_a_colour_do_not_share_a_marker() -> None:
    drawn = [Point(f"m{k}", "", 1.0 + k, 1.0, group=f"{k:02}") for k in range(16)]
    svg = check(scatter("t", "d", drawn, PLAIN, PLAIN, front=False))
    seen = {
        (link.attrib["class"], re.sub(r"M[-\d.]+", "", of_class(link, "chart-mark")[0].attrib["d"]))
        for link in of_class(svg, "chart-series")
    }
    assert len(SHAPES) == 8
    assert len(seen) == 16


# ---- interval bars


def test_a_bar_reaches_from_end_to_end_and_marks_the_mean() -> None:
    svg = parsed(interval_bar(2.0, 1.0, 3.0, Scale(0.0, 4.0), "2 [1, 3]"))
    (bar,) = svg.iter("rect")
    assert (bar.attrib["x"], bar.attrib["width"]) == ("25", "50")
    assert [mark.attrib["d"] for mark in svg.iter("path")] == ["M50 0V8"]
    assert svg.attrib["aria-label"] == "2 [1, 3]"


def test_a_bar_without_an_interval_or_a_mean_draws_neither() -> None:
    assert [child.tag for child in parsed(interval_bar(2.0, None, None, Scale(0.0, 4.0), ""))] == ["path"]
    assert list(parsed(interval_bar(math.nan, None, math.inf, Scale(0.0, 4.0), ""))) == []


@given(numbers, st.none() | numbers, st.none() | numbers, st.lists(numbers), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_bar_stays_within_its_picture(
    mean: float, low: float | None, high: float | None, column: list[float], log: bool
) -> None:
    svg = parsed(interval_bar(mean, low, high, Scale.around(column, log), HOSTILE))
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


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 400), max_size=20).map(sorted))
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


few = st.integers(0, 4).map(float)
small = st.lists(st.builds(Point, st.integers(0, 99).map(str), st.just(""), few, few), max_size=12)
ways = st.sampled_from(["lower", "higher"])


@settings(max_examples=50, deadline=None)
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


def test_anchors_are_never_on_the_front_and_its_members_are_marked() -> None:
    drawn = [
        Point("a", "", 1.0, 5.0),
        Point("b", "", 2.0, 2.0),
        Point("c", "", 3.0, 3.0),
        Point("copy", "", 0.9, 1.9, anchor=True),
    ]
    svg = check(scatter("t", "d", drawn, PLAIN, LOG, front=True))
    assert {link.attrib["data-model"] for link in of_class(svg, "chart-on-front")} == {"a", "b"}
    assert "On the Pareto front: a, b." in "".join(svg.find("desc").itertext())  # type: ignore[union-attr]


# ---- from leaderboards


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
