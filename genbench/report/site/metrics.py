"""What a score means, told where it is shown: what it is, of what, against what, and what it does not see."""

from __future__ import annotations

from dataclasses import dataclass, replace

from genbench.columns import HIGHER_IS_BETTER, OURS, Column
from genbench.leaderboard import REAL, Leaderboard, is_real
from genbench.report import legend
from genbench.report.numbers import ARROWS, COST_TITLES, decimals_of, score
from genbench.report.site.blindness import BLIND, COPYING
from genbench.report.site.templates import slug

COSTS_MEAN = {
    "parameters": "Trainable numbers of all networks of the model.",
    "train_tflop": "Floating-point operations that training dispatched, 2 for a multiply-add, in units of 10^12; "
    "counted by genbench, not declared.",
    "train_seconds": "Seconds of training; it depends on the machine.",
    "samples_per_second": "Samples drawn a second; it depends on the machine.",
    "peak_memory_mib": "Largest resident memory in MiB; it depends on the machine.",
}


@dataclass(frozen=True)
class Metric:
    """A column of scores, explained.

    Attributes:
        key: the column's.
        id: of the element that explains it.
        name, suffix: its title, in two parts: ``FID`` and ``[digits-cnn-v1]``.
        group: of columns.
        arrow, better: which way is better, as a sign and as a word.
        flags_only: whether only its flag counts.
        meaning, reference: as the metric declares them.
        measured: samples or examples, and whose features.
        real: what it gives for held-out data, for a model that hands out training data, or both; a sentence each.
        floor: the number of :data:`REAL`, as the table writes it; or empty.
        variance: its deviations over training and over sampling, in a sentence.
        blind: what it does not see; empty for a third party's metric.
    """

    key: str
    id: str
    name: str
    suffix: str
    group: str
    arrow: str
    better: str
    flags_only: bool
    meaning: str
    reference: str
    measured: str
    real: tuple[str, ...]
    floor: str
    variance: str
    blind: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.name} {self.suffix}".strip()


def metrics_of(board: Leaderboard) -> list[Metric]:
    """Every column of a leaderboard, explained, in its order."""
    decimals = decimals_of(board)
    real = next((row for row in board.rows if is_real(row)), None)
    ids: dict[str, None] = {}
    found = []
    for column in board.columns:
        name, bracket, suffix = column.title.partition(" [")
        floor = score(real, column, decimals[column.key]) if real else None
        identity = f"metric-{slug(column.key)}"
        while identity in ids:
            identity += "-"
        ids[identity] = None
        shown = floor.mean if floor and floor.is_number else ""
        found.append(
            Metric(
                column.key,
                identity,
                name,
                f"[{suffix}" if bracket else "",
                column.group,
                ARROWS[column.better],
                column.better,
                column.group == "copying",
                column.summary,
                column.reference,
                _measured(board, column),
                tuple(_of_real(board, column, shown)),
                shown,
                " ".join(legend.variance(replace(board, columns=(column,)))),
                _blind(column),
            )
        )
    return found


def cost_titles(board: Leaderboard) -> list[dict[str, str]]:
    """Key, title, meaning and the direction of a first sort of each cost column."""
    return [
        {"key": key, "title": COST_TITLES[key], "meaning": COSTS_MEAN[key],
         "first": "descending" if key in HIGHER_IS_BETTER else "ascending"}
        for key in board.costs
    ]  # fmt: skip


def _measured(board: Leaderboard, column: Column) -> str:
    """``1,000 samples, features of digits-cnn-v1``."""
    cells = [row.scores[column.key] for row in board.rows if column.key in row.scores]
    if not cells:
        return "no run has it"
    counts = " or ".join(f"{n:,}" for n in sorted({cell.n for cell in cells}))
    if cells[0].is_likelihood:
        return f"{counts} held-out examples of {board.benchmark.dataset.name}"
    evaluators = dict.fromkeys(cell.evaluator.partition("@")[0] for cell in cells if cell.evaluator)
    features = f", features of {' or '.join(evaluators)}" if evaluators else ""
    return f"{counts} samples{features}, against the held-out data of {board.benchmark.dataset.name}"


def _of_real(board: Leaderboard, column: Column, floor: str) -> list[str]:
    lines = []
    if (value := legend.real_value(board, column.key)) is not None:
        lines.append(f"The held-out data themselves have {value:.2f}.")
    if floor:
        lines.append(f"Training examples, handed out by {REAL}, have {floor}.")
    return lines


def _blind(column: Column) -> tuple[str, ...]:
    key = column.key.partition("@")[0]
    if column.plugin not in ("", OURS) or key not in BLIND:
        return ()
    return (BLIND[key], COPYING) if column.group == "copying" else (BLIND[key],)
