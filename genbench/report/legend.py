"""The words around a table: its title, what its marks mean, what went wrong and what it leaves out."""

from __future__ import annotations

from collections import Counter

from genbench.leaderboard import ESTIMATE, Leaderboard
from genbench.report.printable import printable


def title(board: Leaderboard) -> str:
    """Benchmark, its size and its digest in a line."""
    benchmark = board.benchmark
    kind = "" if board.official else " (not a leaderboard: " + _off(board) + ")"
    return f"{benchmark.file.title or benchmark.name}{kind}: digest {benchmark.digest}"


def explanations(board: Leaderboard) -> list[str]:
    """What the table's marks mean; only those that stand in it."""
    seeds = len(board.benchmark.file.seeds)
    lines = []
    if any(cell.estimate.low is not None for row in board.rows for cell in row.scores.values()):
        logs = [
            column.title
            for column in board.columns
            if any(row.scores[column.key].estimate.log_scale for row in board.rows if column.key in row.scores)
        ]
        geometric = f"; [low, high] and geometric mean, from logarithms, for {', '.join(logs)}" if logs else ""
        lines.append(f"Mean over {seeds} seeds and 95 % Student-t interval{geometric}.")
    titles: dict[int, list[str]] = {}
    for column in board.columns:
        for n in sorted({row.scores[column.key].n for row in board.rows if column.key in row.scores}):
            titles.setdefault(n, []).append(column.title.partition(" [")[0])
    counts = "; ".join(f"n = {n:,} for {', '.join(names)}" for n, names in titles.items())
    lines.append(f"Features of the evaluator {board.benchmark.evaluator.name}; {counts or 'no scores yet'}.")
    real = [f"{column.title} {value:.2f}" for column in board.columns if (value := real_value(board, column.key))]
    if real:
        lines.append(f"The held-out data themselves have {', '.join(real)}.")
    if any(row.anchor for row in board.rows):
        lines.append("† anchor: a known point of the scale, not a contender.")
    kinds = {cell.kind for row in board.rows for cell in row.scores.values()}
    if kinds & {"iwae", "bound"}:
        draws = board.benchmark.file.likelihood.draws
        lines.append(f"<= upper bound on bits/dim: IWAE with {draws} draws, or an ELBO. Without a mark: exact.")
    if any(column.key.endswith(ESTIMATE) for column in board.columns):
        lines.append("~ estimate: neither exact nor a bound, not comparable with the other likelihoods.")
    return lines


def real_value(board: Leaderboard, key: str) -> float | None:
    """What a metric gives for the held-out data, where it says so in its fingerprint as ``real``."""
    for row in board.rows:
        for record in row.records:
            real = record.scores[key].fingerprint.get("real") if key in record.scores else None
            if isinstance(real, int | float):
                return float(real)
    return None


def problems(board: Leaderboard) -> list[str]:
    """One line for each row with seeds that are not ok or not run; ``genbench show`` has the whole reason."""
    return [f"{row.model}: {shortened(row.problem)}" for row in board.rows if not row.complete]


def omissions(board: Leaderboard) -> list[str]:
    """What is not in the table, and notes on what is."""
    reasons = Counter(entry.reason for entry in board.left_out)
    lines = []
    for reason, count in reasons.items():
        example = next(entry.run for entry in board.left_out if entry.reason == reason)
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"Left out: {example}{more}: {reason}")
    return lines + list(board.notes)


def shortened(text: str, width: int = 300) -> str:
    """``text`` on one line, cut where it is longer than ``width`` characters."""
    line = printable(text)
    return line if len(line) <= width else line[: width - 4] + " ..."


def _off(board: Leaderboard) -> str:
    benchmark = board.benchmark
    return " and ".join(["--dev"] * benchmark.dev + ["--budget"] * benchmark.custom_budget)
