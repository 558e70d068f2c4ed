"""The training examples that stand beside published samples: found exactly, from pictures read back exactly."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factories
import numpy as np
import pytest
from commands import shared_launcher
from PIL import Image

from genbench import paths
from genbench.data_files import cached_folder
from genbench.engine import nearest as engine
from genbench.engine.data import load_split, materialise
from genbench.engine.grid import GRID, read_grid, write_grid
from genbench.leaderboard import Leaderboard, from_registry
from genbench.plugins import Registry, discover
from genbench.report.nearest import Nearest, Search
from genbench.selection import load_benchmark
from genbench.specs import DataSpec
from genbench.store import Store

RNG = np.random.default_rng(7)
PLANTED = 17
"""Index of a training example that a run hands out."""


def images(spec: DataSpec, n: int) -> np.ndarray:
    return RNG.integers(0, spec.levels, (n, *spec.shape), dtype=np.uint8)


# ---- grids


@pytest.mark.parametrize("count", [1, 5, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_grid_gives_back_the_images_that_it_was_made_of(
    tmp_path: Path, levels: int, channels: int, count: int
) -> None:
    spec = DataSpec(shape=(channels, 8, 6), levels=levels)
    given = images(spec, count)
    write_grid(given, spec, tmp_path / "grid.png")
    assert np.array_equal(read_grid(tmp_path / "grid.png", count, spec), given)


def test_a_picture_that_no_grid_of_such_images_makes_is_refused(tmp_path: Path) -> None:
    spec, path = factories.DATA, tmp_path / "grid.png"
    write_grid(images(spec, 64), spec, path)
    with pytest.raises(ValueError, match=r"not a grid of 81 images"):
        read_grid(path, 81, spec)
    with pytest.raises(ValueError, match=r"its mode is L, not that of images of 3 channels"):
        read_grid(path, 64, replace(spec, shape=(3, 8, 8)))
    pixels = np.asarray(Image.open(path)).copy()
    pixels[3, 3] ^= 1
    Image.fromarray(pixels).save(path)
    with pytest.raises(ValueError, match=r"it is no grid of 64 images of 17 levels"):
        read_grid(path, 64, spec)


# ---- neighbours


@pytest.mark.parametrize("spec", [factories.DATA, DataSpec(shape=(3, 5, 4), levels=256)])
def test_the_nearest_images_are_those_of_an_exhaustive_search(spec: DataSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    train, given = images(spec, 300), images(spec, 9)
    given[4] = train[PLANTED]
    train[250] = train[PLANTED]
    monkeypatch.setattr(engine, "BLOCK_BYTES", 64 * 100)  # several blocks
    where, squared = engine.nearest_images(given, train, 3)
    all_of_them = ((given[:, None].astype(int) - train[None].astype(int)) ** 2).sum((2, 3, 4))
    assert np.array_equal(where, np.argsort(all_of_them, axis=1, kind="stable")[:, :3])
    assert np.array_equal(squared, np.sort(all_of_them, axis=1)[:, :3])
    assert (where[4, :2].tolist(), squared[4, :2].tolist()) == ([PLANTED, 250], [0, 0])


def edits(a: str, b: str) -> int:
    """Edit distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


def test_edit_distances_are_those_of_the_definition() -> None:
    texts = ["", "a", "ab", "ba", "kitten", "sitten", "naïve", "aaaa"]
    known = engine.Texts(texts)
    for text in ["", "b", "sitting", "naive", "zzzzzzz"]:
        assert known.distances(text).tolist() == [edits(text, other) for other in texts]


def test_a_text_of_the_training_data_is_found_at_no_distance_and_near_ones_behind_it() -> None:
    found = engine._of_texts(["cat", "dog", "cart", "catalogue"], ["cab", "dig"], [{"texts": ["cat", "do"]}])
    (model,) = found["models"]
    assert (found["held_out"], found["compared"]) == (1.0, 2)
    assert model["examples"] == [["cat", "cart", "dog"], ["dog", "cat", "cart"]]
    assert model["distances"] == [[0, 1, 3], [1, 3, 4]]


def test_the_picture_shows_each_sample_above_its_examples(tmp_path: Path) -> None:
    spec = DataSpec(shape=(1, 8, 8), levels=256)
    samples, examples = images(spec, 8), images(spec, 24).reshape(8, 3, 1, 8, 8)
    engine.draw(samples, examples, spec, tmp_path / "near.png")
    pixels = np.asarray(Image.open(tmp_path / "near.png"))
    scale, gap = 7, engine.GAP
    cell = 8 * scale + gap
    assert pixels.shape == (4 * cell - gap + 3 * gap, 8 * cell - gap)
    for column in range(8):
        left = column * cell
        assert np.array_equal(pixels[: 8 * scale : scale, left : left + 8 * scale : scale], samples[column, 0])
        for row in range(3):
            top = (row + 1) * cell + 3 * gap
            shown = pixels[top : top + 8 * scale : scale, left : left + 8 * scale : scale]
            assert np.array_equal(shown, examples[column, row, 0])


