"""Stages under a supervisor, for tests: what is asked for, and what is left of it."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil
from supervised import MEBIBYTE

from genbench.executors.launcher import Launcher
from genbench.executors.protocol import StageEnd, StageRequest, Supervision
from genbench.executors.supervision import supervise

TESTS = str(Path(__file__).parent)
PLENTY = 4096 * MEBIBYTE


class Run:
    """A folder with stages to be supervised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.told: list[tuple[str, float]] = []
        self.stages: list[StageRequest] = []
        self.ends_file = ""

    def add(self, function: Callable[..., Any], name: str = "train", **options: Any) -> "Run":
        limits = {key: options.pop(key) for key in ("seconds", "memory", "over_memory") if key in options}
        mark = self.folder / f"outcome-{name}.json"
        work = {
            "task": f"supervised:{function.__name__}",
            "arguments": options,
            "outcome": str(mark),
            "sys_path": [TESTS],
        }
        request = StageRequest(
            **{"seconds": 60.0, "memory": PLENTY, **limits},
            name=name,
            work=work,
            mark=str(mark),
            cwd=str(self.folder / "scratch"),
            progress=True,
            allowed="a while",
        )
        self.stages.append(request)
        return self

    def go(self, launcher: Launcher, stop: Callable[[], Literal["cancel", "kill"] | None] = lambda: None) -> StageEnd:
        """Supervise, and return how the last stage ended."""
        supervision = Supervision(self.stages, str(self.log), threads=1, ends=self.ends_file)
        self.ends = supervise(supervision, launcher, stop, lambda name, share: self.told.append((name, share)))
        return self.ends[-1]


def alive(pids: list[int]) -> list[int]:
    """Those of some processes that still run, a moment being allowed for the last of them to be noticed."""
    end = time.monotonic() + 2.0
    while (left := [pid for pid in pids if runs(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    return left


def runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def wait_for(path: Path) -> list[int]:
    """Process ids that a stage has left in a file."""
    end = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return [int(word) for word in path.read_text().split()]


def below(process: int) -> list[int]:
    return [child.pid for child in psutil.Process(process).children(recursive=True)]


def victim_of(who: str, harness: int) -> int:
    """The process id of a supervisor or a run server below a harness."""
    found = [process for process in psutil.Process(harness).children(recursive=True) if _is(process, who)]
    assert found, who
    return found[0].pid


def _is(process: psutil.Process, who: str) -> bool:
    if who == "run server":
        return process.name() == "genbench-run"
    return "genbench.executors.supervisor" in " ".join(process.cmdline())
