"""A site made of leaderboards: gathered, written aside, and put in the place of the one before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import GenbenchError
from genbench.foreign_files import read_regular
from genbench.leaderboard import Leaderboard
from genbench.record import Record
from genbench.report import text
from genbench.report.printable import json_text, printable
from genbench.report.site import benchmark as benchmark_page
from genbench.report.site import figures, index, run
from genbench.report.site import model as model_page
from genbench.report.site.folder import SITE, Staging, staging
from genbench.report.site.metrics import metrics_of
from genbench.report.site.pictures import Samples, samples_of
from genbench.report.site.templates import render, style, style_name
from genbench.report.site.training import CURVE, Curve, training_figures
from genbench.rows import Row
from genbench.store import MAX_RECORD_BYTES, RECORD, RunKey, Store, model_folder
from genbench.verification import Verification

if TYPE_CHECKING:
    from genbench.plugins import Registry

INDEX = "index.html"
FILES = (".html", ".csv", ".md", ".tex", ".json", ".toml")
"""What the names of files beside a benchmark's page end with."""


@dataclass(frozen=True)
class Entry:
    """A leaderboard to publish.

    Attributes:
        board: of the store that is published.
        verifications: run to what was verified of it.
        definition: the file of a benchmark that is not installed; it is published beside the page, whose commands name
            it.
    """

    board: Leaderboard
    verifications: Mapping[str, Verification] = field(default_factory=dict)
    definition: Path | None = None


def write(entries: Iterable[Entry], store: Store, target: Path, registry: Registry | None = None) -> list[str]:
    """Write the site of some leaderboards into the folder ``target``.

    All pages are made aside and then put in their places, the first page last: a reader never sees one without its
    parts. What an earlier call wrote is replaced; files of others in the folder are left alone.

    Args:
        entries: taken one by one, so that no more than one leaderboard is held.
        store: where the runs are.
        target: a folder that does not exist, is empty but for hidden files, or was written by this function.
        registry: the installed models and data, for summaries, families and nearest training examples; without it
            there are none.

    Returns:
        What could not be shown, one line each.

    Raises:
        GenbenchError: if the folder holds something else, or a leaderboard is of ``--dev`` or ``--budget`` runs.
        StoreError: if it cannot be written.
    """
    with staging(target) as stage:
        site = _Site(store, stage, registry)
        for entry in entries:
            site.add(entry)
        site.finish()
    return site.problems


