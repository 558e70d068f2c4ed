"""Reference statistics: cached by content, exported, imported, and refused where they are of something else."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import genbench, inside
from safetensors.numpy import load_file, save_file

from genbench import reference_file
from genbench.engine.contract import resolve
from genbench.engine.scoring.comparison import compare, real_side
from genbench.engine.scoring.evaluators import extract, load_evaluator
from genbench.engine.scoring.reference import (
    Reference,
    Source,
    check_references,
    real_side_of,
    reference_for,
    reference_from,
)
from genbench.errors import DataError
from genbench.plugins import discover
from genbench.reference_file import read_reference, write_reference
from genbench.selection import load_benchmark
from genbench.specs import EvaluatorSpec
from genbench.supplies import supplied

Examples = tuple[np.ndarray, np.ndarray]

REGISTRY = discover()
DIGITS = REGISTRY.datasets["digits"].spec
DIGITS_CNN = REGISTRY.evaluators["digits-cnn-v1"].spec
SOURCE = Source("d" * 64, "test", "tiny", "e" * 64, "features")


@pytest.fixture(scope="module")
def held_out() -> Examples:
    found: Examples = resolve(DIGITS.loader)()["test"]
    return found


def reference(examples: Examples, cache: Path, split: str = "test", evaluator: EvaluatorSpec = DIGITS_CNN) -> Reference:
    return reference_for(evaluator, DIGITS.sha256, split, lambda: examples, cache)


def small(m: int = 12, d: int = 3) -> Reference:
    features = np.random.default_rng(0).normal(size=(m, d)).astype(np.float32)
    return reference_from(SOURCE, features, np.zeros((m, 0), np.float32), np.arange(m))


def never() -> tuple[np.ndarray, None]:
    raise AssertionError("the examples were asked for again")


def assert_equal(first: Reference, second: Reference) -> None:
    assert first.source == second.source
    for name, array in vars(first.arrays).items():
        assert np.array_equal(array, getattr(second.arrays, name)), name


def test_a_cached_reference_is_read_without_the_examples(held_out: Examples, tmp_path: Path) -> None:
    made = reference(held_out, tmp_path)
    assert_equal(made, reference_for(DIGITS_CNN, DIGITS.sha256, "test", never, tmp_path))


@pytest.mark.parametrize(
    "changes",
    [{"data_sha256": "0" * 64}, {"split": "validation"}, {"evaluator": "other"}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_reference_of_something_else_is_computed_anew(
    held_out: Examples, tmp_path: Path, changes: dict[str, str]
) -> None:
    reference(held_out, tmp_path)
    evaluator = dataclasses.replace(DIGITS_CNN, name=changes.get("evaluator", DIGITS_CNN.name))
    with pytest.raises(AssertionError, match="asked for again"):
        reference_for(
            evaluator, changes.get("data_sha256", DIGITS.sha256), changes.get("split", "test"), never, tmp_path
        )


def test_a_reference_is_computed_anew_when_the_evaluator_s_code_has_changed(
    held_out: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "edited_evaluator.py"
    module.write_text("from genbench_benchmarks.evaluators.digits_random import DigitsRandom as Edited\n")
    monkeypatch.syspath_prepend(tmp_path)
    evaluator = dataclasses.replace(REGISTRY.evaluators["digits-random-v1"].spec, factory="edited_evaluator:Edited")
    made = reference_for(evaluator, DIGITS.sha256, "test", lambda: (held_out[0][:12], None), tmp_path)
    assert_equal(made, reference_for(evaluator, DIGITS.sha256, "test", never, tmp_path))
    module.write_text(module.read_text() + "# other features of the same weights\n")
    with pytest.raises(AssertionError, match="asked for again"):
        reference_for(evaluator, DIGITS.sha256, "test", never, tmp_path)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [flip_a_byte, lambda path: path.write_bytes(path.read_bytes()[:99]), lambda path: path.write_bytes(b"")],
    ids=["a flipped bit", "cut short", "empty"],
)
def test_a_damaged_reference_is_noticed_and_computed_anew(
    held_out: Examples, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    made = reference(held_out, tmp_path)
    (path,) = tmp_path.iterdir()
    intact = path.read_bytes()
    damage(path)
    assert_equal(made, reference(held_out, tmp_path))
    assert path.read_bytes() == intact


def test_a_cache_that_cannot_be_written_only_costs_time(held_out: Examples, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(reference(held_out, tmp_path / "file").arrays.features) == 600


def test_the_reference_has_the_mean_and_covariance_of_the_real_features(held_out: Examples, tmp_path: Path) -> None:
    arrays = reference(held_out, tmp_path).arrays
    features = extract(load_evaluator(DIGITS_CNN), held_out[0])[0].astype(np.float64)
    np.testing.assert_allclose(arrays.mean, features.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(arrays.cov, np.cov(features, rowvar=False), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(arrays.factor.T @ arrays.factor, arrays.cov, rtol=1e-9, atol=1e-9)


def test_the_reference_has_the_labels_of_the_real_examples(held_out: Examples, tmp_path: Path) -> None:
    assert np.array_equal(reference(held_out, tmp_path).arrays.labels, held_out[1])


def test_data_without_labels_and_an_evaluator_without_logits_leave_empty_arrays(tmp_path: Path) -> None:
    random = REGISTRY.evaluators["digits-random-v1"].spec
    x = np.random.default_rng(0).integers(0, 17, (20, 1, 8, 8)).astype(np.uint8)
    for _ in range(2):  # made, then from the cache
        found = reference_for(random, DIGITS.sha256, "test", lambda: (x, None), tmp_path).arrays
        assert (found.labels.shape, found.logits.shape) == ((0,), (20, 0))


def test_the_radii_reach_to_the_third_and_the_fifth_neighbour() -> None:
    arrays = small().arrays
    distances = np.sort(np.linalg.norm(arrays.features[:, None] - arrays.features[None], axis=2), axis=1)
    np.testing.assert_allclose(arrays.radii, distances[:, 3], rtol=1e-6)
    np.testing.assert_allclose(arrays.wide_radii, distances[:, 5], rtol=1e-6)


@pytest.mark.parametrize("n", [30, 5200], ids=["one U-statistic", "subsets"])
def test_what_is_cached_compares_as_what_is_computed(n: int) -> None:
    generator = np.random.default_rng(1)
    real, samples = (generator.normal(size=(n, 4)).astype(np.float32) for _ in range(2))
    cached = reference_from(SOURCE, real, np.zeros((n, 0), np.float32))
    found, expected = compare(samples, real, real_side_of(cached, n)), compare(samples, real, real_side(real, n))
    assert found.kernel_distance == pytest.approx(expected.kernel_distance, rel=1e-5, abs=1e-8)
    assert found.shares == expected.shares


def test_a_written_reference_is_read_as_it_was(tmp_path: Path) -> None:
    write_reference(tmp_path / "r.safetensors", small())
    assert_equal(small(), read_reference(tmp_path / "r.safetensors"))


# ---- hostile and broken files


def rewritten(path: Path, **changes: Any) -> Path:
    """A valid file with some arrays, or its ``metadata``, replaced; None removes one."""
    reference = small()
    metadata = changes.pop("metadata", {})
    arrays = {**vars(reference.arrays), **changes}
    about = {"source": dataclasses.asdict(SOURCE), "sha256": reference.digest, "genbench": "1", **metadata}
    kept = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
    save_file(kept, path, {reference_file.KEY: json.dumps(about)})
    return path


def saying(path: Path, text: str) -> Path:
    """A safetensors file whose metadata are ``text``."""
    save_file({"mean": np.zeros(3)}, path, {reference_file.KEY: text})
    return path


def with_header(path: Path, header: bytes, length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header)
    return path


DEEP = '{"a":' * 3000 + "1" + "}" * 3000

BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "absent": (lambda path: None, "no such file"),
    "a folder": (lambda path: path.mkdir(), "is no file"),
    "a pipe": (lambda path: os.mkfifo(path), "is no file"),
    "empty": (lambda path: path.write_bytes(b""), "no safetensors file"),
    "text": (lambda path: path.write_text("these are no numbers" * 9), "no safetensors file"),
    "a pickle": (lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n."), "no safetensors file"),
    "a header of exabytes": (lambda path: with_header(path, b"{}", 1 << 60), "no safetensors file"),
    "a header that is no JSON": (lambda path: with_header(path, b"{oh no"), "no safetensors file"),
    "offsets beyond the end": (
        lambda path: with_header(path, b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
        "no safetensors file",
    ),
    "other safetensors": (lambda path: save_file({"a": np.zeros(3)}, path), "not one of reference statistics"),
    "metadata that are no JSON": (lambda path: saying(path, "{"), "does not say"),
    "metadata of endless depth": (lambda path: saying(path, DEEP), "does not say"),
    "metadata that are a list": (lambda path: saying(path, "[]"), "does not say"),
    "no source": (lambda path: rewritten(path, metadata={"source": None}), "does not say"),
    "a source with a key too many": (
        lambda path: rewritten(path, metadata={"source": {**dataclasses.asdict(SOURCE), "x": 1}}),
        "does not say",
    ),
    "a source with a number for a name": (
        lambda path: rewritten(path, metadata={"source": {**dataclasses.asdict(SOURCE), "split": 1}}),
        "does not say",
    ),
    "another format": (
        lambda path: rewritten(path, metadata={"source": {**dataclasses.asdict(SOURCE), "format": 99}}),
        "has format 99",
    ),
    "an array too few": (lambda path: rewritten(path, cov=None), "cov missing"),
    "an array too many": (lambda path: rewritten(path, more=np.zeros(2)), "more"),
    "another shape": (lambda path: rewritten(path, mean=np.zeros(4)), "mean"),
    "another type": (lambda path: rewritten(path, radii=np.zeros(12, np.float64)), "radii"),
    "flat features": (lambda path: rewritten(path, features=np.zeros(36, np.float32)), "features"),
    "NaN": (lambda path: rewritten(path, mean=np.full(3, np.nan)), "mean has values that are not finite"),
    "other numbers": (lambda path: rewritten(path, mean=np.ones(3)), "does not have the hash that it promises"),
    "no hash": (lambda path: rewritten(path, metadata={"sha256": None}), "does not have the hash"),
    "another source than was hashed": (
        lambda path: rewritten(path, metadata={"source": {**dataclasses.asdict(SOURCE), "split": "train"}}),
        "does not have the hash",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_no_intact_reference_is_refused_with_its_name(tmp_path: Path, kind: str) -> None:
    make, why = BROKEN[kind]
    path = tmp_path / "given.safetensors"
    make(path)
    with pytest.raises(DataError, match=why) as refused:
        read_reference(path)
    assert str(path) in str(refused.value)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.safetensors"
    write_reference(path, small())
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_reference(path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rewritten(tmp_path / "given.safetensors")
    monkeypatch.setattr(reference_file, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="larger than"):
        read_reference(path)


# ---- given by a person


def test_a_given_reference_is_used_in_place_of_the_cache(held_out: Examples, tmp_path: Path) -> None:
    made = reference(held_out, tmp_path / "cache")
    write_reference(tmp_path / "given.safetensors", made)
    spec = dataclasses.replace(DIGITS_CNN, references=(str(tmp_path / "given.safetensors"),))
    assert_equal(made, reference_for(spec, DIGITS.sha256, "test", never, tmp_path / "no cache"))


def test_a_given_reference_of_the_test_split_leaves_the_training_split_alone(
    held_out: Examples, tmp_path: Path
) -> None:
    write_reference(tmp_path / "given.safetensors", reference(held_out, tmp_path / "cache"))
    spec = dataclasses.replace(DIGITS_CNN, references=(str(tmp_path / "given.safetensors"),))
    assert reference(held_out, tmp_path / "cache", "train", spec).source.split == "train"


@pytest.mark.parametrize("field", ["data_sha256", "evaluator", "evaluator_sha256", "layer", "preprocessing", "split"])
def test_a_given_reference_of_something_else_is_refused_with_both_values(tmp_path: Path, field: str) -> None:
    source = Source(DIGITS.sha256, "test", DIGITS_CNN.name, DIGITS_CNN.sha256, DIGITS_CNN.features)
    other = dataclasses.replace(source, **{field: 7 if field == "preprocessing" else "other"})
    path = tmp_path / "given.safetensors"
    write_reference(path, dataclasses.replace(small(), source=other))
    spec = dataclasses.asdict(dataclasses.replace(DIGITS_CNN, references=(str(path),)))
    with pytest.raises(DataError, match=r"given\.safetensors: is of .*(other|7)"):
        check_references(spec, DIGITS.sha256, dev=False)


def test_a_reference_of_the_dev_split_is_refused_outside_of_dev(tmp_path: Path) -> None:
    source = Source(DIGITS.sha256, "validation", DIGITS_CNN.name, DIGITS_CNN.sha256, DIGITS_CNN.features)
    path = tmp_path / "given.safetensors"
    write_reference(path, dataclasses.replace(small(), source=source))
    spec = dataclasses.asdict(dataclasses.replace(DIGITS_CNN, references=(str(path),)))
    check_references(spec, DIGITS.sha256, dev=True)
    with pytest.raises(DataError, match="is of the split 'validation'; needed: test or train"):
        check_references(spec, DIGITS.sha256, dev=False)


def test_a_reference_of_an_evaluator_that_the_benchmark_does_not_use_is_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "given.safetensors")
    with pytest.raises(DataError, match="statistics of the evaluator 'tiny'; digits uses digits-cnn-v1"):
        supplied(load_benchmark(REGISTRY, "digits"), references=[path])


@pytest.mark.parametrize("dev", [False, True])
def test_a_reference_of_the_training_split_for_the_first_evaluator_is_refused(tmp_path: Path, dev: bool) -> None:
    split = "train without validation" if dev else "train"
    source = Source(DIGITS.sha256, split, DIGITS_CNN.name, DIGITS_CNN.sha256, DIGITS_CNN.features)
    write_reference(tmp_path / "given", dataclasses.replace(small(), source=source))
    with pytest.raises(DataError, match=f"of the split '{split}', which digits-cnn-v1 is not used on here"):
        supplied(load_benchmark(REGISTRY, "digits", dev), references=[tmp_path / "given"])


def test_two_references_of_one_split_are_refused(tmp_path: Path) -> None:
    source = Source(DIGITS.sha256, "test", DIGITS_CNN.name, DIGITS_CNN.sha256, DIGITS_CNN.features)
    for name in "ab":
        write_reference(tmp_path / name, dataclasses.replace(small(), source=source))
    with pytest.raises(DataError, match="one of them would not be used"):
        supplied(load_benchmark(REGISTRY, "digits"), references=[tmp_path / "a", tmp_path / "b"])


def test_weights_of_no_evaluator_are_not_explained_by_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"others")
    with pytest.raises(DataError, match="all evaluators of digits have their weights") as caught:
        supplied(load_benchmark(REGISTRY, "digits"), weights=[tmp_path / "weights"])
    assert DIGITS_CNN.sha256 not in str(caught.value)


def test_a_given_reference_does_not_change_the_digest(held_out: Examples, tmp_path: Path) -> None:
    write_reference(tmp_path / "given.safetensors", reference(held_out, tmp_path / "cache"))
    benchmark = load_benchmark(REGISTRY, "digits")
    given = supplied(benchmark, references=[tmp_path / "given.safetensors"])
    assert given.evaluator.references
    assert given.digest == benchmark.digest


# ---- the command


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "digits-smoke.safetensors"
    done = genbench("reference", "export", "-b", "digits-smoke", path)
    assert done.returncode == 0, done.stderr
    return path


def test_an_exported_reference_says_what_it_is(exported: Path) -> None:
    done = inside("reference", "show", exported, "--json")
    said = json.loads(done.stdout)
    assert (said["split"], said["evaluator"], said["examples"]) == ("test", "digits-cnn-v1", 600)
    assert said["data_sha256"] == DIGITS.sha256


def test_scores_against_an_exported_reference_are_those_against_the_cache(exported: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", samples=resolve(DIGITS.loader)()["train"][0][:200])
    command = ("score", tmp_path / "samples.npz", "-b", "digits-smoke", "--json")
    plain, given = (inside(*command, *more) for more in ((), ("--reference", exported)))
    assert json.loads(plain.stdout)["scores"] == json.loads(given.stdout)["scores"]


def test_numbers_in_a_given_reference_are_the_ones_that_are_used(exported: Path, tmp_path: Path) -> None:
    # Else the test before this one would pass with the file unread.
    arrays = load_file(exported)
    source = read_reference(exported).source
    shifted = reference_from(source, arrays["features"] + np.float32(0.5), arrays["logits"], arrays["labels"])
    write_reference(tmp_path / "shifted.safetensors", shifted)
    np.savez(tmp_path / "samples.npz", samples=resolve(DIGITS.loader)()["train"][0][:200])
    command = ("score", tmp_path / "samples.npz", "-b", "digits-smoke", "--json")
    plain, given = (inside(*command, *more) for more in ((), ("--reference", tmp_path / "shifted.safetensors")))
    fid = [json.loads(done.stdout)["scores"]["fid"]["value"] for done in (plain, given)]
    assert fid[1] > fid[0] + 1


@pytest.mark.parametrize("command", [("run", "noise"), ("score", "SAMPLES")], ids=["run", "score"])
def test_a_reference_of_other_data_is_refused_before_anything_is_done(tmp_path: Path, command: tuple[str, str]) -> None:
    path = tmp_path / "given.safetensors"
    source = Source("0" * 64, "test", DIGITS_CNN.name, DIGITS_CNN.sha256, DIGITS_CNN.features)
    write_reference(path, dataclasses.replace(small(), source=source))
    np.savez(tmp_path / "samples.npz", samples=np.zeros((200, 1, 8, 8), np.uint8))
    words = [tmp_path / "samples.npz" if word == "SAMPLES" else word for word in command]
    results = ("--results", tmp_path / "results") if command[0] == "run" else ()
    done = inside(*words, "-b", "digits-smoke", "--reference", path, *results)
    assert done.returncode == 2
    assert "its data_sha256 is '0000" in done.stderr
    assert not list((tmp_path / "results").rglob("record.json"))


@pytest.mark.parametrize("kind", ["absent", "text", "a header of exabytes", "other numbers", "a pipe"])
def test_the_command_shows_a_broken_file_as_an_error_for_people(tmp_path: Path, kind: str) -> None:
    make, why = BROKEN[kind]
    path = tmp_path / "given.safetensors"
    make(path)
    done = inside("reference", "show", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {path}: ")
    assert why in done.stderr


def test_an_evaluator_that_the_benchmark_does_not_use_cannot_be_exported(tmp_path: Path) -> None:
    done = inside("reference", "export", "-b", "digits-smoke", "--evaluator", "digits-cn-v1", tmp_path / "r")
    assert done.returncode == 2
    assert "did you mean 'digits-cnn-v1'" in done.stderr


def test_an_export_overwrites_no_file_but_one_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = inside("reference", "export", "-b", "digits-smoke", tmp_path / "thesis.tex")
    assert done.returncode == 2
    assert "holds no reference statistics, so it is not overwritten" in done.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_export_replaces_an_earlier_one(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "again").write_bytes(exported.read_bytes())
    assert inside("reference", "export", "-b", "digits-smoke", tmp_path / "again").returncode == 0


def test_scores_stand_under_the_titles_of_the_leaderboard(tmp_path: Path) -> None:
    x, labels = resolve(DIGITS.loader)()["train"]
    np.savez(tmp_path / "samples.npz", samples=x[:200], labels=labels[:200])
    done = inside("score", tmp_path / "samples.npz", "-b", "digits-smoke")
    assert "  FID [digits-cnn-v1] " in done.stdout
    assert "  FID [digits-random-v1] " in done.stdout
    assert re.search(r"  Exact copies +1  \(real data 0\)\n", done.stdout)
    assert re.search(r"  Label acc +(1|0\.99\d*)  \(higher is better; real data 0\.99", done.stdout)
