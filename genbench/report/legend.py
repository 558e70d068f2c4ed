"""The words around a table: its title, what its marks mean, what went wrong and what it leaves out."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from genbench.columns import COSTS, ESTIMATE, Column
from genbench.leaderboard import Leaderboard
from genbench.record import Record
from genbench.report.numbers import LARGE, significant
from genbench.report.printable import printable
from genbench.rows import FLAGGED, UNAUDITED, Cell, Row
from genbench.statistics import ALPHA, MIN_SEEDS, Components
from genbench.verification import LEVELS

ANCHOR = "†"
CLOCK = "‡"
"""Printed behind a model some of whose runs the clock ended."""
NAME_WIDTH = 200
"""Longer names are cut: a record may be of a model with any."""
MOST_LINES = 20
"""Of one sort in a legend: a folder of others' records may be wrong in any number of ways."""


def title(board: Leaderboard) -> str:
    """Benchmark, its size and its digest in a line."""
    benchmark = board.benchmark
    kind = ", open division: samples from outside" if benchmark.division == "open" else ""
    kind += "" if board.official else " (not a leaderboard: " + _off(board) + ")"
    return f"{benchmark.file.title or benchmark.name}{kind}: digest {benchmark.digest}"


def explanations(board: Leaderboard, whole: Leaderboard | None = None) -> list[str]:
    """What the table's marks mean, only those that stand in it; and which models are not made for such data.

    Args:
        whole: the leaderboard of which only some columns are shown: its warnings, and whether its two evaluators agree,
            are told although their columns are not.
    """
    return [
        *_order(whole or board),
        *_intervals(board),
        *_ranks(board),
        *_measured(board),
        *variance(board),
        *agreement(whole or board),
        *_verified(board),
        *_anchors(board),
        *_unsupported(whole or board),
        *_likelihoods(board),
        *_copying(board),
        *_flags(whole or board),
        *_clock(whole or board),
        *_warnings(whole or board),
    ]


def named(row: Row) -> str:
    """A row's model as every table calls it, without its marks."""
    return shortened(row.model, NAME_WIDTH)


def marks(row: Row) -> str:
    """What is printed behind a row's model."""
    return f" {ANCHOR}" * row.anchor + run_marks(row.records)


def run_marks(records: Sequence[Record]) -> str:
    """What is printed behind a model for what befell its runs: that the clock ended some, that some have warnings."""
    return f" {CLOCK}" * bool(ended_by_clock(records)) + f" {FLAGGED}" * bool(warnings(records))


def withheld(record: Record) -> dict[str, str]:
    """Each score that is not to be shown, and why: also a likelihood that stands there though its audit failed."""
    audit = record.audit
    if audit is None or audit.verdict == "passed":
        return record.withheld
    failed = {
        name: audit.reason or "its audit failed" for name, score in record.scores.items() if score.kind != "metric"
    }
    return {**record.withheld, **failed}


def ended_by_clock(records: Sequence[Record]) -> list[int]:
    """The seeds of the records whose training the clock ended, and neither images nor FLOPs."""
    return [record.seed for record in records if record.spent.get("ended_by") == "seconds"]


def warnings(records: Sequence[Record]) -> list[str]:
    """What the records warn of, each text once."""
    return list(dict.fromkeys(printable(text) for record in records for text in record.warnings))


def clock_words(timed: Mapping[str, tuple[int, int]]) -> list[str]:
    """The line on runs that the clock ended, if there are any.

    Args:
        timed: model to how many of its seeds, of how many.
    """
    found = [f"{name} ({count} of {of} seeds)" for name, (count, of) in timed.items() if count]
    if not found:
        return []
    return [
        f"{CLOCK} ended by the clock: outside the promise of bit-identity, and a faster machine trains for longer: "
        f"{_listed(found)}."
    ]


def warning_words(name: str, records: Sequence[Record]) -> list[str]:
    """The line on what a model's records warn of, if they do; ``genbench show`` has all."""
    texts = warnings(records)
    if not texts:
        return []
    warned = sum(bool(record.warnings) for record in records)
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    return [f"{FLAGGED} warning in {warned} of {len(records)} runs of {name}: {shortened(texts[0])}{more}"]


