"""A stranger's distribution, built and installed beside genbench, is trained and scored like genbench's own models."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from commands import inside
from installing import ROOT, Installation, install

FLOW = ROOT / "examples" / "genbench-flow"
TUTORIAL = ROOT / "examples" / "tutorial"
CONTRACT = "tests/test_model.py::test_the_model_keeps_the_contract"
SMALL = "realnvp[couplings=2,width=32]"
"""As it is configured, its audit takes a quarter of a minute."""


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(FLOW, tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(TUTORIAL, tmp_path_factory.mktemp("tutorial"))


def rows_of_table(installation: Installation, results: Path, *models: str) -> dict[str, dict]:
    """Run the models on ``digits-smoke``, with one of its seeds, and return the table's rows by model."""
    done = installation.genbench("run", *models, "-b", "digits-smoke", "--seeds", "0", "--results", str(results))
    assert done.returncode == 0, done.stderr
    table = installation.genbench("table", "-b", "digits-smoke", "--results", str(results), "--format", "json")
    assert table.returncode == 0, table.stderr
    return {row["model"]: row for row in json.loads(table.stdout)["rows"]}


def test_the_example_is_no_part_of_genbench():
    assert "flow" not in {point.name for point in entry_points(group="genbench") if point.dist.name == "genbench"}


def test_the_example_is_listed_once_it_is_installed(flow):
    done = flow.genbench("list", "models", "--json")
    assert done.returncode == 0, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)}
    assert models["realnvp"]["distribution"] == "genbench-flow"
    assert models["realnvp"]["likelihood"] == "importance"
    assert models["marginals"]["distribution"] == "genbench"


def test_the_example_stands_in_the_table_beside_the_others(flow, tmp_path):
    rows = rows_of_table(flow, tmp_path / "results", SMALL, "marginals")
    assert set(rows) == {SMALL, "marginals"}
    for row in rows.values():
        assert row["ok"] == 1
        assert {"fid", "bits_per_dim"} <= set(row["scores"])
        assert row["scores"]["bits_per_dim"]["audit"] == "passed"


def test_the_example_keeps_the_contract(flow):
    done = flow.genbench("check", SMALL, "-b", "digits-smoke")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_s_own_tests_pass(flow):
    # All but the contract's checks, which `genbench check` has gone through above; that they can be a plugin's tests
    # is seen in test_new.py and test_checks_pytest.py.
    done = flow.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", "--deselect", CONTRACT,
        cwd=flow.home / "source", OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed, \d+ deselected", done.stdout)


def test_the_tutorial_s_model_equals_marginals_in_the_table(tutorial, tmp_path):
    rows = rows_of_table(tutorial, tmp_path / "results", "my-marginals", "marginals[pseudo_count=1.0]")
    mine, first_party = rows["my-marginals"], rows["marginals[pseudo_count=1.0]"]
    assert mine["ok"] == 1
    # Two programs, one model: both count, with Laplace's rule, the same examples.
    bits = [row["scores"]["bits_per_dim"]["mean"] for row in (mine, first_party)]
    assert bits[0] == pytest.approx(bits[1], rel=1e-6)


def test_the_tutorial_s_file_can_be_checked_without_installing_it():
    done = inside("check", TUTORIAL / "my_marginals.py", "-b", "digits-smoke")
    assert done.returncode == 0, done.stdout + done.stderr
