"""`sample`, `score` and `check`: the commands that start a process for one task.

Each of them is called once in a process of its own; the other calls share a fork server.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import ZOO, genbench, inside
from PIL import Image
from sklearn.datasets import load_digits

from genbench.plugins import discover


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    done = inside("run", "marginals", "-b", "digits-smoke", "--seeds", "0", "--results", folder)
    assert done.returncode == 0, done.stderr
    return folder


RUN = "digits-smoke/marginals/seed-0"


def test_sample_repeats_the_samples_that_were_scored(results: Path, tmp_path: Path) -> None:
    kept = np.load(results / RUN / "samples.npz")["samples"]
    done = genbench("sample", RUN, "-n", len(kept), "-o", tmp_path / "more.npz", "--results", results)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "more.npz")["samples"], kept)


def test_sample_with_another_seed_gives_other_samples_as_a_grid(results: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        inside("sample", RUN, "-n", 9, "--seed", seed, "-o", tmp_path / f"{seed}.png", "--results", results)
    first, second = (np.asarray(Image.open(tmp_path / f"{seed}.png")) for seed in (1, 2))
    assert first.shape == second.shape
    assert not np.array_equal(first, second)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Results of a benchmark of the caller's own, at a budget and with a configuration of the caller's own."""
    folder = tmp_path_factory.mktemp("own")
    smoke = discover().benchmarks["digits-smoke"].spec.read_text()
    (folder / "mine.toml").write_text(smoke.replace('name = "digits-smoke"', 'name = "mine"'))
    done = inside("run", "marginals", "-b", folder / "mine.toml", "--seeds", "0", "--budget", "images=3000",
                    "--results", folder / "results")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = (folder / "results").glob("mine*/marginals/seed-0/record.json")
    return folder / "mine.toml", record.parent


def test_sample_takes_a_benchmark_by_its_file_and_the_budget_from_the_record(
    own: tuple[Path, Path], tmp_path: Path
) -> None:
    file, run = own
    kept = np.load(run / "samples.npz")["samples"]
    done = inside("sample", run, "-b", file, "-n", len(kept), "-o", tmp_path / "more.npz")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert np.array_equal(np.load(tmp_path / "more.npz")["samples"], kept)


def test_sample_says_how_a_benchmark_that_is_not_installed_is_given(own: tuple[Path, Path], tmp_path: Path) -> None:
    done = inside("sample", own[1], "-o", tmp_path / "more.npz")
    assert done.returncode == 2
    assert "give its file with -b mine.toml" in done.stderr


def test_sample_warns_of_another_benchmark_than_the_runs(results: Path, own: tuple[Path, Path], tmp_path: Path) -> None:
    done = inside("sample", RUN, "-b", own[0], "-n", 2, "-o", tmp_path / "more.npz", "--results", results)
    assert done.returncode == 0, done.stderr
    assert "the benchmark mine" in done.stderr
    assert "is not that of this run" in done.stderr


