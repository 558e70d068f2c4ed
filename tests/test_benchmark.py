"""Benchmark definitions: what is refused, and what the digest depends on."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import factories
import pytest

from genbench.benchmark import MAX_FILE_BYTES, Benchmark, read_file, validate
from genbench.errors import BenchmarkError

LEAVES = {
    "name": "other",
    "dataset": "other",
    "seeds": [0, 1],
    "evaluator": "other",
    "second_evaluator": "other",
    "evaluator_sha256": "a" * 64,
    "metrics": ["fid"],
    "milestones": [0.5, 1.0],
    "budget__images": 1001,
    "budget__flops": 2e12,
    "budget__seconds": 61.0,
    "budget__memory_mib": 1025,
    "budget__parameters": 1000001,
    "budget__grace": 61.0,
    "budget__threads": 2,
    "budget__device": "cuda",
    "budget__device_memory_mib": 100,
    "budget__precision": "bf16",
    "budget__compile": True,
    "budget__runs_per_device": 2,
    "samples__n": 601,
    "samples__milestone_n": 301,
    "samples__chunk": 101,
    "samples__repeats": 1,
    "likelihood__examples": 599,
    "likelihood__milestone_examples": 101,
    "likelihood__draws": 17,
    "likelihood__milestone_draws": 5,
    "likelihood__chunk": 51,
}


def test_every_key_of_a_definition_but_prose_is_tried_below() -> None:
    definition = dataclasses.asdict(factories.benchmark().file)
    leaves = {
        f"{key}__{inner}" if isinstance(value, dict) else key
        for key, value in definition.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    assert leaves - {"title", "description"} == set(LEAVES)


ON_A_DEVICE = {"budget__device": "cuda", "budget__device_memory_mib": 100}


@pytest.mark.parametrize("key", LEAVES)
def test_the_digest_changes_with_every_value_that_is_not_prose(key: str) -> None:
    others = ON_A_DEVICE if key == "budget__runs_per_device" else {}
    assert factories.benchmark(**{**others, key: LEAVES[key]}).digest != factories.benchmark(**others).digest


@pytest.mark.parametrize("key", ["title", "description"])
def test_the_digest_does_not_change_with_prose(key: str) -> None:
    assert factories.benchmark(**{key: "Another text"}).digest == factories.benchmark().digest


def test_the_digest_changes_with_the_data_the_evaluator_and_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = factories.benchmark()
    others = [
        dataclasses.replace(plain, dataset=dataclasses.replace(plain.dataset, sha256="0" * 64)),
        dataclasses.replace(plain, evaluator=dataclasses.replace(plain.evaluator, sha256="0" * 64)),
        dataclasses.replace(plain, dev=True),
    ]
    digests = {other.digest for other in [plain, *others]}
    monkeypatch.setattr("genbench.PROTOCOL_VERSION", 10_000)
    digests.add(dataclasses.replace(plain).digest)  # another object: an object's own digest is computed once
    assert len(digests) == 5


@pytest.mark.parametrize("which", ["evaluator", "second_evaluator"])
@pytest.mark.parametrize("change", [{"features": "768"}, {"logits": "logits_unbiased"}, {"batch_size": 7}])
def test_the_digest_changes_with_the_layers_and_the_batch_of_an_evaluator(
    which: str, change: dict[str, object]
) -> None:
    plain = factories.benchmark(second_evaluator=factories.SECOND.name)
    changed = dataclasses.replace(plain, **{which: dataclasses.replace(getattr(plain, which), **change)})
    assert changed.digest != plain.digest


def test_the_digest_does_not_change_with_the_datasets_prose() -> None:
    plain = factories.benchmark()
    described = dataclasses.replace(plain.dataset, summary="Another", citation="Another", url="", licence="")
    assert dataclasses.replace(plain, dataset=described).digest == plain.digest


def test_whole_numbers_and_floats_of_one_value_have_one_digest() -> None:
    assert factories.benchmark(budget__seconds=60).digest == factories.benchmark(budget__seconds=60.0).digest


def test_the_budget_is_in_bytes() -> None:
    budget = factories.benchmark(budget__device_memory_mib=3).budget
    assert (budget.memory, budget.device_memory) == (1024 << 20, 3 << 20)
    assert factories.benchmark().budget.device_memory is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"budget__imagse": 3}, "unknown key 'imagse'; did you mean 'images'? (at 'budget.imagse')"),
        ({"samplse": 3}, "did you mean 'samples'?"),
        ({"seeds": [0, "1"]}, "seeds.1"),
        ({"seeds": [True]}, "seeds.0"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds: must be distinct"),
        ({"metrics": ["fid", "fid"]}, "metrics: must be distinct"),
        ({"metrics": "fid"}, "metrics"),
        ({"name": "Tiny"}, "name: must match"),
        ({"name": "../tiny"}, "name: must match"),
        ({"budget__images": 0}, "budget.images"),
        ({"budget__images": 1000.0}, "budget.images"),
        ({"budget__images": "1000"}, "budget.images"),
        ({"budget__seconds": -1.0}, "budget.seconds"),
        ({"budget__seconds": float("nan")}, "budget.seconds"),
        ({"budget__device": "tpu"}, "budget.device"),
        ({"samples__n": 1}, "samples.n"),
        ({"samples__milestone_n": 700}, "samples.milestone_n: must be at most samples.n = 600"),
        ({"milestones": [0.5, 0.25, 1.0]}, "milestones: must rise and end with 1.0"),
        ({"milestones": [0.5]}, "milestones: must rise and end with 1.0"),
        ({"milestones": [0.0, 1.0]}, "milestones.0"),
    ],
)
def test_an_impossible_definition_is_refused_by_file_and_key(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        factories.benchmark(**changes)
    assert named in str(caught.value)
    assert str(caught.value).startswith("test.toml: ")


def test_a_misspelt_key_is_told_once() -> None:
    text = factories.toml(factories.DEFINITION).replace("\nseconds = ", "\nsecnds = ")
    with pytest.raises(BenchmarkError) as caught:
        validate(tomllib.loads(text), "test.toml")
    assert str(caught.value) == "test.toml: unknown key 'secnds'; did you mean 'seconds'? (at 'budget.secnds')"


def test_all_that_is_wrong_with_a_definition_is_told_at_once() -> None:
    with pytest.raises(BenchmarkError) as caught:
        factories.benchmark(seeds=[1, 1], metrics=["fid", "fid"], milestones=[0.5])
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert keys == ["seeds", "metrics", "milestones"]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("key", ["name", "dataset", "seeds", "budget", "samples", "likelihood", "metrics"])
def test_a_missing_key_is_named(key: str) -> None:
    raw = {name: value for name, value in factories.DEFINITION.items() if name != key}
    with pytest.raises(BenchmarkError, match=f"test.toml: {key}: "):
        validate(raw, "test.toml")


def test_a_definition_reads_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    assert Benchmark(read_file(path), factories.DATASET, factories.EVALUATOR) == factories.benchmark()


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"name = ", "not a TOML file"), (b"\xff\xfe", "not a TOML file"), (b"#" * (MAX_FILE_BYTES + 1), "larger than")],
)
def test_a_file_that_holds_no_definition_is_refused_by_its_path(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(content)
    with pytest.raises(BenchmarkError) as caught:
        read_file(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_a_date_where_a_number_belongs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION).replace("images = 1000", "images = 2020-01-01"))
    with pytest.raises(BenchmarkError, match=r"budget\.images"):
        read_file(path)


def test_overriding_the_budget_leaves_the_benchmark_as_it_was() -> None:
    plain = factories.benchmark()
    changed = plain.with_budget({"images": 5})
    assert (plain.budget.images, changed.budget.images) == (1000, 5)
    assert changed.folder == f"tiny+budget-{changed.digest[:8]}"
    with pytest.raises(BenchmarkError, match="--budget: unknown key 'imgs'"):
        plain.with_budget({"imgs": 5})
