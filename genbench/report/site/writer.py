"""A site made of leaderboards: gathered, written aside, and put in the place of the one before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.errors import GenbenchError
from genbench.foreign_files import read_regular
from genbench.leaderboard import Leaderboard
from genbench.record import Record
from genbench.report import text
from genbench.report.artifacts import PICTURE, reason
from genbench.report.nearest import Nearest, Search
from genbench.report.printable import json_text, printable
from genbench.report.site import benchmark as benchmark_page
from genbench.report.site import figures, index, run
from genbench.report.site import model as model_page
from genbench.report.site.context import INDEX, Context, context_of
from genbench.report.site.folder import SITE, Staging, staging
from genbench.report.site.pictures import Samples, samples_of
from genbench.report.site.templates import render, style, style_name
from genbench.report.site.training import CURVE, Curve, training_figures
from genbench.rows import Row
from genbench.store import MAX_RECORD_BYTES, RECORD, RunKey, Store
from genbench.verification import Verification

if TYPE_CHECKING:
    from genbench.plugins import Registry

NEAREST = "nearest.png"


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


def write(
    entries: Iterable[Entry], store: Store, target: Path, registry: Registry | None = None, nearest: bool = True
) -> list[str]:
    """Write the site of some leaderboards into the folder ``target``.

    All pages are made aside and then put in their places, the first page last: a reader never sees one without its
    parts. What an earlier call wrote is replaced; files of others in the folder are left alone.

    Args:
        entries: taken one by one, so that no more than one leaderboard is held.
        store: where the runs are.
        target: a folder that does not exist, is empty but for hidden files, or was written by this function.
        registry: the installed models and data, for summaries, families and nearest training examples; without it
            there are none.
        nearest: whether the training examples nearest to samples are searched for, which takes the data, and a process
            that imports torch.

    Returns:
        What could not be shown, one line each.

    Raises:
        GenbenchError: if the folder holds something else, or a leaderboard is of ``--dev`` or ``--budget`` runs.
        StoreError: if it cannot be written.
    """
    with staging(target) as stage, ExitStack() as stack:
        search = stack.enter_context(Search(registry)) if registry and nearest else None
        site = _Site(store, stage, registry, search)
        for entry in entries:
            site.add(entry)
        site.finish()
    return site.problems


class _Site:
    """What has been gathered so far of a site that is being written."""

    def __init__(self, store: Store, stage: Staging, registry: Registry | None, search: Search | None) -> None:
        self.problems: list[str] = []
        self._store, self._stage, self._registry, self._search = store, stage, registry, search
        self._summaries: list[index.Summary] = []
        self._models: list[tuple[Path, dict[str, Any]]] = []
        # By the folder of a benchmark, for what comes after it.
        self._titles: dict[str, str] = {}
        self._pages: dict[str, Mapping[str, str]] = {}
        self._galleries: dict[str, dict[str, Samples]] = {}
        self._updated = ""

    def add(self, entry: Entry) -> None:
        """Write the pages of a benchmark and of its runs; those of its models wait for the other benchmarks."""
        board = _without_paths(entry.board, self._store.root)
        if not board.official:
            raise GenbenchError(
                f"{board.benchmark.folder} is no leaderboard: runs of --dev and --budget are never published"
            )
        definition = f"{board.benchmark.name}.toml" if entry.definition else ""
        closed = board.benchmark.name if board.benchmark.division == "open" else ""
        context = context_of(board, definition, self._registry, self._pages.get(closed, {}))
        if context.folder in (INDEX, SITE, style_name()):
            raise GenbenchError(f"a benchmark named {context.folder} cannot be published: the site has such a file")
        folder = self._stage.folder(context.folder)
        if entry.definition:
            _put(folder / context.definition, entry.definition.read_text(encoding="utf-8"))
        _put_tables(folder, board)
        places = {model: self._stage.folder(f"{context.folder}/{page}") for model, page in context.pages.items()}
        nearest = self._nearest(replace(board, rows=context.own), places)
        gallery: dict[str, Samples] = {}
        for row in context.own:
            samples = self._add_model(context, row, places[row.model], nearest.get(row.model), entry.verifications)
            gallery |= {context.pages[row.model]: samples[0]} if samples else {}
        self._galleries[context.folder] = dict(gallery)
        gallery |= {f"../{closed}/{page}": found for page, found in self._galleries.get(closed, {}).items()}
        _put(folder / INDEX, benchmark_page.page(context, gallery, nearest, figures.of_benchmark(context)))
        self._summaries.append(index.summary_of(context))
        self._titles[context.folder] = context.title + " (open division)" * context.is_open
        self._pages[context.folder] = context.pages
        self._updated = max(self._updated, context.updated)

    def finish(self) -> None:
        """Write the pages that lead to all benchmarks."""
        for place, view in self._models:
            others = model_page.others(view["model"], self._pages, self._titles, view["folder"])
            _put(place / INDEX, render("model.html", root="../../", script=False, others=others, **view))
        _put(self._stage.root / style_name(), style())
        _put(self._stage.root / INDEX, index.page(self._summaries, self._updated))

    def _add_model(
        self,
        context: Context,
        row: Row,
        place: Path,
        nearest: Nearest | None,
        verifications: Mapping[str, Verification],
    ) -> list[Samples]:
        """Gather the page of a model, write those of its runs; returns the samples of its seeds."""
        samples: list[Samples] = []
        training: dict[int, dict[str, Curve]] = {}
        for record in sorted(row.records, key=lambda entry: entry.seed):
            source = self._store.root / RunKey(context.folder, row.model, record.seed).path
            files = {RECORD: f"seed-{record.seed}.json"}
            (place / files[RECORD]).write_bytes(read_regular(source / RECORD, MAX_RECORD_BYTES, follow=False))
            if record.status == "ok":
                found = samples_of(source, record, place)
                if isinstance(found, Samples):
                    samples.append(found)
                    files |= {PICTURE: found.file} if found.file else {}
                elif found is not None:
                    self.problems.append(found)
                training[record.seed] = self._training(source, record)
            page = run.page(context, row, record, files, verifications.get(record.run))
            _put(place / f"seed-{record.seed}.html", page)
        curves = figures.of_model(context, row, training)
        self._models.append((place, model_page.view(context, row, samples, curves, nearest)))
        return samples

    def _training(self, source: Path, record: Record) -> dict[str, Curve]:
        """What a run logged while it trained; nothing, told, where that can't be read."""
        try:
            return training_figures(source, record)
        except (OSError, ValueError) as error:
            self.problems.append(printable(f"{record.run}: its {CURVE} is not drawn: {reason(error)}"))
            return {}

    def _nearest(self, board: Leaderboard, places: Mapping[str, Path]) -> Mapping[str, Nearest]:
        """The nearest training examples of each model's first samples, their pictures beside the models' pages."""
        if self._search is None:
            return {}
        pictures = {model: place / NEAREST for model, place in places.items()}
        found, problems = self._search.nearest_pictures(board, self._store, pictures)
        self.problems += problems
        return found


def _without_paths(board: Leaderboard, root: Path) -> Leaderboard:
    """The leaderboard, with what is left out named by its place in the results folder, not on the publisher's disk."""
    prefixes = sorted({f"{path}{os.sep}" for path in (root, root.absolute(), root.resolve())}, key=len, reverse=True)

    def inside(text: str) -> str:
        for prefix in prefixes:
            text = text.replace(prefix, "")
        return text

    left_out = (replace(entry, run=inside(entry.run), reason=inside(entry.reason)) for entry in board.left_out)
    return replace(board, left_out=tuple(left_out))


def _put_tables(folder: Path, board: Leaderboard) -> None:
    """The table beside its page, for other programs."""
    _put(folder / "leaderboard.json", json_text(text.document(board)) + "\n")
    _put(folder / "leaderboard.csv", text.comma_separated(board))
    _put(folder / "leaderboard.md", text.markdown(board))
    _put(folder / "leaderboard.tex", text.latex(board))


def _put(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
