"""`genbench submit` and `genbench verify`: honest bundles pass in another folder, tampering is named at its level.

One run of a cheap model on a tiny benchmark serves all; the tampered bundles are verified by one command at level 1.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import bundles
import pytest
from commands import inside

from genbench.plugins import discover
from genbench.record import Record
from genbench.replay import benchmark_of, differences, plan_again, why_not_repeatable
from genbench.store import Store
from genbench.submission.accept import accept
from genbench.submission.verdict import Verdict
from genbench.verification import read_verification

TINY = Path(__file__).with_name("data") / "tiny-digits.toml"
"""A benchmark on which a run is scored in a moment."""


def verify(*arguments: object) -> CompletedProcess[str]:
    return inside("verify", *arguments, "-b", TINY)


def submit(*arguments: object) -> CompletedProcess[str]:
    return inside("submit", *arguments, "-b", TINY)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("verify") / "results"
    run = inside("run", "marginals", "-b", TINY, "--results", results)
    assert run.returncode == 0, run.stderr
    log = results / "tiny-digits" / "marginals" / "seed-0" / "log.txt"
    log.write_text(f"reading {Path.home()}/thesis/model.py and {results}/tiny-digits\n")
    bundles.rehash(results)
    return results


@pytest.fixture(scope="module")
def bundle(done: Path) -> Path:
    made = submit("tiny-digits/marginals", "--state", "-o", done.parent / "bundle", "--results", done)
    assert made.returncode == 0, made.stderr
    return done.parent / "bundle"


def run_inside(arguments: list[str]) -> int:
    done = inside(*arguments)
    assert done.returncode == 0, done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def published(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard's repository into which the bundle was merged, checked and built as its workflows do."""
    root = tmp_path_factory.mktemp("published")
    base = bundles.copy(bundles.EXAMPLE, root / "base")
    shutil.copy(TINY, base / "benchmarks")
    head = bundles.copy(base, root / "head")
    bundles.copy(bundle, head / "submissions" / "marginals")
    assert bundles.board().main(["check", str(base), str(head)], run_inside) == 0
    assert not list((head / "results").glob("*/*")), "a check leaves nothing"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(head)
        assert bundles.board().main(["build", "site"], run_inside) == 0
    return head


TAMPERED: dict[Any, tuple[int, str]] = {
    bundles.edited_score: (1, "re-scored"),
    bundles.edited_curve: (0, "curve"),
    bundles.replayed: (1, "replayed training data"),
    bundles.reordered: (1, "same samples"),
    bundles.more_curve: (0, "curve"),
    bundles.one_seed_twice: (0, "same samples"),
    bundles.one_seed_gone: (0, "seeds missing"),
    bundles.others_picture: (0, "picture"),
    bundles.a_bomb: (0, "samples"),
    bundles.more_spent: (0, "over budget"),
    bundles.another_digest: (0, "benchmark"),
    bundles.better_nats: (0, "bounds"),
    bundles.a_link: (0, "no regular file"),
    lambda bundle: (bundle / "more.txt").write_text("x"): (0, "unlisted file"),
    lambda bundle: (bundles.runs(bundle)[1] / "nats.npz").unlink(): (0, "missing file"),
    lambda bundle: (bundles.runs(bundle)[0] / "log.txt").write_text("another"): (0, "file size"),
    lambda bundle: bundles.edit_json(bundle / "MANIFEST.json", lambda m: m["files"].popitem()): (0, "unlisted file"),
    lambda bundle: bundles.edit_json(bundle / "MANIFEST.json", lambda m: m.update(colour=1)): (0, "manifest"),
    lambda bundle: bundles.edit_json(bundle / "MANIFEST.json", lambda m: m.update(division="open")): (0, "manifest"),
}
"""What is done to a bundle, and the level and check that name it."""


@pytest.fixture(scope="module")
def verdicts(bundle: Path) -> dict[str, list[dict[str, Any]]]:
    """What is found of every tampered bundle: by one command at level 0, and by one at level 1 of what passes that."""
    folder = bundle.parent / "tampered"
    by_bundle: dict[str, list[dict[str, Any]]] = {}
    for name, change in enumerate(TAMPERED):
        change(bundles.copy(bundle, folder / str(name)))
    for level in (0, 1):
        names = [str(name) for name, (at, _) in enumerate(TAMPERED.values()) if at == level]
        found = verify(*(folder / name for name in names), "--level", level, "--json", "--results", folder / "nothing")
        assert found.returncode == 3, found.stderr
        for verdict in json.loads(found.stdout):
            by_bundle.setdefault(Path(verdict["folder"]).relative_to(folder).parts[0], []).append(verdict)
    return by_bundle


