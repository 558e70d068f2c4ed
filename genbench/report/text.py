"""The leaderboard as Markdown, CSV, LaTeX and JSON. Names and reasons come from plugins and are escaped."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import asdict
from typing import Any

from genbench.leaderboard import Leaderboard, as_dicts
from genbench.report import legend
from genbench.report.numbers import ARROWS, COST_TITLES, MISSING, Number, cost, decimals_of, score
from genbench.report.printable import printable
from genbench.rows import Cell, Row

ANCHOR = legend.ANCHOR


def markdown(board: Leaderboard) -> str:
    """A GitHub-flavoured table, with what it leaves out and what its marks mean below."""
    titles = [f"{escape_markdown(column.title)} {ARROWS[column.better]}".strip() for column in board.columns]
    header = ["Model", "Seeds", *titles, *(COST_TITLES[key] for key in board.costs)]
    lines = [f"**{escape_markdown(legend.title(board))}**", ""]
    lines += ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    decimals = decimals_of(board)
    for row in board.rows:
        cells = [_markdown_score(score(row, column, decimals[column.key])) for column in board.columns]
        model = escape_markdown(legend.named(row)) + legend.marks(row)
        cells = [model, f"{row.ok}/{row.seeds}", *cells, *(cost(row.costs[key]) for key in board.costs)]
        lines.append("| " + " | ".join(cells) + " |")
    below = legend.problems(board) + legend.explanations(board) + legend.omissions(board)
    lines += ["", *(f"- {escape_markdown(line)}" for line in below)]
    return "\n".join(lines) + "\n"


def latex(board: Leaderboard) -> str:
    """A ``tabular`` for the package booktabs, notes as comments."""
    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "none": ""}
    titles = [escape_latex(column.title) + arrows[column.better] for column in board.columns]
    header = ["Model", "Seeds", *titles, *(escape_latex(COST_TITLES[key]) for key in board.costs)]
    notes = [legend.title(board), *legend.problems(board), *legend.explanations(board), *legend.omissions(board)]
    lines = [f"% {printable(line)}" for line in notes]
    lines += ["% needs \\usepackage{booktabs}", rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule"]
    lines += [" & ".join(header) + r" \\", r"\midrule"]
    decimals = decimals_of(board)
    for row in board.rows:
        cells = [_latex_score(score(row, column, decimals[column.key])) for column in board.columns]
        model = escape_latex(legend.named(row)) + r"$^\dagger$" * row.anchor
        model += r"$^\ddagger$" * bool(legend.ended_by_clock(row.records))
        model += "$^!$" * bool(legend.warnings(row.records))
        cells = [
            model,
            f"{row.ok}/{row.seeds}",
            *cells,
            *(_latex_cost(row.costs[key]) for key in board.costs),
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def comma_separated(board: Leaderboard) -> str:
    """One row a model, numbers unrounded; a text that a spreadsheet would take for a formula gets a ``'``."""
    rows = [
        {
            **flat,
            "seeds_ended_by_clock": len(legend.ended_by_clock(row.records)),
            "warnings": "; ".join(legend.warnings(row.records)),
        }
        for flat, row in zip(as_dicts(board), board.rows, strict=True)
    ]
    stream = io.StringIO()
    # Texts in quotes: a spreadsheet that parts cells at semicolons would find a formula behind one.
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([escape_csv(key) for key in (rows[0] if rows else ["model"])])
    writer.writerows([escape_csv(value) for value in row.values()] for row in rows)
    return stream.getvalue()


def document(board: Leaderboard) -> dict[str, Any]:
    """The leaderboard as plain values for JSON, with the values of each seed."""
    benchmark = board.benchmark
    return {
        "benchmark": {
            "name": benchmark.name,
            "title": benchmark.file.title,
            "digest": benchmark.digest,
            "dataset": benchmark.dataset.name,
            "evaluator": benchmark.evaluator.name,
            "second_evaluator": benchmark.second_evaluator and benchmark.second_evaluator.name,
            "dev": benchmark.dev,
            "custom_budget": benchmark.custom_budget,
        },
        "columns": [{**asdict(column), "ranked": column.ranked} for column in board.columns],
        "rows": [_row(row) for row in board.rows],
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
