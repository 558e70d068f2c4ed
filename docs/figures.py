"""The figures of docs/results.md, made from a results folder.

    python docs/figures.py RESULTS -b BENCHMARK [--k 16] [--seed 0] [--out docs/figures]

writes ``BENCHMARK-compute.png``, quality against training FLOPs at the milestones of every model, and
``BENCHMARK-samples.png``, a contact sheet of the first samples of each model under real data; for data that are spelled
with an alphabet a Markdown table ``BENCHMARK-samples.md`` instead. Only complete records of the benchmark as it is
defined today are shown.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from sklearn.isotonic import isotonic_regression

from genbench import paths
from genbench.benchmark import Benchmark
from genbench.engine.data import load_split, materialise
from genbench.engine.spelling import spelled
from genbench.leaderboard import ANCHORS
from genbench.plugins import Registry, discover
from genbench.record import Record, Score
from genbench.report.legend import withheld
from genbench.rows import MARKS
from genbench.selection import load_benchmark
from genbench.store import Store, model_folder

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#6a3d9a", "#7f7f00")
"""Of families, in their order: Okabe and Ito's, told apart by most eyes, and two more."""
STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
"""Of the models of a family, in their order."""
MARKERS = "osD^vP"
OTHERS = "others"
"""Family of models that are not installed here."""
LIKELIHOODS = {"bits_per_letter": "bits/letter", "bits_per_dim": "bits/dim"}
"""Of these the first that a benchmark's records have is drawn."""
LABEL_SPACE = 0.034
"""Between the labels of lines, in heights of the plot."""


@dataclass(frozen=True)
class Label:
    """The name of a line or mark at ``value``, which ends at ``ends`` FLOPs, or goes all the way."""

    value: float
    name: str
    colour: str
    marker: str = ""
    ends: float | None = None


@dataclass(frozen=True)
class Curve:
    """A model's mean score at each of its milestones and at the end.

    Attributes:
        flops: spent until then, ascending ``[M]``.
        values: mean over seeds ``[M]``, geometric for metrics on a log scale.
        final: mean of the full evaluation, which is of more samples than the milestones'.
        spent: FLOPs of the whole training, mean over seeds.
        mark: what tables put before the number: ``<= `` for a bound, ``~ `` for an estimate.
    """

    model: str
    flops: np.ndarray
    values: np.ndarray
    final: float
    spent: float
    mark: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("-b", dest="benchmark", required=True)
    parser.add_argument("--k", type=int, default=16, help="samples a model")
    parser.add_argument("--seed", type=int, help="whose samples are shown; by default the lowest")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures")
    asked = parser.parse_args()
    registry = discover()
    benchmark = load_benchmark(registry, asked.benchmark)
    store = Store(asked.results)
    loaded = store.load(benchmark.folder)
    records = [
        record for record in loaded.records if record.status == "ok" and record.benchmark.digest == benchmark.digest
    ]
    if not records:
        raise SystemExit(f"{asked.results} holds no complete record of {benchmark.name} as it is defined today")
    asked.out.mkdir(parents=True, exist_ok=True)
    mpl.use("agg")
    compute = asked.out / f"{benchmark.name}-compute.png"
    draw_compute(benchmark, registry, records, compute)
    print(compute)
    print(draw_samples(benchmark, registry, asked.results, records, asked.k, asked.seed, asked.out))


def family_of(registry: Registry, model: str) -> str:
    """The name of the plugin that registers a model."""
    entry = registry.models.get(model.partition("[")[0])
    return OTHERS if entry is None else entry.plugin.name


def is_anchor(registry: Registry, model: str) -> bool:
    """Whether a model is a point of reference and no contender."""
    entry = registry.models.get(model.partition("[")[0])
    return entry is not None and entry.plugin.module == ANCHORS


# ---- quality against compute


