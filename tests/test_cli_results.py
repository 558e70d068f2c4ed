"""Results folders with links, broken records and strays in them: what commands say of these."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import factories
import pytest

from genbench import cli
from genbench.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for seed in range(5):
        factories.commit(store, factories.record("toy", seed))
    factories.commit(store, factories.record("toy[width=3]"))
    return store.root


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: status, stdout, stderr."""
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr("genbench.plugins.discover", lambda found=None: registry)

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main([str(arg) for arg in args])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


@pytest.fixture
def linked(results: Path) -> Path:
    """Results in which a seed is a link to another folder."""
    seed = results / "tiny/toy/seed-3"
    seed.rename(results.parent / "elsewhere")
    seed.symlink_to(results.parent / "elsewhere")
    return results


def test_a_linked_run_is_said_to_be_a_link_and_not_shown(run: Run, linked: Path) -> None:
    for name in ("tiny/toy/seed-3", linked / "tiny/toy/seed-3"):
        status, out, err = run("show", name, "--results", linked)
        assert (status, out) == (4, "")
        assert "seed-3: is a link; links in a results folder are not followed" in err
    assert run("show", "tiny/toy/seed-2", "--results", linked)[0] == 0


def test_a_run_in_a_linked_models_folder_is_not_shown_and_a_linked_results_folder_is(run: Run, results: Path) -> None:
    (results / "tiny/toy").rename(results.parent / "toy")
    (results / "tiny/toy").symlink_to(results.parent / "toy")
    whole = results.parent / "whole"
    whole.symlink_to(results)
    for folder in (results, whole):
        assert "tiny/toy: is a link" in run("show", f"{folder}/tiny/toy/seed-0", "--results", folder)[2]
        assert run("show", "tiny/toy[width=3]/seed-0", "--results", folder)[0] == 0


def test_a_linked_run_is_not_verified(run: Run, linked: Path) -> None:
    for name in ("tiny", "tiny/toy", "tiny/toy/seed-3", linked / "tiny/toy/seed-3"):
        status, out, _ = run("verify", name, "--results", linked)
        assert status == 3
        told = "L0 failure, link: promised a folder; found is a link; links in a results folder are not followed"
        assert f"tiny/toy/seed-3: NOT verified (no level)\n  {told}" in out


def test_what_is_left_out_is_published_without_the_publishers_paths(run: Run, results: Path, tmp_path: Path) -> None:
    (results / "tiny/toy/seed-0/record.json").write_text("{")
    (results / "tiny/toy/seed-1/record.json").unlink()
    (results / "tiny/toy/seed-1/record.json").mkdir()
    assert run("publish", tmp_path / "site", "-b", "tiny", "--no-nearest", "--results", results)[0] == 0
    for name in ("index.html", "leaderboard.json", "leaderboard.md", "leaderboard.tex"):
        content = (tmp_path / "site" / "tiny" / name).read_text()
        assert str(tmp_path) not in content
        assert "seed-0/record.json" in content


def test_doctor_names_every_unreadable_record_by_its_cause(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genbench.cli.doctor._devices", lambda: iter(()))  # which takes seconds
    for seed in (0, 1):
        (results / f"tiny/toy/seed-{seed}/record.json").write_text("{")
    (results / "tiny/toy/seed-2/record.json").write_text('{"schema": 99}')
    (results / "tiny/toy/seed-9").symlink_to(results)
    (results / "tiny/toy/seed-4").rename(results / "tiny/toy/mine")
    whole, *causes = [
        finding
        for finding in json.loads(run("doctor", "--json", "--results", results)[1])
        if finding["topic"] == "results"
    ]
    assert "2 records, 5 unreadable" in whole["found"]
    told = {finding["remedy"]: finding["found"] for finding in causes}
    assert len(told) == len(causes) == 4
    (torn,) = (text for text in told.values() if text.startswith("2 unreadable: not JSON"))
    assert f"{results}/tiny/toy/seed-0/record.json, {results}/tiny/toy/seed-1/record.json" in torn
    assert "its schema is 99" in next(text for remedy, text in told.items() if remedy.startswith("upgrade genbench"))
    assert "tiny/toy/seed-9" in next(text for remedy, text in told.items() if "link" in remedy)
    assert "tiny/toy/mine" in next(text for remedy, text in told.items() if "seed-<number>" in remedy)
