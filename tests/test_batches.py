"""The core's data order."""

import numpy as np
import pytest
import torch

from genbench.engine.batches import Batches

CPU = torch.device("cpu")


def make(total: int = 10, batch_size: int = 4, seed: int = 0) -> Batches:
    x = np.arange(total, dtype=np.uint8)[:, None]
    return Batches(x, np.arange(total), batch_size, seed, CPU)


@pytest.mark.parametrize(("total", "batch_size"), [(10, 4), (10, 10), (3, 7), (64, 1)])
def test_batches_are_always_full(total: int, batch_size: int) -> None:
    batches = make(total, batch_size)
    assert all(len(batches.at(step).x) == batch_size for step in range(2 * total))


@pytest.mark.parametrize(("total", "batch_size"), [(10, 4), (3, 7), (6, 5)])
def test_each_epoch_hands_out_every_example_once(total: int, batch_size: int) -> None:
    batches = make(total, batch_size)
    seen = torch.cat([batches.at(step).x[:, 0] for step in range(total)]).tolist()
    for epoch in range(len(seen) // total):
        assert sorted(seen[epoch * total : (epoch + 1) * total]) == list(range(total))


def test_labels_go_with_their_examples() -> None:
    batch = make().at(5)
    assert batch.labels is not None
    assert batch.x[:, 0].tolist() == batch.labels.tolist()


def test_a_batch_does_not_depend_on_which_were_asked_for_before() -> None:
    walked = make()
    for step in range(9):
        walked.at(step)
    assert torch.equal(walked.at(9).x, make().at(9).x)


def test_seeds_have_orders_of_their_own() -> None:
    first, second = (torch.cat([make(100, 50, seed).at(0).x]) for seed in (0, 1))
    assert not torch.equal(first, second)


def test_first_hands_out_at_least_what_was_asked_for() -> None:
    assert sum(len(batch.x) for batch in make().first(9)) == 12
