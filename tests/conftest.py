"""Set before torch starts: tests run two at a time, and their processes must not fight over the cores."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (
    "test_zoo", "test_example", "test_audit", "test_calibration", "test_commands", "test_inception", "test_references",
    "test_checks", "test_evaluators", "test_run", "test_new", "test_verify", "test_checks_mutants",
)  # fmt: skip
"""Files that take longest, begun first: of two workers neither then has one of them left when the other is done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: index for index, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