class _Site:
    """What has been gathered so far of a site that is being written."""

    def __init__(self, store: Store, stage: Staging, registry: Registry | None) -> None:
        self.problems: list[str] = []
        self._store, self._stage, self._registry = store, stage, registry
        self._summaries: list[index.Summary] = []
        self._models: list[dict[str, Any]] = []
        self._places: dict[str, dict[str, str]] = {}
        self._updated = ""

    def add(self, entry: Entry) -> None:
        """Write the pages of a benchmark and of its runs; those of its models wait for the other benchmarks."""
        board = _without_paths(entry.board, self._store.root)
        benchmark = board.benchmark
        if not board.official:
            raise GenbenchError(f"{benchmark.folder} is no leaderboard: runs of --dev and --budget are never published")
        if benchmark.folder in (INDEX, SITE, style_name()):
            raise GenbenchError(f"a benchmark named {benchmark.folder} cannot be published: the site has such a file")
        folder = self._stage.folder(benchmark.folder)
        definition = f"{benchmark.name}.toml" if entry.definition else ""
        if entry.definition:
            _put(folder / definition, entry.definition.read_text(encoding="utf-8"))
        _put(folder / "leaderboard.json", json_text(text.document(board)) + "\n")
        _put(folder / "leaderboard.csv", text.comma_separated(board))
        _put(folder / "leaderboard.md", text.markdown(board))
        _put(folder / "leaderboard.tex", text.latex(board))
        pages = {row.model: page_folder(row.model) for row in board.rows}
        links = {model: f"{place}/{INDEX}" for model, place in pages.items()}
        title = benchmark.file.title or benchmark.name
        self._places[benchmark.folder] = {"": title + " (open division)" * (benchmark.division == "open"), **pages}
        metrics = metrics_of(board)
        updated = max((_day(record) for row in board.rows for record in row.records), default="")
        self._updated = max(self._updated, updated)
        nearest = self._nearest(board, pages)
        gallery: dict[str, Samples] = {}
        for row in board.rows:
            place = self._stage.folder(f"{benchmark.folder}/{pages[row.model]}")
            samples, curves = self._copy(board, row, place)
            gallery |= {row.model: samples[0]} if samples else {}
            shown = figures.of_model(board, row, curves)
            view = model_page.view(
                board, row, metrics, samples, shown, nearest.get(row.model), self._registry, definition
            )
            self._models.append({**view, "place": place, "page": pages[row.model], "updated": updated})
            for record in row.records:
                files = self._files(board, row, record, samples, place)
                found = entry.verifications.get(record.run)
                _put(place / f"seed-{record.seed}.html",
                     run.page(board, record, metrics, files, found, definition, updated))  # fmt: skip
        drawn = figures.of_benchmark(board, links, self._registry)
        _put(folder / INDEX, benchmark_page.page(board, metrics, links, gallery, nearest, drawn, definition, updated))
        self._summaries.append(index.summary_of(board, links))

    def finish(self) -> None:
        """Write the pages that lead to all benchmarks."""
        for view in self._models:
            others = model_page.others(view["model"], self._places, view["folder"])
            _put(view["place"] / INDEX, render("model.html", root="../../", script=False, others=others, **view))
        _put(self._stage.root / style_name(), style())
        _put(self._stage.root / INDEX, index.page(self._summaries, self._updated))

    def _copy(self, board: Leaderboard, row: Row, place: Path) -> tuple[list[Samples], dict[int, dict[str, Curve]]]:
        """The samples and the training figures of a model's runs that are ok."""
        samples, curves = [], {}
        for record in sorted(row.records, key=lambda entry: entry.seed):
            if record.status != "ok":
                continue
            folder = self._run_folder(board, row, record)
            found = samples_of(folder, record, place)
            if isinstance(found, Samples):
                samples.append(found)
            elif found is not None:
                self.problems.append(found)
            try:
                curves[record.seed] = training_figures(folder, record)
            except (OSError, ValueError) as error:
                why = (error.strerror if isinstance(error, OSError) else None) or error
                self.problems.append(printable(f"{record.run}: its {CURVE} is not drawn: {why}"))
        return samples, curves

    def _files(
        self, board: Leaderboard, row: Row, record: Record, samples: list[Samples], place: Path
    ) -> dict[str, str]:
        """Copy the record of a run as it is; which files of the run lie beside its page."""
        name = f"seed-{record.seed}.json"
        content = read_regular(self._run_folder(board, row, record) / RECORD, MAX_RECORD_BYTES, follow=False)
        (place / name).write_bytes(content)
        pictures = {"samples.png": entry.file for entry in samples if entry.seed == record.seed and entry.file}
        return {RECORD: name, **pictures}

    def _run_folder(self, board: Leaderboard, row: Row, record: Record) -> Path:
        return self._store.root / RunKey(board.benchmark.folder, row.model, record.seed).path

    def _nearest(self, board: Leaderboard, pages: Mapping[str, str]) -> Mapping[str, Any]:
        """The nearest training examples of each model's first samples, their pictures beside the models' pages."""
        return {}


def page_folder(model: str) -> str:
    """The folder of a model's pages: that of its runs, unless a file of the benchmark's page may have its name."""
    folder = model_folder(model)
    return f"{folder}~" if folder.endswith(FILES) else folder


def _without_paths(board: Leaderboard, root: Path) -> Leaderboard:
    """The leaderboard, with what is left out named by its place in the results folder, not on the publisher's disk."""
    prefixes = sorted({f"{path}{os.sep}" for path in (root, root.absolute(), root.resolve())}, key=len, reverse=True)

    def inside(text: str) -> str:
        for prefix in prefixes:
            text = text.replace(prefix, "")
        return text

    left_out = (replace(entry, run=inside(entry.run), reason=inside(entry.reason)) for entry in board.left_out)
    return replace(board, left_out=tuple(left_out))


def _day(record: Record) -> str:
    """The day on which a run ended, if that is a day: records may hold any text."""
    day = record.finished[:10]
    return day if len(day) == 10 and day.replace("-", "").isdigit() else ""


def _put(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
