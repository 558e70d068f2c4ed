"""``genbench data``, and what a run says of data that are missing."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import inside
from factories import toml
from PIL import Image

from genbench import paths
from genbench.data_files import cached_folder
from genbench.plugins import discover
from genbench.specs import DatasetSpec


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache and a data folder of these tests' own, so that they share one fork server and no data of a person."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENBENCH_CACHE", str(folder / "cache"))
        patch.setenv("GENBENCH_DATA", str(folder / "data"))
        patch.setenv("GENBENCH_OFFLINE", "1")
        yield folder


@pytest.fixture(scope="module")
def birds(home: Path) -> Path:
    """Thirty grey 8x8 images in two class folders."""
    generator = np.random.default_rng(0)
    for name in ("auk", "wren"):
        (home / "birds" / name).mkdir(parents=True)
        for index in range(15):
            pixels = generator.integers(0, 256, (8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(home / "birds" / name / f"{index}.png")
    return home / "birds"


@pytest.fixture(scope="module")
def added(birds: Path) -> DatasetSpec:
    done = inside("data", "add", birds, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["registration"]["classes"] == ["auk", "wren"]
    spec: DatasetSpec = discover().datasets["birds"].spec
    return spec


def definition(folder: Path, dataset: str) -> Path:
    """A benchmark of a data set, scored with an evaluator that takes any image."""
    raw = {
        "name": "mine",
        "dataset": dataset,
        "evaluator": "inception-v3-compat",
        "metrics": ["fid"],
        "seeds": [0],
        "budget": {"images": 100, "seconds": 60.0, "memory_mib": 3000, "parameters": 10**6},
        "samples": {"n": 10, "milestone_n": 10, "chunk": 10},
        "likelihood": {
            "examples": 4,
            "milestone_examples": 2,
            "draws": 2,
            "milestone_draws": 2,
            "chunk": 4,
        },
    }
    (folder / "mine.toml").write_text(toml(raw))
    return folder / "mine.toml"


# ---- data of genbench


def test_list_says_of_each_data_set_whether_it_is_here(home: Path) -> None:
    entries = {entry["name"]: entry for entry in json.loads(inside("data", "list", "--json").stdout)}
    assert {"digits", "fashion-mnist", "mnist", "cifar10"} <= set(entries)
    assert entries["cifar10"]["bytes_to_download"] == 170052171
    assert entries["digits"]["bytes_to_download"] == 0
    assert all(entry["licence"] and entry["citation"] and entry["sha256"] for entry in entries.values())
    printed = inside("data", "list").stdout
    assert "to download: 162.2 MiB" in printed


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_a_named_data_set_that_is_missing_ends_with_2_and_the_ways_to_get_it(home: Path, command: str) -> None:
    done = inside("data", command, "mnist")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert f"put the files into {paths.files_cache() / 'mnist'}" in said
    assert "genbench data fetch mnist" in said


def test_fetch_takes_no_file_with_another_hash_from_a_folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"other")
    done = inside("data", "fetch", "cifar10", "--from", tmp_path)
    assert done.returncode == 2
    assert "cifar-10-binary.tar.gz has another hash" in done.stderr
    assert not (paths.files_cache() / "cifar10").exists()


def test_fetch_with_nothing_named_ends_with_5(home: Path) -> None:
    assert inside("data", "fetch").returncode == 5


def test_a_run_whose_data_are_missing_ends_with_2_before_it_is_trained(home: Path, tmp_path: Path) -> None:
    done = inside("run", "noise", "-b", definition(tmp_path, "mnist"), "--offline", "--results", tmp_path / "r")
    assert done.returncode == 2
    for part in ("train-images-idx3-ubyte.gz", "--offline", "genbench data fetch mnist", str(paths.files_cache())):
        assert part in done.stderr
    assert not list(tmp_path.glob("r/mine/**/record.json"))


# ---- a person's own


def test_an_added_folder_is_a_data_set_of_later_commands(added: DatasetSpec, tmp_path: Path) -> None:
    assert (added.data.shape, added.data.classes, added.train, added.test) == ((1, 8, 8), 2, 24, 6)
    done = inside("run", "noise", "-b", definition(tmp_path, "birds"), "--dry-run", "--results", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert "mine/noise/seed-0" in done.stdout


def test_an_added_data_set_is_read_again_where_the_cache_is_lost(added: DatasetSpec) -> None:
    folder = cached_folder(added, paths.data_cache())
    for file in folder.iterdir():
        file.unlink()
    done = inside("data", "fetch", "birds")
    assert done.returncode == 0, done.stderr
    assert len(np.load(folder / "train.x.npy")) == 24


def test_verify_finds_a_changed_copy_and_ends_with_3(added: DatasetSpec) -> None:
    assert inside("data", "verify", "birds").returncode == 0
    file = cached_folder(added, paths.data_cache()) / "test.x.npy"
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    done = inside("data", "verify", "birds", "--json")
    file.write_bytes(before)
    assert done.returncode == 3
    (found,) = json.loads(done.stdout)
    assert (found["state"], found["cached"]) == ("wrong", True)
    assert "was changed" in found["problem"]


def test_verify_finds_that_the_images_have_changed(added: DatasetSpec, birds: Path) -> None:
    file = birds / "auk" / "0.png"
    before = file.read_bytes()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(file)
    done = inside("data", "verify", "birds")
    file.write_bytes(before)
    assert done.returncode == 3
    assert "its content has the hash" in done.stdout


def test_verify_calls_an_added_folder_that_was_moved_missing_and_ends_with_2_where_it_was_named(
    added: DatasetSpec, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = discover()
    registry.datasets = {"birds": registry.datasets["birds"]}  # to verify all others takes its time
    monkeypatch.setattr("genbench.cli.data.load_registry", lambda: registry)
    birds.rename(birds.with_name("moved"))
    named, all_of_them = inside("data", "verify", "birds"), inside("data", "verify")
    birds.with_name("moved").rename(birds)
    assert named.returncode == 2
    assert f"birds: missing: data set 'birds': {birds} is not there" in named.stdout
    assert all_of_them.returncode == 5
    assert "birds: not on this machine, but for a copy in the cache, which is intact" in all_of_them.stdout


def test_the_same_folder_may_be_added_again(added: DatasetSpec, birds: Path) -> None:
    assert inside("data", "add", birds).returncode == 0


def test_another_folder_does_not_take_an_added_name(added: DatasetSpec, birds: Path) -> None:
    done = inside("data", "add", birds / "auk", "--name", "birds")
    assert done.returncode == 2
    assert "'birds' is registered already, with other content" in done.stderr
    assert discover().datasets["birds"].spec == added


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--name", "digits"), "'digits' is a data set of genbench"),
        (("--name", "../up"), "names match"),
        (("--size", "0"), "give S or HEIGHTxWIDTH"),
        (("--test-share", "1"), "1.0 is not in the range"),
        (("--test-share", "0.001"), "gives 0 to the test split"),
    ],
    ids=["taken", "no name", "no size", "all", "none"],
)
def test_options_that_cannot_be_are_refused(birds: Path, options: tuple[str, ...], why: str) -> None:
    done = inside("data", "add", birds, *options)
    assert done.returncode == 2
    assert why in done.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is no registration of a data set: not JSON"),
        ('{"name": "bad"}', "is no registration of a data set"),
        ("good", "is the registration of 'birds'"),
    ],
    ids=["no JSON", "too little", "another name"],
)
def test_a_registration_that_cannot_be_used_is_told_and_harms_nothing(
    added: DatasetSpec, content: str, why: str
) -> None:
    good = paths.added_folder() / "birds.json"
    bad = paths.added_folder() / "bad.json"
    bad.write_text(good.read_text() if content == "good" else content)
    done = inside("data", "list")
    bad.unlink()
    assert why in done.stderr
    assert done.returncode == 0
    assert "birds" in done.stdout
