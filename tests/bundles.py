"""Bundles that were tampered with: each change is made as somebody would who knows how bundles are sealed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from genbench.engine.grid import write_grid
from genbench.specs import DataSpec

DIGITS = DataSpec(shape=(1, 8, 8), levels=17, classes=10)


def sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def runs(bundle: Path) -> list[Path]:
    return sorted(path.parent for path in bundle.glob("*/*/seed-*/record.json"))


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document, indent=2))


def edit_record(run: Path, **changes: object) -> None:
    """Change fields of a record; ``a__b=1`` is ``record["a"]["b"] = 1``."""

    def change(record: dict[str, Any]) -> None:
        for place, value in changes.items():
            *outer, last = place.split("__")
            holder = record
            for key in outer:
                holder = holder[key]
            holder[last] = value

    edit_json(run / "record.json", change)


def reseal(bundle: Path) -> None:
    """Bring the hashes in records and manifest in step with what stands there."""
    for run in runs(bundle):
        found = {path.name: sha256(path) for path in run.iterdir() if path.name != "record.json"}
        edit_record(run, artifacts=found)
    files = {
        str(path.relative_to(bundle)): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for run in runs(bundle)
        for path in sorted(run.iterdir())
    }
    edit_json(bundle / "MANIFEST.json", lambda manifest: manifest.update(files=files))


def put_samples(run: Path, samples: np.ndarray) -> None:
    """Other samples of digits, with the picture that belongs to them."""
    np.savez_compressed(run / "samples.npz", samples=samples)
    write_grid(samples[:64], DIGITS, run / "samples.png")


def copy(bundle: Path, target: Path) -> Path:
    return Path(shutil.copytree(bundle, target, symlinks=True))
