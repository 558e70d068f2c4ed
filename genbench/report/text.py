"""The leaderboard as Markdown, CSV, LaTeX and JSON. Names and reasons come from plugins and are escaped."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict
from itertools import groupby
from typing import Any

from genbench.flat import of_rows
from genbench.leaderboard import Leaderboard
from genbench.report import legend
from genbench.report.numbers import ARROWS, COST_TITLES, MISSING, Number, cost, decimals_of, score
from genbench.report.printable import printable
from genbench.rows import Cell, Row

TABLE_SCHEMA = 1
"""Of the JSON document; raised when a key changes its meaning or goes, not when one is added."""


def markdown(board: Leaderboard) -> str:
    """A GitHub-flavoured table, groups above the titles of their columns; then what is left out and what marks mean."""
    header = ["Model", "Seeds", *["Verified"] * board.has_verified]
    titles = [f"{escape_markdown(column.title)} {ARROWS[column.better]}".strip() for column in board.columns]
    titles += [COST_TITLES[key] for key in board.costs]
    for group, start, _ in groups(board):
        titles[start] = f"*{group}*<br>{titles[start]}"
    lines = [f"**{escape_markdown(legend.title(board))}**", ""]
    lines += ["| " + " | ".join([*header, *titles]) + " |", "|---|" + "---:|" * (len(header) + len(titles) - 1)]
    decimals = decimals_of(board)
    for section in board.sections():
        if section.title:
            lines.append("| " + " | ".join([f"*{section.title}*", *[""] * (len(header) + len(titles) - 1)]) + " |")
        for row in section.rows:
            cells = [_markdown_score(score(row, column, decimals[column.key])) for column in board.columns]
            first = [escape_markdown(legend.named(row)) + legend.marks(row), *_counts(board, row)]
            lines.append("| " + " | ".join([*first, *cells, *(cost(row.costs[key]) for key in board.costs)]) + " |")
    below = legend.problems(board) + legend.explanations(board) + legend.omissions(board)
    lines += ["", *(f"- {escape_markdown(line)}" for line in below)]
    return "\n".join(lines) + "\n"


def groups(board: Leaderboard) -> list[tuple[str, int, int]]:
    """Each run of columns of one group, costs last: its name, its first column and the one behind its last."""
    names = [column.group for column in board.columns] + ["cost"] * len(board.costs)
    found = []
    for name, members in groupby(range(len(names)), key=lambda index: names[index]):
        indices = list(members)
        found.append((str(name), indices[0], indices[-1] + 1))
    return found


def _counts(board: Leaderboard, row: Row) -> list[str]:
    return [f"{row.ok}/{row.seeds}", *[legend.level(row.verified)] * board.has_verified]


def latex(board: Leaderboard) -> str:
    """A ``tabular`` for the package booktabs, with its notes below it in a smaller type."""
    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "none": ""}
    header = ["Model", "Seeds", *["Verified"] * board.has_verified]
    fixed = len(header)
    header += [escape_latex(column.title) + arrows[column.better] for column in board.columns]
    header += [escape_latex(COST_TITLES[key]) for key in board.costs]
    above, rules = [""] * fixed, []
    for group, start, end in groups(board):
        above.append(rf"\multicolumn{{{end - start}}}{{c}}{{{group}}}")
        rules.append(rf"\cmidrule(lr){{{fixed + start + 1}-{fixed + end}}}")
    lines = [f"% {printable(legend.title(board))}", r"% needs \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule"]
    lines += [" & ".join(above) + r" \\", " ".join(rules), " & ".join(header) + r" \\", r"\midrule"]
    decimals = decimals_of(board)
    for section in board.sections():
        if section.title:
            lines += [*[r"\midrule"] * (section.rows[0] is not board.rows[0])]
            lines.append(rf"\multicolumn{{{len(header)}}}{{l}}{{\emph{{{section.title}}}}} \\")
        for row in section.rows:
            cells = [_latex_score(score(row, column, decimals[column.key])) for column in board.columns]
            first = [_latex_model(row), *(text.replace(MISSING, "--") for text in _counts(board, row))]
            lines.append(" & ".join([*first, *cells, *(_latex_cost(row.costs[key]) for key in board.costs)]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", "", r"\smallskip", r"{\footnotesize\raggedright"]
    notes = [*legend.problems(board), *legend.explanations(board), *legend.omissions(board)]
    lines += [rf"{_latex_note(line)}\par" for line in [legend.title(board), *notes]]
    return "\n".join([*lines, "}"]) + "\n"


def _latex_model(row: Row) -> str:
    name = escape_latex(legend.named(row)) + r"$^\dagger$" * row.anchor
    name += r"$^\ddagger$" * bool(legend.ended_by_clock(row.records))
    return name + "$^!$" * bool(legend.warnings(row.records))


def _latex_note(line: str) -> str:
    """A line of the legend, with the marks as the table has them."""
    marks = {legend.ANCHOR: r"$^\dagger$", legend.CLOCK: r"$^\ddagger$", "±": r"$\pm$"}
    text = escape_latex(line)
    for mark, command in marks.items():
        text = text.replace(mark, command)
    return text


def comma_separated(board: Leaderboard) -> str:
    """One row a model, numbers unrounded; a text that a spreadsheet would take for a formula gets a ``'``."""
    rows = [
        {
            **flat,
            "seeds_ended_by_clock": len(legend.ended_by_clock(row.records)),
            "warnings": "; ".join(legend.warnings(row.records)),
        }
        for flat, row in zip(of_rows(board), board.rows, strict=True)
    ]
    stream = io.StringIO()
    # Texts in quotes: a spreadsheet that parts cells at semicolons would find a formula behind one.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([escape_csv(key) for key in (rows[0] if rows else ["model"])])
    writer.writerows([escape_csv(value) for value in row.values()] for row in rows)
    return stream.getvalue()