def _clock(board: Leaderboard) -> list[str]:
    return clock_words({named(row): (len(ended_by_clock(row.records)), len(row.records)) for row in board.rows})


def _warnings(board: Leaderboard) -> list[str]:
    lines = _fewer([line for row in board.rows for line in warning_words(named(row), row.records)])
    return [*lines, f"{FLAGGED} behind a model: its runs have warnings, which `genbench show` lists."] if lines else []


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - MOST_LINES} more" if len(texts) > MOST_LINES else ""
    return ", ".join(texts[:MOST_LINES]) + more


def _fewer(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - MOST_LINES} more like these"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more


def _order(board: Leaderboard) -> list[str]:
    """By what the rows are sorted, where a person chose it: the column need not be shown."""
    titles = {key: title for key, title, _ in COSTS} | {column.key: column.title for column in board.columns}
    return [f"Sorted by {titles[board.sort]}."] if board.sort in titles else []


def _intervals(board: Leaderboard) -> list[str]:
    if all(cell.estimate.low is None for _, _, cell in board.shown()):
        return []
    logs = dict.fromkeys(column.title for _, column, cell in board.shown() if cell.estimate.log_scale)
    geometric = f"; [low, high] and geometric mean, from logarithms, for {', '.join(logs)}" if logs else ""
    return [f"Mean over {len(board.benchmark.file.seeds)} seeds and 95 % Student-t interval{geometric}."]


def _ranks(board: Leaderboard) -> list[str]:
    cells = [(column.key, row.scores.get(column.key)) for column in board.columns for row in board.every]
    ranked = Counter(key for key, cell in cells if cell is not None and cell.rank is not None)
    if ranked:
        most = max(ranked.values())
        pairs = most * (most - 1) // 2
        to = "up to " if len(set(ranked.values())) > 1 else ""
        return [
            "(1) rank: 1 + the number of contenders that are significantly better, by Welch's test of each pair and "
            f"Holm's correction within the column ({to}{pairs} pair{'s' * (pairs > 1)}) at {100 * ALPHA:g} %."
        ]
    seeds = len(board.benchmark.file.seeds)
    are = "is" if seeds == 1 else "are"
    return [f"No ranks: they need {MIN_SEEDS} seeds, and there {are} {seeds}."] if seeds < MIN_SEEDS else []


def _measured(board: Leaderboard) -> list[str]:
    featured, others = _counts(board, with_evaluator=True), _counts(board, with_evaluator=False)
    second = board.benchmark.second_evaluator
    beside = f", and of {second.name} where a title names it" if second and _of_two(board) else ""
    lines = []
    if featured or not others:
        name = board.benchmark.evaluator.name
        lines.append(f"Features of the evaluator {name}{beside}; {featured or 'no scores yet'}.")
    if others:
        lines.append(f"{'Other scores' if featured else 'Scores of no evaluator'}: {others}.")
    real = [f"{column.title} {value:.2f}" for column in board.columns if (value := real_value(board, column.key))]
    if real:
        lines.append(f"The held-out data themselves have {', '.join(real)}.")
    return lines


def _counts(board: Leaderboard, with_evaluator: bool) -> str:
    """Behind how many samples or examples the scores stand, of those whose fingerprint names an evaluator or not."""
    titles: dict[int, dict[str, None]] = {}
    for column in board.columns:
        cells = [row.scores[column.key] for row in board.rows if column.key in row.scores]
        for n in sorted({cell.n for cell in cells if bool(cell.evaluator) == with_evaluator}):
            titles.setdefault(n, {})[_short(column)] = None
    return "; ".join(f"n = {n:,} for {', '.join(names)}" for n, names in titles.items())


def variance(board: Leaderboard) -> list[str]:
    """How much the scores vary over training and how much over sampling, as medians over rows."""
    parts = []
    for column in board.columns:
        components = [row.scores[column.key].components for row in board.rows if column.key in row.scores]
        # A row with a value of zero or less is not on the column's log scale and has no part in its median.
        alike = [found for found in components if found.log_scale == column.log_scale]
        both = [(c.training, c.sampling) for c in alike if c.training is not None and c.sampling is not None]
        if both:
            training, sampling = (
                deviation(statistics.median(part), column.log_scale) for part in zip(*both, strict=True)
            )
            parts.append(f"{column.title} {training} and {sampling}")
    if not parts:
        return []
    return [
        f"Standard deviation over training and, apart from it, over sampling; median over rows: {'; '.join(parts)}."
    ]


