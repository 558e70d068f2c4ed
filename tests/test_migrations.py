"""Records of older schemas are read as those of today, and what stands on disk stays as it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genbench.errors import RecordError
from genbench.migrations import STEPS, forward
from genbench.record import SCHEMA, Attempt, parse
from genbench.store import RunKey, Store

OLD = Path(__file__).with_name("data") / "record-schema-1.json"


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(OLD.read_text()), **changes})


def test_a_record_of_schema_1_reads_as_one_of_today() -> None:
    record = parse(OLD.read_bytes())
    assert record.schema == SCHEMA
    assert record.run == "digits/marginals/seed-3"
    assert record.scores["fid"].repeats == [21.25, 21.75]
    assert record.warnings == []
    assert record.attempts == [
        Attempt("cancelled", "ended by a person", "2026-03-01T10:00:00+00:00", "2026-03-01T10:00:02+00:00", "", None),
        Attempt("ok", None, "2026-03-01T11:00:00+00:00", "2026-03-01T11:00:05+00:00", "", None),
    ]


def test_a_record_that_was_brought_forward_can_be_written_and_read_again() -> None:
    record = parse(OLD.read_bytes())
    assert parse(record.to_json()) == record


def test_an_old_record_is_read_and_not_rewritten(tmp_path: Path) -> None:
    folder = tmp_path / "digits" / "marginals" / "seed-3"
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(OLD.read_bytes())
    store = Store(tmp_path)
    assert [record.schema for record in store.load().records] == [SCHEMA]
    assert store.read(RunKey("digits", "marginals", 3)) is not None
    assert (folder / "record.json").read_bytes() == OLD.read_bytes()


def test_a_newer_record_is_refused_with_what_to_do() -> None:
    with pytest.raises(RecordError, match="was written by a newer genbench; upgrade"):
        parse(changed(schema=SCHEMA + 1))


@pytest.mark.parametrize("schema", [0, -1, True, 1.0, "1", None, [1]])
def test_a_schema_that_never_was_is_refused(schema: Any) -> None:
    with pytest.raises(RecordError, match="schema"):
        parse(changed(schema=schema))


@pytest.mark.parametrize("attempts", [None, {}, "text", [1], [[]], [{"token": 1}], [{"colour": "red"}]])
def test_an_old_record_with_broken_attempts_is_refused_as_a_new_one_would_be(attempts: Any) -> None:
    with pytest.raises(RecordError, match="attempts"):
        parse(changed(attempts=attempts))


def test_an_old_record_cannot_have_what_came_later() -> None:
    with pytest.raises(RecordError, match="warnings"):
        parse(changed(warnings=["invented"]))


def test_every_older_schema_has_its_step() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA))


@pytest.mark.parametrize("schema", STEPS)
def test_a_step_leads_to_the_next_schema_and_leaves_what_it_was_given(schema: int) -> None:
    raw = json.loads(OLD.read_text())
    before = json.dumps(raw)
    assert forward(raw, schema, schema + 1)["schema"] == schema + 1
    assert json.dumps(raw) == before
