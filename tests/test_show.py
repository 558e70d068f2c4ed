"""A record in readable form, and what the seeds of its model say together."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import factories
import pytest
from rich.console import Console

from genbench.cli.show import siblings
from genbench.record import Attempt, Milestone, Record
from genbench.report.console import print_fitted
from genbench.report.run import print_record, print_seeds
from genbench.statistics import Components, mean_interval, variance_components
from genbench.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "results")
    for seed in range(5):
        factories.commit(store, factories.record("toy", seed))
    return store


def shown(record: Record) -> str:
    console = Console(width=100, file=io.StringIO(), markup=False, highlight=False)
    print_record(record, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_record_is_shown_with_scores_costs_and_where_it_ran() -> None:
    output = shown(factories.record(kind="iwae"))
    for part in ("tiny/toy/seed-0", "<= 2.0000", "992 of 1,000", "0.95 TFLOP of 1 TFLOP", "300 MiB", "A CPU", "0.010"):
        assert part in output


def test_attempts_are_shown_where_there_was_more_than_one() -> None:
    begun, ended = "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:10+00:00"
    attempts = [
        Attempt("lost", "its supervisor was killed", begun, ended, "a" * 16),
        Attempt("ok", None, ended, "some day", "b" * 16, resumed_at=12_000),
    ]
    lines = [" ".join(line.split()) for line in shown(replace(factories.record(), attempts=attempts)).splitlines()]
    assert f"1 lost {begun} 3,610 - its supervisor was killed" in lines
    assert f"2 ok {ended} - 12,000 -" in lines
    assert lines.index("Attempts") < lines.index("Scores")
    assert "Attempts" not in shown(factories.record()).splitlines()


def test_a_failed_record_is_shown_with_its_reason() -> None:
    assert "diverged: nan at step 3" in shown(factories.record(status="diverged", reason="nan at step 3"))


def flat(output: str) -> str:
    return " ".join(output.split())


def test_a_record_that_failed_its_audit_is_shown_with_the_verdict_and_what_it_sees() -> None:
    output = flat(shown(factories.record(audit=factories.failed_audit("too good"))))
    assert "bits_per_dim withheld" in output
    assert "failed: too good" in output
    assert "smallest flattery it sees 0.050 bits/dim" in output
    assert "within the limit" in output


def test_a_record_without_an_audit_is_shown_as_unaudited() -> None:
    output = flat(shown(factories.record(audit=None)))
    assert "2.0000?" in output
    assert "the record has no audit" in output
    assert "Likelihood audit" not in shown(factories.record(bits=None))


def test_a_record_is_shown_with_details_warnings_and_its_sampling_deviation() -> None:
    score = factories.score(2.0, repeats=[3.0, 4.0], flag="a copy", details={"effective_draws": 12.5})
    output = flat(shown(factories.record(more={"fid": score})))
    assert "2.0000!" in output
    assert "! fid: a copy" in output
    assert "1.0 (3 sets)" in output
    assert "effective_draws=12.5" in output


def printed_seeds(found: list[Record]) -> str:
    console = Console(width=100, file=io.StringIO(), markup=False, highlight=False)
    print_seeds(found, {"fid": True}, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_seeds_of_a_model_are_shown_with_training_and_sampling_deviation() -> None:
    sets = [[2.0, 2.1, 1.9], [2.6, 2.5, 2.7], [1.5, 1.6, 1.4]]
    found = [
        factories.record(seed=seed, more={"fid": factories.score(of[0], repeats=of[1:])})
        for seed, of in enumerate(sets)
    ]
    failed = factories.record(seed=3, status="failed")
    output = flat(printed_seeds([*found, failed]))
    parts = variance_components(sets, log_scale=True)
    assert parts.training is not None
    assert parts.sampling is not None
    deviations = [f"{100 * Components.relative(part):.2g} %" for part in (parts.training, parts.sampling)]
    mean = mean_interval([2.0, 2.6, 1.5], log_scale=True)
    assert mean.low is not None
    assert mean.high is not None
    assert f"fid {mean.mean:.3f} - {' '.join(deviations)}" in output  # a seed failed: no interval
    assert "3 of 4 seeds are ok" in output
    complete = flat(printed_seeds(found))
    assert f"fid {mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}] {' '.join(deviations)}" in complete
    assert "<= 2.010" in flat(printed_seeds([factories.record(seed=seed, kind="iwae") for seed in range(3)]))


def test_the_seeds_of_a_model_are_those_of_the_same_digest(store: Store) -> None:
    record = factories.record("toy", 0)
    other = replace(record, benchmark=replace(record.benchmark, digest="0" * 16))
    assert [entry.seed for entry in siblings(store.root / "tiny/toy/seed-0", record)] == [0, 1, 2, 3, 4]
    assert siblings(store.root / "tiny/toy/seed-0", other) == []
    (store.root / "tiny/toy/seed-2/record.json").write_text("{")
    assert [entry.seed for entry in siblings(store.root / "tiny/toy/seed-0", record)] == [0, 1, 3, 4]


def test_every_number_appears_whole_in_eighty_columns() -> None:
    names = ["fid", "fid@digits-random-v1", "authenticity@digits-random-v1", *(f"metric_{i}" for i in range(12))]
    scores = {
        name: factories.score(12.345 + place, repeats=[12.5 + place, 12.1 + place], stderr=0.0331, n=654_321)
        for place, name in enumerate(names)
    }
    milestones = [
        Milestone(share, 12_345, 123_456_789, 5e11, 1234.5, scores) for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    ]
    record = replace(factories.record(kind="iwae", bits=3.08041, more=scores), milestones=milestones)
    console = Console(width=80, file=io.StringIO(), markup=False, highlight=False)
    print_record(record, console)
    print_seeds([replace(record, seed=seed) for seed in range(2)], {"fid": True}, console)
    assert isinstance(console.file, io.StringIO)
    output = console.file.getvalue()
    assert all(len(line) <= 80 for line in output.splitlines())
    words = output.split()
    assert output.count("123,456,789") == len(milestones)
    assert words.count("654,321") == len(scores)
    assert "<= 3.0804" in output
    for name, score in scores.items():
        assert words.count(name) >= 4  # scores, milestones in two parts, seeds
        assert f"{score.value:.3f}" in words
        assert words.count(f"{score.value:.2f}") >= len(milestones)
    assert "Not shown for want of width: Unit, Kind" in output


def test_a_terminal_too_narrow_for_a_table_folds_its_numbers_and_cuts_none() -> None:
    console = Console(width=24, file=io.StringIO(), markup=False, highlight=False)
    print_fitted(console, [["authenticity@digits-random-v1", "12345.678"]], ["Score", "Value"])
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()[1:]
    assert sorted("".join("".join(lines).split())) == sorted("authenticity@digits-random-v1" + "12345.678")


def test_tests_of_copying_are_shown_as_flags_without_a_better() -> None:
    record = factories.record(more={"c_t": factories.score(2.0, "higher")})
    console = Console(width=200, file=io.StringIO(), markup=False, highlight=False)
    print_record(record, console, ["c_t"])
    assert isinstance(console.file, io.StringIO)
    (line,) = [line for line in console.file.getvalue().splitlines() if line.startswith("c_t") and "metric" in line]
    assert "flag only" in line
    assert "higher" not in line


def test_the_limits_of_the_audit_are_not_said_to_be_in_nats() -> None:
    assert "Measured, nats" not in shown(factories.record())