IDS = [f"{index} {check}" for index, (_, check) in enumerate(TAMPERED.values())]


@pytest.mark.parametrize("index", range(len(TAMPERED)), ids=IDS)
def test_a_tampered_bundle_is_named_at_the_right_level(verdicts: dict[str, Any], index: int) -> None:
    level, check = list(TAMPERED.values())[index]
    failures = [f for v in verdicts[str(index)] for f in v["findings"] if f["severity"] == "failure"]
    assert min(finding["level"] for finding in failures) == level, failures
    assert check in {finding["check"] for finding in failures}
    assert not all(verdict["verified"] for verdict in verdicts[str(index)])


def test_a_bundle_whose_plugin_is_not_installed_reaches_level_1(bundle: Path, tmp_path: Path) -> None:
    theirs = bundles.copy(bundle, tmp_path / "theirs")
    bundles.unknown_plugin(theirs)
    found = verify(theirs, "--level", "2", "--json", "--results", tmp_path / "nothing")
    assert found.returncode == 3
    _, *of_runs = json.loads(found.stdout)
    assert [verdict["level"] for verdict in of_runs] == [1, 1]
    failed = {(f["level"], f["check"]) for v in of_runs for f in v["findings"] if f["severity"] == "failure"}
    assert failed == {(2, "code")}


def test_what_scores_alone_do_not_show_is_named_when_the_state_is_sampled(bundle: Path, tmp_path: Path) -> None:
    for change in (bundles.another_state, bundles.flattered_nats):
        theirs = bundles.copy(bundle, tmp_path / change.__name__)
        bundles.edit_json(theirs / "MANIFEST.json", lambda manifest: manifest.update(incomplete=True))
        bundles.one_seed_gone(theirs)
        change(theirs)
    folders = [tmp_path / name for name in ("another_state", "flattered_nats")]
    found = verify(*folders, "--level", "2", "--json", "--results", tmp_path / "nothing")
    assert found.returncode == 3
    first, second = [verdict for verdict in json.loads(found.stdout) if verdict["folder"].endswith("seed-0")]
    assert (first["level"], second["level"]) == (1, 1)
    failed = [[(f["level"], f["place"]) for f in v["findings"] if "fail" in f["severity"]] for v in (first, second)]
    assert (2, "samples.npz") in failed[0]
    assert (2, "nats.npz") in failed[1]


def test_an_honest_bundle_passes_level_3_in_another_folder_and_is_accepted(bundle: Path, tmp_path: Path) -> None:
    here = bundles.copy(bundle, tmp_path / "elsewhere" / "theirs")
    found = verify(here, "--level", "3", "--accept", tmp_path / "board", "--json")
    assert found.returncode == 0, found.stdout
    assert [verdict["level"] for verdict in json.loads(found.stdout)] == [3, 3, 3]
    loaded = Store(tmp_path / "board").load()
    kept = [(len(record.scores["fid"].repeats), len(record.milestones)) for record in loaded.records]
    assert kept == [(1, 1), (1, 1)]
    assert {v.level for v in loaded.verifications.values()} == {3}
    assert not loaded.unreadable


def test_acceptance_at_level_1_keeps_recomputed_scores_alone_and_overwrites_nothing(
    bundle: Path, published: Path, tmp_path: Path
) -> None:
    board = bundles.copy(published / "results", tmp_path / "board")
    (record, _) = Store(board).load().records
    assert not record.milestones
    assert not any(score.repeats for score in record.scores.values())
    assert not record.warnings
    run = board / "tiny-digits" / "marginals" / "seed-0"
    verification = read_verification(run)
    assert verification is not None
    assert verification.level == 1
    assert [finding.check for finding in verification.findings] == ["nats unchecked", "left out", "costs unchecked"]
    before = (run / "record.json").read_bytes()
    others = (run.with_name("seed-1") / "verification.json").read_bytes()
    bundles.edit_record(run, warnings=["mine"])
    assert read_verification(run) is None, "a verification of another record says nothing"
    changed = (run / "record.json").read_bytes()
    assert changed != before
    again = verify(bundle, "--accept", board)
    assert again.returncode == 4
    assert "another record stands in" in again.stderr
    assert (run / "record.json").read_bytes() == changed
    assert (run.with_name("seed-1") / "verification.json").read_bytes() == others, "a model goes in whole or not at all"


