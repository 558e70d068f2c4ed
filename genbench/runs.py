"""One run, as a person names it: its folder and its record."""

from __future__ import annotations

from pathlib import Path

from genbench.errors import NothingSelected, RecordError, StoreError
from genbench.record import Record
from genbench.replay import LINK, link_on_the_way
from genbench.report.printable import printable
from genbench.results import Results
from genbench.store import RECORD, Store, read_record


def find_run(results: Path, run: str) -> tuple[Path, Record]:
    """The folder and the record of the run that a person names.

    Args:
        run: ``benchmark/model/seed-k``, or the path of the run's folder.

    Raises:
        NothingSelected: if there is no results folder.
        GenbenchError: if there is no such run, naming the nearest.
        StoreError: if a link leads to it, or its record can't be read.
    """
    store = Store(results)
    if not results.is_dir() and not Path(run, RECORD).is_file():
        raise NothingSelected(f"there is no results folder {results}; get results with `genbench run --all`")
    if linked := link_on_the_way(store, run):
        raise StoreError(f"{linked}: {LINK}. Name the run that it leads to: {printable(str(linked.resolve()))}")
    return read_run(store, run)


def read_run(store: Results, run: str) -> tuple[Path, Record]:
    """The same, of a run that a link may lead to.

    Raises:
        GenbenchError: if there is no such run, naming the nearest.
        StoreError: if its record can't be read.
    """
    folder = store.find(run)
    try:
        return folder, read_record(folder / RECORD)
    except (RecordError, OSError) as error:
        raise StoreError(f"{folder / RECORD}: unreadable: {printable(str(error))}") from None
