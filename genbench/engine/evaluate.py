"""The evaluation process: a state becomes samples and nats. Here the held-out examples are first seen."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from genbench.disk import Disk
from genbench.engine import device, rng, splits
from genbench.engine.batches import Batches
from genbench.engine.checkpoint import load_state, whole_file
from genbench.engine.contract import build, check_samples, prepare_torch
from genbench.engine.data import stratified_choice
from genbench.engine.environment import changes, describe, peak_memory
from genbench.engine.flops import FlopCounter
from genbench.engine.likelihood import log_probs
from genbench.engine.resume import remove_checkpoints
from genbench.engine.tampering import Watch
from genbench.errors import OverBudget
from genbench.job import Job, outcome_file
from genbench.model import Batch, Model
from genbench.reading import sha256_of

PREPARE_SHARE = 0.05
"""The most that ``prepare_for_eval`` may spend, as a share of the budget."""


def evaluate(job: Job) -> dict[str, Any]:
    """Sample from every state of a run and take the likelihood of held-out examples.

    All samples are drawn before the first held-out example is handed to a model, so that none can find its way
    into them. Leaves ``samples-<k>.npz`` and ``nats-<k>.npz`` for milestone k, and ``samples.npz``, the further sets
    ``repeat-<r>.npz`` and ``nats.npz`` for the last state, in the working folder.

    Returns:
        Timings, what ``prepare_for_eval`` spent on the last state, where it ran, what global state the model changed
        and whether it was trained elsewhere (``warnings``), and the hashes of the files (``files``).

    Raises:
        InvalidOutput, OverBudget: as the model earns it. Anything else is the plugin's own error.
    """
    prepare_torch(job.budget.threads, job.budget.device)
    device.cap_memory(job.budget)
    remove_checkpoints(job.folder)
    _remove_own(job.folder)
    with Watch() as watch:
        return _evaluate(job, watch)


def _evaluate(job: Job, watch: Watch) -> dict[str, Any]:
    trained = json.loads(outcome_file(job.folder, "train").read_text())["result"]
    environment = describe(job.budget)
    if told := changes(trained["environment"], environment):
        watch.note(f"training was done elsewhere than the evaluation: {told}")
    milestones = [f"-{index}" for index in range(len(trained["milestones"]))]
    files: dict[str, str] = {}
    for suffix in milestones:
        model, _ = restore(job, job.folder / f"state{suffix}", watch)
        files |= _write_samples(job, model, f"samples{suffix}.npz", job.samples.milestone_n, watch)
    model, spent = restore(job, job.folder / "state", watch)
    began = time.monotonic()
    drawn = draw_samples(job, model, job.samples.n, 0, watch)
    sample_seconds = time.monotonic() - began
    files |= _save_samples(job, "samples.npz", *drawn)
    for repeat in range(1, job.samples.repeats + 1):
        again = draw_samples(job, model, job.samples.n, repeat, watch)
        files |= _save_samples(job, f"repeat-{repeat}.npz", *again)
        if np.array_equal(again[0], drawn[0]):
            watch.note("sample gave the same samples for two seeds: it draws from generators of its own, or not at all")
    del model

    if job.likelihood is not None:
        settings = job.likelihood_settings
        for suffix in milestones:
            files |= _write_nats(job, suffix, settings.milestone_examples, settings.milestone_draws, watch)
        files |= _write_nats(job, "", settings.examples, settings.draws, watch)
    return {
        "prepare": spent,
        "sample_seconds": sample_seconds,
        "samples_per_second": job.samples.n / sample_seconds,
        "memory": peak_memory(),
        "device_memory": device.peak_memory(),
        "environment": environment,
        "warnings": watch.warnings,
        "files": files,
    }


def _remove_own(folder: Path) -> None:
    """Remove what an attempt that was ended in this stage left, so that none of it is taken for this one's."""
    for pattern in ("samples*.npz", "repeat-*.npz", "nats*.npz"):
        for path in folder.glob(pattern):
            Disk().remove_tree(path)


def restore(job: Job, stem: Path, watch: Watch | None = None) -> tuple[Model, dict[str, Any]]:
    """The model of a job in the state saved at ``stem``, prepared for its evaluation, and what preparing spent."""
    watch = watch or Watch()
    model = build(job, watch)
    with watch.over("load_state_dict"):
        model.load_state_dict(load_state(stem))
    x, labels = splits.training(Path(job.data_folder), job.dev)
    return model, _prepare(job, model, x, labels, watch)


