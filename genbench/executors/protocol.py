"""What the harness and a run's supervisor say to each other: JSON lines over the supervisor's stdin and stdout.

The first line on stdin is the :class:`Supervision`. After it the pipe is the lifeline: the line ``cancel`` asks for an
orderly end, and its closing means that the harness is gone and everything must end. On stdout the supervisor writes
``{"stage": name, "progress": share}`` when a stage begins, a few times a second while its progress changes, and where
the supervisor has itself been held up, as a sign of life; and ``{"ended": StageEnd}`` once a stage. Its exit code is 0
if it came to the end of its work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # records bring what would double the time that a supervisor takes to start
    from genbench.record import Status

CANCEL = "cancel"
CANCELLED = "the harness was asked to stop"
"""The reason of a stage that was."""
START_SECONDS = 300.0
"""That a fork server may take to import everything, before it answers the first request for a process."""
STANDSTILL_SECONDS = 2.0
"""Between two looks at the clock, of processes that look ten times a second: so much longer, and they were themselves
held (a suspended machine, a paused container, Ctrl-Z), which is no time of a stage's."""


@dataclass(frozen=True)
class StageRequest:
    """One stage to be carried out in a process of its own.

    Attributes:
        name: of the stage and its part: ``train``, ``measure-0``; a key of ``cost.stage_seconds``.
        work: the request for :func:`genbench.engine.worker.main`.
        mark: path of the completion mark that the stage leaves.
        cwd: path of the folder that it starts in: a scratch folder, new for each stage and removed after it, whatever
            an earlier attempt left there; but the folder of the mark is kept as it is.
        progress: whether it tells its progress.
        seconds: hard deadline, on a monotonic clock.
        allowed: what that deadline is made of, for people: ``30 s and 60 s of grace``.
        memory: bytes that its process tree may hold.
        over_memory: the status of a stage that holds more.
    """

    name: str
    work: dict[str, Any]
    mark: str
    cwd: str
    progress: bool
    seconds: float
    allowed: str
    memory: int
    over_memory: Status = "oom_host"


@dataclass(frozen=True)
class Supervision:
    """Stages to be carried out one after another, up to the first that does not end well.

    Attributes:
        stages: in their order.
        log: path of the file that takes what they print: head and tail of it, cleaned.
        threads: CPU threads a process may use, and cores that it is pinned to where as many are free.
        claims: path of the folder of claims of cores; the harness fills it in.
        ends: path of a file to which each :class:`StageEnd` is added as one JSON line, without its result: what an
            attempt has cost whose harness did not live to hear of it. Empty for none.
        held: descriptors of the harness that the supervisor inherits and leaves as they are until it ends: of locks
            that are to last until nothing of the run is left.
    """

    stages: list[StageRequest]
    log: str
    threads: int
    claims: str = ""
    ends: str = ""
    held: tuple[int, ...] = ()


@dataclass(frozen=True)
class StageEnd:
    """How a stage ended.

    Attributes:
        name: of the stage.
        status: ``ok``, or what went wrong; ``lost`` where something from outside ended it (SIGKILL or SIGTERM that
            the supervisor did not send), so that it is no result of the model.
        reason: one line for the table; None if ``ok``.
        result: what the stage returned; None unless ``ok``.
        signal: number of the signal that ended it, if one did.
        seconds: wall time, on a monotonic clock.
        cpu_seconds: user and system time of all its processes.
        peak_memory: bytes of resident memory at the peak of its process tree.
        cores: that it was pinned to; empty if it was not.
        warnings: what a reader of the record should know: a log that could not be written, say.
        disk: whether it ended because the disk refused to take more: full, over its quota or read-only. The status is
            ``harness_error`` then; neither another attempt nor another run would fare better.
    """

    name: str
    status: Status
    reason: str | None
    result: dict[str, Any] | None
    signal: int | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    cores: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    disk: bool = False