def document(board: Leaderboard) -> dict[str, Any]:
    """The leaderboard as plain values for JSON, with the values of each seed; described in ``docs/tables.md``."""
    benchmark = board.benchmark
    return {
        "schema": TABLE_SCHEMA,
        "benchmark": {
            "name": benchmark.name,
            "title": benchmark.file.title,
            "digest": benchmark.digest,
            "dataset": benchmark.dataset.name,
            "evaluator": benchmark.evaluator.name,
            "second_evaluator": benchmark.second_evaluator and benchmark.second_evaluator.name,
            "dev": benchmark.dev,
            "custom_budget": benchmark.custom_budget,
            "division": benchmark.division,
            "seeds": benchmark.file.seeds,
        },
        "columns": [{**asdict(column), "ranked": column.ranked} for column in board.columns],
        "rows": [_row(row) for row in board.rows],
        "hidden": [row.model for row in board.hidden],
        "unsupported": [
            {"model": row.model, "failures": [asdict(f) for f in row.failures]} for row in board.unsupported
        ],
        "agreement": [asdict(entry) for entry in board.agreements()],
        "left_out": [asdict(entry) for entry in board.left_out],
        "notes": list(board.notes),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "model": row.model,
        "anchor": row.anchor,
        "ok": row.ok,
        "seeds": row.seeds,
        "complete": row.complete,
        "verified": row.verified,
        "problem": row.problem,
        "failures": [asdict(failure) for failure in row.failures],
        "missing": list(row.missing),
        "scores": {key: _cell(cell) for key, cell in row.scores.items()},
        "withheld": {key: [asdict(entry) for entry in entries] for key, entries in row.withheld.items()},
        "costs": row.costs,
        "ended_by_clock": legend.ended_by_clock(row.records),
        "warnings": {str(record.seed): record.warnings for record in row.records if record.warnings},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    entry: dict[str, Any] = {
        **asdict(cell.estimate),
        "rank": cell.rank,
        "kind": cell.kind,
        "samples": cell.n,
        "values": {str(seed): value for seed, value in cell.values.items()},
        "variance": asdict(cell.components),
        "flags": {str(seed): text for seed, text in cell.flags.items()},
    }
    if cell.is_likelihood:
        entry |= {
            "audit": "passed" if cell.audited else "unaudited",
            "smallest_flattery": cell.smallest_flattery,
            "effective_draws": cell.effective_draws,
        }
    return entry


def _markdown_score(number: Number) -> str:
    mean = f"**{number.mean}**" if number.rank == 1 else number.mean
    return _joined(f"{number.mark}{mean}{number.warning}", number.place, number.interval)


def _latex_score(number: Number) -> str:
    mark = {"<= ": r"$\leq$ ", "~ ": r"$\sim$ "}.get(number.mark, "")
    digits = _latex_exponents(number.mean)
    mean = f"${digits}$" if number.is_number else number.mean.replace(MISSING, "--")
    if number.rank == 1:
        mean = rf"$\mathbf{{{digits}}}$"
    interval = escape_latex(number.interval.removeprefix("± "))
    pm = r"$\pm$ " if number.interval.startswith("± ") else ""
    return _joined(f"{mark}{mean}{number.warning}", number.place, pm + interval.removeprefix("{}"))


def _latex_cost(value: float | None) -> str:
    return "--" if value is None else escape_latex(cost(value))


def _latex_exponents(number: str) -> str:
    """``1.20e+20`` as mathematics."""
    return re.sub(r"e([+-])0*(\d+)", lambda found: rf" \times 10^{{{found[1].strip('+')}{found[2]}}}", number)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def escape_markdown(text: str) -> str:
    """``text`` as literal text in one line of a Markdown table, list or paragraph (CommonMark, and GitHub's dialect).

    Wherever it stands: also what would begin a list, a heading or a rule at the start of a line, and what GitHub makes
    a link of.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", printable(text))
    escaped = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(:)|\b(www)(\.)", _unlinked, escaped)
    return re.sub(r"^([-+=]|\d{1,9}(?=[.)]))([.)]?)", _no_block, escaped)


def _unlinked(found: re.Match[str]) -> str:
    return f"{found[1]}\\:" if found[1] else f"{found[3]}\\."


def _no_block(found: re.Match[str]) -> str:
    return f"{found[1]}\\{found[2]}" if found[2] else f"\\{found[1]}{found[2]}"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\symbol{34}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """``text`` as literal text in LaTeX. ``[`` and ``*`` after ``\\\\`` would be its arguments, hence the braces.

    A straight quotation mark begins a shorthand in some of babel's languages.
    """
    escaped = "".join(LATEX.get(character, character) for character in printable(text))
    return "{}" + escaped if escaped.startswith(("[", "*")) else escaped


FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
           "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What a cell that a spreadsheet takes for a formula begins with, after OWASP, "CSV Injection"."""


def escape_csv(value: object) -> object:
    """Text on one line, with an apostrophe before it where it begins like a formula; numbers stay as they are.

    Whitespace, tabs and line ends among it, never begins it: it is taken away first. None stays an empty cell.
    """
    if not isinstance(value, str):
        return value
    line = printable(value)
    return f"'{line}" if line.startswith(FORMULA) else line