def deviation(value: float, log_scale: bool) -> str:
    """A standard deviation as it is printed: of logarithms as a share of the score."""
    if log_scale:
        percent = 100 * Components.relative(value)
        return f"{percent:.2g} %" if value < 1 or percent >= LARGE else f"{percent:.0f} %"
    return significant(value, 2)


def agreement(board: Leaderboard) -> list[str]:
    """Whether two evaluators order the rows alike."""
    found = [entry for entry in board.agreements() if entry.tau is not None]
    if not found:
        return []
    taus = ", ".join(f"{entry.title} {entry.tau:.2f} ({entry.rows} rows)" for entry in found)
    first, second = found[0].evaluators
    return [f"Rank agreement of {first} and {second}, Kendall's tau-b: {taus}; 1 is the same order, -1 the reverse."]


def level(verified: int | None) -> str:
    """How far a row is verified, as every table has it."""
    return "-" if verified is None else f"L{verified}"


def _verified(board: Leaderboard) -> list[str]:
    if not board.has_verified:
        return []
    words = ", ".join(f"L{number} {word}" for number, word in enumerate(LEVELS))
    return [f"Verified: how far `genbench verify` has checked every ok seed of a row: {words}."]


def _anchors(board: Leaderboard) -> list[str]:
    if not any(row.anchor for row in board.rows):
        return []
    return [f"{ANCHOR} anchor: a known point of the scale, not a contender, and not ranked."]


def _unsupported(board: Leaderboard) -> list[str]:
    """A line for each reason for which models are not made for such data."""
    models: dict[str, list[str]] = {}
    for row in board.unsupported:
        models.setdefault("; ".join(failure.reason for failure in row.failures), []).append(named(row))
    return [f"Not for these data: {_listed(names)}: {shortened(reason)}" for reason, names in models.items()]


def _likelihoods(board: Leaderboard) -> list[str]:
    cells = [cell for _, _, cell in board.shown() if cell.is_likelihood]
    kinds = {cell.kind for cell in cells}
    lines = []
    if kinds & {"iwae", "bound"}:
        units = " or ".join(dict.fromkeys(column.unit for column in board.columns if column.group == "likelihood"))
        draws = board.benchmark.file.likelihood.draws
        lines.append(
            f"<= upper bound on {units}: IWAE with {draws} draws{_effective(cells)}, or an ELBO. Without a mark: "
            "exact. Bounds rank by their bound: a lower one is better for sure, a higher one only as a bound."
        )
    if any(column.key.endswith(ESTIMATE) for column in board.columns):
        lines.append("~ estimate: neither exact nor a bound, not comparable with the other likelihoods; not ranked.")
    lines += _flattery(board)
    if not all(cell.audited for cell in cells):
        lines.append(
            f"{UNAUDITED} unaudited: nothing has checked that this is the likelihood of a distribution; not ranked."
        )
    return lines


def _flattery(board: Leaderboard) -> list[str]:
    """What the audits would have seen, of the likelihoods that they have an inequality for: estimates have none."""
    passed = [(row, cell) for row, _, cell in board.shown() if cell.is_likelihood and cell.audited]
    tested = [(row, cell.smallest_flattery) for row, cell in passed if cell.kind != "estimate"]
    seen = [least for _, least in tested if least is not None]
    unknown = _listed(list(dict.fromkeys(named(row) for row, least in tested if least is None)))
    if not tested:
        return []
    if not seen:
        return [f"Likelihoods passed an audit; the flattery that it sees is unknown for {unknown}."]
    but = f"; unknown for {unknown}" if unknown else ""
    return [f"Likelihoods passed an audit that sees a flattery of {flattery(max(seen), board)} or more{but}."]