def test_sample_builds_the_model_with_the_recorded_configuration(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(results / RUN, copy)
    record = json.loads((copy / "record.json").read_text())
    record["model"]["config"]["gone"] = 1
    (copy / "record.json").write_text(json.dumps(record))
    done = inside("sample", copy, "-n", 2, "-o", tmp_path / "more.npz")
    assert done.returncode == 2
    assert "its configuration has other fields than at that run (gone)" in done.stderr


def test_sample_into_a_file_that_cannot_be_written_is_an_error_of_the_disk(results: Path, tmp_path: Path) -> None:
    for name in ("more.npz", "more.png"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere" / name)
        done = inside("sample", RUN, "-n", 2, "-o", tmp_path / name, "--results", results)
        assert done.returncode == 4
        assert f"{name}: cannot be written: No such file" in done.stderr


def test_sample_names_the_nearest_run(results: Path) -> None:
    done = inside("sample", "digits-smoke/marginal/seed-0", "-o", "x.png", "--results", results)
    assert done.returncode == 2
    assert "did you mean 'digits-smoke/marginals/seed-0'?" in done.stderr


def test_score_agrees_with_the_record_of_the_same_samples(results: Path) -> None:
    done = genbench("score", results / RUN / "samples.npz", "-b", "digits-smoke", "--json")
    assert done.returncode == 0, done.stderr
    recorded = json.loads((results / RUN / "record.json").read_text())["scores"]
    scored = json.loads(done.stdout)["scores"]
    assert set(scored) == set(recorded) - {"bits_per_dim"}
    assert {name: entry["value"] for name, entry in scored.items()} == {
        name: recorded[name]["value"] for name in scored
    }


def test_scored_copies_of_the_training_data_are_flagged_and_nothing_is_better_there(tmp_path: Path) -> None:
    images = np.array(load_digits().images, np.uint8)[:200, None]
    np.save(tmp_path / "real.npy", images)
    done = inside("score", tmp_path / "real.npy", "-b", "digits-smoke")
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("C_T ") and "[" not in line]
    assert "may be copying" in line
    assert "is better" not in line
    (listed,) = [line for line in inside("list", "metrics").stdout.splitlines() if line.startswith("c_t ")]
    assert "flag only" in listed


def test_an_array_and_a_folder_of_pngs_score_alike(results: Path, tmp_path: Path) -> None:
    samples = np.load(results / RUN / "samples.npz")["samples"]
    np.save(tmp_path / "samples.npy", samples)
    (tmp_path / "pngs").mkdir()
    for index, image in enumerate(samples):
        Image.fromarray(image[0]).save(tmp_path / "pngs" / f"{index:04}.png")
    outputs = [
        json.loads(inside("score", path, "-b", "digits-smoke", "--json").stdout)["scores"]
        for path in (tmp_path / "samples.npy", tmp_path / "pngs")
    ]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((200, 1, 8, 8), np.float32), "must be uint8"),
        (np.zeros((200, 8, 8), np.uint8), "must have shape"),
        (np.full((200, 1, 8, 8), 17, np.uint8), "at index [0, 0, 0, 0] stands 17"),
        (np.zeros((10, 1, 8, 8), np.uint8), "holds 10 samples"),
        (np.array([{"a": 1}], dtype=object), "not readable"),
    ],
)
def test_samples_of_another_form_are_refused(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "samples.npy", array, allow_pickle=True)
    done = inside("score", tmp_path / "samples.npy", "-b", "digits-smoke")
    assert done.returncode == 2
    assert message in done.stderr


def test_check_passes_a_good_model_and_explains_a_bad_one() -> None:
    good = inside("check", "zoo-good", "-b", "digits-smoke", python_path=(ZOO,))
    assert good.returncode == 0, good.stdout + good.stderr
    bad = inside("check", "zoo-floats", "-b", "digits-smoke", "--json", python_path=(ZOO,))
    assert bad.returncode == 3
    failed = {result["name"]: result["message"] for result in json.loads(bad.stdout) if result["verdict"] == "failed"}
    assert "must return uint8" in failed["samples_have_the_promised_form"]


def test_the_check_in_which_a_model_hangs_has_failed_and_the_verdicts_before_it_are_told() -> None:
    arguments = ("check", "zoo-hangs", "-b", "digits-smoke", "--seconds", 6)
    done = inside(*arguments, python_path=(ZOO,))
    assert done.returncode == 3, done.stderr
    assert "did not come to an end within 6 s" in done.stdout
    assert "it stood at genbench_zoo_faults.py:" in done.stdout
    assert re.search(r"\d+ passed, 1 failed.*, \d+ not asked in", done.stdout)


def test_check_takes_a_single_file(tmp_path: Path) -> None:
    model = (ZOO / "genbench_zoo_model.py").read_text()
    hooks = """
from dataclasses import dataclass
from genbench import ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    batch_size: int = 8
    fault: str = "good"

@hookimpl
def register_models():
    return [ModelSpec(name="lonely", factory=Zoo, config=Config, summary="in one file")]
"""
    (tmp_path / "lonely_model.py").write_text(model + hooks)
    done = inside("check", "lonely_model.py", "-b", "digits-smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("check", "nothing.py"), 2, "no such file"),
        (("check", "dcgn"), 2, "did you mean 'dcgan'?"),
        (("check", "zoo-unfit"), 2, "wants 1000 levels"),
        (("score", "nothing.npz"), 2, "no such file"),
        (("sample", "a/b/c", "-o", "x.gif"), 2, ".png, .txt or .npz"),
    ],
)
def test_bad_input_is_answered_with_a_hint(arguments: tuple[str, ...], code: int, hint: str, tmp_path: Path) -> None:
    done = inside(*arguments, cwd=tmp_path, python_path=(ZOO,))
    assert done.returncode == code
    assert hint in done.stderr
