"""The folder of a site: what publishing again replaces, what it leaves alone, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import factories
import pytest
import sites

from genbench.errors import GenbenchError, StoreError
from genbench.leaderboard import build
from genbench.report import site
from genbench.report.site.folder import HEAD, SITE
from genbench.store import Loaded, Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run of each of two benchmarks."""
    store = Store(tmp_path_factory.mktemp("made") / "results")
    for of in (factories.benchmark(), factories.benchmark(**sites.SECOND)):
        sites.commit(store, factories.record("toy", of=of), {})
    return store


def test_publishing_again_replaces_what_was_published_and_nothing_else(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / ".git").write_text("gitdir: elsewhere")
    sites.publish(store, target)
    (target / "CNAME").write_text("example.org")
    (target / "second/mine.txt").write_text("mine")
    sites.publish(store, target, factories.benchmark())
    left = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert not [name for name in left if name.startswith("second/") and name != "second/mine.txt"]
    assert {".git", "CNAME", "second/mine.txt", "tiny/toy/seed-0.html"} <= left
    assert "second" not in (target / "index.html").read_text(encoding="utf-8")
    listed = (target / SITE).read_text().splitlines()[1:]
    assert set(listed) == left - {".git", "CNAME", "second/mine.txt", SITE}


def test_publishing_again_what_has_not_changed_changes_no_page(
    site_store: Store, site_folder: Path, tmp_path: Path
) -> None:
    roots = (site_folder, tmp_path / "again")
    sites.publish(site_store, roots[1])
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} for root in roots
    )
    assert first == second


def test_a_folder_with_something_else_in_it_is_left_alone(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "home"
    target.mkdir()
    (target / "index.html").write_text("mine")
    with pytest.raises(GenbenchError, match="not empty and was not written by"):
        site.write([], store, target)
    assert [path.name for path in target.iterdir()] == ["index.html"]


@pytest.mark.parametrize("listed", ["../victim", "/etc/passwd", "a/../../victim", ""])
def test_a_list_of_files_that_leads_out_of_the_folder_is_refused(store: Store, tmp_path: Path, listed: str) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (tmp_path / "victim").write_text("mine")
    (target / SITE).write_text(f"{HEAD}\n{listed}\nx\n")
    with pytest.raises(GenbenchError, match="not the list of a site's files"):
        site.write([], store, target)
    assert (tmp_path / "victim").read_text() == "mine"


def test_nothing_is_written_or_removed_through_a_link_in_the_folder(store: Store, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    sites.publish(store, target)
    shutil.move(target / "tiny", elsewhere)
    (target / "tiny").symlink_to(elsewhere)
    before = sorted(path.as_posix() for path in elsewhere.rglob("*"))
    with pytest.raises(StoreError, match="is a link"):
        sites.publish(store, target)
    sites.publish(store, target, factories.benchmark(**sites.SECOND))
    assert sorted(path.as_posix() for path in elsewhere.rglob("*")) == before


def test_what_fails_leaves_the_site_before_as_it_was(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "site"
    sites.publish(store, target, factories.benchmark(**sites.SECOND))
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    dev = replace(factories.benchmark(), dev=True)
    board = build(dev, factories.METRICS, Loaded([factories.record(of=dev)], []))
    with pytest.raises(GenbenchError, match="never published"):
        site.write([site.Entry(sites.board_of(store)), site.Entry(board)], store, target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    with pytest.raises(GenbenchError, match="never published"):
        site.write([site.Entry(board)], store, tmp_path / "new")
    assert not (tmp_path / "new").exists()