def draw_compute(benchmark: Benchmark, registry: Registry, records: list[Record], path: Path) -> None:
    """A panel for FID and one for the likelihood: lines of the milestones, a large mark for the final score.

    Scores that are withheld are left out, and the names of bounds and estimates marked as in the tables. Anchors, which
    train on no budget worth showing, are dashed lines. The final score is of more samples than those of the milestones,
    so that its FID is a little lower at equal quality; it is not joined to the line.
    """
    panels = panels_of(records)
    figure, axes = plt.subplots(1, len(panels), figsize=(8.5 * len(panels), 9), squeeze=False, layout="constrained")
    contenders = sorted({record.model.name for record in records if not is_anchor(registry, record.model.name)})
    looks = looks_of(registry, contenders)
    for ax, (key, title) in zip(axes[0], panels.items(), strict=True):
        curves = [curve for model in contenders if (curve := curve_of(of_model(records, model), key)) is not None]
        for curve in curves:
            colour, style, marker = looks[curve.model]
            ax.plot(
                curve.flops, curve.values, color=colour, linestyle=style, marker=marker, markersize=4, linewidth=1.5
            )
            ax.plot(curve.spent, curve.final, color=colour, marker=marker, markersize=9, markeredgecolor="black")
        ax.set_xscale("log")
        logarithmic = key == "fid" or key in LIKELIHOODS  # others may be zero
        ax.set_yscale("log" if logarithmic else "linear")
        ax.set_xlabel("training FLOPs spent, mean over seeds")
        ax.set_ylabel(f"{title} ({'lower' if direction_of(records, key) == 'lower' else 'higher'} is better)")
        ax.set_title(f"{benchmark.name}: {title}, milestones (small) and final (large, more samples)", fontsize=10)
        ax.grid(alpha=0.25, which="both", linewidth=0.5)
        right = [
            Label(curve.final, curve.mark + curve.model, looks[curve.model][0], looks[curve.model][2], curve.spent)
            for curve in curves
        ]
        anchors = sorted({record.model.name for record in records} - set(contenders))
        for model in anchors:
            scores = [score for record in of_model(records, model) if (score := score_of(record, key))]
            value = mean_of(scores, key)
            if value is not None and (value > 0 or not logarithmic):
                ax.axhline(value, color="grey", linestyle=(0, (4, 4)), linewidth=1)
                right.append(Label(value, mark_of(scores) + model, "dimgrey"))
        if logarithmic:
            ticks_that_say_numbers(ax)
        label_lines(ax, right)
    families = list(dict.fromkeys(family_of(registry, model) for model in contenders))
    colours = {family_of(registry, model): looks[model][0] for model in contenders}
    handles = [Line2D([], [], color=colours[family], linewidth=3, label=family) for family in families]
    handles.append(Line2D([], [], color="grey", linestyle="--", label="anchors"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def curve_of(records: list[Record], key: str) -> Curve | None:
    """The curve of one model's records; None where they do not have the score."""
    records = [record for record in records if score_of(record, key)]
    finals = [score for record in records if (score := score_of(record, key))]
    final = mean_of(finals, key)
    if final is None:
        return None
    flops, scores = defaultdict(list), defaultdict(list)
    for record in records:
        for milestone in record.milestones:
            if (score := milestone.scores.get(key)) is not None:
                flops[milestone.fraction].append(milestone.flops)
                scores[milestone.fraction].append(score)
    shares = [share for share in sorted(flops) if min(flops[share]) > 0]
    return Curve(
        records[0].model.name,
        np.array([np.mean(flops[share]) for share in shares]),
        np.array([mean_of(scores[share], key) for share in shares]),
        final,
        float(np.mean([record.spent["flops"] for record in records])),
        mark_of(finals),
    )


def mean_of(scores: Iterable[Score], key: str) -> float | None:
    """Over seeds: of FID the geometric mean, as in the tables; None of nothing."""
    values = np.array([score.value for score in scores])
    if not len(values):
        return None
    return float(np.exp(np.log(values).mean())) if key == "fid" and (values > 0).all() else float(values.mean())


def label_lines(ax: Axes, lines: list[Label]) -> None:
    """Names at the right of a plot, moved apart where they would cover one another, each joined to what it names."""
    if not lines:
        return
    lines = sorted(lines, key=lambda line: line.value)
    edge = ax.get_xlim()[1]
    points = ax.transData.transform([(edge, line.value) for line in lines])
    wanted = ax.transAxes.inverted().transform(points)[:, 1]
    apart = LABEL_SPACE * np.arange(len(lines))
    # Of all heights in the plot that are so far apart those nearest to the wanted ones, by isotonic regression.
    heights = isotonic_regression(wanted - apart, y_min=0.0, y_max=max(0.0, 1.0 - apart[-1])) + apart
    for line, height in zip(lines, heights, strict=True):
        ax.annotate(
            line.name, (line.ends or edge, line.value), xytext=(1.035, height), textcoords="axes fraction",
            color=line.colour, fontsize=9, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": line.colour, "linewidth": 0.5, "alpha": 0.5, "relpos": (0, 0.5)},
        )  # fmt: skip
        if line.marker:
            ax.plot(
                1.025,
                height,
                transform=ax.transAxes,
                marker=line.marker,
                color=line.colour,
                markersize=5,
                clip_on=False,
            )


def ticks_that_say_numbers(ax: Axes) -> None:
    """On a log scale of less than two decades matplotlib writes powers that nobody reads."""
    ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    low, high = ax.get_ylim()
    if high / low < 30:
        ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]))
        ax.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        ax.set_ylim(low, high)


