"""The charts of the site: what they draw, where, and what becomes of names and numbers that are not fit to be drawn."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import genbench.report.site.charts
from genbench.report.site.axes import Axis, drawable
from genbench.report.site.charts import FEW, Curve, curves, seed_curves
from genbench.report.site.looks import SHAPES
from genbench.report.site.scatter import Point, scatter

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


@settings(max_examples=12, deadline=None)
@given(some_curves, axes, axes, st.none() | numbers)
def test_curves_of_any_numbers_and_names_stay_within_their_picture(
    drawn: list[Curve], x: Axis, y: Axis, real: float | None
) -> None:
    check(curves(HOSTILE, HOSTILE, drawn, x, y, real))


@settings(max_examples=12, deadline=None)
@given(some_points, axes, axes)
def test_points_of_any_numbers_and_names_stay_within_their_picture(drawn: list[Point], x: Axis, y: Axis) -> None:
    check(scatter(HOSTILE, HOSTILE, drawn, x, y, front=True))


@settings(max_examples=8, deadline=None)
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


def test_the_fronts_line_steps_through_the_worse_of_two_neighbours_values() -> None:
    drawn = [Point("a", "", 1.0, 5.0), Point("b", "", 2.0, 2.0)]
    svg = check(scatter("t", "d", drawn, PLAIN, PLAIN, front=True))
    (line,) = of_class(svg, "chart-front")
    steps = [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", line.attrib["d"])]
    start, a, corner, b, end = steps
    assert (start[0], corner[0], corner[1], end[1]) == (a[0], b[0], a[1], b[1])
    assert start[1] < a[1] < b[1]  # from the worst y, at the top, down to the best
    assert a[0] < b[0] < end[0]
