"""A run's stages with a clock: when each came to what, for perf/run.py. Imported in the stages' processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genbench.engine import evaluate, train
from genbench.job import read_job


def entered() -> dict[str, Any]:
    """A stage with nothing to do."""
    return {"times": {"entered": time.monotonic()}}


def timed(stage: str, job: str) -> dict[str, Any]:
    """The stage's own result, and ``times`` on the system's monotonic clock, at which it came to the end of each part.

    Args:
        stage: ``train`` or ``evaluate``.
        job: path of the job file.
    """
    times = {"entered": time.monotonic()}
    resolved = read_job(Path(job))
    times["job read"] = time.monotonic()
    module: Any = train if stage == "train" else evaluate

    def note(holder: Any, name: str, before: str | None, after: str | None) -> None:
        """Have a function note the first time that it begins or ends."""
        function: Callable[..., Any] = getattr(holder, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            if before is not None:
                times.setdefault(before, time.monotonic())
            result = function(*arguments, **options)
            if after is not None:
                times.setdefault(after, time.monotonic())
            return result

        setattr(holder, name, noted)

    if stage == "train":
        note(module.splits, "training", "torch prepared", "data read")
        note(module, "build", None, "model built")
        note(module.Clock, "start", "first step", None)
    else:
        note(module, "restore", "torch prepared", "state restored")
        note(module, "draw_samples", "first sample", None)
    result: dict[str, Any] = getattr(module, stage)(resolved)
    times["returned"] = time.monotonic()
    return {**result, "times": times}
