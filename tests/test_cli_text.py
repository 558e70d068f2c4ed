"""What commands say on stderr and stdout beside tables: errors, warnings and JSON have no character to obey."""

from __future__ import annotations

import json

import click
import factories
import pytest

from genbench import cli
from genbench.cli import warn_of_broken
from genbench.cli.options import print_json
from genbench.errors import GenbenchError
from genbench.plugins import Plugin

HOSTILE = "x\x1b[31m\x9b2J\x07 \u202e\u2066y"


def raising(error: Exception) -> click.Command:
    @click.command("fails")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (GenbenchError(f"first {HOSTILE}\n  second {HOSTILE}"), 2),
        (click.UsageError(f"no {HOSTILE}"), 2),
        (click.BadParameter(f"no {HOSTILE}", param_hint=HOSTILE), 2),
        (OSError(2, f"no {HOSTILE}", HOSTILE), 4),
    ],
    ids=["genbench", "usage", "parameter", "system"],
)
def test_an_error_has_no_character_that_a_terminal_obeys(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.cli, "get_command", lambda ctx, name: raising(error))
    assert cli.main(["fails"]) == status
    said = capfd.readouterr().err
    assert "[31m" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_a_broken_plugins_cause_has_no_character_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    registry = factories.registry()
    registry.plugins.append(Plugin("evil", "evil", "1", "evil", problem=HOSTILE))
    warn_of_broken(registry)
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_json_has_no_character_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"x": HOSTILE, "y": "\ud800\x7f"})
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.splitlines())
    assert json.loads(said) == {"x": HOSTILE, "y": "\ud800\x7f"}