def flattery(bits_per_dim: float, board: Leaderboard) -> str:
    """By how much a likelihood would have to flatter itself for its audit to see it; where likelihoods have another
    unit, such as bits a letter, also of a whole example: padding has dimensions and no letters."""
    text = f"{significant(bits_per_dim, 2)} bits/dim"
    if all(column.unit == "bits/dim" for column in board.columns if column.group == "likelihood"):
        return text
    return f"{text} ({significant(bits_per_dim * board.benchmark.dataset.data.dims, 2)} bits an example)"


def _copying(board: Leaderboard) -> list[str]:
    titles = dict.fromkeys(_short(column) for column in board.columns if column.group == "copying")
    shown = {_short(column) for _, column, _ in board.shown()} & set(titles)
    names = ", ".join(title for title in titles if title in shown)
    if not names:
        return []
    return [f"{names}: only the flag {FLAGGED} counts; no value is better than another, and none is ranked."]


def _effective(cells: list[Cell]) -> str:
    found = [cell.effective_draws for cell in cells if cell.effective_draws is not None]
    return f" ({significant(statistics.median(found), 2)} of them effective, median over rows)" if found else ""


def _flags(board: Leaderboard) -> list[str]:
    """A line for the rows that may be copying with the same tests in as many seeds, and one for each other flag."""
    copying: dict[str, list[str]] = {}
    warned: list[str] = []
    for row in board.rows:
        cells = ((column, row.scores.get(column.key)) for column in board.columns)
        flagged = [(column, cell) for column, cell in cells if cell is not None and cell.flags]
        tests = [
            f"{column.title} in {len(cell.flags)} of {len(cell.values)} seeds"
            for column, cell in flagged
            if column.group == "copying"
        ]
        if tests:
            copying.setdefault(", ".join(tests), []).append(named(row))
        warned += [
            f"{FLAGGED} warning: {column.title} of {named(row)} ({len(cell.flags)}/{len(cell.values)} seeds): "
            + shortened(next(iter(cell.flags.values())))
            for column, cell in flagged
            if column.group != "copying"
        ]
    lines = _fewer([f"{FLAGGED} may be copying: {_listed(names)}: {found}." for found, names in copying.items()])
    if copying:
        lines.append(
            f"{FLAGGED} means: nearer to the training data than 99 of 100 honest held-out sets are. So an honest model "
            "has one in a hundred of its seeds and tests flagged."
        )
    return [*lines, *_fewer(warned)]


def real_value(board: Leaderboard, key: str) -> float | None:
    """What a metric gives for the held-out data, where it says so in its fingerprint as ``real``."""
    for row in board.every:
        for record in row.records:
            real = record.scores[key].fingerprint.get("real") if key in record.scores else None
            if isinstance(real, int | float):
                return float(real)
    return None


def problems(board: Leaderboard) -> list[str]:
    """One line for each row that lacks seeds or scores; ``genbench show`` has the whole reason."""
    return [f"{named(row)}: {shortened(row.problem)}" for row in board.rows if row.problem]


def omissions(board: Leaderboard) -> list[str]:
    """What is not in the table, and notes on what is."""
    reasons = Counter(entry.reason for entry in board.left_out)
    lines = []
    for reason, count in reasons.items():
        example = next(entry.run for entry in board.left_out if entry.reason == reason)
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"Left out: {shortened(example)}{more}: {shortened(reason)}")
    return [*_restriction(board), *_fewer(lines), *map(printable, board.notes)]


def _restriction(board: Leaderboard) -> list[str]:
    """That rows are not shown, and that this changes nothing about the others."""
    if not board.hidden:
        return []
    contenders, shown = (sum(not row.anchor for row in rows) for rows in (board.every, board.rows))
    return [
        f"{shown} of {contenders} contenders are shown; ranks, and the tests behind them, are those of the whole table."
    ]


def shortened(text: str, width: int = 300) -> str:
    """``text`` on one line, cut where it is longer than ``width`` characters."""
    line = printable(text)
    return line if len(line) <= width else line[: width - 4] + " ..."


def _short(column: Column) -> str:
    return column.title.partition(" [")[0]


def _of_two(board: Leaderboard) -> bool:
    return any(column.evaluator for column in board.columns)


def _off(board: Leaderboard) -> str:
    benchmark = board.benchmark
    return " and ".join(["--dev"] * benchmark.dev + ["--budget"] * benchmark.custom_budget)
