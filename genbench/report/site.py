"""The leaderboard as a static page: no server, no network; it works from ``file://``.

Its script and its style stand in it, and its content security policy names them by their hashes: nothing else on the
page can run, whatever a record holds.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from genbench import __version__
from genbench.columns import GROUPS, Column
from genbench.errors import GenbenchError, StoreError
from genbench.foreign_files import read_regular
from genbench.leaderboard import Leaderboard
from genbench.png import PngError, essential
from genbench.record import Record
from genbench.report import legend, text
from genbench.report.numbers import ARROWS, COST_TITLES, cost, decimals_of, score
from genbench.report.printable import json_text, printable
from genbench.report.spelled import SPELLED, read_spelled
from genbench.rows import FLAGGED, Cell, Row
from genbench.selection import model_string
from genbench.store import RunKey, Store, model_folder

HERE = Path(__file__).parent
MARKER = "leaderboard.json"
"""The file by which a folder is known to have been written by :func:`write`."""

SEPARATE_ONCE = ("style.css", "table.js")
"""Files that earlier versions wrote beside the page."""

MAX_GRID_BYTES = 16 << 20
MAX_GRID_PIXELS = 1 << 24
"""Of a picture on the page: a browser unpacks it to 64 MiB."""

DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,62}")
"""What pip takes for a name and for a version, and never for an option or an address (PyPA's core metadata)."""

UNPACKAGED = "unpackaged"
"""The version of a model that came from a single file, which no package index has."""

SAMPLES = "samples.png"
REAL = "train-copy"
"""The model that hands out training examples: its row and its grid stand for real data."""


@dataclass(frozen=True)
class Grid:
    """A picture of samples: the model, the run that drew them, the file relative to the page.

    Of a text there is no file, but the samples themselves: ``words``, each with the class asked for or "".
    """

    model: str
    run: str
    source: str
    real: bool
    words: tuple[tuple[str, str], ...] = ()


def write(board: Leaderboard, store: Store, target: Path, definition: Path | None = None) -> list[str]:
    """Write the page, its data and its pictures into the folder ``target``.

    The page is written last and by rename, so that a reader never sees a page without its parts.

    Args:
        board: a leaderboard of ``store``.
        store: where the sample grids are.
        target: a folder that does not exist, is empty, or was written by this function.
        definition: the file of a benchmark that is not installed; it is published beside the page, whose commands
            name it.

    Returns:
        What could not be shown, one line each.

    Raises:
        GenbenchError: if the folder holds something else, or the board is of ``--dev`` or ``--budget`` runs.
        StoreError: if it cannot be written.
    """
    if not board.official:
        raise GenbenchError(
            f"{board.benchmark.folder} is no leaderboard: runs of --dev and --budget are never published"
        )
    if target.is_dir() and any(target.iterdir()) and not (target / MARKER).is_file():
        raise GenbenchError(
            f"{target} is not empty and was not written by `genbench publish`; name another folder, or empty it"
        )
    board = _without_paths(board, store.root)
    try:
        (target / "samples").mkdir(parents=True, exist_ok=True)
        for old in (target / "samples").glob("*.png"):
            old.unlink()
        grids, problems = _copy_grids(board, store, target)
        _put(target / MARKER, json_text(text.document(board)) + "\n")
        _put(target / "leaderboard.csv", text.comma_separated(board))
        _put(target / "leaderboard.md", text.markdown(board))
        for name in SEPARATE_ONCE:
            (target / name).unlink(missing_ok=True)
        if definition is not None:
            _put(target / f"{board.benchmark.name}.toml", definition.read_text(encoding="utf-8"))
        _put(target / "index.html", render(board, grids, definition is not None))
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}") from error
    return problems


def _without_paths(board: Leaderboard, root: Path) -> Leaderboard:
    """The leaderboard, with what is left out named by its place in the results folder, not on the publisher's disk."""
    prefixes = sorted({f"{path}{os.sep}" for path in (root, root.absolute(), root.resolve())}, key=len, reverse=True)

    def inside(text: str) -> str:
        for prefix in prefixes:
            text = text.replace(prefix, "")
        return text

    left_out = (replace(entry, run=inside(entry.run), reason=inside(entry.reason)) for entry in board.left_out)
    return replace(board, left_out=tuple(left_out))


