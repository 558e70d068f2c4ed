"""Checkpoints, and going on from the last one after a training's process was killed.

A checkpoint is the model's state and the trainer's position. Its manifest is written last and names the files with
their hashes, so that a torn one is never taken for complete; the one before stays until then. Since every step is
seeded afresh, no generator state is in it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genbench.disk import Disk
from genbench.engine.budget import Clock, Spending
from genbench.engine.checkpoint import load_state, save_state
from genbench.engine.curve import Curve
from genbench.engine.environment import changes, describe
from genbench.engine.flops import FlopMeter
from genbench.engine.tampering import Watch
from genbench.job import Job
from genbench.model import Model
from genbench.reading import hash_inside, read_file
from genbench.versions import versions

FORMAT = 1
COST_SHARE = 0.01
"""The most of the training's time that writing checkpoints takes."""
MAX_MANIFEST_BYTES = 64 << 20
SAME = tuple(versions())
"""Parts of the environment without which a checkpoint is not gone on from; where another differs, a warning is due."""


@dataclass
class Training:
    """Where a training stands, beside the state of its model.

    Attributes:
        spending, meter, curve, clock: its parts, each of which can tell and take up where it stands.
        watch: over global state.
        parameters: the most that the model was seen to hold.
        milestones: the positions of those passed.
        files: hashes of the milestones' states, by name.
    """

    spending: Spending
    meter: FlopMeter
    curve: Curve
    clock: Clock
    watch: Watch
    parameters: int
    milestones: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Plain values for JSON.

        Raises:
            Diverged: if a figure of a step taken is not finite.
        """
        return {
            "step": self.spending.steps,
            "flops": self.spending.flops,
            "seconds": self.clock.seconds,
            "meter": self.meter.state(),
            "curve": self.curve.state(),
            "notes": self.watch.state(),
            "milestones": list(self.milestones),
            "files": dict(self.files),
            "parameters": self.parameters,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` told, in this process or another."""
        self.spending.restore(state["step"], state["flops"])
        self.clock.restore(state["seconds"])
        self.meter.restore(state["meter"])
        self.curve.restore(state["curve"])
        self.watch.restore(state["notes"])
        self.milestones, self.files = list(state["milestones"]), dict(state["files"])
        self.parameters = max(self.parameters, state["parameters"])


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint whose files are those that its manifest names."""

    stem: Path
    step: int
    position: dict[str, Any]
    environment: dict[str, Any]


class Unusable(Exception):
    """A checkpoint is not to be gone on from, and why."""


class Checkpoints:
    """The checkpoints of a job, in its working folder.

    One is due once the longer of ``job.checkpoint_seconds`` and 1 / ``COST_SHARE`` times what the last one took has
    passed on the training clock; after every step where ``job.checkpoint_seconds`` is 0.

    Args:
        job: whose checkpoints.
    """

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._every = job.checkpoint_seconds
        self._wait = self._every
        self._last = 0.0
        self._environment = describe(job.budget)

    def due(self, seconds: float) -> bool:
        """Whether it is time for one, by the training clock."""
        return seconds - self._last >= self._wait

    def restart(self, seconds: float) -> None:
        """Count from this time on the training clock."""
        self._last = seconds

    def took(self, seconds: float) -> None:
        """Writing the state, here or for a milestone, took so long."""
        self._wait = max(self._every, seconds / COST_SHARE) if self._every else 0.0

    def save(self, model: Model, training: Training) -> None:
        """Write a checkpoint and remove the one before.

        Where the system refuses to write it (a full disk), what was written of it is removed, the one before stays,
        and the training is told so.

        Raises:
            Diverged: if a figure of a step taken is not finite: such a state is not worth keeping.
            InvalidOutput: if the model's state cannot be written.
            FileNotFoundError: if the working folder is gone.
        """
        began = time.monotonic()
        position = training.state()
        with training.watch.over("state_dict"):
            state = model.state_dict()
        stem = self._folder / f"checkpoint-{position['step']}"
        try:
            files = save_state(state, stem)
            manifest = {
                "format": FORMAT,
                "files": {**files, **position["files"]},
                "position": position,
                "environment": self._environment,
            }
            Disk().write_whole(_manifest(stem), json.dumps({"sha256": _digest(manifest), **manifest}).encode())
        except FileNotFoundError:
            raise
        except OSError as error:
            with suppress(OSError):  # without a manifest it is no checkpoint, whatever is left of it
                _remove(stem)
            training.watch.note(
                f"a checkpoint could not be written: {error.strerror or error}; training went on without it",
                kind="checkpoint",
            )
        else:
            with suppress(OSError):  # they do no harm, and go with the next one
                for other in _stems(self._folder) - {stem}:
                    _remove(other)
        self.took(time.monotonic() - began)
        self.restart(training.clock.seconds)

    def resume(self, model: Model, training: Training, rebuild: Callable[[], Model]) -> tuple[Model, int | None]:
        """Bring a model and its training to where the last checkpoint that can be used left them.

        Args:
            model: as it was built.
            training: at its beginning.
            rebuild: builds the model anew, for when it has refused a checkpoint.

        Returns:
            The model, and the step to go on from; None if there is no checkpoint to go on from.
        """
        for checkpoint in self._usable():
            try:
                state = load_state(checkpoint.stem)
                with training.watch.over("load_state_dict", tell=False):  # which only a run that was killed calls here
                    model.load_state_dict(state)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception:
                # An undisturbed run would not have loaded it, and may well end: so this one begins anew.
                traceback.print_exc()
                self._discard(checkpoint.stem, "the model does not take up its own state")
                model = rebuild()
                continue
            training.restore(checkpoint.position)
            self._tell_of_another_machine(checkpoint, training.watch)
            self.restart(training.clock.seconds)
            return model, checkpoint.step
        return model, None

    def _usable(self) -> Iterator[Checkpoint]:
        """The checkpoints that can be gone on from, the last one first; what can't is removed."""
        for draft in self._folder.glob(".checkpoint-*.draft.*"):
            Disk().remove_file(draft)
        for stem in sorted(_stems(self._folder), key=_step, reverse=True):
            if not _manifest(stem).exists():
                _remove(stem)  # its writer was killed before it was complete
                continue
            try:
                yield self._verified(stem)
            except Unusable as error:
                self._discard(stem, str(error))

    def _verified(self, stem: Path) -> Checkpoint:
        """A checkpoint as its manifest describes it.

        Raises:
            Unusable: if it or one of its files is not as it was written, or was written by other versions.
        """
        try:
            manifest = json.loads(read_file(_manifest(stem), MAX_MANIFEST_BYTES))
            if manifest.pop("sha256") != _digest(manifest):
                raise Unusable("its manifest is not as it was written")
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Unusable(f"its manifest can't be read: {type(error).__name__}") from error
        if manifest["format"] != FORMAT:
            raise Unusable(f"its form is {manifest['format']}, not {FORMAT}")
        changed = [name for name in SAME if manifest["environment"][name] != self._environment[name]]
        if changed:
            raise Unusable(f"it was written with another version of {' and '.join(changed)}")
        for name, digest in manifest["files"].items():
            try:
                found = hash_inside(self._folder / name, self._folder)
            except OSError as error:
                raise Unusable(f"{name} can't be read: {error.strerror or error}") from error
            if found != digest:
                raise Unusable(f"{name} is not as it was written")
        return Checkpoint(stem, manifest["position"]["step"], manifest["position"], manifest["environment"])

    def _tell_of_another_machine(self, checkpoint: Checkpoint, watch: Watch) -> None:
        if told := changes(checkpoint.environment, self._environment):
            watch.note(f"training began, up to step {checkpoint.step}, elsewhere: {told}", kind="another machine")

    def _discard(self, stem: Path, reason: str) -> None:
        print(f"genbench: the checkpoint of step {_step(stem)} is not used: {reason}", file=sys.stderr, flush=True)
        _remove(stem)


def remove_checkpoints(folder: Path) -> None:
    """Remove what training needs no longer once it has ended."""
    for stem in _stems(folder):
        _remove(stem)


SUFFIXES = (".manifest.json", ".json", ".safetensors")
"""Of a checkpoint's files, the manifest first: without it the others are no checkpoint."""

NAME = re.compile(r"checkpoint-(\d+)(?:\.manifest\.json|\.json|\.safetensors)")


def _stems(folder: Path) -> set[Path]:
    """Where checkpoints or parts of them stand."""
    found = (NAME.fullmatch(path.name) for path in folder.iterdir())
    return {folder / f"checkpoint-{match[1]}" for match in found if match is not None}


def _step(stem: Path) -> int:
    return int(stem.name.rpartition("-")[2])


def _manifest(stem: Path) -> Path:
    return stem.with_name(stem.name + SUFFIXES[0])


def _remove(stem: Path) -> None:
    for suffix in SUFFIXES:
        Disk().remove_file(stem.with_name(stem.name + suffix))


def _digest(document: Any) -> str:
    """Of its JSON; dicts in their order, which a curve's columns hang on."""
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()
