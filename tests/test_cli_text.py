"""What commands say on stderr and stdout beside tables: errors, warnings and JSON have no character to obey."""

from __future__ import annotations

import json

import click
import factories
import pytest

from genbench import cli
from genbench.cli import warn_of_broken
from genbench.cli.list_ import KINDS
from genbench.cli.options import print_json
from genbench.errors import GenbenchError
from genbench.listings import listing
from genbench.plugins import Plugin, discover
from genbench.report.console import print_table, printed

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


LONG = "a-plugin-with-a-name-of-many-words"
PROSE = "models: " + ", ".join(f"model-{index}" for index in range(20))


def shown(width: int, rows: list[list[str]], header: list[str]) -> list[str]:
    return printed(lambda console: print_table(console, rows, header), width).splitlines()


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_table_breaks_no_name_and_keeps_within_the_width(width: int) -> None:
    lines = shown(width, [[LONG, "genbench-of-somebody 1.0", PROSE], ["b", "c 2.0", "d"]], ["Plugin", "From", "Brings"])
    assert all(len(line) <= width for line in lines)
    words = " ".join(lines).split()
    assert {LONG, "genbench-of-somebody", *(f"model-{index}," for index in range(19)), "model-19"} <= set(words)


def test_prose_for_which_there_is_no_room_beside_stands_below_its_row() -> None:
    rows, header = [[LONG, "1,000", "what is short of room"], ["b", "2", "c"]], ["Plugin", "Images", "Summary of it"]
    assert shown(50, rows, header) == [
        f"{'Plugin':34}  Images", "    Summary of it",
        f"{LONG}  1,000", "    what is short of room",
        f"{'b':34}  2", "    c",
    ]  # fmt: skip


def test_in_a_terminal_narrower_than_the_names_all_cells_are_folded_and_none_is_cut() -> None:
    lines = shown(30, [[LONG, "genbench-of-somebody 1.0", "d"]], ["Plugin", "From", "Brings"])
    assert all(len(line) <= 30 for line in lines)
    edge = lines[0].index("From")
    assert "".join(line[:edge].strip() for line in lines[1:]) == LONG


def test_every_listing_has_whole_names_at_80_columns() -> None:
    registry = discover()
    for kind in KINDS:
        found = listing(registry, kind)  # type: ignore[arg-type]
        lines = shown(80, found.rows(), found.header)
        assert all(len(line) <= 80 for line in lines)
        assert set(found.names) <= {line.split()[0] for line in lines if line[:1].strip()}
