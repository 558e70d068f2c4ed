"""The results folder and the records in it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import factories
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench.errors import GenbenchError, RecordError, StoreError
from genbench.record import SCHEMA, json_schema, parse
from genbench.stable import VOLATILE, stable
from genbench.store import FOLDER, MAX_RECORD_BYTES, RunKey, Store, model_folder

KEY = RunKey("tiny", "toy", 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_record_reads_back_as_it_was_written() -> None:
    record = factories.record()
    assert parse(record.to_json()) == record


def test_a_failed_record_reads_back_as_it_was_written() -> None:
    record = factories.record(status="diverged", reason='loss became nan "at" step 3 \u2028')
    assert parse(record.to_json()) == record


@pytest.mark.parametrize("status", ["ok", "diverged", "unsupported"])
def test_a_written_record_satisfies_the_published_json_schema(status: str) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(factories.record(status=status).to_json()), schema)


def test_the_json_schema_refuses_an_unknown_key_and_an_unknown_status() -> None:
    document = json.loads(factories.record().to_json())
    for change in ({"colour": 1}, {"status": "fine"}, {"seed": "0"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, **change}, json_schema())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": "x"}, "no reason"),
        ({"scores": {}}, "has scores"),
        ({"status": "failed", "reason": None, "scores": {}}, "has a reason"),
        ({"status": "failed", "reason": "", "scores": {}}, "has a reason"),
        ({"scores": {"fid": factories.score(float("nan"))}}, "score fid is nan"),
        ({"scores": {"fid": factories.score(float("inf"))}}, "score fid is inf"),
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RecordError, match=why):
        replace(factories.record(), **changes)


def broken_texts() -> dict[str, str]:
    document = json.loads(factories.record().to_json())

    def changed(**changes: Any) -> str:
        return json.dumps({**document, **changes})

    return {
        "empty": "",
        "cut short": factories.record().to_json()[:300],
        "a list": "[]",
        "a newer schema": changed(schema=SCHEMA + 1),
        "no schema": json.dumps({key: value for key, value in document.items() if key != "schema"}),
        "an unknown key": changed(colour="red"),
        "a missing key": json.dumps({key: value for key, value in document.items() if key != "seed"}),
        "a number as text": changed(seed="0"),
        "NaN": factories.record().to_json().replace('"value": 2.0', '"value": NaN', 1),
        "an overflowing number": factories.record().to_json().replace('"value": 2.0', '"value": 1e999', 1),
        "ok with a reason": changed(reason="because"),
        "an unknown status": changed(status="fine"),
        "deep nesting": "[" * 100_000,
        "deep nesting that is closed": "[" * 100_000 + "]" * 100_000,
        "a deep score": changed(environment={"a": json.loads('{"a":' * 70 + "1" + "}" * 70)}),
        "a number of a million digits": "[" + "1" * 1_000_000 + "]",
        "another encoding": "\0".join(factories.record().to_json()),
        "a lone surrogate": factories.record().to_json().replace("2.13.0", "\\ud800", 1),
        "no schema but true": changed(schema=True),
    }


@pytest.mark.parametrize("kind", broken_texts())
def test_text_that_is_no_record_is_refused(kind: str) -> None:
    with pytest.raises(RecordError):
        parse(broken_texts()[kind])


def test_records_of_equal_runs_are_equal_without_their_volatile_fields() -> None:
    first = factories.record()
    changes = {
        "started": "later",
        "finished": "later",
        "environment": {},
        "attempts": [],
        "cost": {**first.cost, "train_seconds": 9.0, "stage_seconds": {}, "peak_memory": 1, "sample_seconds": 2.0,
                 "samples_per_second": 3.0},
        "spent": {**first.spent, "seconds": 9.0, "memory": 1, "cpu_seconds": 3.0, "prepare": {"seconds": 1.0}},
        "artifacts": {**first.artifacts, "log.txt": "sha256:1", "curve.csv": "sha256:2"},
        "milestones": [replace(first.milestones[0], seconds=99.0)],
    }  # fmt: skip
    second = replace(first, **changes)
    left = stable(second)
    left["spent"].pop("prepare")
    assert left == stable(first)
    assert first != second


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"scores": {"fid": factories.score(2.0000001)}},
        {"spent": {**factories.record().spent, "steps": 32}},
        {"cost": {**factories.record().cost, "parameters": 1}},
        {"artifacts": {"samples.png": "sha256:0"}},
    ],
)
def test_records_of_unequal_runs_stay_unequal_without_volatile_fields(changes: dict[str, Any]) -> None:
    assert stable(replace(factories.record(), **changes)) != stable(factories.record())


def test_volatile_fields_name_what_records_have() -> None:
    document = asdict(factories.record())
    heads = {path.partition(".")[0] for path in VOLATILE}
    assert heads <= set(document)


def test_the_folder_of_a_model_can_be_read_by_people() -> None:
    assert model_folder("dcgan[ema=true,width=128]") == "dcgan+ema=true,width=128"


@given(st.text(max_size=200))
def test_every_model_name_gets_a_folder_inside_its_benchmark(name: str) -> None:
    folder = model_folder(name)
    assert FOLDER.match(folder)
    assert ".." not in folder


@pytest.mark.parametrize("names", [("a[b=C]", "a[b=c]"), ("a b", "a-b"), ("a[..]", "a[-]"), ("x" * 200, "x" * 201)])
def test_names_that_would_share_a_folder_do_not(names: tuple[str, str]) -> None:
    assert model_folder(names[0]) != model_folder(names[1])


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc/passwd", "..", ".work", "a/b", "a\x00b", "toy[x=../..]", "-rf", ""]
)
def test_a_hostile_name_stays_in_its_folder(store: Store, name: str) -> None:
    path = factories.commit(store, factories.record(name))
    inside = path.resolve().relative_to((store.root / "tiny").resolve())
    assert len(inside.parts) == 2
    assert [record.model.name for record in store.load().records] == [name]


@pytest.mark.parametrize("name", ["toy[x=../..]", "Toy[W=1]", "toy[lr=1e-05]", "x" * 300])
def test_a_record_with_an_odd_name_is_found_again(store: Store, name: str) -> None:
    factories.commit(store, factories.record(name))
    assert [record.model.name for record in store.load().records] == [name]
    assert store.find(f"tiny/{name}/seed-0").is_dir()


def test_a_committed_run_has_its_record_and_artifacts_and_leaves_nothing_else(store: Store) -> None:
    factories.commit(store, factories.record(), samples=factories.png())
    assert files(store.root) == {"tiny/toy/seed-0/record.json", "tiny/toy/seed-0/samples.png"}


def test_a_second_record_never_replaces_the_first(store: Store) -> None:
    factories.commit(store, factories.record(fid=1.0))
    with pytest.raises(StoreError, match="already stands there") as caught:
        factories.commit(store, factories.record(fid=2.0))
    assert caught.value.exit_code == 4
    assert [record.scores["fid"].value for record in store.load().records] == [1.0]


def test_a_superseded_run_makes_room_and_is_kept(store: Store) -> None:
    factories.commit(store, factories.record(fid=1.0))
    went = store.supersede(KEY)
    assert store.read(KEY) is None
    factories.commit(store, factories.record(fid=2.0))
    again = store.supersede(KEY)
    assert [parse((folder / "record.json").read_bytes()).scores["fid"].value for folder in (went, again)] == [1.0, 2.0]
    assert store.load().records == []


@pytest.mark.parametrize("kind", broken_texts())
def test_an_unreadable_record_is_told_and_skipped_and_the_others_are_read(store: Store, kind: str) -> None:
    factories.commit(store, factories.record(seed=0))
    path = factories.commit(store, factories.record(seed=1)) / "record.json"
    path.write_text(broken_texts()[kind])
    loaded = store.load()
    assert [record.seed for record in loaded.records] == [0]
    assert [entry.path for entry in loaded.unreadable] == [path]
    assert loaded.unreadable[0].problem


def test_an_unreadable_record_stays_until_it_is_quarantined(store: Store) -> None:
    path = factories.commit(store, factories.record()) / "record.json"
    path.write_text("{")
    with pytest.raises(RecordError):
        store.read(KEY)
    store.quarantine(KEY)
    assert not path.exists()
    (kept,) = [name for name in files(store.root) if name.endswith("record.json")]
    assert kept.startswith(".quarantine/tiny/toy/")


def test_a_huge_record_is_refused_unread(store: Store) -> None:
    path = factories.commit(store, factories.record()) / "record.json"
    path.write_text(" " * MAX_RECORD_BYTES + factories.record().to_json())
    assert "larger than" in store.load().unreadable[0].problem


def test_a_copied_record_does_not_count_twice(store: Store) -> None:
    path = factories.commit(store, factories.record())
    for copy in ("tiny/toy/seed-1", "tiny/other/seed-0"):
        (store.root / copy).mkdir(parents=True)
        (store.root / copy / "record.json").write_bytes((path / "record.json").read_bytes())
    loaded = store.load()
    assert len(loaded.records) == 1
    assert len(loaded.unreadable) == 2
    assert all("is the record of tiny/toy/seed-0" in entry.problem for entry in loaded.unreadable)


def test_a_link_is_told_and_not_followed_at_any_level(store: Store, tmp_path: Path) -> None:
    elsewhere = Store(tmp_path / "elsewhere")
    run = factories.commit(elsewhere, factories.record())
    (store.root / "a" / "toy" / "seed-0").mkdir(parents=True)
    (store.root / "b" / "toy").mkdir(parents=True)
    (store.root / "c").mkdir()
    links = {
        store.root / "a/toy/seed-0/record.json": run / "record.json",
        store.root / "b/toy/seed-0": run,
        store.root / "c/toy": run.parent,
        store.root / "tiny": run.parent.parent,
    }
    for link, target in links.items():
        link.symlink_to(target)
    loaded = store.load()
    assert loaded.records == []
    assert {entry.path for entry in loaded.unreadable} == set(links)
    assert all("link" in entry.problem for entry in loaded.unreadable)
    for benchmark in ("a", "b", "c", "tiny"):
        with pytest.raises(RecordError, match="link"):
            store.read(RunKey(benchmark, "toy", 0))


@pytest.mark.parametrize("level", ["tiny", "tiny/toy", ".work"])
def test_nothing_is_written_through_a_link(store: Store, tmp_path: Path, level: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (store.root / level).parent.mkdir(parents=True)
    (store.root / level).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError), store.claim(KEY, "identity"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_results_folder_may_itself_be_a_link(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    store.root.symlink_to(tmp_path / "elsewhere")
    factories.commit(store, factories.record(), samples=factories.png())
    assert len(store.load().records) == 1


def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(store: Store) -> None:
    (store.root / "tiny/toy/seed-0").mkdir(parents=True)
    os.mkfifo(store.root / "tiny/toy/seed-0/record.json")
    with pytest.raises(RecordError, match="regular file"):
        store.read(KEY)
    assert len(store.load().unreadable) == 1


def test_runs_in_progress_are_not_read(store: Store) -> None:
    with store.claim(KEY, "identity") as claim:
        (claim.folder / "record.json").write_text(factories.record().to_json())
        loaded = store.load()
    assert loaded.records == []
    assert loaded.unreadable == []


def test_records_come_in_the_order_of_model_and_seed(store: Store) -> None:
    for model, seed in (("b", 0), ("a", 10), ("a", 2)):
        factories.commit(store, factories.record(model, seed))
    assert [(record.model.name, record.seed) for record in store.load().records] == [("a", 2), ("a", 10), ("b", 0)]


def test_only_the_benchmark_asked_for_is_read(store: Store) -> None:
    factories.commit(store, factories.record())
    factories.commit(store, factories.record(), folder="other")
    assert len(store.load("tiny").records) == 1
    assert store.load("nothing").records == []


def test_a_run_is_found_by_its_name_and_by_its_folder_and_the_nearest_is_named(store: Store) -> None:
    path = factories.commit(store, factories.record("toy[width=3]"))
    assert store.find("tiny/toy[width=3]/seed-0") == path
    assert store.find("tiny/toy+width=3/seed-0") == path
    assert store.find(str(path)) == path
    with pytest.raises(GenbenchError, match=re.escape("did you mean 'tiny/toy+width=3/seed-0'?")):
        store.find("tiny/toy+width=4/seed-0")


def test_a_folder_that_cannot_be_written_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--results") as caught:
        Store(tmp_path / "file" / "results").check_writable()
    assert caught.value.exit_code == 4


def test_a_writable_folder_is_left_empty_by_the_check(store: Store) -> None:
    store.check_writable()
    assert files(store.root) == set()


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_record_with_a_number_that_is_none_is_refused_wherever_it_stands(number: str) -> None:
    text = factories.record().to_json().replace('"details": {}', f'"details": {{"a": {number}}}', 1)
    with pytest.raises(RecordError, match="not JSON"):
        parse(text)
