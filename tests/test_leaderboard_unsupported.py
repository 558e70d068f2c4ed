"""Models that declare that they are not made for a benchmark's data: no rows of the table, told below it."""

from __future__ import annotations

import factories

from genbench.leaderboard import Leaderboard, build
from genbench.record import Record
from genbench.report import legend, text
from genbench.store import Loaded


def table(records: list[Record]) -> Leaderboard:
    return build(factories.benchmark(), factories.METRICS, Loaded(records, []))


def unsupported(model: str, reason: str) -> list[Record]:
    return [factories.record(model, seed, status="unsupported", reason=reason) for seed in range(5)]


def test_models_that_are_not_made_for_such_data_are_told_by_their_reason_and_have_no_row() -> None:
    records = [factories.record(seed=seed) for seed in range(5)]
    records += unsupported("words-only", "needs words") + unsupported("letters-only", "needs words")
    records += unsupported("rgb-only", "needs RGB")
    board = table(records)
    assert [entry.model for entry in board.rows] == ["toy"]
    told = [line for line in legend.explanations(board) if line.startswith("Not for these data")]
    assert told == [
        "Not for these data: letters-only, words-only: needs words",
        "Not for these data: rgb-only: needs RGB",
    ]
    assert {entry["model"] for entry in text.document(board)["unsupported"]} == {
        "words-only",
        "letters-only",
        "rgb-only",
    }


def test_that_a_model_is_not_made_for_such_data_is_no_problem_of_the_table() -> None:
    assert legend.problems(table(unsupported("words-only", "needs words"))) == []


def test_a_model_that_became_unsupported_between_its_seeds_keeps_its_row() -> None:
    records = [factories.record(seed=seed) for seed in range(4)]
    board = table([*records, factories.record(seed=4, status="unsupported", reason="needs words")])
    assert [entry.problem for entry in board.rows] == ["seed 4 unsupported: needs words"]
    assert board.unsupported == ()
