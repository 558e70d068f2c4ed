"""``genbench.load_results``: the runs of a results folder as a data frame."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path

import factories
import pandas as pd
import pytest
from installing import ROOT

import genbench
from genbench.errors import GenbenchError
from genbench.frames import FIXED
from genbench.store import RunKey
from genbench.verification import Verification, sha256, write_verification


def write(root: Path, record: genbench.Record, folder: str = "tiny") -> Path:
    place = root / RunKey(folder, record.model.name, record.seed).path
    place.mkdir(parents=True)
    (place / "record.json").write_text(record.to_json())
    return place


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two benchmarks; a model that is ok, one that failed, one whose audit failed, one from outside, one of --dev."""
    root = tmp_path_factory.mktemp("frames") / "results"
    for seed in range(3):
        place = write(root, factories.record("toy", seed, kind="iwae"))
    content = (place / "record.json").read_bytes()
    write_verification(place, Verification(2, sha256(content), "0.1.0", "2026-01-01T00:00:00Z", {}))
    write(root, factories.record("down[lr=0.1]", 0, status="diverged", reason="loss is NaN"))
    write(root, factories.record("liar", 0, audit=factories.failed_audit("too good")))
    write(root, replace(factories.record("theirs", 0), division="open"), "tiny+open")
    write(root, factories.record("toy", 0, replace(factories.benchmark(), dev=True)), "tiny+dev")
    second = factories.benchmark(name="second")
    strange = {"model": factories.score(7.0), "fid_n": factories.score(8.0)}
    write(root, factories.record("toy", 4, second, more=strange), "second")
    return root


def test_there_is_a_row_for_each_run_failed_ones_too(root: Path) -> None:
    frame = genbench.load_results(root)
    assert list(frame.columns[: len(FIXED)]) == list(FIXED)
    assert frame.folder.tolist() == [
        "second/toy/seed-4", "tiny/down+lr=0.1/seed-0", "tiny/liar/seed-0", "tiny/toy/seed-0", "tiny/toy/seed-1",
        "tiny/toy/seed-2", "tiny+dev/toy/seed-0",
    ]  # fmt: skip
    down = frame[frame.model == "down[lr=0.1]"].iloc[0]
    assert (down.status, down.reason) == ("diverged", "loss is NaN")
    assert pd.isna(down.fid)
    assert pd.isna(down.fid_n)


def test_scores_costs_and_what_they_are_of_stand_beside_each_other(root: Path) -> None:
    frame = genbench.load_results(str(root), "tiny")
    toy = frame[(frame.model == "toy") & ~frame.dev]
    assert toy.fid.tolist() == [2.0, 2.1, 2.2]
    assert toy.fid_n.tolist() == [600] * 3
    assert toy.bits_per_dim_kind.tolist() == ["iwae"] * 3
    assert toy.peak_memory_mib.tolist() == [300.0] * 3
    assert toy.ended_by.unique().tolist() == ["images"]
    assert toy.verified.tolist() == [pd.NA, pd.NA, 2]
    assert toy.config.iloc[0] == {"batch_size": 32, "width": 64}


def test_a_likelihood_whose_audit_failed_is_withheld_with_the_reason(root: Path) -> None:
    frame = genbench.load_results(root, "tiny").set_index("model")
    assert pd.isna(frame.loc["liar", "bits_per_dim"])
    assert frame.loc["liar", "withheld"] == {"bits_per_dim": "too good"}
    assert frame.loc["liar", "fid"] == 2.0


def test_a_strangers_score_takes_no_other_columns_name(root: Path) -> None:
    row = genbench.load_results(root, "second").iloc[0]
    assert (row.model, row["score:model"], row["score:fid_n"], row.fid_n) == ("toy", 7.0, 8.0, 600)


@pytest.mark.parametrize(("division", "models"), [("open", {"theirs"}), ("closed", {"toy", "liar", "down[lr=0.1]"})])
def test_divisions_are_apart_unless_both_are_asked_for(root: Path, division: str, models: set[str]) -> None:
    assert set(genbench.load_results(root, "tiny", division).model) == models  # type: ignore[arg-type]
    assert set(genbench.load_results(root, "tiny", None).model) == {"toy", "liar", "down[lr=0.1]", "theirs"}


def test_unreadable_records_are_told_and_stand_in_the_attributes(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "r", factories.record())
    broken = write(tmp_path / "r", factories.record(seed=1)) / "record.json"
    broken.write_text("{")
    with pytest.warns(UserWarning, match="1 unreadable"):
        frame = genbench.load_results(tmp_path / "r")
    ((path, problem),) = frame.attrs["unreadable"]
    assert path == str(broken)
    assert "cut short" in problem
    assert len(frame) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert genbench.load_results(root).attrs["unreadable"] == []


def test_what_is_not_there_is_refused_and_the_nearest_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(GenbenchError, match="did you mean 'tiny'"):
        genbench.load_results(root, "tinny")
    with pytest.raises(GenbenchError, match="no such folder"):
        genbench.load_results(tmp_path / "none")


def test_an_empty_folder_has_no_rows_and_the_usual_columns(tmp_path: Path) -> None:
    frame = genbench.load_results(tmp_path)
    assert len(frame) == 0
    assert {"model", "seed", "train_seconds"} <= set(frame.columns)


def test_the_example_of_the_documentation_gives_the_means_of_the_published_table() -> None:
    source = (ROOT / "docs" / "tables.md").read_text()
    (example,) = re.findall(r"```python\n(.*?load_results.*?)```", source, re.DOTALL)
    names: dict[str, pd.DataFrame] = {}
    exec(example.replace('"results"', repr(str(ROOT / "results"))), {}, names)
    frame = genbench.load_results(ROOT / "results", "digits")
    fids = frame[(frame.model == "vae") & (frame.status == "ok")].fid
    assert names["means"].loc["vae", "fid"] == pytest.approx(fids.mean())
