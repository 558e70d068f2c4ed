"""What submissions stand on: manifests of anybody, texts that are scrubbed, bounds, intervals, and what looks wrong."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.engine.nats import load_nats
from genbench.errors import GenbenchError, RecordError
from genbench.plugins import discover
from genbench.record import Milestone, Record
from genbench.submission.bounds import BOUNDS, why_out_of_bounds
from genbench.submission.bundle import MANIFEST, file_findings, read_manifest, why_no_file
from genbench.submission.checks import Known, likeness_findings, speed_findings, too_good
from genbench.submission.consistency import record_findings
from genbench.submission.interval import prediction, shared_level
from genbench.submission.machine import why_other_class
from genbench.submission.rescore import why_different
from genbench.submission.scrub import Scrubber, record_problems, scrubbed
from genbench.verification import Finding, Verification, parse, read_verification, sha256, write_verification

SPECS = {metric.name: metric for metric in factories.METRICS}
ENTRY = {"sha256": "sha256:" + "0" * 64, "bytes": 1}
GOOD: dict[str, Any] = {
    "format": 1, "genbench": "0.1.0", "division": "closed", "benchmark": "tiny", "digest": "0" * 16,
    "incomplete": False, "note": "", "files": {"tiny/toy/seed-0/record.json": ENTRY},
}  # fmt: skip
SCRUBBER = Scrubber(
    (("/srv/alice/results", "<results>"), ("/srv/alice", "~")), (("alice", "<user>"), ("bigbox", "<host>"))
)


# Manifests.


def manifest(folder: Path, text: str | bytes) -> None:
    (folder / MANIFEST).write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)


def test_a_manifest_that_was_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    manifest(tmp_path, json.dumps(GOOD))
    first = read_manifest(tmp_path)
    manifest(tmp_path, first.to_json())
    assert read_manifest(tmp_path) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../seed-0/x/record.json": ENTRY}},
        {"files": {"tiny/../seed-0/record.json": ENTRY}},
        {"files": {"/etc/x/seed-0/record.json": ENTRY}},
        {"files": {"tiny/toy/seed-0/run.sh": ENTRY}},
        {"files": {"tiny/toy/seed-0/record.json": {**ENTRY, "sha256": "sha256:0"}}},
        {"files": {"tiny/toy/seed-0/record.json": {**ENTRY, "bytes": -1}}},
        {"files": {"tiny/toy/seed-0/record.json": {**ENTRY, "more": 1}}},
        {"format": 2},
        {"division": "both"},
        {"note": "x" * 3000},
        {"surprise": True},
    ],
)
def test_a_manifest_that_none_is_gets_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    manifest(tmp_path, json.dumps({**GOOD, **changes}))
    with pytest.raises(RecordError, match=MANIFEST):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "{" * 70, b"\xff\xfe", "null", "[]", '{"format": NaN}', '{"a":' * 80 + "1" + "}" * 80,
     json.dumps({**GOOD, "files": {f"tiny/toy/seed-{k}/record.json": ENTRY for k in range(40_000)}}), " " * (5 << 20)],
    ids=range(10),
)  # fmt: skip
def test_a_manifest_that_is_deep_huge_or_no_json_is_refused(tmp_path: Path, text: str | bytes) -> None:
    manifest(tmp_path, text)
    with pytest.raises(RecordError):
        read_manifest(tmp_path)


@settings(max_examples=25, deadline=None)
@given(
    files=st.dictionaries(st.text(max_size=40), st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=4)
)
def test_no_manifest_makes_the_reader_fail_otherwise(files: dict[str, Any], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzzed"
    folder.mkdir(exist_ok=True)
    manifest(folder, json.dumps({**GOOD, "files": {**GOOD["files"], **files}}))
    if not files:
        assert read_manifest(folder).files
        return
    with pytest.raises(RecordError):
        read_manifest(folder)


@pytest.mark.parametrize("path", ["a/b/seed-0/..", "a/b/../record.json", "a//seed-0/record.json", "a/b/seed-x/log.txt"])
def test_no_path_leads_out_of_a_bundle(path: str) -> None:
    assert why_no_file(path) is not None


def test_pipes_links_and_folders_in_a_bundle_are_told_and_not_entered(tmp_path: Path) -> None:
    run = tmp_path / "tiny" / "toy" / "seed-0"
    run.mkdir(parents=True)
    os.mkfifo(run / "record.json")
    (tmp_path / "away").symlink_to("/")
    (run / "deeper" / "still").mkdir(parents=True)
    manifest(tmp_path, json.dumps(GOOD))
    found = {finding.place: finding.check for finding in file_findings(tmp_path, read_manifest(tmp_path))}
    assert found == {
        "away": "unlisted file",
        "tiny/toy/seed-0/deeper": "unlisted file",
        "tiny/toy/seed-0/record.json": "no regular file",
    }


# Scrubbing.


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("in /srv/alice/results/digits/x", "in <results>/digits/x"),
        ("File \"/srv/alice/code/m.py\", line 3", "File \"~/code/m.py\", line 3"),
        ("at /opt/lab/py/m.py:3", "at <path>/m.py:3"),
        ("C:\\Users\\bob\\m.py failed", "<path>/m.py failed"),
        ("Alice's run on BIGBOX.", "<user>'s run on <host>."),
        ("file:///srv/alice/x", "file://~/x"),
        ("see https://arxiv.org/abs/1312.6114 and doi:10.1/x/y, 1/2/3 or malice", None),
    ],
)  # fmt: skip
def test_texts_lose_names_and_paths_and_nothing_else(text: str, clean: str | None) -> None:
    assert SCRUBBER.text(text) == (clean or text)
    assert not SCRUBBER.problems(SCRUBBER.text(text))
    assert SCRUBBER.text(SCRUBBER.text(text)) == SCRUBBER.text(text)


def test_a_scrubbed_record_says_what_it_said_without_who_and_where() -> None:
    record = replace(
        factories.record(status="failed"),
        reason="No module at /srv/alice/code/m.py",
        warnings=["bigbox was slow"],
        environment={"cpu": "the one of alice", "threads": 1},
    )
    clean = scrubbed(record, SCRUBBER)
    assert (clean.reason, clean.warnings) == ("No module at ~/code/m.py", ["<host> was slow"])
    assert clean.environment == {"cpu": "the one of <user>", "threads": 1}
    assert list(record_problems(clean, SCRUBBER)) == []
    assert (clean.scores, clean.model, clean.spent) == (record.scores, record.model, record.spent)


def test_what_must_not_be_changed_is_told_with_its_place() -> None:
    record = factories.record()
    hidden = replace(record, model=replace(record.model, config={"data": "/srv/alice/x"}, reference="Alice, 2020"))
    assert {place for place, _ in record_problems(hidden, SCRUBBER)} == {"model.config.data"}


# Bounds and consistency.


def test_every_metric_of_genbench_has_declared_bounds() -> None:
    own = {name for name, entry in discover().metrics.items() if entry.plugin.distribution == "genbench"}
    assert set(BOUNDS) == own


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [("fid", -1e-9, True), ("fid@other", -0.1, False), ("precision", 1.0, True), ("precision", 1.01, False),
     ("fid", math.nan, False), ("is", 0.5, False), ("theirs", -1e9, True), ("kid", -0.01, True)],
)  # fmt: skip
def test_a_score_out_of_its_bounds_is_told(name: str, value: float, good: bool) -> None:
    assert (why_out_of_bounds(name, value) is None) == good


MILESTONE = Milestone(0.5, 1, 10, 1.0, 1.0, {})


def found_in(record: Record) -> set[str]:
    of = factories.benchmark()
    return {finding.check for finding in record_findings(of, record, SPECS, set(SPECS))}


def honest() -> Record:
    """A record that a run of the synthetic benchmark could have left."""
    of, record = factories.benchmark(), factories.record()
    limits = {key: value for key, value in vars(of.budget).items() if value is not None}
    spent = {**record.spent, "images": 900, "steps": 30, "flops": 1e11, "seconds": 5.0, "memory": 1, "parameters": 9}
    return replace(record, budget=limits, spent=spent, cost={}, milestones=[])


def test_an_honest_record_is_consistent() -> None:
    assert found_in(honest()) == set()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"spent": {"images": 2000}}, "over budget"),
        ({"spent": {"flops": 2e12}}, "over budget"),
        ({"spent": {"seconds": "1"}}, "spent"),
        ({"budget": {"threads": 64}}, "budget"),
        ({"budget": {"images": 5000}}, "benchmark"),
        ({"cost": {"train_flops": 1.0}}, "consistency"),
        ({"cost": {"parameters": 1}}, "consistency"),
        ({"cost": {"peak_memory": 0}}, "consistency"),
        ({"cost": {"samples_per_second": 1e9, "sample_seconds": 1.0}}, "consistency"),
        ({"cost": {"samples_per_second": "many"}}, "cost"),
        ({"cost": {"stage_seconds": {"train": -1.0}}}, "cost"),
        ({"cost": {"surprise": 1.0}}, "cost"),
        ({"status": "lost", "reason": "the disk", "scores": {}}, "status"),
        ({"status": "failed", "reason": "NaN", "scores": {}, "milestones": [MILESTONE]}, "milestones"),
        ({"started": "2031-01-01T00:00:00+00:00"}, "times"),
        ({"started": "yesterday"}, "times"),
        ({"attempts": []}, "attempts"),
        ({"division": "open"}, "benchmark"),
    ],
)
def test_a_record_that_contradicts_itself_or_its_benchmark_is_told(changes: dict[str, Any], check: str) -> None:
    record = honest()
    merged = {
        key: {**getattr(record, key), **value} if isinstance(value, dict) and value else value
        for key, value in changes.items()
    }
    assert check in found_in(replace(record, **merged))


def test_a_score_that_the_benchmark_does_not_ask_for_is_told() -> None:
    record = honest()
    score = record.scores["fid"]
    assert found_in(replace(record, scores={**record.scores, "swd": score})) == {"unknown score"}
    assert "repeats" in found_in(replace(record, scores={**record.scores, "fid": replace(score, repeats=[1.0] * 9)}))


@pytest.mark.parametrize(
    "change",
    [{"nats": np.array([math.nan])}, {"nats": np.zeros(1, np.float32)}, {"kind": np.array("odd")},
     {"examples": np.array([-1])}, {"draws": np.array(0)}, {"kind": np.array(["exact"] * 2)},
     {"kind": np.array("x" * 99)}],
    ids=range(7),
)  # fmt: skip
def test_nats_of_another_form_are_refused(tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    arrays = {"nats": np.array([-3.0]), "examples": np.array([4]), "kind": np.array("iwae"), "draws": np.array(2),
              "dims": np.array(64)}  # fmt: skip
    np.savez_compressed(tmp_path / "nats.npz", **arrays)
    assert load_nats(tmp_path / "nats.npz").kind == "iwae"
    np.savez_compressed(tmp_path / "nats.npz", **{**arrays, **change})
    with pytest.raises(GenbenchError, match=r"nats\.npz"):
        load_nats(tmp_path / "nats.npz")


# Intervals, machines, tolerances.


def test_a_prediction_interval_holds_the_next_seed_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    draws = np.exp(generator.normal(size=(4000, 6)))
    held = [prediction(list(row[:5]), True, 0.95).holds(row[5]) for row in draws]  # type: ignore[union-attr]
    assert abs(np.mean(held) - 0.95) < 0.011  # three standard errors
    assert prediction([1.0], False, 0.95) is None


def test_the_chance_that_any_of_many_intervals_misses_is_that_of_one() -> None:
    assert 1 - shared_level(85) == pytest.approx(0.05 / 85)


def test_machines_are_of_one_class_whatever_has_no_bearing_on_numbers() -> None:
    here = {"torch": "2.13.0", "cpu": "AMD EPYC", "cores": 2, "threads": 1}
    assert why_other_class(here, {**here, "cores": 64}) is None
    assert why_other_class(here, {**here, "cpu": "Xeon"}) == "cpu 'AMD EPYC' there, 'Xeon' here"


@pytest.mark.parametrize(
    ("name", "by", "same_class", "elsewhere"),
    [("fid", 1e-9, False, True), ("fid", 0.01, False, False), ("precision", 1 / 600, False, True),
     ("fid", 0.0, True, True)],
)  # fmt: skip
def test_scores_are_equal_on_one_class_of_machine_and_near_on_another(
    name: str, by: float, same_class: bool, elsewhere: bool
) -> None:
    score = replace(honest().scores[name], value=0.5)
    other = replace(score, value=0.5 + by)
    assert (why_different(name, score, other, exact=True) is None) == same_class
    assert (why_different(name, score, other, exact=False) is None) == elsewhere


# What looks wrong.

HONEST = {
    "training_copies": 0.0,
    "held_out_copies": 0.0,
    "near_training": 0.01,
    "toward_held_out": 0.5,
    "repeated": 0.0,
}


@pytest.mark.parametrize(
    ("changes", "is_image", "expected"),
    [
        ({}, True, None),
        ({"training_copies": 0.6}, True, ("failure", "replayed training data")),
        ({"training_copies": 0.45}, False, None),
        ({"training_copies": 0.95}, False, ("failure", "replayed training data")),
        ({"training_copies": 0.1}, True, ("warning", "exact copies")),
        ({"near_training": 0.2}, True, ("warning", "near copies")),
        ({"near_training": 0.6, "training_copies": 0.01}, True, ("failure", "replayed training data")),
        ({"held_out_copies": 0.02}, True, ("failure", "test data among the samples")),
        ({"toward_held_out": 0.7}, True, ("warning", "nearer to the test data")),
        ({"toward_held_out": 0.95}, True, ("failure", "nearer to the test data")),
        ({"repeated": 0.3}, True, ("warning", "duplicates")),
    ],
)
def test_samples_that_repeat_data_or_each_other_are_told(
    changes: dict[str, float], is_image: bool, expected: tuple[str, str] | None
) -> None:
    found = [(f.severity, f.check) for f in likeness_findings(honest(), {**HONEST, **changes}, is_image)]
    assert found == ([] if expected is None else [expected])


def cell(name: str, fid: float) -> list[Record]:
    """Five seeds about one FID."""
    made = []
    for seed in range(5):
        record = honest()
        scores = {"fid": replace(record.scores["fid"], value=fid * (1 + 0.01 * seed))}
        made.append(replace(record, seed=seed, scores=scores, model=replace(record.model, name=name)))
    return made


def test_a_model_better_than_the_known_ones_and_than_real_data_is_told_for_a_person_to_judge() -> None:
    known = Known({"vae": cell("vae", 5.0)}, {"train-copy": cell("train-copy", 1.0)})
    assert list(too_good("new", cell("new", 5.0), known, SPECS)) == []
    checks = [finding.check for _, finding in too_good("new", cell("new", 2.0), known, SPECS)]
    assert checks == ["too good for the budget"]
    checks = [finding.check for _, finding in too_good("new", cell("new", 0.5), known, SPECS)]
    assert checks == ["too good for the budget", "better than real data"]


def test_more_flops_than_a_processor_does_are_told() -> None:
    record = honest()
    fast = replace(record, spent={**record.spent, "cpu_seconds": 0.1})
    slow = replace(record, spent={**record.spent, "cpu_seconds": 100.0})
    assert [finding.check for finding in speed_findings(fast, Known())] == ["speed"]
    assert list(speed_findings(slow, Known({"vae": [slow]}))) == []


# verification.json.


def test_a_verification_holds_of_the_record_beside_it_alone(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{}")
    finding = Finding(1, "warning", "speed", "spent", "less", "more", "Ask.")
    made = Verification(2, sha256(b"{}"), "0.1.0", "2026-01-01T00:00:00+00:00", {"cpu": "x", "threads": 1}, [finding])
    write_verification(tmp_path, made)
    assert read_verification(tmp_path) == made
    (tmp_path / "record.json").write_text("{ }")
    assert read_verification(tmp_path) is None


@pytest.mark.parametrize("changes", [{"level": 4}, {"level": True}, {"format": 2}, {"findings": [{}]}, {"odd": 1}])
def test_a_verification_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    made = Verification(2, sha256(b""), "0.1.0", "2026-01-01T00:00:00+00:00", {})
    assert parse(made.to_json()) == made
    with pytest.raises(RecordError):
        parse(json.dumps({**json.loads(made.to_json()), **changes}))
