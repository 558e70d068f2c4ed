"""Which examples a run trains on and which it is scored against."""

from __future__ import annotations

from pathlib import Path

from genbench.engine.data import Examples, load_split, validation_fold


def training(folder: Path, dev: bool) -> Examples:
    """What a model is trained on: the training split, less its validation fold with ``dev``."""
    x, labels = load_split(folder, "train")
    if not dev:
        return x, labels
    kept, _ = validation_fold(x, labels)
    return x[kept], None if labels is None else labels[kept]


def held_out(folder: Path, dev: bool) -> Examples:
    """What a model is scored against: the test split, or the validation fold with ``dev``."""
    if not dev:
        return load_split(folder, "test")
    x, labels = load_split(folder, "train")
    _, fold = validation_fold(x, labels)
    return x[fold], None if labels is None else labels[fold]


def held_out_name(dev: bool) -> str:
    """The split's name in fingerprints and cache keys."""
    return "validation" if dev else "test"


def training_name(dev: bool) -> str:
    """The name of what a model is trained on, in cache keys."""
    return "train without validation" if dev else "train"
