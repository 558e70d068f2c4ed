"""Versions of a model: the records in place and those in ``.superseded``, told apart by version and code.

    results/.superseded/<benchmark>/<model>/seed-<k>.<8 hex digits>/record.json

Whoever asks for ``vae@0.2.0`` or ``vae@ee863635`` gets one record a seed, of one code.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genbench.comparability import why_foreign
from genbench.errors import GenbenchError, RecordError
from genbench.reading import is_folder
from genbench.report.printable import printable
from genbench.store import RECORD, Loaded, Unreadable, model_folder, place_of, read_record

if TYPE_CHECKING:
    from pathlib import Path

    from genbench.benchmark import Benchmark
    from genbench.record import Record
    from genbench.store import Store

SUPERSEDED = ".superseded"
MOVED = re.compile(r"^(?P<run>seed-[0-9]{1,10})\.[0-9a-f]{8}\Z")
CODE = re.compile(r"^[0-9a-f]{6,64}\Z")
"""The beginning of a code's hash, long enough to be meant as one."""
SHOWN = 8
"""Digits of a code's hash that people are shown, at least."""


MAX_SHOWN = 64
"""Characters of a record's field that people are shown."""


@dataclass(frozen=True)
class _Version:
    """The records of one code, for the choice that a person is given."""

    version: str
    code_sha256: str
    seeds: tuple[int, ...]
    current: bool
    finished: str


def split_version(text: str) -> tuple[str, str | None]:
    """``vae[latent=16]@0.2.0`` in two: the model and its version, None where there is none.

    An ``@`` inside the brackets belongs to an option's value.
    """
    head, at, version = text.rpartition("@")
    if not at or "]" in version:
        return text, None
    return head, version


def read_superseded(root: Path, benchmark: str, model: str) -> Loaded:
    """The records of a model that newer ones have replaced, in no particular order.

    Args:
        root: of the results.
        benchmark: the benchmark's folder.
        model: its name, with options.

    Returns:
        The records; and what stands among them and cannot be read, with the reason. Links are not followed.
    """
    folder = root / SUPERSEDED / benchmark / model_folder(model)
    loaded = Loaded([], [])
    if not all(is_folder(part) for part in (root / SUPERSEDED, folder.parent, folder)):
        return loaded
    for entry in sorted(folder.iterdir()):
        moved = MOVED.match(entry.name)
        if moved is None or not is_folder(entry):
            continue
        path = entry / RECORD
        try:
            record = read_record(path, below=root)
            if place_of(record) != (folder.name, moved["run"]):
                raise RecordError(f"stands in {entry.name} but is the record of another run")
        except FileNotFoundError:
            continue  # a folder that was set aside without a record
        except (RecordError, OSError) as error:
            loaded.unreadable.append(Unreadable(path, str(error)))
        else:
            loaded.records.append(record)
    return loaded


def of_version(store: Store, benchmark: Benchmark, current: Sequence[Record], model: str, version: str) -> Loaded:
    """The records of one version of a model, one a seed: that in place, else of those superseded the last to finish.

    Records that do not belong to the benchmark as it now is are taken only where the version has no others.

    Args:
        current: the records in place on the benchmark, of any models.
        model: its name, as it stands in records.
        version: its plugin's version, or the first 6 hex digits or more of its code's hash.

    Raises:
        GenbenchError: if no record is of this version, or those of several codes are; with the choices.
    """
    old = read_superseded(store.root, benchmark.folder, model)
    superseded = {id(record) for record in old.records}
    known = [*(record for record in current if record.model.name == model), *old.records]
    matching = [record for record in known if _matches(record, version)]
    where = f"on {benchmark.folder} in {store.root}"
    if not matching:
        raise GenbenchError(f"no results of {model}@{version} {where}; {_choices(model, known, superseded)}")
    belonging = [record for record in matching if why_foreign(benchmark, record) is None] or matching
    if len({record.model.code_sha256 for record in belonging}) > 1:
        choices = _choices(model, belonging, superseded)
        raise GenbenchError(f"{model}@{version} {where} is of several codes; {choices}")
    one_a_seed: dict[int, Record] = {}
    for record in sorted(belonging, key=lambda record: (id(record) not in superseded, record.finished)):
        one_a_seed[record.seed] = record
    return Loaded([one_a_seed[seed] for seed in sorted(one_a_seed)], old.unreadable)


def described(records: Collection[Record]) -> list[str]:
    """Version and code of the records, each pair once: ``0.2.0, code ee863635``."""
    pairs = {(record.model.version, record.model.code_sha256) for record in records}
    return [f"{_shown(version)}, code {_shown(code[:SHOWN])}" for version, code in sorted(pairs)]


def _matches(record: Record, version: str) -> bool:
    is_code = CODE.match(version) and record.model.code_sha256.startswith(version)
    return record.model.version == version or bool(is_code)


def _choices(model: str, records: Collection[Record], superseded: Collection[int]) -> str:
    """What a person may write instead.

    Args:
        superseded: the ids of those that are not in place.
    """
    found = _versions(records, superseded)
    if not found:
        return "there is none of the model at all"
    codes = {entry.code_sha256 for entry in found}
    digits = next((n for n in range(SHOWN, 64) if len({code[:n] for code in codes}) == len(codes)), 64)
    lines = [
        f"  {model}@{_shown(entry.code_sha256[:digits])}: version {_shown(entry.version)}, "
        f"{'current' if entry.current else 'superseded'}, seeds {', '.join(map(str, entry.seeds))}, "
        f"finished {_shown(entry.finished)}"
        for entry in found
    ]
    return "\n".join(["there are:", *lines])


def _shown(text: str) -> str:
    """A field of a record, which may be anyone's, on one short line."""
    return printable(text)[:MAX_SHOWN]


def _versions(records: Collection[Record], superseded: Collection[int]) -> list[_Version]:
    groups: dict[tuple[str, str, bool], list[Record]] = {}
    for record in records:
        key = (record.model.version, record.model.code_sha256, id(record) not in superseded)
        groups.setdefault(key, []).append(record)
    found = [
        _Version(
            version, code, tuple(sorted({record.seed for record in of})), current, max(record.finished for record in of)
        )
        for (version, code, current), of in groups.items()
    ]
    return sorted(found, key=lambda entry: (entry.current, entry.finished), reverse=True)
