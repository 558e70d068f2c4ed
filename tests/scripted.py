"""A run's stages as a script tells them: nothing is started, and :func:`carry_out` sees what it would see."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import factories

from genbench.executors.audits import Audits
from genbench.executors.context import Context
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.run import carry_out
from genbench.job import ForeignMetrics
from genbench.matrix import Entry, PlannedRun, State
from genbench.plugins import Plugin
from genbench.record import Record
from genbench.specs import MetricSpec, ModelSpec
from genbench.store import RunKey, Store

SPEC = ModelSpec("toy", "nowhere:Toy", factories.Config, "A toy")
THIRD_PARTY = ForeignMetrics("theirs", "1", [], [MetricSpec("odd", "Odd", "nowhere:odd", "lower", summary="Odd")])
RESULTS: dict[str, dict[str, Any]] = {
    "train": {"parameters": 5, "spent": {"seconds": 1.0, "flops": 1.0}, "environment": {}, "resumed_at": None},
    "evaluate": {"sample_seconds": 1.0, "samples_per_second": 1.0},
    "score": {"scores": {"fid": asdict(factories.score(2.0))}, "milestones": []},
    "measure": {},
}
KEY = RunKey("tiny", "toy", 0)

Tell = Callable[[StageRequest, Path], StageEnd]


def well(request: StageRequest, **changes: Any) -> StageEnd:
    cost = {"seconds": 1.0, "cpu_seconds": 2.0, "peak_memory": 100}
    return StageEnd(request.name, "ok", None, RESULTS[request.name.partition("-")[0]], **cost | changes)


def ended(request: StageRequest, status: Any, reason: str = "a reason", **changes: Any) -> StageEnd:
    return replace(well(request, **changes), status=status, reason=reason, result=None)


@dataclass
class Script:
    """Plays the supervisors: ``tell`` says how each stage ends, which is all well by default."""

    tell: Tell = lambda request, folder: well(request)
    requests: list[StageRequest] = field(default_factory=list)

    def supervise(self, supervision: Supervision, launcher: Any, stop: Any, on_progress: Any) -> list[StageEnd]:
        found = []
        for request in supervision.stages:
            self.requests.append(request)
            end = self.tell(request, Path(supervision.log).parent)
            with suppress(FileNotFoundError), open(supervision.ends, "a") as stream:
                stream.write(json.dumps(asdict(end) | {"result": None}) + "\n")
            found.append(end)
            if end.status != "ok":
                break
        return found

    @property
    def names(self) -> list[str]:
        return [request.name for request in self.requests]


def context_of(store: Store, *foreign: ForeignMetrics) -> Context:
    audits = Audits(store.root.parent / "audits")
    return Context(factories.benchmark(), [], list(foreign), store, "nowhere", "nowhere", audits)


def planned(state: State = "new", record: Record | None = None, seed: int = 0) -> PlannedRun:
    identity = replace(factories.record().model, name="toy")
    return PlannedRun(
        RunKey("tiny", "toy", seed), Entry(SPEC, Plugin("toys", "toys", "1", "x"), identity, None), state, record
    )


def do(
    store: Store,
    *foreign: ForeignMetrics,
    run: PlannedRun | None = None,
    stop: Callable[[], Literal["cancel", "kill"] | None] = lambda: None,
) -> Record | None:
    launcher: Any = None
    return carry_out(run or planned(), context_of(store, *foreign), launcher, stop, lambda stage, share: None)


def left(store: Store) -> list[Path]:
    return [path for path in (store.root / ".work").iterdir() if path.is_dir()]


class Seen:
    """An observer that takes note."""

    def __init__(self) -> None:
        self.finished_runs: list[Record | None] = []

    def started(self, run: PlannedRun) -> None: ...

    def progressed(self, *_: object) -> None: ...

    def retried(self, *_: object) -> None: ...

    def finished(self, run: PlannedRun, record: Record | None) -> None:
        self.finished_runs.append(record)


class Alive:
    """A launcher that nothing is asked of."""

    def check_alive(self) -> None: ...
