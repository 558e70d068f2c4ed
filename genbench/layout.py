"""Where things stand in a results folder: what the folders of benchmarks, models and runs are called."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from genbench.disk import is_folder
from genbench.record import Record

FOLDER = re.compile(r"^[a-z0-9][a-z0-9._+=,-]{0,127}\Z")
SEED_FOLDER = re.compile(r"^seed-[0-9]{1,10}\Z")


@dataclass(frozen=True)
class RunKey:
    """Where a run lives: benchmark folder, model name with configuration (``dcgan[width=128]``), seed."""

    benchmark: str
    model: str
    seed: int

    @property
    def path(self) -> Path:
        return Path(self.benchmark, model_folder(self.model), f"seed-{self.seed}")

    def __str__(self) -> str:
        return f"{self.benchmark}/{self.model}/seed-{self.seed}"


def model_folder(name: str) -> str:
    """The folder of a model: ``dcgan[width=128]`` lives in ``dcgan+width=128``; long or odd ones end in a hash."""
    folder = re.sub(r"[^a-z0-9._+=,-]", "-", name.lower().replace("[", "+").replace("]", ""))
    lossless = folder == name.replace("[", "+").replace("]", "") and FOLDER.match(folder) and ".." not in folder
    if lossless:
        return folder
    readable = folder.replace("..", "-").lstrip("._+=,-")[:111] or "model"
    return f"{readable}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def place_of(record: Record) -> tuple[str, str]:
    """The folders of a record's run, below that of its benchmark."""
    return model_folder(record.model.name), f"seed-{record.seed}"


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder that may be those of a benchmark, model or run: no link, no odd name."""
    return [entry for entry in _named(folder) if is_folder(entry)]


def links_in(folder: Path) -> list[Path]:
    """The links in a folder where folders of a benchmark, model or run would stand."""
    return [entry for entry in _named(folder) if entry.is_symlink()]


def _named(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if FOLDER.match(entry.name) and ".." not in entry.name)
