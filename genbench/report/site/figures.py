"""Which charts stand on the page of a benchmark and of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from genbench.columns import Column
from genbench.report.site.axes import Axis
from genbench.report.site.chart_data import (
    COMPUTE,
    axis_of,
    families,
    floor,
    milestone_curves,
    points,
    seeds_at_milestones,
)
from genbench.report.site.charts import curves, seed_curves
from genbench.report.site.context import Context
from genbench.report.site.scatter import scatter
from genbench.report.site.training import Curve
from genbench.rows import Row

EXAMPLES = Axis("training examples")
SPEED = "samples_per_second"


@dataclass(frozen=True)
class Figure:
    """A chart with its heading and a line on how to read it; ``id`` is that of its element."""

    id: str
    title: str
    caption: str
    chart: Markup


def of_benchmark(context: Context) -> list[Figure]:
    """Quality and likelihood against compute, against each other, and quality against speed; those there is data for.

    Families of models are told apart where they are installed.
    """
    groups = families(context.board, context.registry) if context.registry else {}
    quality, likelihood = context.quality, context.likelihood
    found = [_against_compute(context, column, groups) for column in (quality, likelihood) if column]
    if quality and likelihood:
        caption = (
            f"{likelihood.title} is of the whole distribution, {quality.title} of what the samples look like. The line "
            "is the Pareto front: no model beats those on it in both."
        )
        found.append(_scatter(context, likelihood.key, quality.key, caption, groups, "likelihood"))
    if quality:
        caption = "Speed is that of the machine named below. On the line is what no model beats in both."
        found.append(_scatter(context, SPEED, quality.key, caption, groups, "speed"))
    return [figure for figure in found if figure is not None]


def of_model(context: Context, row: Row, training: Mapping[int, Mapping[str, Curve]]) -> list[Figure]:
    """The curves of every seed of a model.

    Args:
        training: seed to what it logged; see :func:`genbench.report.site.training.training_figures`.
    """
    found = []
    for column in (context.quality, context.likelihood):
        series = seeds_at_milestones(row, column) if column else {}
        if column and any(len(places) > 1 for places in series.values()):
            title = f"{column.title} at the milestones"
            chart = seed_curves(title, f"{column.title} against training TFLOP, a line a seed.", series, COMPUTE,
                                axis_of(context.board, column.key))  # fmt: skip
            found.append(Figure(f"milestones-{column.key}", title, "On fewer samples than the final scores.", chart))
    names = dict.fromkeys(name for figures in training.values() for name in figures)
    for index, name in enumerate(names):
        lines = {seed: figures[name] for seed, figures in training.items() if name in figures}
        chart = seed_curves(f"Training: {name}", f"{name} against training examples, a line a seed.", lines, EXAMPLES,
                            Axis(name))  # fmt: skip
        found.append(Figure(f"training-{index}", name, "As the model logged it while it trained.", chart))
    return found


def _against_compute(context: Context, column: Column, groups: Mapping[str, str]) -> Figure | None:
    board = context.board
    lines = milestone_curves(board, column.key, context.link, groups)
    if not any(place[0] > 0 for line in lines for place in line.all):
        return None
    title = f"{column.title} against compute"
    caption = (
        f"At the benchmark's milestones and at the end of training; {column.better} is better. Lines are means over "
        "seeds; point at one for its interval."
    )
    chart = curves(title, f"{column.title} of each model against training TFLOP.", lines, COMPUTE,
                   axis_of(board, column.key), floor(board, column.key), groups=list(groups.values()))  # fmt: skip
    return Figure(f"compute-{column.group}", title, caption, chart)


def _scatter(context: Context, x: str, y: str, caption: str, groups: Mapping[str, str], name: str) -> Figure | None:
    places = points(context.board, x, y, context.link, groups)
    if not any(not place.anchor for place in places):
        return None
    across, up = axis_of(context.board, x), axis_of(context.board, y)
    title = f"{up.label} against {across.label}"
    chart = scatter(title, f"{title} of each model.", places, across, up, True, list(groups.values()))
    return Figure(f"against-{name}", title, caption, chart)
