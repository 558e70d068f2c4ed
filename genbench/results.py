"""A results folder to read: the records in it that can be trusted, and what was passed over.

What is written there, and how, is of :mod:`genbench.store`, which reading needs nothing of. A results folder may come
from anyone: links in it are not followed, odd names are told, and a record counts only in the place of its run.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from genbench.collector import without_collector
from genbench.errors import GenbenchError, RecordError, StoreError, clean
from genbench.layout import RECORD, SEED_FOLDER, VERIFICATION, RunKey, contents_of, model_folder, place_of
from genbench.reading import folder_in, folder_inside, is_in, is_there, read_file, read_in
from genbench.record import Record, parse
from genbench.strict_json import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from genbench.verification import Verification

UNTRUSTED = (errno.ELOOP, errno.ENOTDIR, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.EFBIG)
"""How the system says that what should be a file is a link, a folder, a device or too large."""


@dataclass(frozen=True)
class Unreadable:
    """A record that was passed over, and why."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Loaded:
    """What a results folder holds: the records that can be trusted and those that were passed over.

    ``verifications`` has, by the record's run, what ``genbench verify --accept`` found of it. ``folders`` has that of
    each record below the results folder, in their order; it is empty for records that come from elsewhere.
    """

    records: list[Record]
    unreadable: list[Unreadable]
    verifications: dict[str, Verification] = field(default_factory=dict)
    folders: list[Path] = field(default_factory=list)


class Results:
    """A results folder to read.

    Args:
        root: need not exist; it then holds nothing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: RunKey) -> Record | None:
        """The record of a run, or None where there is none.

        Raises:
            RecordError: if what stands there is no record that can be trusted.
            StoreError: if it can't be read.
        """
        path = self.root / key.path / RECORD
        try:
            return _in_place(read_record(path, below=self.root), str(key.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error

    def load(self, benchmark: str | None = None) -> Loaded:
        """All records, in the order of benchmark, model and seed; of one benchmark's folder if it is named."""
        loaded = Loaded([], [])
        found = _Found()
        with without_collector():
            for model, seeds in self._models(benchmark, found):
                self._load_model(model, seeds, loaded)
        for path in found.strays:
            loaded.unreadable.append(Unreadable(path, "its folder is not named seed-<number>, as that of a run is"))
        for path in (*found.links, *found.deeper_links):
            loaded.unreadable.append(Unreadable(path, "is a link; links in a results folder are not followed"))
        return loaded

    def benchmarks(self) -> list[str]:
        """The names of the folders that hold records of runs, ascending: of benchmarks and of their variants."""
        return [name for name in contents_of(self.root).folders if any(self._record_paths(name))]

    def find_all(self, text: str) -> list[Path]:
        """The folders of the runs that a person names: one run, a model's runs or a benchmark's.

        Raises:
            GenbenchError: naming the nearest run there is.
        """
        parts = text.strip("/").split("/", 1)
        folder = self.root / parts[0] / (model_folder(parts[1]) if len(parts) > 1 else "")
        found = [path.parent for path in self._record_paths(None) if folder in path.parent.parents]
        return found or [self.find(text)]

    def find(self, run: str) -> Path:
        """The folder of the run that a person names: ``benchmark/model/seed-k`` or the folder's own path.

        Raises:
            GenbenchError: naming the nearest run there is.
        """
        known = {str(path.parent.relative_to(self.root)): path.parent for path in self._record_paths(None)}
        benchmark, _, rest = run.strip("/").partition("/")
        model, _, seed = rest.rpartition("/")  # an option's value may hold a slash
        key = "/".join([benchmark, model_folder(model), seed])
        if key in known:
            return known[key]
        if Path(run, RECORD).is_file():
            return Path(run)
        raise GenbenchError.unknown(f"run (in {self.root})", run, known)

    def _load_model(self, model: str, seeds: list[str], loaded: Loaded) -> None:
        """Read the runs in a model's folder, such as ``digits/dcgan``, into what is loaded.

        The folder is opened once, since most of what reading takes beside parsing is finding the way to a file.
        """
        try:
            with folder_inside(self.root / model, below=self.root) as opened:
                for seed in seeds:
                    self._load_run(opened, model, seed, loaded)
        except FileNotFoundError:  # it has gone since it was listed
            return
        except OSError as error:
            loaded.unreadable.append(Unreadable(self.root / model, _why_unreadable(error)))

    def _load_run(self, model: int, place: str, seed: str, loaded: Loaded) -> None:
        folder = f"{place}/{seed}"
        try:
            with folder_in(model, seed) as opened:
                content = read_in(opened, RECORD, MAX_RECORD_BYTES)
                verified = is_in(opened, VERIFICATION)
            record = _in_place(parse(content), folder)
        except FileNotFoundError:
            return
        except (RecordError, OSError) as error:
            why = str(error) if isinstance(error, RecordError) else _why_unreadable(error)
            loaded.unreadable.append(Unreadable(self.root / folder / RECORD, why))
            return
        loaded.records.append(record)
        loaded.folders.append(Path(folder))
        if not verified:
            return
        from genbench.verification import load_verification

        try:
            verification = load_verification(self.root / folder, below=self.root)
        except (RecordError, OSError) as error:
            loaded.unreadable.append(Unreadable(self.root / folder / VERIFICATION, str(error)))
            return
        if verification is not None:
            loaded.verifications[record.run] = verification

    def _record_paths(self, benchmark: str | None) -> Iterator[Path]:
        """Paths of records, links and odd names passed over."""
        for folder in self._runs(benchmark, _Found()):
            if is_there(path := self.root / folder / RECORD):
                yield path

    def _runs(self, benchmark: str | None, found: _Found) -> Iterator[str]:
        """The folders named as those of runs are, below the results folder; the rest goes to ``found``."""
        for model, seeds in self._models(benchmark, found):
            yield from (f"{model}/{seed}" for seed in seeds)

    def _models(self, benchmark: str | None, found: _Found) -> Iterator[tuple[str, list[str]]]:
        """The folders of models below the results folder, and the names of those of runs in each, ascending.

        Every folder is listed once, since a results folder may hold tens of thousands.
        """
        top = contents_of(self.root)
        found.links.extend(self.root / name for name in top.links if benchmark in (None, name))
        for bench in top.folders:
            if benchmark not in (None, bench):
                continue
            models = contents_of(self.root / bench)
            found.links.extend(self.root / bench / name for name in models.links)
            for model in models.folders:
                place = f"{bench}/{model}"
                runs = contents_of(self.root / place)
                found.deeper_links.extend(self.root / place / name for name in runs.links)
                seeds = []
                for name in runs.folders:
                    if SEED_FOLDER.match(name):
                        seeds.append(name)
                    elif is_there(stray := self.root / place / name / RECORD):
                        found.strays.append(stray)
                if seeds:
                    yield place, sorted(seeds, key=_seed)


