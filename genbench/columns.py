"""The columns of a table: one a score, grouped by what it says something about."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from genbench.errors import SpecError
from genbench.record import Record
from genbench.specs import Direction, MetricGroup

if TYPE_CHECKING:
    from genbench.benchmark import Benchmark
    from genbench.specs import MetricSpec

INCEPTION = "inception-v3-compat"
"""The evaluator that ``FID`` without a suffix means: torch-fidelity's Inception-v3."""

OURS = "genbench"
"""The distribution whose metrics need not carry its name."""

ESTIMATE = "_estimate"
"""Suffix of the column for likelihoods of kind ``estimate``, which are not comparable with the others."""

GROUPS: tuple[MetricGroup, ...] = get_args(MetricGroup)
"""In the order of the columns."""

HEADLINES = ("fid", "bits_per_dim", "bits_per_letter")
"""Scores that a terminal shows before all others, the most wanted first."""

FIRST = (
    "invalid_words",
    "new_words",
    "is",
    "precision",
    "recall",
    "coverage",
    "bits_per_dim" + ESTIMATE,
    "bits_per_letter" + ESTIMATE,
)
"""Scores of genbench's own that follow upon the headlines and other people's, likewise."""

COSTS: tuple[tuple[str, str, Callable[[Record], Any]], ...] = (
    ("parameters", "Parameters", lambda record: record.cost.get("parameters")),
    ("train_tflop", "Train TFLOP", lambda record: _times(record.spent.get("flops"), 1e-12)),
    ("train_seconds", "Train s", lambda record: record.cost.get("train_seconds")),
    ("samples_per_second", "Samples/s", lambda record: record.cost.get("samples_per_second")),
    ("peak_memory_mib", "Peak MiB", lambda record: _times(record.cost.get("peak_memory"), 2**-20)),
)
"""Key, title and source of the cost columns."""

HIGHER_IS_BETTER = ("samples_per_second",)
"""Cost columns whose largest value is the best; of all others the smallest is."""

COST_KEYS = tuple(key for key, _, _ in COSTS)


@dataclass(frozen=True)
class Column:
    """A column of scores.

    Attributes:
        key: of its cells in the rows: the metric's name, ``fid@clip`` for the second evaluator.
        title: without a direction mark; a suffix in brackets names evaluator or plugin.
        direction: the metric's; see :attr:`better` for what is made of it.
        group: what it says something about.
        log_scale: whether statistics over seeds are taken of logarithms.
        evaluator: the second evaluator's name, else empty.
        plugin: the distribution of a third party's metric, else empty.
    """

    key: str
    title: str
    direction: Direction
    unit: str = ""
    summary: str = ""
    reference: str = ""
    group: MetricGroup = "quality"
    log_scale: bool = False
    evaluator: str = ""
    plugin: str = ""

    @property
    def ranked(self) -> bool:
        """Whether contenders may be ranked by it: it has a better and a worse, and its values may be compared."""
        return self.better != "none" and not self.key.endswith(ESTIMATE)

    @property
    def better(self) -> Direction:
        """Which way is better, for ranks, verdicts and arrows. No way is, of tests of copying: they flag, and a value
        farther from the threshold is no better."""
        return "none" if self.group == "copying" else self.direction


def columns_of(
    benchmark: Benchmark, metrics: Sequence[MetricSpec], plugins: Mapping[str, str], found: Collection[str]
) -> tuple[Column, ...]:
    """The columns of a benchmark's table, group by group, each evaluator's beside the other's.

    Args:
        metrics: its metrics, in its order.
        plugins: metric to distribution, where that is known; genbench's own by default.
        found: keys of the cells there are. Estimates have a column only if there are any.
    """
    columns = []
    for metric in sorted(metrics, key=lambda spec: GROUPS.index(spec.group)):
        plugin = plugins.get(metric.name, OURS)
        plugin = "" if plugin == OURS else plugin
        column = Column(
            metric.name,
            metric.title,
            metric.direction,
            metric.unit,
            metric.summary,
            metric.reference,
            metric.group,
            metric.log_scale,
            plugin=plugin,
        )
        named = metric.name == "fid" and benchmark.evaluator.name != INCEPTION
        columns.append(
            replace(column, title=_suffixed(metric.title, plugin, benchmark.evaluator.name if named else ""))
        )
        if metric.name + ESTIMATE in found:
            estimates = replace(column, key=metric.name + ESTIMATE, title=f"{columns[-1].title} (estimate)")
            columns.append(estimates)
        if metric.both_evaluators and benchmark.second_evaluator:
            second = benchmark.second_evaluator.name
            title = _suffixed(metric.title, plugin, second)
            columns.append(replace(column, key=f"{metric.name}@{second}", title=title, evaluator=second))
    return tuple(columns)


def most_wanted(columns: Sequence[Column]) -> list[Column]:
    """The columns in the order in which they are worth a narrow terminal's width.

    The headlines; then what other people's metrics measure, which a benchmark has because somebody wanted it there;
    then genbench's own of :data:`FIRST`, and those that are left. The second evaluator's come last, whoever wrote them.
    """

    def rank(column: Column) -> tuple[int, int]:
        if column.key in HEADLINES:
            return 0, HEADLINES.index(column.key)
        if column.evaluator:
            return 4, 0
        if column.plugin:
            return 1, 0
        return (2, FIRST.index(column.key)) if column.key in FIRST else (3, 0)

    return sorted(columns, key=rank)


def choose(columns: Sequence[Column], wanted: str) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The columns that a person lists by key, ``fid,is,train_seconds``, in that order; ``all`` for all there are.

    Returns:
        Columns of scores, and keys of cost columns.

    Raises:
        SpecError: for an unknown key, naming the nearest, or a list of none.
    """
    if wanted == "all":
        return tuple(columns), COST_KEYS
    known = {column.key: column for column in columns}
    keys = list(dict.fromkeys(key.strip() for key in wanted.split(",") if key.strip()))
    if not keys:
        raise SpecError("--columns: no column is named; such as --columns fid,is, or --columns all")
    for key in keys:
        if key not in known and key not in COST_KEYS:
            raise SpecError.unknown("column", key, [*known, *COST_KEYS])
    return tuple(known[key] for key in keys if key in known), tuple(key for key in keys if key in COST_KEYS)


def _suffixed(title: str, *suffixes: str) -> str:
    given = ", ".join(suffix for suffix in suffixes if suffix)
    return f"{title} [{given}]" if given else title


def _times(value: Any, factor: float) -> float | None:
    return value * factor if isinstance(value, int | float) else None
