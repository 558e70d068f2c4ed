"""What a record says of the scores at its milestones: only what differs from the run's own."""

from __future__ import annotations

import json
from dataclasses import replace

import factories
import pytest

from genbench.record import SCORE_DEFAULTS, Milestone, Record, Score, brief, parse
from genbench.stable import stable

FINAL = {"metric": "fid/1", "evaluator": "cnn@1234", "sizes": [500, 1000, 15], "n": 1000}
THEN = {**FINAL, "sizes": [250, 500, 15], "n": 500}


def record(of_fid: dict[str, object], of_extra: dict[str, object] | None = None) -> Record:
    """A run of which ``fid`` was taken at the end and at a milestone, ``extra`` at the milestone alone."""
    fid = Score(1.0, 1000, "lower", fingerprint=FINAL)
    at = {"fid": replace(fid, value=2.0, n=500, fingerprint=of_fid)}
    if of_extra is not None:
        at["extra"] = Score(3.0, 500, "higher", unit="bits", stderr=0.1, fingerprint=of_extra)
    return replace(factories.record(), scores={"fid": fid}, milestones=[Milestone(0.5, 1, 2, 3.0, 4.0, at)])


def briefly(whole: Record) -> Record:
    return replace(whole, milestones=[brief(milestone, whole.scores) for milestone in whole.milestones])


def test_a_fingerprint_keeps_what_differs_from_the_run_s_own() -> None:
    found = briefly(record(THEN)).milestones[0].scores["fid"].fingerprint
    assert found == {"sizes": [250, 500, 15], "n": 500}
    assert {**FINAL, **found} == THEN


def test_a_score_that_the_run_has_only_at_milestones_keeps_its_whole_fingerprint() -> None:
    assert briefly(record(THEN, FINAL)).milestones[0].scores["extra"].fingerprint == FINAL


def test_what_is_brief_already_stays_as_it_is() -> None:
    once = briefly(record(THEN, FINAL))
    assert briefly(once) == once


def test_a_run_is_the_same_whether_its_milestones_are_written_whole_or_briefly() -> None:
    assert stable(record(THEN)) == stable(briefly(record(THEN)))


@pytest.mark.parametrize("key", ["evaluator", "n", "metric"])
def test_a_run_with_another_fingerprint_at_a_milestone_is_another(key: str) -> None:
    assert stable(record({**THEN, key: "another"})) != stable(record(THEN))


def test_defaults_of_milestones_are_not_written_and_read_as_what_they_were() -> None:
    whole = briefly(record(THEN, FINAL))
    (milestone,) = json.loads(whole.to_json())["milestones"]
    assert set(milestone["scores"]["fid"]) == {"value", "n", "direction", "fingerprint"}
    assert set(milestone["scores"]["extra"]) == {"value", "n", "direction", "unit", "stderr", "fingerprint"}
    assert parse(whole.to_json()) == whole


def test_the_run_s_own_scores_are_written_whole() -> None:
    written = json.loads(record(THEN).to_json())["scores"]["fid"]
    assert SCORE_DEFAULTS.keys() < written.keys()
