"""Bundles that were tampered with: each change is made as somebody would who knows how bundles are sealed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from genbench import paths
from genbench.engine.data import load_split, materialise
from genbench.engine.grid import write_grid
from genbench.plugins import discover
from genbench.specs import DataSpec

EXAMPLE = Path(__file__).parents[1] / "examples" / "leaderboard"
"""A leaderboard's repository."""
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


def rehash(root: Path) -> None:
    """Bring the hashes in records in step with the files beside them."""
    for run in runs(root):
        found = {path.name: sha256(path) for path in run.iterdir() if path.name != "record.json"}
        edit_record(run, artifacts=found)


def reseal(bundle: Path) -> None:
    """Bring the hashes in records and manifest in step with what stands there."""
    rehash(bundle)
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


def board() -> Any:
    """The module that the workflows of a leaderboard's repository run."""
    spec = importlib.util.spec_from_file_location("board", EXAMPLE / "scripts" / "board.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What is done to a bundle.


def edited_score(bundle: Path) -> None:
    """A better FID, in the record and in the curve."""
    (run, *_) = runs(bundle)
    value = json.loads((run / "record.json").read_text())["scores"]["fid"]["value"]
    edit_record(run, scores__fid__value=0.5)
    curve = run / "curve.csv"
    curve.write_text(curve.read_text().replace(str(value), "0.5"))
    reseal(bundle)


def edited_curve(bundle: Path) -> None:
    edit_record(runs(bundle)[0], scores__fid__value=0.5)
    reseal(bundle)


def replayed(bundle: Path) -> None:
    """Training data under the model's name, with noise that hides it from a look for equal images."""
    folder = materialise(discover().datasets["digits"].spec, paths.data_cache())
    training, _ = load_split(folder, "train")
    for run in runs(bundle):
        samples = np.roll(training, 80 * int(run.name[-1]), axis=0)[:80].copy()
        samples[:, 0, 3, ::4] = np.abs(samples[:, 0, 3, ::4].astype(int) - 1)
        put_samples(run, samples)
    reseal(bundle)


def reordered(bundle: Path) -> None:
    """The samples of one seed for another, in another order, with the scores that belong to them."""
    first, second = runs(bundle)
    with np.load(first / "samples.npz") as arrays:
        put_samples(second, arrays["samples"][::-1])
    for name in ("nats.npz", "curve.csv"):
        shutil.copy(first / name, second / name)
    record = json.loads((first / "record.json").read_text())
    edit_record(second, **{part: record[part] for part in ("scores", "milestones", "spent", "cost")})
    reseal(bundle)


def more_curve(bundle: Path) -> None:
    """A score at a step that is no milestone."""
    path = runs(bundle)[0] / "curve.csv"
    head, *rows = path.read_text().splitlines()
    values = {"step": "1", "images": "64", "score:fid": "0.01"}
    path.write_text("\n".join([head, ",".join(values.get(name, "") for name in head.split(",")), *rows]) + "\n")
    reseal(bundle)


def one_seed_twice(bundle: Path) -> None:
    first, second = runs(bundle)
    for name in ("samples.npz", "samples.png"):
        shutil.copy(first / name, second / name)
    reseal(bundle)


def one_seed_gone(bundle: Path) -> None:
    shutil.rmtree(runs(bundle)[1])
    reseal(bundle)


def others_picture(bundle: Path) -> None:
    first, second = runs(bundle)
    shutil.copy(second / "samples.png", first / "samples.png")
    reseal(bundle)


def a_bomb(bundle: Path) -> None:
    with zipfile.ZipFile(runs(bundle)[0] / "samples.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.npy", bytes(80 << 20))
    reseal(bundle)


def more_spent(bundle: Path) -> None:
    edit_record(runs(bundle)[0], spent__images=10**6)
    reseal(bundle)


def another_digest(bundle: Path) -> None:
    for run in runs(bundle):
        edit_record(run, benchmark__digest="0" * 16)
    edit_json(bundle / "MANIFEST.json", lambda manifest: manifest.update(digest="0" * 16))
    reseal(bundle)


def better_nats(bundle: Path) -> None:
    """Likelihoods that no distribution gives, in keeping with the record's own examples."""
    run = runs(bundle)[0]
    with np.load(run / "nats.npz") as arrays:
        np.savez_compressed(run / "nats.npz", **{**arrays, "nats": np.abs(arrays["nats"])})
    reseal(bundle)


def unknown_plugin(bundle: Path) -> None:
    """A model of which nothing is installed here."""
    (bundle / "tiny-digits" / "marginals").rename(bundle / "tiny-digits" / "stranger")
    for run in runs(bundle):
        edit_record(run, model__name="stranger", model__plugin="their-plugin", model__code_sha256="a" * 64)
    reseal(bundle)


def a_link(bundle: Path) -> None:
    path = runs(bundle)[0] / "curve.csv"
    path.unlink()
    path.symlink_to("/etc/hostname")


def another_state(bundle: Path) -> None:
    """Weights that the samples are not of."""
    path = runs(bundle)[0] / "state.safetensors"
    save_file({name: array + 1 for name, array in load_file(path).items()}, path)
    reseal(bundle)


def flattered_nats(bundle: Path) -> None:
    """A better likelihood, with all that is computed from it."""
    run = runs(bundle)[0]
    with np.load(run / "nats.npz") as arrays:
        nats, scale = arrays["nats"] * 0.9, float(arrays["dims"]) * math.log(2)
        np.savez_compressed(run / "nats.npz", **{**arrays, "nats": nats})
    before = json.loads((run / "record.json").read_text())["scores"]["bits_per_dim"]["value"]
    value, stderr = float(-nats.mean() / scale), float(nats.std(ddof=1) / math.sqrt(len(nats)) / scale)
    edit_record(run, scores__bits_per_dim__value=value, scores__bits_per_dim__stderr=stderr)
    curve = run / "curve.csv"
    curve.write_text(curve.read_text().replace(str(before), str(value)))
    reseal(bundle)