@dataclass(frozen=True)
class _Found:
    """What stands in a results folder beside runs.

    Attributes:
        strays: records in folders of models that are not named as those of runs are.
        links: where a folder of a benchmark or a model would stand; ``deeper_links``, where one of a run would.
    """

    strays: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    deeper_links: list[Path] = field(default_factory=list)


def _seed(name: str) -> int:
    return int(name.removeprefix("seed-"))


def _in_place(record: Record, folder: str) -> Record:
    """The record, which stands in the folder of its run: copied elsewhere it would count twice.

    Raises:
        RecordError: if it does not.
    """
    if tuple(folder.split("/")[1:]) != place_of(record):
        raise RecordError(f"stands in {folder} but is the record of {clean(record.run)}")
    return record


def read_record(path: Path, below: Path | None = None) -> Record:
    """The record in a file, which is no link.

    Args:
        below: no folder between it and the file may be a link either.

    Raises:
        RecordError: if it is too large, no regular file, or no record.
        OSError: if it can't be read; FileNotFoundError where there is none.
    """
    try:
        return parse(read_file(path, MAX_RECORD_BYTES, below))
    except OSError as error:
        if error.errno in UNTRUSTED:
            raise RecordError(_why_unreadable(error)) from None
        raise


def _why_unreadable(error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return f"larger than {MAX_RECORD_BYTES} bytes, which no record is"
    if error.errno in UNTRUSTED:
        return "is reached through a link or is no regular file, which no record is"
    return str(error)