# ---- a results folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Nearest], list[str], Path, np.ndarray]]:
    """What is found of a run that hands out a training example, one of noise, and three that left no good picture."""
    folder = tmp_path_factory.mktemp("nearest")
    registry = discover()
    benchmark = load_benchmark(registry, "digits")
    train = load_split(materialise(benchmark.dataset, paths.data_cache()), "train")[0]
    store, spec = Store(folder / "results"), benchmark.dataset.data
    noise = images(spec, GRID)
    copied = np.concatenate([train[PLANTED][None], noise[1:]])
    for model, samples in {"copier": copied, "noisy": noise, "changed": noise, "other": noise[:9]}.items():
        write_grid(samples, spec, folder / "grid.png")
        committed = factories.commit(
            store, factories.record(model, of=benchmark, budget={}), samples=(folder / "grid.png").read_bytes()
        )
        if model == "changed":
            (committed / "samples.png").write_bytes(factories.png())
    factories.commit(store, factories.record("silent", of=benchmark, budget={}))
    board = from_registry(benchmark, registry, store.load("digits"))
    with pytest.MonkeyPatch.context() as patch, Search(registry) as search:
        patch.setattr("genbench.executors.launcher.Launcher", lambda threads: shared_launcher(threads, ()))
        patch.chdir(folder)  # a path that a person types leads from here, and the engine is elsewhere
        results, problems = search.nearest_pictures(
            board, store, {row.model: Path(f"{row.model}.png") for row in board.rows}
        )
    yield results, problems, folder, train
    shutil.rmtree(folder)


Found = tuple[dict[str, Nearest], list[str], Path, np.ndarray]


def test_a_planted_copy_is_found_at_no_distance(found: Found) -> None:
    results, _, folder, train = found
    copier = results["copier"]
    assert (copier.run, copier.copies, results["noisy"].copies) == ("digits/copier/seed-0", 1, 0)
    assert copier.distances[0][0] == 0.0
    shown = np.asarray(Image.open(folder / "copier.png"))
    levels = np.round(shown[: 8 * 7 : 7, : 8 * 7 : 7] * (16 / 255))
    assert np.array_equal(levels, train[PLANTED][0])


def test_the_scale_is_how_far_held_out_examples_are_from_the_training_data(found: Found) -> None:
    results, _, _, train = found
    test = load_split(cached_folder(load_benchmark(discover(), "digits").dataset, paths.data_cache()), "test")[0]
    chosen = test[np.linspace(0, len(test) - 1, 256).astype(int)].reshape(256, -1).astype(float)
    nearest = [np.linalg.norm(train.reshape(len(train), -1) - image, axis=1).min() for image in chosen]
    assert results["noisy"].held_out == pytest.approx(float(np.median(nearest)))
    assert (results["noisy"].compared, results["noisy"].unit) == (256, "levels")
    assert results["noisy"].median > 2 * results["noisy"].held_out


def test_pictures_that_are_not_the_records_or_no_grids_are_told_and_harm_no_other(found: Found) -> None:
    results, problems, folder, _ = found
    assert set(results) == {"copier", "noisy"}
    assert {path.name for path in folder.glob("*.png")} == {"copier.png", "noisy.png", "grid.png"}
    (changed,) = (line for line in problems if line.startswith("digits/changed"))
    assert changed.endswith("not shown: its hash is not the one in the record")
    (other,) = (line for line in problems if line.startswith("digits/other"))
    assert "not a grid of 64 images" in other
    assert len(problems) == 2


def board_of(tmp_path: Path, registry: Registry) -> tuple[Leaderboard, Store]:
    benchmark, store = load_benchmark(registry, "digits"), Store(tmp_path / "results")
    factories.commit(store, factories.record(of=benchmark, budget={}), samples=factories.png())
    return from_registry(benchmark, registry, store.load("digits")), store


def test_data_that_are_not_on_this_machine_are_a_problem_and_not_downloaded(tmp_path: Path) -> None:
    registry = discover()
    board, store = board_of(tmp_path, registry)
    away = load_benchmark(registry, "cifar10-gpu")
    board = replace(board, benchmark=replace(board.benchmark, dataset=away.dataset))
    with Search(registry) as search:
        results, problems = search.nearest_pictures(board, store, {"toy": tmp_path / "toy.png"})
    assert results == {}
    (problem,) = problems
    assert problem == (
        "digits: nearest training examples are not shown: the data are not on this machine; "
        "`genbench data fetch cifar10` brings them"
    )


def test_data_that_are_not_installed_are_a_problem(tmp_path: Path) -> None:
    board, store = board_of(tmp_path, discover())
    with Search(factories.registry()) as search:
        results, problems = search.nearest_pictures(board, store, {"toy": tmp_path / "toy.png"})
    assert (results, problems) == (
        {},
        ["digits: nearest training examples are not shown: the data set digits is not installed"],
    )


def test_without_samples_there_is_nothing_to_search_and_nothing_to_tell(tmp_path: Path) -> None:
    registry = discover()
    benchmark, store = load_benchmark(registry, "digits"), Store(tmp_path / "results")
    factories.commit(store, factories.record(of=benchmark, budget={}))
    board = from_registry(benchmark, registry, store.load("digits"))
    with Search(registry) as search:
        assert search.nearest_pictures(board, store, {"toy": tmp_path / "toy.png"}) == ({}, [])


def test_a_picture_is_hashed_before_it_is_handed_on(tmp_path: Path) -> None:
    registry = discover()
    board, store = board_of(tmp_path, registry)
    (record,) = (record for row in board.rows for record in row.records)
    assert record.artifacts["samples.png"] == "sha256:" + hashlib.sha256(factories.png()).hexdigest()
    link = store.root / "digits" / "toy" / "seed-0" / "samples.png"
    link.rename(tmp_path / "elsewhere.png")
    link.symlink_to(tmp_path / "elsewhere.png")
    with Search(registry) as search:
        results, problems = search.nearest_pictures(board, store, {"toy": tmp_path / "toy.png"})
    assert results == {}
    assert problems[0].endswith("is a link, and links of others are not followed")