def draw_samples(
    job: Job, model: Model, n: int, repeat: int = 0, watch: Watch | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """``n`` samples, uint8 ``[n, *shape]``, and the labels asked for, int64 ``[n]``, of a conditional model.

    Another ``repeat`` gives an independent set.
    """
    watch = watch or Watch()
    position = ("repeat", repeat) if repeat else ()
    labels = sample_labels(job, n, position)
    chunks = []
    for chunk, first in enumerate(range(0, n, job.samples.chunk)):
        size = min(job.samples.chunk, n - first)
        asked = None if labels is None else torch.from_numpy(labels[first : first + size]).to(job.budget.device)
        rng.seed_globals(job.seed, "sample", *position, chunk)
        with watch.over("sample"), device.precision(job.budget), torch.no_grad():
            drawn = model.sample(size, asked)
        chunks.append(check_samples(drawn, size, job.data))
    return torch.cat(chunks).numpy(), labels


def class_frequencies(labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class among the training labels, float64 ``[classes]``."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(counts / counts.sum())


def _write_samples(job: Job, model: Model, name: str, n: int, watch: Watch) -> dict[str, str]:
    """Sample from a model into a file of the working folder; returns the file's hash by its name."""
    return _save_samples(job, name, *draw_samples(job, model, n, watch=watch))


def _save_samples(job: Job, name: str, samples: np.ndarray, labels: np.ndarray | None) -> dict[str, str]:
    return _save_arrays(job.folder / name, {"samples": samples} | ({} if labels is None else {"labels": labels}))


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    with whole_file(path) as draft:
        np.savez_compressed(draft, allow_pickle=False, **arrays)
    return {path.name: sha256_of(path)}


def _write_nats(job: Job, suffix: str, examples: int, draws: int, watch: Watch) -> dict[str, str]:
    """The likelihood of held-out examples under a state, which is restored anew: one model at a time in memory.

    Returns:
        The file's hash by its name; nothing where the model's likelihood can't be made one of the discrete data.
    """
    assert job.likelihood is not None
    model, _ = restore(job, job.folder / f"state{suffix}", watch)
    held_out, labels = splits.held_out(Path(job.data_folder), job.dev)
    # Which examples are scored is a matter of their content, the same for every model and seed.
    wanted = min(examples, len(held_out))
    chosen = np.flatnonzero(stratified_choice(held_out, labels, wanted, "likelihood"))
    x = torch.from_numpy(held_out[chosen]).to(job.budget.device)
    found = log_probs(
        cast(Model, _Watched(model, watch)),
        job.likelihood,
        x,
        _class_log_prior(job),
        draws,
        job.likelihood_settings.chunk,
        job.seed,
    )
    if found is None:
        return {}
    arrays = {
        "nats": found.nats,
        "examples": chosen,
        "kind": np.array(found.kind),
        "draws": np.array(found.draws),
        "dims": np.array(found.dims),
    }
    if found.effective_draws is not None:
        arrays["effective_draws"] = found.effective_draws
    return _save_arrays(job.folder / f"nats{suffix}.npz", arrays)


class _Watched:
    """A model whose likelihood is taken without a gradient and under a watch."""

    def __init__(self, model: Model, watch: Watch) -> None:
        self._model = model
        self._watch = watch

    def log_prob(self, x: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        with self._watch.over("log_prob"), torch.no_grad():
            return self._model.log_prob(x, labels)


def _prepare(job: Job, model: Model, x: np.ndarray, labels: np.ndarray | None, watch: Watch) -> dict[str, Any]:
    """Call ``prepare_for_eval`` where there is one, metered apart from training."""
    prepare = getattr(model, "prepare_for_eval", None)
    if prepare is None:
        return {"images": 0, "flops": 0.0, "seconds": 0.0}
    batches = Batches(
        x, labels, int(job.model.config["batch_size"]), job.seed, torch.device(job.budget.device), "prepare"
    )
    allowed = max(len(batches), int(PREPARE_SHARE * job.budget.images))
    rng.seed_globals(job.seed, "prepare", 0)
    handed = 0

    def metered() -> Iterator[Batch]:
        nonlocal handed
        for batch in batches.first(allowed):
            handed += len(batch.x)
            yield batch

    began = time.monotonic()
    with watch.over("prepare_for_eval"), FlopCounter() as counter:
        prepare(metered())
    if counter.uncounted:
        names = ", ".join(sorted(counter.uncounted))
        watch.note(f"the FLOPs of {names} in prepare_for_eval were not counted, for want of a formula")
    flops = float(counter.flops)
    if job.budget.flops is not None and flops > PREPARE_SHARE * job.budget.flops:
        raise OverBudget(
            f"prepare_for_eval spent {flops:.3g} FLOPs; it may spend {PREPARE_SHARE:.0%} of the budget, "
            f"{PREPARE_SHARE * job.budget.flops:.3g}"
        )
    return {"images": handed, "flops": flops, "seconds": time.monotonic() - began}


def sample_labels(job: Job, n: int, position: tuple[str | int, ...]) -> np.ndarray | None:
    """Labels from the training split's class frequencies, for a conditional model."""
    if not job.conditional:
        return None
    frequencies = _training_frequencies(job)
    return rng.generator(job.seed, "sample", *position, "labels").choice(len(frequencies), size=n, p=frequencies)


def _class_log_prior(job: Job) -> list[float] | None:
    if not job.conditional:
        return None
    return [math.log(share) if share > 0 else -math.inf for share in _training_frequencies(job)]


def _training_frequencies(job: Job) -> np.ndarray:
    _, labels = splits.training(Path(job.data_folder), job.dev)
    assert labels is not None
    assert job.data.classes is not None
    return class_frequencies(labels, job.data.classes)
