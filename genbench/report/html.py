"""Tables for notebooks: what ``_repr_html_`` gives. Text of records, files and plugins is escaped, without exception.

No colours, so that they fit a light page and a dark one; no scripts and no style sheets, which notebooks remove.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from genbench.report import comparison_text, comparison_words, legend, text
from genbench.report.numbers import ARROWS, COST_TITLES, Number, cost, decimals_of, score, significant
from genbench.report.printable import printable
from genbench.rows import MARKS, Row

if TYPE_CHECKING:
    from genbench.comparing import ComparisonReport
    from genbench.comparison import Comparison
    from genbench.leaderboard import Leaderboard
    from genbench.listings import Listing
    from genbench.record import Record
    from genbench.scored import ScoredSamples

LEFT = Markup("text-align: left; padding: 0.1em 0.6em")
HEAD_RIGHT = Markup("text-align: right; padding: 0.1em 0.6em")
RIGHT = HEAD_RIGHT + Markup("; white-space: nowrap")
Cell = str | Markup


def leaderboard_html(board: Leaderboard) -> str:
    """The table as it stands elsewhere: contenders, anchors apart, what lacks seeds; below it what its marks mean."""
    fixed = ["Model", "Seeds", *["Verified"] * board.has_verified]
    titles = [f"{column.title} {ARROWS[column.better]}".rstrip() for column in board.columns]
    above = [_head("", len(fixed)), *(_head(name, end - start) for name, start, end in text.groups(board))]
    last = [*fixed, *titles, *(COST_TITLES[key] for key in board.costs)]
    numbers = range(1, len(last))
    head = [_row(above), _heads(last, numbers)]
    decimals = decimals_of(board)
    bodies = []
    for section in board.sections():
        rows = [_section(section.title, len(last))] * bool(section.title)
        rows += [_cells(_leaderboard_row(board, row, decimals), numbers) for row in section.rows]
        bodies.append(Markup("<tbody>{}</tbody>").format(_joined(rows)))
    below = [*legend.problems(board), *legend.omissions(board)]
    return _page(legend.title(board), _table(head, bodies), below, legend.explanations(board))


def comparison_html(report: ComparisonReport) -> str:
    """A row a metric; of two results folders, a row a model. What the gate says stands first."""
    parts = []
    if report.verdict is not None:
        head, lines = comparison_words.verdict(report.verdict, report.comparisons)
        parts.append(_page(head, Markup(""), lines))
    first = report.comparisons[0]
    if report.folders is None:
        parts.append(_one_comparison(first, judged=report.verdict is not None))
    else:
        rows = [[of.a.name, *map(str, comparison_words.tally(of))] for of in report.comparisons]
        below = [*report.folders.lines]
        below += [line for of in report.comparisons for line in comparison_words.differences(of)]
        heading = f"{first.benchmark.folder}: digest {first.benchmark.digest}"
        parts.append(
            _page(heading, simple_table(comparison_words.TALLY, rows, range(1, len(comparison_words.TALLY))), below)
        )
    return "\n".join(parts)


def record_html(record: Record) -> str:
    """Status, scores, and what the run spent and cost. ``genbench show`` has all."""
    outcome = f"{record.status}: {record.reason}" if record.reason else record.status
    withheld = legend.withheld(record)
    scores = [
        [
            name,
            "withheld" if name in withheld else MARKS.get(of.kind, "") + significant(of.value, 5),
            f"{of.n:,}",
            withheld.get(name) or of.flag or "",
        ]
        for name, of in record.scores.items()
    ]
    table = simple_table(["Score", "Value", "n", "Remarks"], scores, (1, 2)) if scores else Markup("")
    benchmark = record.benchmark
    facts = [f"Benchmark digest {benchmark.digest}", f"{record.model.plugin} {record.model.version}"]
    facts += ["Not for a leaderboard: made with --dev or --budget."] * (benchmark.dev or benchmark.custom_budget)
    facts += [
        f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value:.5g}"
        for name, value in {**record.spent, **record.cost}.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return _page(f"{record.run}: {outcome}", table, [*withheld_lines(record), *record.warnings], facts)


def withheld_lines(record: Record) -> list[str]:
    """A line for each score that is not shown though the run measured it, with the reason."""
    return [f"{name} is withheld: {why}" for name, why in legend.withheld(record).items() if name not in record.scores]


def scores_html(found: ScoredSamples) -> str:
    """A row a score."""
    return _page(found.heading, simple_table(["Score", "Value", "Remarks"], found.rows(), (1,)))


def listing_html(listing: Listing) -> str:
    """A row an entry."""
    return _page(f"{len(listing)} {listing.kind}", simple_table(listing.header, listing.rows()))


def simple_table(header: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Collection[int] = ()) -> Markup:
    """A table without groups or sections.

    Args:
        numbers: indices of the columns that hold numbers.
    """
    body = Markup("<tbody>{}</tbody>").format(_joined(_cells(row, numbers) for row in rows))
    return _table([_heads(header, numbers)], [body])


def page(heading: str, table: Markup, below: Iterable[str] = ()) -> str:
    """A table under a heading, with lines below it."""
    return _page(heading, table, below)


def _one_comparison(comparison: Comparison, judged: bool) -> str:
    rows: list[list[Cell]] = []
    for entry in comparison.metrics:
        *cells, said = comparison_text.cells(entry)
        rows.append([*cells, Markup("<b>{}</b>").format(said) if entry.winner else said])
    table = simple_table(comparison_text.HEADER, rows, range(1, len(comparison_text.HEADER) - 1))
    if comparison.costs:
        table += simple_table(comparison_text.COST_HEADER, comparison_text.cost_cells(comparison), (1, 2, 3))
    words = comparison_words
    below = [*words.versions(comparison), *words.problems(comparison), *words.warnings(comparison)]
    return _page(words.heading(comparison), table, below, words.notes(comparison, judged))


def _leaderboard_row(board: Leaderboard, row: Row, decimals: dict[str, int]) -> list[Cell]:
    first = [legend.named(row) + legend.marks(row), f"{row.ok}/{row.seeds}"]
    first += [legend.level(row.verified)] * board.has_verified
    numbers = [_number(score(row, column, decimals[column.key])) for column in board.columns]
    return [*first, *numbers, *(cost(row.costs[key]) for key in board.costs)]


def _number(number: Number) -> Markup:
    """The mean, bold where none is significantly better, its rank, and its interval below it."""
    mean = Markup("<b>{}</b>" if number.rank == 1 else "{}").format(f"{number.mark}{number.mean}{number.warning}")
    place = f" {number.place}" if number.place else ""
    below = Markup("<br><small>{}</small>").format(number.interval) if number.interval else ""
    return Markup("{}{}{}").format(mean, place, below)


def _page(heading: str, table: Markup, below: Iterable[str] = (), folded: Iterable[str] = ()) -> str:
    """A table under a heading, with lines below it, some of which a reader has to ask for."""
    return str(
        Markup("<div><p><b>{}</b></p><div style='overflow-x: auto'>{}</div>{}{}</div>").format(
            printable(heading), table, _lines(below), _folded(folded)
        )
    )


def _lines(lines: Iterable[str]) -> Markup:
    items = [Markup("<li><small>{}</small></li>").format(printable(line)) for line in lines]
    return Markup("<ul>{}</ul>").format(_joined(items)) if items else Markup("")


def _folded(lines: Iterable[str]) -> Markup:
    inside = _lines(lines)
    return Markup("<details><summary><small>Notes</small></summary>{}</details>").format(inside) if inside else inside


def _table(head: Iterable[Markup], bodies: Iterable[Markup]) -> Markup:
    return Markup("<table><thead>{}</thead>{}</table>").format(_joined(head), _joined(bodies))


def _heads(titles: Sequence[str], numbers: Collection[int]) -> Markup:
    return _row(
        Markup("<th style='{}'>{}</th>").format(HEAD_RIGHT if index in numbers else LEFT, printable(title))
        for index, title in enumerate(titles)
    )


def _head(title: str, span: int) -> Markup:
    return Markup("<th colspan='{}' style='{}'>{}</th>").format(span, LEFT, printable(title))


def _section(title: str, width: int) -> Markup:
    return Markup("<tr><th colspan='{}' style='{}'><i>{}</i></th></tr>").format(width, LEFT, title)


def _cells(cells: Sequence[Cell], numbers: Collection[int]) -> Markup:
    return _row(
        Markup("<td style='{}'>{}</td>").format(
            RIGHT if index in numbers else LEFT, cell if isinstance(cell, Markup) else printable(cell)
        )
        for index, cell in enumerate(cells)
    )


def _row(cells: Iterable[Markup]) -> Markup:
    return Markup("<tr>{}</tr>").format(_joined(cells))


def _joined(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
