"""The collector of cyclic garbage, switched off while records are built."""

from __future__ import annotations

import gc

from genbench.collector import without_collector

MANY = 20_000


def test_what_was_built_meanwhile_counts_as_old() -> None:
    with without_collector():
        built = [[] for _ in range(MANY)]
    assert len(gc.get_objects(generation=0)) < MANY / 2
    assert len(built) == MANY


def test_the_collector_is_on_again_afterwards_and_off_where_it_was() -> None:
    with without_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with without_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_objects_that_somebody_has_frozen_stay_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    try:
        with without_collector():
            assert frozen > 0
        assert gc.get_freeze_count() == frozen
    finally:
        gc.unfreeze()