def test_a_model_is_accepted_whole_once_and_never_among_the_seeds_of_another_submission(
    done: Path, tmp_path: Path
) -> None:
    store, board = Store(done), tmp_path / "board"
    registry, records = discover(), Store(done).load().records
    benchmark = benchmark_of(registry, records[0], str(TINY))

    def verdict(record: Record) -> Verdict:
        folder = store.root / "tiny-digits" / "marginals" / f"seed-{record.seed}"
        return Verdict(record.run, folder, record, checked=1, recomputed=dict(record.scores))

    def accepted(*runs: Record) -> list[bool]:
        return [each.stands for each in accept(benchmark, [verdict(record) for record in runs], 1, board)]

    first, second = records
    assert accepted(first) == [True]
    assert accepted(second) == [False], "the row would hold the runs of two submissions"
    assert accepted(first, second, second) == [False, False, False], "which of two is meant?"
    other = replace(first, warnings=["another"])
    assert accepted(other, second) == [False, False]
    assert len(Store(board).load().records) == 1
    assert accepted(first, second) == [True, True]
    assert accepted(first, second) == [True, True]


def test_a_bundle_holds_no_path_of_its_maker(bundle: Path, done: Path) -> None:
    log = (bundles.runs(bundle)[0] / "log.txt").read_text()
    assert log == "reading ~/thesis/model.py and <results>/tiny-digits\n"
    for path in bundle.rglob("*.*"):
        if path.suffix in (".json", ".csv", ".txt"):
            assert str(done) not in path.read_text()


def test_a_name_in_what_scores_depend_on_is_refused_with_its_place(done: Path, tmp_path: Path) -> None:
    results = bundles.copy(done, tmp_path / "results")
    bundles.edit_record(results / "tiny-digits" / "marginals" / "seed-1", model__config={"data": "/home/alice/x/y"})
    found = submit("tiny-digits/marginals", "-o", tmp_path / "out", "--results", results)
    assert found.returncode == 2
    assert "seed-1/record.json: model.config.data: the path '/home/alice/x/y'" in found.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_without_all_its_seeds_is_submitted_only_when_asked(done: Path, tmp_path: Path) -> None:
    found = submit("tiny-digits/marginals/seed-1", "-o", tmp_path / "out", "--results", done)
    assert found.returncode == 2
    assert "marginals lacks seed 0" in found.stderr
    found = submit("tiny-digits/marginals/seed-1", "--incomplete", "-o", tmp_path / "out", "--results", done)
    assert found.returncode == 0, found.stderr
    found = verify(tmp_path / "out", "--level", "0")
    assert found.returncode == 0, found.stdout
    # of the bundle, and of its run, so that it stands beside the record of what is accepted
    assert "out and 1 more: L0 warning, seeds missing: marginals: promised the seeds 0, 1; found" in found.stdout


def test_samples_from_outside_stand_in_a_division_of_their_own(bundle: Path, tmp_path: Path) -> None:
    about = ("--name", "my-flow", "--reference", "A. Person, Flows, 2026", "--incomplete")
    made = submit("--samples", bundles.runs(bundle)[0] / "samples.npz", *about, "-o", tmp_path / "open")
    assert made.returncode == 0, made.stderr
    found = verify(tmp_path / "open", "--accept", tmp_path / "board")
    assert found.returncode == 0, found.stdout
    (record,) = Store(tmp_path / "board").load("tiny-digits+open").records
    assert (record.division, record.run) == ("open", "tiny-digits+open/my-flow/seed-0")
    assert "bits_per_dim" not in record.scores
    assert verify(tmp_path / "open", "--level", "2").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--name", "vae"), "is the name of an installed model"),
        (("--name", "A b"), "must match"),
        (("--reference", " "), "say where the samples come from"),
    ],
)
def test_an_open_submission_that_cannot_be_is_refused_before_anything_is_scored(
    bundle: Path, tmp_path: Path, arguments: tuple[str, str], told: str
) -> None:
    given = {"--name": "flow", "--reference": "Me", arguments[0]: arguments[1]}
    options = [part for item in given.items() for part in item]
    samples = bundles.runs(bundle)[0] / "samples.npz"
    found = submit("--samples", samples, *options, "-o", tmp_path / "out")
    assert found.returncode == 2
    assert told in found.stderr


# Runs of a results folder.


