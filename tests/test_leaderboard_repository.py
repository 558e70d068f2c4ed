"""A leaderboard's repository: what its script lets through before anything is verified, and what its workflows may do.

That a submission is checked, merged and published is claimed beside the bundle that it takes, in ``test_verify.py``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import bundles
import pytest


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return bundles.copy(bundles.EXAMPLE, tmp_path / "base")


def submit(root: Path, name: str) -> None:
    """A bundle as far as the script looks into one."""
    folder = root / "submissions" / name
    folder.mkdir()
    (folder / "MANIFEST.json").write_text('{"benchmark": "digits"}')


@pytest.mark.parametrize(
    "spoil",
    [
        lambda head: (head / "scripts" / "board.py").write_text("print('all is well')"),
        lambda head: (head / "README.md").unlink(),
        lambda head: (head / "submissions" / "loose.json").write_text("{}"),
        lambda head: (head / "results" / "digits").mkdir() or (head / "results" / "digits" / "x").write_text("x"),
        lambda head: (head / "submissions" / "away").symlink_to("/"),
        lambda head: None,
    ],
    ids=["a script", "a removal", "a loose file", "results", "a link", "nothing"],
)
def test_a_pull_request_that_does_more_or_less_than_add_submissions_fails(
    base: Path, tmp_path: Path, spoil: Any
) -> None:
    head = bundles.copy(base, tmp_path / "head")
    spoil(head)
    ran: list[list[str]] = []
    assert bundles.board().main(["check", str(base), str(head)], lambda arguments: ran.append(arguments) or 0) == 1
    assert not ran, "nothing is verified before the paths are known to be in order"


def test_a_pull_request_is_held_to_what_was_merged_before_it(base: Path, tmp_path: Path) -> None:
    submit(base, "theirs")
    head = bundles.copy(base, tmp_path / "head")
    submit(head, "mine")
    ran: list[list[str]] = []

    def refuse_the_second(arguments: list[str]) -> int:
        ran.append(arguments)
        return 4 * (len(ran) == 2)

    assert bundles.board().main(["check", str(base), str(head)], refuse_the_second) == 4
    assert [Path(each[1]).name for each in ran] == ["theirs", "mine"]
    (results,) = {each[each.index(option) + 1] for each in ran for option in ("--results", "--accept")}
    assert not Path(results).is_relative_to(base)


def test_workflows_have_no_write_permission_on_pull_requests_and_pin_every_action() -> None:
    yaml = pytest.importorskip("yaml", reason="reads the workflows")
    for name in ("verify", "publish"):
        flow = yaml.safe_load((bundles.EXAMPLE / ".github" / "workflows" / f"{name}.yml").read_text())
        assert flow["permissions"] == {"contents": "read"}
        steps = [step for job in flow["jobs"].values() for step in job["steps"]]
        assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
        text = json.dumps(flow)
        assert "secrets" not in text
        assert "pull_request_target" not in text
    assert "pull_request" in (bundles.EXAMPLE / ".github" / "workflows" / "verify.yml").read_text()