def render(board: Leaderboard, grids: list[Grid], with_definition: bool = False) -> str:
    """The text of ``index.html``. Everything that comes from records or plugins is escaped.

    Args:
        with_definition: whether the benchmark's file stands beside the page.
    """
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    benchmark = board.benchmark
    script, style = (markupsafe.Markup(_part(name)) for name in ("table.js", "style.css"))
    return environment.get_template("page.html").render(
        script=script,
        style=style,
        policy=POLICY.format(script=_hash(script), style=_hash(style)),
        benchmark=benchmark,
        file=benchmark.file,
        budget=benchmark.budget,
        dataset=benchmark.dataset,
        evaluators=[entry for entry in (benchmark.evaluator, benchmark.second_evaluator) if entry],
        groups=[(group, count) for group in GROUPS if (count := sum(c.group == group for c in board.columns))],
        columns=[_column(board, column) for column in board.columns],
        cost_titles=list(COST_TITLES.values()),
        rows=[_row(board, row) for row in board.rows],
        problems=legend.problems(board),
        explanations=legend.explanations(board),
        omissions=legend.omissions(board),
        grids=grids,
        models=_models(board),
        environments=_environments(board),
        version=__version__,
        commands=_commands(board, with_definition),
        with_definition=with_definition,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
    )


POLICY = """default-src 'none'; img-src 'self'; style-src '{style}'; script-src '{script}'; base-uri 'none'; \
form-action 'none'"""
"""The page's content security policy (W3C, "Content Security Policy Level 3"), with the hashes of what it holds."""