@pytest.fixture
def results(done: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return bundles.copy(done, tmp_path / "results")


def level_0(results: Path, *targets: object) -> tuple[int, str]:
    found = verify(*targets, "--level", "0", "--results", results)
    return found.returncode, found.stdout + found.stderr


def test_files_that_are_not_those_of_a_record_are_named(results: Path) -> None:
    first, second = bundles.runs(results)
    (first / "samples.npz").write_bytes((first / "samples.npz").read_bytes() + b" ")
    (second / "state.safetensors").unlink()
    code, told = level_0(results, "tiny-digits")
    assert code == 3
    assert "tiny-digits/marginals/seed-0: NOT verified" in told
    assert "samples.npz: promised sha256:" in told
    assert "state.safetensors: promised sha256:" in told
    assert "found nothing" in told


def test_a_record_in_anothers_place_is_told(results: Path) -> None:
    moved = shutil.move(bundles.runs(results)[0], results / "tiny-digits" / "marginals" / "seed-7")
    code, told = level_0(results, moved)
    assert code == 3
    assert "its folder marginals/seed-7 is not that of the run, marginals/seed-0" in told


def test_an_unreadable_record_is_not_verified(results: Path) -> None:
    (bundles.runs(results)[0] / "record.json").write_text("{")
    code, told = level_0(results, "tiny-digits/marginals")
    assert code == 3
    assert "seed-0: NOT verified" in told
    assert "unreadable: not JSON" in told


def test_a_record_cannot_lead_out_of_its_folder(results: Path) -> None:
    (results / "outside").write_text("secret")
    bundles.edit_record(bundles.runs(results)[0], artifacts={"../../../outside": bundles.sha256(results / "outside")})
    code, told = level_0(results, "tiny-digits/marginals/seed-0")
    assert code == 3
    assert "../../../outside: promised sha256:" in told


def test_a_run_of_other_code_or_options_is_not_repeated_and_says_why(results: Path) -> None:
    first, second = bundles.runs(results)
    bundles.edit_record(first, model__code_sha256="0" * 64, model__version="0.0.9")
    bundles.edit_record(second, model__config={"batch_size": 7})
    found = verify("tiny-digits", "--level", "3", "--results", results)
    assert found.returncode == 3
    assert "is not that of the run (genbench 0.0.9); install that version" in found.stdout
    assert "its configuration is not that of marginals" in found.stdout


def test_published_runs_without_their_samples_are_held_to_their_hashes_at_level_3(results: Path) -> None:
    first, second = bundles.runs(results)
    for name in ("samples.npz", "nats.npz", "state.safetensors", "state.json"):
        (first / name).unlink()
        (second / name).unlink()
    fewer = {"cost__parameters": 1, "spent__parameters": 1}
    bundles.edit_record(second, **fewer, **{"artifacts__samples.npz": "sha256:" + "0" * 64})
    found = verify("tiny-digits/marginals/seed-1", "--level", "3", "--json", "--results", results)
    assert found.returncode == 3
    (verdict,) = json.loads(found.stdout)
    failed = {(each["level"], each["place"]) for each in verdict["findings"] if each["severity"] == "failure"}
    assert failed == {(3, "artifacts.samples.npz"), (3, "cost.parameters"), (3, "spent.parameters")}, "and no other"
    assert level_0(results, "tiny-digits")[0] == 3, "at level 0 they are missing"


def test_an_unknown_run_and_a_folder_that_is_no_bundle_are_told_apart(done: Path, tmp_path: Path) -> None:
    found = verify("tiny-digits/marginal", "--results", done)
    assert found.returncode == 2
    assert "tiny-digits/marginals/seed-1" in found.stderr
    found = verify(tmp_path, "--results", done)
    assert found.returncode == 2
    assert "has no MANIFEST.json" in found.stderr


def test_training_that_the_clock_ended_cannot_be_repeated(done: Path) -> None:
    (record, _) = Store(done).load().records
    registry = discover()
    assert plan_again(registry, benchmark_of(registry, record, str(TINY)), record).key.seed == 0
    assert why_not_repeatable(record) is None
    assert "ended by the clock" in str(why_not_repeatable(replace(record, spent={"ended_by": "seconds"})))


def test_two_records_differ_in_what_is_not_volatile_alone(done: Path) -> None:
    (record, _) = Store(done).load().records
    later = replace(record, finished="2030-01-01T00:00:00+00:00", environment={})
    assert differences(record, later) == []
    other = replace(record, spent={**record.spent, "steps": 3})
    assert [entry.field for entry in differences(record, other)] == ["spent.steps"]


def test_a_pull_request_is_verified_merged_and_published_as_the_workflows_do(published: Path) -> None:
    assert (published / "site" / "index.html").is_file()
    page = (published / "site" / "tiny-digits" / "index.html").read_text()
    assert "marginals" in page
