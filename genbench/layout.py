"""Where things stand in a results folder: what the folders of benchmarks, models and runs are called."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from genbench.record import Record

RECORD = "record.json"
VERIFICATION = "verification.json"

FOLDER = re.compile(r"^[a-z0-9][a-z0-9._+=,-]{0,127}\Z")
SEED_FOLDER = re.compile(r"^seed-[0-9]{1,10}\Z")


@dataclass(frozen=True)
class RunKey:
    """Where a run lives: benchmark folder, model name with configuration (``vae[width=64]``), seed."""

    benchmark: str
    model: str
    seed: int

    @property
    def path(self) -> Path:
        return Path(self.benchmark, model_folder(self.model), f"seed-{self.seed}")

    def __str__(self) -> str:
        return f"{self.benchmark}/{self.model}/seed-{self.seed}"


@functools.lru_cache(1024)  # each model has several seeds
def model_folder(name: str) -> str:
    """The folder of a model: ``vae[width=64]`` lives in ``vae+width=64``; long or odd ones end in a hash."""
    folder = re.sub(r"[^a-z0-9._+=,-]", "-", name.lower().replace("[", "+").replace("]", ""))
    lossless = folder == name.replace("[", "+").replace("]", "") and FOLDER.match(folder) and ".." not in folder
    if lossless:
        return folder
    readable = folder.replace("..", "-").lstrip("._+=,-")[:111] or "model"
    return f"{readable}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def place_of(record: Record) -> tuple[str, str]:
    """The folders of a record's run, below that of its benchmark."""
    return model_folder(record.model.name), f"seed-{record.seed}"


@dataclass(frozen=True)
class Contents:
    """What stands in a folder of a results folder, by name, ascending; odd names are passed over.

    Attributes:
        folders: those that may be of a benchmark, a model or a run.
        links: the links that stand where such a folder would.
    """

    folders: list[str]
    links: list[str]


def contents_of(folder: Path) -> Contents:
    """What stands in a folder; nothing, if there is none."""
    found = Contents([], [])
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return found
    with entries:
        for entry in entries:
            if not FOLDER.match(entry.name) or ".." in entry.name:
                continue
            if entry.is_symlink():
                found.links.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                found.folders.append(entry.name)
    found.folders.sort()
    found.links.sort()
    return found