def _part(name: str) -> str:
    """The text of the page's script or style."""
    return (HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """``sha256-...``, as a policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(value: object) -> object:
    """Every text that the template prints, without control characters or overrides of its direction.

    Whitespace stays where it is, at the edges too: the template puts parts together.
    """
    if type(value) is not str or value.isprintable():
        return value
    parts = re.split(r"(\s+)", value)
    return "".join(" " if part.isspace() else printable(part) for part in parts)


def _column(board: Leaderboard, column: Column) -> dict[str, Any]:
    name, bracket, suffix = column.title.partition(" [")
    return {
        "title": column.title,
        "name": name,
        "suffix": f"[{suffix}" if bracket else "",
        "arrow": ARROWS[column.better],
        "direction": column.better,
        "flags_only": column.group == "copying",
        "summary": column.summary,
        "reference": column.reference,
        "real": legend.real_value(board, column.key),
        "variance": legend.variance(replace(board, columns=(column,))),
    }


def _row(board: Leaderboard, row: Row) -> dict[str, Any]:
    decimals = decimals_of(board)
    scores = []
    for column in board.columns:
        cell = row.scores.get(column.key)
        scores.append({
            "number": score(row, column, decimals[column.key]),
            "sort": cell.estimate.mean if cell else None,
            "about": _about(cell) if cell else "; ".join(entry.reason for entry in row.withheld.get(column.key, ())),
        })  # fmt: skip
    costs = [{"text": cost(row.costs[key]), "sort": row.costs[key]} for key in COST_TITLES]
    return {
        "model": legend.named(row), "anchor": row.anchor, "timed": bool(legend.ended_by_clock(row.records)),
        "clock": legend.CLOCK, "warned": bool(legend.warnings(row.records)), "flag": FLAGGED,
        "complete": row.complete, "ok": row.ok, "seeds": row.seeds,
        "real": _is_real(row), "scores": scores, "costs": costs,
    }  # fmt: skip


def _about(cell: Cell) -> str:
    """What stands behind a number: each seed's value, the two deviations, warnings, the audit."""
    parts = [", ".join(f"seed {seed}: {value:.6g}" for seed, value in cell.values.items())]
    found = cell.components
    for name, value in (("training", found.training), ("sampling", found.sampling)):
        if value is not None:
            parts.append(f"standard deviation over {name}: {legend.deviation(value, found.log_scale)}")
    if cell.effective_draws is not None:
        parts.append(f"{cell.effective_draws:.3g} effective draws")
    if cell.smallest_flattery is not None:
        parts.append(f"audit passed, which sees {cell.smallest_flattery:.2g} bits/dim")
    elif cell.is_likelihood:
        parts.append("audit passed" if cell.audited else "unaudited")
    parts += [f"seed {seed}: {text}" for seed, text in cell.flags.items()]
    return "; ".join(parts)


def _is_real(row: Row) -> bool:
    return row.anchor and row.model == REAL


def _copy_grids(board: Leaderboard, store: Store, target: Path) -> tuple[list[Grid], list[str]]:
    """Copy a grid of each model, of its first seed that is ok, real data first."""
    grids, problems = [], []
    for row in sorted(board.rows, key=lambda entry: not _is_real(entry)):
        record = next((record for record in row.records if record.status == "ok"), None)
        if record is None:
            continue
        folder = store.root / RunKey(board.benchmark.folder, row.model, record.seed).path
        file = SPELLED if SPELLED in record.artifacts else SAMPLES
        try:
            if file == SPELLED:
                words = tuple(read_spelled(folder, record))
                grids.append(Grid(legend.named(row), record.run, "", _is_real(row), words))
                continue
            picture = _picture(folder / SAMPLES, record)
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or error
            problems.append(printable(f"{record.run}: its {file} is not shown: {why}"))
            continue
        name = f"{model_folder(row.model)}.png"
        (target / "samples" / name).write_bytes(picture)
        grids.append(Grid(legend.named(row), record.run, f"samples/{name}", _is_real(row)))
    return grids, problems


def _picture(source: Path, record: Record) -> bytes:
    """The picture of a run, proved to be its record's, without anything but header, palette and pixels.

    Results may come from elsewhere, and a link may lead anywhere.

    Raises:
        OSError: if there is no such file, or it can't be read.
        PngError: if it is another than the record's, or no picture.
    """
    if SAMPLES not in record.artifacts:
        raise PngError("the record names none")
    content = read_regular(source, MAX_GRID_BYTES, follow=False)
    if "sha256:" + hashlib.sha256(content).hexdigest() != record.artifacts[SAMPLES]:
        raise PngError("its hash is not the one in the record")
    return essential(content, MAX_GRID_PIXELS).content


def _models(board: Leaderboard) -> list[dict[str, Any]]:
    """What each row is, from its first record."""
    models = []
    for row in board.rows:
        identity = row.records[0].model
        models.append({
            "name": legend.named(row), "plugin": identity.plugin, "version": identity.version, "anchor": row.anchor,
            "reference": identity.reference, "likelihood": identity.likelihood or "none",
            "conditional": identity.conditional, "code": identity.code_sha256[:12],
            "warnings": legend.warnings(row.records),
            "config": ", ".join(model_string("", {key: value})[1:-1] for key, value in identity.config.items()),
        })  # fmt: skip
    return models


def _environments(board: Leaderboard) -> list[dict[str, Any]]:
    """The distinct environments of the records, with how many runs took place in each; commonest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in board.rows:
        for record in row.records:
            if record.status != "ok":
                continue
            values = {key: str(value) for key, value in record.environment.items()}
            entry = found.setdefault(json.dumps(values, sort_keys=True), {"runs": 0, "values": values})
            entry["runs"] += 1
    return sorted(found.values(), key=lambda entry: -int(entry["runs"]))


def _commands(board: Leaderboard, with_definition: bool) -> list[str]:
    """What a reader types to get these numbers; plugins of others have to be installed too.

    Records may come from elsewhere: what would be an option or an address to pip or to genbench is left out.
    """
    wanted = {"genbench": __version__}
    for row in board.rows:
        for record in row.records:
            name, version = record.model.plugin, record.model.version
            if version != UNPACKAGED and DISTRIBUTION.fullmatch(name) and VERSION.fullmatch(version):
                wanted.setdefault(name, version)
    packages = " ".join(shlex.quote(f"{name}=={version}") for name, version in wanted.items())
    models = [row.model for row in board.rows if row.model.isprintable() and not row.model.startswith("-")]
    name = f"./{board.benchmark.name}.toml" if with_definition else board.benchmark.name
    run = " ".join(["genbench run", *map(shlex.quote, models), f"-b {name}"])
    return [f"pip install {packages}", run, f"genbench table -b {name}"]


def _put(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_text(content, encoding="utf-8")
    os.replace(temporary, path)
