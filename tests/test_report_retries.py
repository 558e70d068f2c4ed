"""Attempts that are followed by another one are told, with how many are left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import factories
import pytest
from scripted import Script, context_of, ended, planned, well

from genbench.executors.local import LocalExecutor
from genbench.executors.protocol import StageEnd, StageRequest
from genbench.report.live import View
from genbench.store import Store


class Alive:
    """A launcher of a script's stages."""

    def check_alive(self) -> None: ...


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr("genbench.executors.stages.supervise", script.supervise)
    return script


@pytest.mark.parametrize(("lost", "told"), [(0, 0), (1, 1), (3, 2)])
def test_each_attempt_that_is_followed_by_another_has_a_line(
    tmp_path: Path, script: Script, lost: int, told: int
) -> None:
    calls: list[str] = []

    def tell(request: StageRequest, folder: Path) -> StageEnd:
        calls.append(request.name)
        return ended(request, "lost") if len(calls) <= lost else well(request)

    script.tell = tell
    lines: list[str] = []
    view = View(factories.registry(), [planned()], 0, 1, Path(), lines.append)
    launcher: Any = Alive()
    LocalExecutor(launcher, context_of(Store(tmp_path / "results")), 1).execute([planned()], view)
    retried = [line for line in lines if "tried again" in line]
    assert retried == [
        f"tiny/toy/seed-0  lost (attempt {tries} of 3): a reason; tried again" for tries in range(1, told + 1)
    ]
    assert ("(3 attempts; the next call tries again)" in lines[-1]) == (lost == 3)
