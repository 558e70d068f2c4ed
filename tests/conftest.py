"""Set before torch starts: tests run two at a time, and their processes must not fight over the cores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from genbench.store import Store

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (
    "test_zoo", "test_example", "test_audit", "test_calibration", "test_commands", "test_inception", "test_references",
    "test_checks", "test_evaluators", "test_run", "test_new", "test_verify", "test_checks_mutants",
)  # fmt: skip
"""Files that take longest, begun first: of two workers neither then has one of them left when the other is done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def site_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The results of :func:`sites.results`, to be read only: making them is most of what a test of a page costs."""
    import sites

    return sites.results(tmp_path_factory.mktemp("made") / "results")


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory, site_store: Store) -> Path:
    """Their site, to be read only."""
    import sites

    target = tmp_path_factory.mktemp("published") / "site"
    assert sites.publish(site_store, target) == []
    return target