def looks_of(registry: Registry, models: list[str]) -> dict[str, tuple[str, object, str]]:
    """Colour by family, line style and marker by the place in it."""
    families: dict[str, list[str]] = defaultdict(list)
    for model in models:
        families[family_of(registry, model)].append(model)
    return {
        model: (COLOURS[index % len(COLOURS)], STYLES[place % len(STYLES)], MARKERS[place % len(MARKERS)])
        for index, family in enumerate(sorted(families))
        for place, model in enumerate(families[family])
    }


def of_model(records: list[Record], model: str) -> list[Record]:
    return [record for record in records if record.model.name == model]


def panels_of(records: list[Record]) -> dict[str, str]:
    """What is drawn, and its title: FID and a likelihood as far as any record has them, else the first score that is
    better one way.

    Raises:
        SystemExit: if there is none.
    """
    likelihood = next((key for key in LIKELIHOODS if has(records, key)), None)
    titles = {"fid": "FID"} | ({likelihood: LIKELIHOODS[likelihood]} if likelihood else {})
    panels = {key: title for key, title in titles.items() if has(records, key)}
    if panels:
        return panels
    shown = ((name, score) for record in records for name in record.scores if (score := score_of(record, name)))
    other = next((name for name, score in shown if score.direction != "none"), None)
    if other is None:
        raise SystemExit("no record has a score to draw: one that is better one way, and not withheld")
    return {other: other}


def score_of(record: Record, key: str) -> Score | None:
    """The record's score unless it is withheld."""
    return None if key in withheld(record) else record.scores.get(key)


def mark_of(scores: Iterable[Score]) -> str:
    return next((MARKS[score.kind] for score in scores if score.kind in MARKS), "")


def has(records: list[Record], key: str) -> bool:
    return any(score_of(record, key) for record in records)


def direction_of(records: list[Record], key: str) -> str:
    return next(score.direction for record in records if (score := score_of(record, key)))


# ---- samples side by side


def draw_samples(
    benchmark: Benchmark,
    registry: Registry,
    results: Path,
    records: list[Record],
    k: int,
    seed: int | None,
    out: Path,
) -> Path:
    """The first ``k`` samples of each model, real test data first; returns the file that was written."""
    folder = materialise(benchmark.dataset, paths.data_cache())
    rows: dict[str, np.ndarray] = {"real data": load_split(folder, "test")[0][:k]}
    chosen = lowest_seeds(records) if seed is None else {r.model.name: r for r in records if r.seed == seed}
    for model in sorted(chosen, key=lambda name: (is_anchor(registry, name), family_of(registry, name), name)):
        run = results / benchmark.folder / model_folder(model) / f"seed-{chosen[model].seed}"
        with np.load(run / "samples.npz", allow_pickle=False) as stored:
            rows[model] = stored["samples"][:k]
    if benchmark.dataset.alphabet:
        path = out / f"{benchmark.name}-samples.md"
        path.write_text(table_of_words(rows, benchmark.dataset.alphabet))
        return path
    path = out / f"{benchmark.name}-samples.png"
    draw_sheet(rows, benchmark, path)
    return path


def lowest_seeds(records: list[Record]) -> dict[str, Record]:
    """Each model's record of the lowest seed."""
    return {record.model.name: record for record in sorted(records, key=lambda record: -record.seed)}


def draw_sheet(rows: Mapping[str, np.ndarray], benchmark: Benchmark, path: Path) -> None:
    """A row a model, uint8 ``[k, C, H, W]`` each, its name at the left."""
    data = benchmark.dataset.data
    k = max(map(len, rows.values()))
    inch = 0.62
    figure, axes = plt.subplots(len(rows), 1, figsize=(2.4 + k * inch, len(rows) * (inch + 0.06)), squeeze=False)
    figure.subplots_adjust(left=2.3 / (2.4 + k * inch), right=0.995, top=0.995, bottom=0.005, hspace=0.06)
    for ax, (name, samples) in zip(axes[:, 0], rows.items(), strict=True):
        ax.imshow(strip_of(samples, k, data.levels), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize=9)
        ax.set_axis_off()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def strip_of(samples: np.ndarray, k: int, levels: int) -> np.ndarray:
    """Images ``[n, C, H, W]`` in a row, a white pixel between them: ``[H, k (W + 1) - 1]``, of colours ``[..., 3]``."""
    channels, height, width = samples.shape[1:]
    strip = np.ones((height, k * (width + 1) - 1, channels))
    for index, image in enumerate(samples / (levels - 1)):
        left = index * (width + 1)
        strip[:, left : left + width] = image.transpose(1, 2, 0)
    return strip if channels == 3 else strip[..., 0]


def table_of_words(rows: Mapping[str, np.ndarray], alphabet: tuple[str, ...]) -> str:
    """A Markdown table, a row a model with its samples as they are spelled."""
    lines = ["| model | samples |", "|---|---|"]
    for name, samples in rows.items():
        words = ", ".join(word.replace("|", "\\|") for word in spelled(samples, alphabet))
        lines.append(f"| {name} | {words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
